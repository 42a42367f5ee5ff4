"""The settings that every tap has, under the same names; a tap adds its credentials and its own."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

__all__ = ["common_settings", "concurrent_pages", "secret"]


def secret(name: str, title: str, description: str, *, required: bool = False) -> th.Property[Any]:
    """A credential: never logged, hidden by Meltano."""
    return th.Property(
        name, th.StringType, required=required, secret=True, title=title, description=description
    )


def common_settings(
    *, base_url: str, page_size: int, page_size_limit: int, look_back: int
) -> list[th.Property[Any]]:
    """The settings of every tap, with this CRM's defaults.

    Args:
        base_url: Where the API is.
        page_size: Records asked for at once.
        page_size_limit: The most that the API gives at once.
        look_back: Seconds before the bookmark from which an incremental run reads again.
    """
    return [
        th.Property(
            "base_url",
            th.StringType,
            default=base_url,
            title="Base URL",
            description="Scheme and host of the API; another one for tests, proxies or regions.",
        ),
        th.Property(
            "start_date",
            th.StringType,
            title="Start date",
            description=(
                "Read what changed since this moment (UTC; YYYY-MM-DD or ISO 8601), whatever the "
                "bookmark says. Without it: from the bookmark, or everything."
            ),
        ),
        th.Property(
            "page_size",
            th.IntegerType(minimum=1),
            default=page_size,
            title="Page size",
            description=f"Records per request; the API takes {page_size_limit} at most.",
        ),
        th.Property(
            "max_records",
            th.IntegerType(minimum=0),
            default=0,
            title="Maximum records",
            description="Records per stream, 0 for all. A cut stream keeps its old bookmark.",
        ),
        th.Property(
            "look_back",
            th.IntegerType(minimum=0),
            default=look_back,
            title="Look-back (seconds)",
            description=(
                "How far before the bookmark an incremental run starts, for changes that the API "
                "shows late."
            ),
        ),
        th.Property(
            "concurrency",
            th.IntegerType(minimum=1, maximum=32),
            default=4,
            title="Concurrency",
            description="Requests under way at once where the API allows it; order is kept.",
        ),
        th.Property(
            "max_tries",
            th.IntegerType(minimum=1),
            default=10,
            title="Tries per request",
            description=(
                "How often a request is sent that fails for a passing reason, with growing waits: "
                "10 tries last about a minute and a half."
            ),
        ),
        th.Property(
            "retry_delay",
            th.IntegerType(minimum=0),  # Meltano fails to print decimal ones of the environment
            default=0,
            title="Retry delay (seconds)",
            description="Wait at least so long before a try again, beside the growing waits.",
        ),
        th.Property(
            "field_mappings",
            th.ObjectType(additional_properties=th.CustomType({"type": "object"})),
            title="Field mappings",
            description=(
                "Stream → column → source path, {source, type}, or null to leave the column out."
            ),
        ),
        th.Property(
            "skip_validation",
            th.BooleanType,
            default=False,
            title="Skip validation",
            description="Do not check e-mails, phone numbers, addresses and business rules.",
        ),
    ]


def concurrent_pages() -> th.Property[Any]:
    """For taps of APIs whose pages have numbers, so that several can be asked for at once."""
    return th.Property(
        "concurrent_pages",
        th.IntegerType(minimum=1, maximum=16),
        default=4,
        title="Concurrent pages",
        description="Pages of one list under way at once; order is kept.",
    )
