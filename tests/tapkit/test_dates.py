from __future__ import annotations

from datetime import date, datetime, time, timezone
from decimal import Decimal

import pytest
from tapkit import dates

UTC = timezone.utc


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-10-30T17:02:10.431Z", "2026-10-30T17:02:10.431000Z"),
        ("2026-11-30T18:00:00Z", "2026-11-30T18:00:00.000000Z"),
        ("2026-11-30T18:00:00+05:30", "2026-11-30T12:30:00.000000Z"),
        ("2026-11-30T18:00:00", "2026-11-30T18:00:00.000000Z"),
        ("2026-11-30 18:00:00", "2026-11-30T18:00:00.000000Z"),
        ("2026-11-30", "2026-11-30T00:00:00.000000Z"),
        ("11/30/2026 6:00 PM", "2026-11-30T18:00:00.000000Z"),
        ("1760000000000", "2025-10-09T08:53:20.000000Z"),
        (Decimal("1760000000.5"), "2025-10-09T08:53:20.500000Z"),
        ("30 Nov 2026 18:00 +0100", "2026-11-30T17:00:00.000000Z"),
        (1760000000, "2025-10-09T08:53:20.000000Z"),
        (1760000000123, "2025-10-09T08:53:20.123000Z"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00.000000Z"),
    ],
)
def test_moments_are_read_in_every_form_and_written_in_one(value: object, expected: str) -> None:
    assert dates.text(dates.parse_datetime(value)) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "10",
        "10:30",
        "2026-13-01",
        "March",
        "2026-02-30T00:00:00Z",
        True,
        None,
        "9999-12-31T23:59:59-05:00",
        "0001-01-01T00:00:00+05:00",
        "2026-11-30 10:00 PST",
    ],
)
def test_what_is_no_complete_moment_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="date"):
        dates.parse_datetime(value)


def test_texts_of_moments_compare_as_moments() -> None:
    moments = [dates.parse_datetime(m) for m in ("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z")]
    assert sorted(map(dates.text, moments)) == [dates.text(m) for m in sorted(moments)]


def test_days_and_times_of_day() -> None:
    assert dates.parse_date("2026-11-30") == date(2026, 11, 30)
    assert dates.parse_date("1796083200000") == date(2026, 12, 1)
    assert dates.parse_time("18:05:00") == time(18, 5)
    assert dates.parse_time("6:05 PM") == time(18, 5)
    for bad in ("", "never", "-01:00:00"):
        with pytest.raises(ValueError, match="not a"):
            dates.parse_time(bad)
