"""What the command line takes for a value."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qjob.cli.values import DURATION, KEY_VALUE, MOMENT, PATTERN, parse_duration, parse_moment, to_mapping

NOW = datetime(2026, 3, 31, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("45", 45),
        ("90m", 5400),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        ("1d2h3m4s", 93784),
        ("1.5h", 5400),
        ("0", 0),
        ("0.25s", 0.25),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "2x", "-1h", "1 h", "1m1h", "1e3", "inf", "nan", "9" * 400, "1h\n", "٣h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration|is longer than"):
        parse_duration(text)


@given(st.integers(0, 10_000), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_the_parts_of_a_duration_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    text = f"{days}d{hours}h{minutes}m{seconds}s"
    expected = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    assert parse_duration(text) == expected


@given(st.text())
def test_any_other_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert seconds >= 0


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", NOW - timedelta(minutes=10)),
        ("2026-03-31T14:00Z", NOW),
        ("2026-03-31T16:00:00+02:00", NOW),
    ],
)
def test_a_moment_is_read(text: str, moment: datetime) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.fixture
def in_lord_howe() -> Iterator[None]:
    """Half an hour beside everybody else; the C library keeps the zone for the process, so it is set back."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "LHST-10:30"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("in_lord_howe")
def test_a_time_without_a_zone_is_a_local_one() -> None:
    assert parse_moment("2026-04-01T00:30", NOW) == NOW
    assert parse_moment("2026-04-01", NOW) == NOW - timedelta(minutes=30)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "14:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no (moment|duration)"):
        parse_moment(text, NOW)


@pytest.mark.parametrize(
    ("text", "pair"),
    [("theta=0.5", ("theta", "0.5")), ("a=b=c", ("a", "b=c")), ("a=", ("a", "")), ("a= b ", ("a", " b "))],
)
def test_a_pair_is_parted_at_the_first_equals_sign(text: str, pair: tuple[str, str]) -> None:
    assert KEY_VALUE.convert(text, None, None) == pair


@pytest.mark.parametrize("text", ["theta", "=1", ""])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="KEY=VALUE"):
        KEY_VALUE.convert(text, None, None)


def test_a_key_given_twice_is_an_error_that_names_both_values() -> None:
    with pytest.raises(click.UsageError, match="'theta' is given twice, as '1' and as '2'"):
        to_mapping([("theta", "1"), ("theta", "2")], "--hyperparameter")


def test_a_pattern_is_over_bytes() -> None:
    assert PATTERN.convert("é+", None, None).search("caféé".encode())
    with pytest.raises(click.BadParameter, match="no regular expression"):
        PATTERN.convert("(", None, None)


def test_values_that_click_converts_twice_stay_as_they_are() -> None:
    for kind, value in ((DURATION, 1.0), (MOMENT, NOW), (KEY_VALUE, ("a", "b"))):
        assert kind.convert(value, None, None) is value
