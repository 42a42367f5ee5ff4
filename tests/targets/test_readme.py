"""The README of the target says what the target has."""

from __future__ import annotations

import re
from pathlib import Path

from target_warehouse.settings import SETTINGS
from target_warehouse.target import TargetWarehouse

ROOT = Path(__file__).parents[2]
README = (ROOT / "targets" / "target_warehouse" / "README.md").read_text()


def test_every_setting_is_listed_with_its_default():
    TargetWarehouse.append_builtin_config(SETTINGS)
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", README, re.MULTILINE))
    settings = SETTINGS["properties"]
    for name, setting in settings.items():
        if name not in rows:
            assert name.startswith(("stream_map", "faker_", "flattening_"))
        elif "default" in setting:
            assert rows[name].strip("`") == str(setting["default"]).lower()
    assert rows.keys() <= settings.keys()


def test_every_named_test_is_there():
    folder = Path(__file__).parent
    rows = [row for row in README.splitlines() if "`test_" in row]
    for row in rows:
        module = ""
        for name, test in re.findall(r"`(test_\w+\.py)?(?:::(\w+))?`", row.rpartition(" | ")[2]):
            module = name or module
            assert f"def {test}(" in (folder / module).read_text() if test else module
    assert len(rows) > 30
