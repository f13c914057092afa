"""Ids sort by time, names are within Braket's pattern."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.model.naming import ARN_PREFIX, ID_PATTERN, arn_of, default_name, job_id, name_problem, time_us_of

BRAKET_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,49}")
"""The service model's pattern of jobName, and its limit of 50 characters."""
moments = st.integers(0, 2**55 - 1)
random_bits = st.integers(0, 2**32)


@given(first=moments, second=moments, one=random_bits, other=random_bits)
def test_ids_sort_by_time(first: int, second: int, one: int, other: int) -> None:
    if first != second:
        assert (job_id(first, one) < job_id(second, other)) == (first < second)


@given(time_us=moments, bits=random_bits)
def test_an_id_looks_like_one(time_us: int, bits: int) -> None:
    made = job_id(time_us, bits)
    assert ID_PATTERN.fullmatch(made)
    assert time_us_of(made) == time_us
    assert arn_of(made) == ARN_PREFIX + made
    assert re.fullmatch(r"arn:[a-z]+:braket:[^:]*:\d{12}:job/.*", arn_of(made))


@given(time_us=moments, one=st.integers(0, 2**20 - 1), other=st.integers(0, 2**20 - 1))
def test_twenty_bits_keep_two_ids_of_a_microsecond_apart(time_us: int, one: int, other: int) -> None:
    assert (job_id(time_us, one) == job_id(time_us, other)) == (one == other)


@settings(max_examples=200)
@given(stem=st.text(max_size=80), time_ms=st.integers(0, 10**15))
def test_a_default_name_is_a_name(stem: str, time_ms: int) -> None:
    name = default_name(stem, time_ms)
    assert name_problem(name) is None
    assert BRAKET_NAME.fullmatch(name)
    assert name.endswith(f"-{time_ms}")


@pytest.mark.parametrize(
    ("stem", "name"),
    [("vqe", "vqe-7"), ("_private", "private-7"), ("a b/c", "a-b-c-7"), ("ü", "job-7"), ("", "job-7")],
)
def test_a_default_name_keeps_what_it_can(stem: str, name: str) -> None:
    assert default_name(stem, 7) == name


@pytest.mark.parametrize("name", ["a", "7", "A-b--c", "x" * 50])
def test_good_names(name: str) -> None:
    assert name_problem(name) is None
    assert BRAKET_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "-", "a_b", "a b", "ä", "x" * 51, "a\n", "a/b", "..", 7, None, b"a"])
def test_bad_names_are_named(name: object) -> None:
    problem = name_problem(name)
    assert problem is not None
    assert repr(name) in problem
    assert "1 to 50 letters, digits and hyphens" in problem
