"""A line of the report: the values, how far they spread, and whether the goal is met."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Module = Callable[[str], Any]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (3.0, "3"),
        (1234.0, "1,234"),
        (1234.5, "1,234"),
        (12.345, "12.3"),
        (1.5, "1.50"),
        (0.04123, "0.0412"),
    ],
)
def test_numbers_have_three_digits(module: Module, value: float, text: str) -> None:
    assert module("row").number(value) == text


def test_a_row_shows_median_least_and_greatest(module: Module) -> None:
    row = module("row")
    found = row.compared("start", "ms", [3.0, 1.0, 2.0], [4.0, 8.0, 6.0], anchor_name="python a | b")
    assert (
        row.line(found)
        == "start: ours (min–max) 2 (1–3) ms; anchor (min–max) python a | b: 6 (4–8) ms; ours/anchor 0.333x"
    )
    assert "python a \\| b: 6 (4–8) ms" in row.table([found])
    assert row.to_json(found)["anchor_samples"] == (4.0, 8.0, 6.0)


@pytest.mark.parametrize(
    ("goal", "argument", "met"),
    [
        ("at_most", (2, "ms"), True),
        ("at_most", (1, "ms"), False),
        ("at_least", (2, "jobs/s"), True),
        ("at_least", (3, "jobs/s"), False),
        ("at_most_more", (-2, "ms"), True),
        ("at_most_more", (-3, "ms"), False),
        ("ratio_at_most", (0.5,), True),
        ("ratio_at_most", (0.4,), False),
        ("ratio_at_least", (0.5,), True),
        ("ratio_at_least", (0.6,), False),
    ],
)
def test_a_goal_is_met_or_not(module: Module, goal: str, argument: tuple[Any, ...], met: bool) -> None:
    row = module("row")
    assert row.compared("x", "", [2.0], [4.0], goal=getattr(row, goal)(*argument)).met is met


def test_a_wrong_answer_meets_no_goal(module: Module) -> None:
    row = module("row")
    found = row.compared("x", "ms", [1.0], goal=row.at_most(2, "ms"), fault="the arrays differ", note="4 rounds")
    assert found.met is False
    assert "WRONG: the arrays differ; 4 rounds" in row.line(found)


def test_what_was_not_measured_says_why(module: Module) -> None:
    row = module("row")
    found = row.not_measured("x", "there is no network", row.at_most(2, "ms"))
    assert found.met is None
    assert row.line(found) == "x: goal <= 2 ms; remark not measured: there is no network"
