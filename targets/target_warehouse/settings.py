"""The target's settings; ``--about``, the README and Meltano's definition derive from them."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th
from singer_sdk.exceptions import ConfigValidationError

from target_warehouse.names import identifier
from target_warehouse.settings_loading import LOADING
from target_warehouse.settings_tables import PLACES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SETTINGS", "check", "crm_source", "numbers", "refusal", "table_schema"]

SETTINGS: Final[dict[str, Any]] = th.PropertiesList(*PLACES, *LOADING).to_dict()


def check(config: Mapping[str, Any]) -> None:
    """Refuse settings that contradict each other.

    Raises:
        ConfigValidationError: They do.
    """
    if config.get("missing_fields") == "keep" and config.get("load_method") != "upsert":
        raise refusal(
            "missing_fields keep needs load_method upsert: only that changes stored rows."
        )


def numbers(config: Mapping[str, Any]) -> dict[str, float]:
    """Return those settings that are numbers and came as texts."""
    return {
        name: float(config[name])
        for name, setting in SETTINGS["properties"].items()
        if "number" in setting["type"] and isinstance(config.get(name), str)
    }


def crm_source(config: Mapping[str, Any]) -> str:
    """Return the CRM's name, from the settings or from Meltano's extractor.

    Raises:
        ConfigValidationError: Neither says it.
    """
    if name := config.get("crm_source"):
        return str(name)
    extractor = os.environ.get("MELTANO_EXTRACTOR_NAME", "").lower().removeprefix("tap-")
    if name := "".join(filter(str.isalnum, extractor))[:50]:
        return name
    raise refusal('Set crm_source, for example "hubspot": the name of the schema the tables go to.')


def table_schema(config: Mapping[str, Any], stream: str, source: str) -> str:
    """Return the schema of a stream's table."""
    rules = config.get("stream_schemas") or {}
    named = next((name for pattern, name in rules.items() if fnmatchcase(stream, pattern)), None)
    return identifier(named or config.get("default_target_schema") or source)


def refusal(message: str) -> ConfigValidationError:
    """Return the error that refuses the settings with this sentence."""
    return ConfigValidationError(message, errors=[message], schema=SETTINGS)
