from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tapkit.fields import Field, FieldTable
from tapkit.issues import IssueLog
from tapkit.writer import encode

if TYPE_CHECKING:
    import pytest

TABLE = FieldTable([Field("id"), Field("email", "email"), Field("closed", "datetime")])


def report(
    caplog: pytest.LogCaptureFixture, times: int = 1, level: int = logging.INFO
) -> list[str]:
    logger = logging.getLogger("issues")
    caplog.set_level(level, "issues")
    log = IssueLog("hubspot", TABLE, ("id",), logger)
    for number in range(times):
        record, issues = TABLE.convert({"id": str(number), "email": "somebody", "closed": "soon"})
        log.report(issues or {}, record)
    log.summarize()
    return caplog.messages


def test_the_forms_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert report(caplog) == [
        (
            "Validation warning for field 'email' with value 'som…' (Record: id=0): "
            "not an e-mail address"
        ),
        "Failed to parse datetime value: 'soon' in field 'closed' for hubspot 0",
    ]


def test_personal_values_are_whole_only_when_debugging(caplog: pytest.LogCaptureFixture) -> None:
    assert "'somebody'" in report(caplog, level=logging.DEBUG)[0]


def test_half_characters_do_not_break_the_log(caplog: pytest.LogCaptureFixture) -> None:
    log = IssueLog("hubspot", TABLE, ("id",), logging.getLogger("issues"))
    log.report({"closed": {"value": "\ud83d", "error": "not a date and time"}}, {"id": "1"})
    assert caplog.messages == [
        "Failed to parse datetime value: '\\ud83d' in field 'closed' for hubspot 1"
    ]


def test_many_warnings_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    messages = report(caplog, times=25)
    assert len(messages) == 42
    assert messages[-2:] == [
        "5 more validation warnings for field 'email'",
        "5 more validation warnings for field 'closed'",
    ]


def test_lone_surrogates_keep_their_escape() -> None:
    assert encode({"a": ["\ud83d", "é"], "n": 1}) == '{"a":["\\ud83d","é"],"n":1}'.encode()
