"""Curves in a terminal."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qjob.cli.plot import MIN_WIDTH, Curve, Point, plot

DECAY = [(float(i), -1.13 + math.exp(-i / 10) * math.cos(i / 3)) for i in range(100)]
numbers = st.floats() | st.sampled_from([0.0, -0.0, 5e-324, 1e308, -1e308, math.inf, math.nan]) | st.integers(-9, 9)
points = st.lists(st.tuples(numbers, numbers).map(lambda pair: (float(pair[0]), float(pair[1]))), max_size=30)


def curve(given_points: list[Point]) -> Curve:
    return Curve(title="energy", x_label="iteration_number", points=given_points)


def dots(lines: list[str]) -> list[str]:
    """Return the field of a plot alone."""
    return [line.partition("│")[2] or line.partition("┤")[2] for line in lines[1:-2]]


@pytest.mark.parametrize(("name", "unicode"), [("plot_braille", True), ("plot_ascii", False)])
def test_a_curve(golden: Callable[[str, str], None], name: str, unicode: bool) -> None:
    golden(name, "\n".join(plot(curve(DECAY), width=72, unicode=unicode)))


@pytest.mark.parametrize("given_points", [[(i, 3.0) for i in range(4)], [(2.0, 3.0)]], ids=["constant", "one point"])
def test_what_does_not_change_is_in_the_middle(given_points: list[Point]) -> None:
    lines = plot(curve(given_points), width=60, height=5)
    assert [bool(line.strip()) for line in dots(lines)] == [False, False, True, False, False]
    assert lines[3].startswith("3 ┤")


@pytest.mark.parametrize("given_points", [[], [(1.0, math.nan)], [(math.inf, 1.0), (0.0, -math.inf)]])
def test_without_a_finite_value_there_is_a_title_that_says_so(given_points: list[Point]) -> None:
    [line] = plot(curve(given_points), width=60)
    assert line.startswith("energy  ")
    assert ("no values" if not given_points else f"({len(given_points)} not finite)") in line


def test_what_is_not_finite_is_counted_and_the_rest_is_drawn() -> None:
    lines = plot(curve([(0.0, 1.0), (1.0, math.nan), (2.0, math.inf), (3.0, 2.0)]), width=60, unicode=False)
    assert lines[0] == "energy  last 2  (2 not finite)"
    assert lines[1].startswith("2 +")
    assert lines[-3].startswith("1 +")


def test_a_spike_among_many_points_is_seen() -> None:
    given_points = [(float(i), 0.0) for i in range(100_000)]
    given_points[50_000] = (50_000.0, 7.0)
    lines = plot(curve(given_points), width=60)
    assert all(line.strip() for line in dots(lines))
    assert lines[1].startswith("7 ┤")


def test_points_are_joined() -> None:
    lines = plot(curve([(0.0, 0.0), (1.0, 1.0)]), width=60, height=4, unicode=False)
    fields = [line.partition("|")[2] or line.partition("+")[2] for line in lines[1:-2]]
    assert all("*" in field for field in fields)
    assert sum(field.count("*") for field in fields) >= len(fields[0])


def test_the_order_of_the_points_does_not_matter() -> None:
    shuffled = random.Random(1).sample(DECAY[:-1], len(DECAY) - 1) + DECAY[-1:]
    assert plot(curve(shuffled), width=72) == plot(curve(DECAY), width=72)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (-1.13727, -1.13721, ("-1.13727", "-1.13721")),
        (0, 123456, ("0", "123456")),
        (-1e308, 1e308, ("-1e+308", "1e+308")),
        (0, 5e-324, ("0", "4.941e-324")),
    ],
)
def test_the_axis_tells_the_ends_apart(low: float, high: float, labels: tuple[str, str]) -> None:
    lines = plot(curve([(0.0, low), (1.0, high)]), width=60)
    assert (lines[-3].split()[0], lines[1].split()[0]) == labels


@given(points, st.integers(0, 120), st.integers(2, 12), st.booleans())
def test_a_plot_is_never_wider_than_asked(given_points: list[Point], width: int, height: int, unicode: bool) -> None:
    lines = plot(curve(given_points), width=width, height=height, unicode=unicode)
    assert max(map(len, lines)) <= max(width, MIN_WIDTH)
    assert len(lines) in (1, height + 3)
    assert unicode or "\n".join(lines).isascii()


@given(points)
def test_each_finite_point_leaves_a_dot_between_the_ends(given_points: list[Point]) -> None:
    lines = plot(curve(given_points), width=80, unicode=False)
    drawn = any("*" in line for line in lines[1:])
    assert drawn == any(math.isfinite(x) and math.isfinite(y) for x, y in given_points)
