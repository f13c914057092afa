"""The points of a sweep: every combination, one by one, or drawn at random, the same ones everywhere."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.errors import InvalidInput
from qjob.model.points import MAX_POINTS, Grid, Points, RandomPoints, points_of

AXES = st.dictionaries(st.text(max_size=3), st.lists(st.integers(), min_size=1, max_size=5), min_size=1, max_size=4)


def all_of(points: Points) -> list[dict[str, Any]]:
    return [points[number] for number in range(len(points))]


# Grids


@settings(max_examples=100)
@given(AXES)
def test_a_grid_is_the_product_of_its_axes_the_last_one_fastest(axes: dict[str, list[int]]) -> None:
    points = points_of(axes)
    assert points.names == tuple(axes)
    assert all_of(points) == [dict(zip(axes, each, strict=True)) for each in itertools.product(*axes.values())]
    assert all(list(point) == list(axes) for point in all_of(points))


@settings(max_examples=50)
@given(AXES, st.integers(-10_000, 10_000))
def test_a_grid_is_indexed_as_a_list(axes: dict[str, list[int]], number: int) -> None:
    points = points_of(axes)
    try:
        wanted = all_of(points)[number]
    except IndexError:
        with pytest.raises(IndexError):
            points[number]
    else:
        assert points[number] == wanted


def test_a_grid_can_be_iterated_over_to_its_end() -> None:
    grid = points_of({"a": [1, 2]})
    assert isinstance(grid, Grid)
    assert list(itertools.islice(iter(grid), 5)) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (range(3), [0, 1, 2]),
        ((each for each in "ab"), ["a", "b"]),
        (np.array([0.5, 1.5]), [0.5, 1.5]),
        ({"x": 1, "y": 2}.keys(), ["x", "y"]),
        ([None, True, (1, 2), [3]], [None, True, (1, 2), [3]]),
        ([1, 1], [1, 1]),
        ([math.inf, "a,b\nc"], [math.inf, "a,b\nc"]),
    ],
)
def test_the_values_of_a_grid_are_any_list(values: object, wanted: list[Any]) -> None:
    points = points_of({"a": values, 7: [None]})
    assert all_of(points) == [{"a": value, "7": None} for value in wanted]


def test_a_grid_of_the_largest_size_is_taken() -> None:
    points = points_of({"a": range(MAX_POINTS // 10), "b": range(10)})
    assert len(points) == MAX_POINTS
    assert points[MAX_POINTS - 1] == {"a": MAX_POINTS // 10 - 1, "b": 9}


# Points one by one


def test_points_may_have_different_names() -> None:
    points = points_of([{"b": 1}, {"a": 2, "b": 3}, {}, {"b": 1}])
    assert points.names == ("b", "a")
    assert all_of(points) == [{"b": 1}, {"a": 2, "b": 3}, {}, {"b": 1}]


def test_points_are_taken_from_any_iterable_once() -> None:
    points = points_of({"a": number} for number in range(3))
    assert all_of(points) == all_of(points) == [{"a": 0}, {"a": 1}, {"a": 2}]


def test_a_point_is_a_copy() -> None:
    points = points_of([{"a": 1}])
    points[0]["a"] = 2
    assert points[0] == {"a": 1}


# Points drawn at random

RANGES: dict[str, Any] = {"x": (0.0, 1.0), "n": (1, 6), "rate": (1e-4, 1e-1, "log"), "gate": ["X", "Y", "Z"]}
GOLDEN = [
    {"x": 0.32383276483316237, "n": 1, "rate": 0.00897022670479415, "gate": "X"},
    {"x": 0.5358820043066892, "n": 3, "rate": 0.00014927833220491335, "gate": "Y"},
    {"x": 0.03749565844198488, "n": 3, "rate": 0.00016201912064675174, "gate": "X"},
]


def test_random_points_are_the_same_for_ever() -> None:
    points = all_of(points_of(RandomPoints(RANGES, samples=3, seed=7)))
    for point, golden in zip(points, GOLDEN, strict=True):
        assert (point["x"], point["n"], point["gate"]) == (golden["x"], golden["n"], golden["gate"])
        assert point["rate"] == pytest.approx(golden["rate"], rel=1e-12)  # the last bit of exp() is the machine's


def test_random_points_do_not_depend_on_the_process() -> None:
    program = (
        "from qjob.model.points import *\n"
        "p = points_of(RandomPoints({'a': ['x', 'y', 'z'], 'b': (0.0, 1.0)}, samples=9))\n"
        "print([p[i] for i in range(9)])"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


@settings(max_examples=50)
@given(st.integers(), st.integers(1, 50))
def test_more_samples_begin_with_the_same_ones(seed: int, samples: int) -> None:
    fewer = all_of(points_of(RandomPoints(RANGES, samples=samples, seed=seed)))
    assert all_of(points_of(RandomPoints(RANGES, samples=samples + 5, seed=seed)))[:samples] == fewer


@settings(max_examples=100)
@given(st.floats(-1e290, 1e290), st.floats(-1e290, 1e290), st.integers(0, 3))
def test_numbers_lie_within_their_range(one: float, other: float, seed: int) -> None:
    low, high = sorted((one, other))
    for point in all_of(points_of(RandomPoints({"x": (low, high)}, samples=5, seed=seed))):
        assert low <= point["x"] <= high


@settings(max_examples=100)
@given(st.integers(-(10**30), 10**30), st.integers(0, 10**30))
def test_whole_numbers_lie_within_their_range_and_stay_whole(low: int, width: int) -> None:
    for point in all_of(points_of(RandomPoints({"n": (low, low + width)}, samples=5))):
        assert isinstance(point["n"], int)
        assert low <= point["n"] <= low + width


@settings(max_examples=100)
@given(st.floats(1e-290, 1e290), st.floats(1e-290, 1e290))
def test_numbers_of_a_logarithmic_range_lie_within_it(one: float, other: float) -> None:
    low, high = sorted((one, other))
    for point in all_of(points_of(RandomPoints({"x": (low, high, "log")}, samples=5))):
        assert low <= point["x"] <= high


def test_every_choice_and_both_ends_come_up() -> None:
    points = all_of(points_of(RandomPoints({"n": (1, 3), "gate": ["X", "Y"]}, samples=200)))
    assert {(point["n"], point["gate"]) for point in points} == set(itertools.product((1, 2, 3), "XY"))
    halves = [point["x"] > 0.01 for point in all_of(points_of(RandomPoints({"x": (1e-4, 1.0, "log")}, samples=400)))]
    assert 150 < sum(halves) < 250  # evenly in the logarithm


def test_choices_are_taken_from_a_generator_once() -> None:
    points = points_of(RandomPoints({"a": (each for each in "xyz")}, samples=30))  # type: ignore[dict-item]
    assert {point["a"] for point in all_of(points)} == set("xyz")


def test_choices_are_the_objects_themselves() -> None:
    choice = object()
    assert points_of(RandomPoints({"a": [choice]}, samples=1))[0]["a"] is choice


# What is refused


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (None, "grid=None: a dict of lists is expected"),
        (3, "grid=3: a dict"),
        ("theta=1", "grid='theta=1': a dict"),
        (b"x", "grid=b'x': a dict"),
        ({}, "nothing is varied"),
        ([], "there is no point"),
        (iter(()), "there is no point"),
        ({"a": []}, "grid 'a': there are no values"),
        ({"a": 1}, "grid 'a'=1: a list of values"),
        ({"a": "123"}, "grid 'a'='123': a list of values"),
        ({"a": b"123"}, "a list of values"),
        ({"a": {"b": 1}}, "a list of values"),
        ({"a": None}, "grid 'a'=None: a list of values"),
        ({"a": np.array(1.0)}, "a list of values"),
        ({"a": np.float64(1.0)}, "a list of values"),
        ({"a": {1, 2}}, "a set has no order"),
        ({"a": frozenset("a")}, "a set has no order"),
        ({1: [1], "1": [2]}, "hyperparameter '1' is there more than once"),
        ({None: [1]}, "None is no name of a hyperparameter"),
        ({("a",): [1]}, "is no name of a hyperparameter"),
        (["a"], "point 0 is 'a': a dict is expected"),
        ([{"a": 1}, None], "point 1 is None"),
        ([{"a": 1}, {1: 1, "1": 2}], "point 1: hyperparameter '1' is there more than once"),
        ([{None: 1}], "point 0: None is no name"),
        ({"a": range(MAX_POINTS + 1)}, "more than 100,000 values"),
        ({"a": itertools.count()}, "more than 100,000 values"),
        ({"a": range(1000), "b": range(101)}, "it has 101,000 points, at most 100,000"),
        ({str(name): range(100) for name in range(20)}, "points, at most 100,000"),
        (({"a": number} for number in itertools.count()), "more than 100,000 points"),
        (RandomPoints({"a": [1]}, samples=0), "samples=0: a whole number from 1"),
        (RandomPoints({"a": [1]}, samples=MAX_POINTS + 1), "samples=100001"),
        (RandomPoints({"a": [1]}, samples=True), "samples=True"),
        (RandomPoints({"a": [1]}, samples=2.0), "samples=2.0"),  # type: ignore[arg-type]
        (RandomPoints({"a": [1]}, samples=1, seed="x"), "seed='x': a whole number"),  # type: ignore[arg-type]
        (RandomPoints({}, samples=1), "ranges={}: a dict is expected"),
        (RandomPoints([("a", [1])], samples=1), "a dict is expected"),  # type: ignore[arg-type]
        (RandomPoints({1: [1], "1": [2]}, samples=1), "is there more than once"),  # type: ignore[dict-item]
        (RandomPoints({"a": []}, samples=1), "range 'a': there are no values"),
        (RandomPoints({"a": {"x", "y"}}, samples=1), "a set has no order"),  # type: ignore[dict-item]
        (RandomPoints({"a": "xy"}, samples=1), "range 'a'='xy': a list of values"),
        (RandomPoints({"a": 1.0}, samples=1), "range 'a'=1.0: a list of values"),  # type: ignore[dict-item]
        (RandomPoints({"a": ()}, samples=1), "(low, high) or (low, high, 'log')"),
        (RandomPoints({"a": (1,)}, samples=1), "write choices as a list"),
        (RandomPoints({"a": (1, 2, 3)}, samples=1), "write choices as a list"),
        (RandomPoints({"a": (1, 2, "log", "log")}, samples=1), "write choices as a list"),
        (RandomPoints({"a": ("x", "y")}, samples=1), "write choices as a list"),
        (RandomPoints({"a": (False, True)}, samples=1), "write choices as a list"),
        (RandomPoints({"a": (2, 1)}, samples=1), "the lower end comes first."),
        (RandomPoints({"a": (0, 1, "log")}, samples=1), "and is above 0"),
        (RandomPoints({"a": (-1, 1, "log")}, samples=1), "and is above 0"),
        (RandomPoints({"a": (0.0, math.inf)}, samples=1), "write choices as a list"),
        (RandomPoints({"a": (math.nan, 1.0)}, samples=1), "write choices as a list"),
        (RandomPoints({"a": (-1.7e308, 1.7e308)}, samples=1), "write choices as a list"),
        (RandomPoints({"a": (0, 10**400)}, samples=1), "write choices as a list"),
    ],
)
def test_what_are_no_points_is_refused_with_the_reason(grid: object, words: str) -> None:
    with pytest.raises(InvalidInput) as told:
        points_of(grid)
    assert words in str(told.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidInput) as told:
        points_of({"a": 1, "b": [], "c": [1], "d": {1}})
    assert len(told.value.problems) == 3
    with pytest.raises(InvalidInput) as told:
        points_of(RandomPoints({"a": (2, 1), "b": "x"}, samples=0, seed=None))  # type: ignore[arg-type]
    assert len(told.value.problems) == 4


def test_of_thousands_of_bad_points_some_are_told() -> None:
    with pytest.raises(InvalidInput) as told:
        points_of([None] * 5000)
    assert 20 <= len(told.value.problems) <= 25


def test_what_a_generator_raises_is_not_hidden() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        points_of({"a": broken()})
