"""The forms in which clients have seen values that the reference describes otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crm_sandbox.rest import Record


def as_seen(row: Record) -> Record:
    """Return a call or a form with values as clients have seen them."""
    changed: dict[str, Any] = {}
    if row.get("value") is not None:
        changed["value"] = f"${row['value']:,}.00"
    if "tags" in row:
        changed["tags"] = [{"name": name, "color": "red1"} for name in row["tags"]]
    if row.get("call_summary"):
        changed["call_summary"] = [row["call_summary"]]
    if "keypad_entries" in row:
        changed["keypad_entries"] = "1,2"
    if "speaker_percent" in row:
        changed["speaker_percent"] = [40, 60]
    if row.get("recording_duration"):
        changed["recording_duration"] = int(row["recording_duration"])
    return {**row, **changed}
