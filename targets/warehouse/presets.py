"""What a new row of ``sync_configuration`` has, by environment: the predecessor's values.

There, in production, each CRM had an hourly run at a minute of its own, and a request three tries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from warehouse.configuration import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENVIRONMENTS", "preset"]

ENVIRONMENTS: Final = ("development", "staging", "production")

_BATCHES: Final = {
    "arrivy": 1000,
    "callrail": 100,
    "five9": 500,
    "genius": 500,
    "googlesheets": 500,
    "hubspot": 100,
    "leadconduit": 100,
    "marketsharp": 200,
    "salespro": 500,
    "salesrabbit": 500,
}
_MINUTES: Final = {
    "hubspot": 0,
    "arrivy": 2,
    "leadconduit": 4,
    "five9": 6,
    "genius": 8,
    "salespro": 10,
    "callrail": 12,
    "googlesheets": 14,
    "salesrabbit": 16,
}
_OTHER_MINUTE: Final = 18
_NIGHT: Final = 3
_RETRIES: Final = 2


def preset(environment: str, crm: str, settings: Mapping[str, Any]) -> Row:
    """Return a CRM's first row.

    Development: small batches and few tries, so that what is wrong shows soon; nothing scheduled.
    Staging: as production, once a night. Production: each hour, batches and tries as the tap is
    made for.

    Args:
        environment: One of `ENVIRONMENTS`.
        crm: The CRM.
        settings: Of its tap, which gets nothing that it does not know.
    """
    if environment == "development":
        return Row(
            crm,
            batch_size=_BATCHES.get(crm) if "page_size" in settings else None,
            retry_count=_RETRIES if "max_tries" in settings else None,
        )
    hour = _NIGHT if environment == "staging" else "*"
    minute = _MINUTES.get(crm, _OTHER_MINUTE)
    return Row(crm, schedule_enabled=True, schedule_cron=f"{minute} {hour} * * *")
