"""The tap that CONTRIBUTING.md shows really works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from tapkit_fake_api import Answer, Request, serving

ROOT = Path(__file__).resolve().parents[1]
PEOPLE = [
    {"id": 7, "contact": {"email": "Ada@Example.com"}, "changed": "2026-01-02T03:04:05Z"},
    {"id": 8, "contact": {"email": "not an address"}, "changed": "2026-01-03T00:00:00+02:00"},
]


def person(request: Request) -> Answer:
    assert request.path == "/people"
    assert request.headers["Authorization"] == "Bearer t0ken"
    number = int(request.query.get("cursor", 0))
    return Answer({"people": [PEOPLE[number]], "next": None if number else "1"})


def test_the_example_tap_reads_maps_and_bookmarks(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert example
    (tmp_path / "example.py").write_text(textwrap.dedent(example[1]))
    with serving() as api:
        api.answer = person
        done = subprocess.run(
            [sys.executable, "-c", "import example; example.TapAcme.cli()", "--config=ENV"],
            check=False,
            cwd=tmp_path,
            env={**os.environ, "TAP_ACME_BASE_URL": api.url, "TAP_ACME_ACCESS_TOKEN": "t0ken"},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    records = [message["record"] for message in messages if message["type"] == "RECORD"]
    assert records == [
        {
            "id": "7",
            "email": "Ada@Example.com",
            "changed_at": "2026-01-02T03:04:05.000000Z",
            "sync_issues": None,
        },
        {
            "id": "8",
            "email": "not an address",
            "changed_at": "2026-01-02T22:00:00.000000Z",
            "sync_issues": {"email": {"value": "not an address", "error": "not an e-mail address"}},
        },
    ]
    assert messages[-1]["value"]["bookmarks"]["people"] == {
        "replication_key": "changed_at",
        "replication_key_value": "2026-01-02T22:00:00.000000Z",
    }
