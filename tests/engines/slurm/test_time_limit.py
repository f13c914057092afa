"""Time limits, to Slurm and from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qjob.engines.slurm.time_limit import limit_s, minutes_for


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("1:30", 90),
        ("1:30:00", 5400),
        ("00:02:00", 120),
        ("2-12", 216_000),
        ("2-12:30", 217_800),
        ("2-12:30:15", 217_815),
        ("1-00:00:00", 86_400),
        ("UNLIMITED", None),
        ("infinite", None),
        ("NONE", None),
        ("N/A", None),
        ("(null)", None),
    ],
)
def test_slurms_forms(text: str, seconds: float | None) -> None:
    assert limit_s(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1h", "1-", "-12", "1:2:3:4", "1-2:3:4:5", " 90", "Partition_Limit"])
def test_what_is_no_time_limit(text: str) -> None:
    with pytest.raises(ValueError, match="is no time limit of Slurm's"):
        limit_s(text)


@given(text=st.text(alphabet="0123456789:-"))
def test_any_digits_are_a_limit_or_a_value_error(text: str) -> None:
    try:
        seconds = limit_s(text)
    except ValueError:
        return
    assert seconds is not None
    assert seconds >= 0


@given(days=st.integers(0, 400), hours=st.integers(0, 23), minutes=st.integers(0, 59), seconds=st.integers(0, 59))
def test_the_longest_form_says_it_all(days: int, hours: int, minutes: int, seconds: int) -> None:
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert limit_s(f"{days}-{hours:02}:{minutes:02}:{seconds:02}") == total


@pytest.mark.parametrize(
    ("max_runtime_s", "grace_s", "minutes"), [(0, 0, 2), (1, 0, 3), (60, 0, 3), (60, 10, 4), (3600, 10, 63)]
)
def test_whole_minutes_are_asked_for(max_runtime_s: float, grace_s: float, minutes: int) -> None:
    assert minutes_for(max_runtime_s, grace_s) == minutes


@given(max_runtime_s=st.floats(0, 1e7), grace_s=st.floats(0, 1e4))
def test_the_warning_of_slurm_never_comes_before_the_jobs_own_limit(max_runtime_s: float, grace_s: float) -> None:
    asked_s = minutes_for(max_runtime_s, grace_s) * 60
    warned_after_s = asked_s - (grace_s + 16) - 60  # B:USR1@<grace + 15, rounded up>, and a minute early
    assert warned_after_s >= max_runtime_s - 1e-6
    assert asked_s < max_runtime_s + grace_s + 181
