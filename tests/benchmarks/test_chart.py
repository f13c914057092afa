"""A picture of how cost grows, and the numbers behind it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Module = Callable[[str], Any]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def chart(module: Module) -> Any:
    """The module."""
    return module("chart")


def a_chart(chart: Any, *points: tuple[tuple[float, float], ...]) -> Any:
    series = tuple(chart.Series(name=f"n° {place} <&>", points=some) for place, some in enumerate(points))
    return chart.Chart(file_name="x.svg", title='"a" < b', size="jobs", series=series)


def circles(picture: str) -> list[tuple[float, float]]:
    """Return where the dots of a picture are."""
    found = ElementTree.fromstring(picture).iter(f"{SVG}circle")
    return [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in found]


def test_a_decade_is_as_wide_everywhere_and_more_is_further_up(chart: Any) -> None:
    dots = circles(chart.to_svg(a_chart(chart, ((1, 0.01), (10, 0.1), (100, 1.0)))))
    (x0, y0), (x1, y1), (x2, y2) = dots[:3]
    assert x2 - x1 == pytest.approx(x1 - x0, abs=0.2)
    assert y2 - y1 == pytest.approx(y1 - y0, abs=0.2)
    assert x1 > x0
    assert y1 < y0


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])  # a module changes nothing
@given(points=st.lists(st.tuples(st.integers(1, 10**7), st.floats(1e-6, 1e5)), min_size=1, max_size=8))
def test_every_point_lies_in_the_picture(chart: Any, points: list[tuple[float, float]]) -> None:
    picture = chart.to_svg(a_chart(chart, tuple(points)))
    _, _, width, height = map(float, ElementTree.fromstring(picture).attrib["viewBox"].split())
    dots = circles(picture)
    assert len(dots) == len(points) + 1
    assert all(0 < x < width and 0 < y < height for x, y in dots)


def test_a_single_point_is_a_picture_too(chart: Any) -> None:
    assert len(circles(chart.to_svg(a_chart(chart, ((1, 1.0),))))) == 2  # and the one of the legend


def test_each_line_has_a_colour_for_light_and_for_dark(chart: Any) -> None:
    picture = chart.to_svg(a_chart(chart, *[((1, 0.1), (10, 1.0))] * 5))
    light, dark = picture.split("@media (prefers-color-scheme: dark)")
    for place in range(5):
        colours = [re.search(rf"\.s{place} {{ stroke: (#\w+)", style) for style in (light, dark)]
        assert all(colours)
        assert len({colour[1] for colour in colours if colour}) == 2


def test_the_table_has_every_point(chart: Any) -> None:
    table = chart.to_table(a_chart(chart, ((1, 0.0000123), (1000, 0.0456)), ((1000, 78.9),)))
    assert table.splitlines()[2:] == ["| 1 | 12.3 µs |  |", "| 1,000 | 45.6 ms | 78.9 s |"]
