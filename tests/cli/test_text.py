"""Values as words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qjob.cli.text import ago_text, duration_text, listed, one_line, size_text, time_text

NOW = datetime(2026, 3, 31, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-0.5, "0 s"),
        (0.034, "0.034 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (7260, "2 h 1 min"),
        (86400 * 2 + 3600 * 4 + 59, "2 d 4 h"),
        (432000, "5 d"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=-5), "now"),
        (timedelta(seconds=0.9), "now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=119), "1 h ago"),
        (timedelta(days=400), "400 d ago"),
    ],
)
def test_how_long_ago_is_in_the_largest_unit(ago: timedelta, text: str) -> None:
    assert ago_text(NOW - ago, NOW) == text


def test_a_time_is_in_utc_to_the_second() -> None:
    assert time_text(NOW + timedelta(seconds=7.9)) == "2026-03-31 14:00:07 UTC"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3.4 * 2**20, "3.4 MiB"), (5 * 2**40, "5.0 TiB")],
)
def test_a_size_is_in_the_largest_unit_that_fits(size: float, text: str) -> None:
    assert size_text(size) == text


@given(st.text())
def test_one_line_moves_no_cursor(text: str) -> None:
    assert all(character.isprintable() for character in one_line(text))


def test_one_line_shows_what_would_change_a_terminal() -> None:
    assert one_line(" a\n\tb \x1b[31mred \x07 \udcff é ") == "a b \\x1b[31mred \\x07 \\udcff é"


def test_a_long_list_is_counted() -> None:
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b\n", "c", "d"], 2) == "a, b and 2 more"
