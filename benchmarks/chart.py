"""Chart: how cost grows with size, on two logarithmic axes; as a picture (SVG) and as a table (Markdown)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from row import number

_WIDTH, _HEIGHT = 760, 470
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 44, 46, 52
_LEGEND_LINE = 20
_LIGHT = ("#0a5fc2", "#b3400a", "#4f6d00", "#7a35b5", "#8a6100")
_DARK = ("#6fb3ff", "#ff9e66", "#b7d64a", "#cfa6ff", "#f2c14e")


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line of a chart.

    Attributes:
        name: what was measured.
        points: pairs of a size and the seconds that it took, by size; both greater than 0.
        is_ours: whether it is qjob; anchors are dashed.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    is_ours: bool = True


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture of some series.

    Attributes:
        file_name: of the picture.
        title: what it shows.
        size: what the horizontal axis counts.
        series: the lines, at most five.
    """

    file_name: str
    title: str
    size: str
    series: tuple[Series, ...]


def to_svg(chart: Chart) -> str:
    """Return the picture; its colours follow the reader's, light or dark."""
    points = [point for series in chart.series for point in series.points]
    across = _Axis(sizes=[x for x, _ in points], start=_LEFT, end=_WIDTH - _RIGHT)
    up = _Axis(sizes=[y for _, y in points], start=_HEIGHT - _BOTTOM, end=_TOP)
    height = _HEIGHT + _LEGEND_LINE * len(chart.series)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(chart.title)}" font-family="system-ui, sans-serif" font-size="13">',
        _style(),
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>',
        f'<text class="ink" x="{_LEFT}" y="24" font-size="15" font-weight="600">{escape(chart.title)}</text>',
        *_grid(across, up),
        f'<text class="ink" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 10}" '
        f'text-anchor="middle">{escape(chart.size)}</text>',
    ]
    for place, series in enumerate(chart.series):
        parts += _line(series, place, across, up)
    return "\n".join([*parts, "</svg>", ""])


def to_table(chart: Chart) -> str:
    """Return the numbers behind the picture as a table in Markdown."""
    sizes = sorted({x for series in chart.series for x, _ in series.points})
    rows = [[chart.size, *(series.name for series in chart.series)], ["---:"] * (1 + len(chart.series))]
    for size in sizes:
        took = [dict(series.points).get(size) for series in chart.series]
        rows.append([number(size), *("" if seconds is None else _duration(seconds) for seconds in took)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


class _Axis:
    """A logarithmic axis over whole decades, from ``start`` to ``end`` in the picture."""

    def __init__(self, *, sizes: Sequence[float], start: float, end: float) -> None:
        self._first = math.floor(math.log10(min(sizes)))
        self._last = max(math.ceil(math.log10(max(sizes))), self._first + 1)
        self._start, self._end = start, end

    def place(self, size: float) -> float:
        share = (math.log10(size) - self._first) / (self._last - self._first)
        return round(self._start + share * (self._end - self._start), 1)

    def decades(self) -> list[float]:
        return [10.0**power for power in range(self._first, self._last + 1)]


def _style() -> str:
    light = "".join(f".s{place} {{ stroke: {colour}; fill: {colour} }} " for place, colour in enumerate(_LIGHT))
    dark = "".join(f".s{place} {{ stroke: {colour}; fill: {colour} }} " for place, colour in enumerate(_DARK))
    return (
        "<style>.ground { fill: #ffffff } .ink { fill: #1f2328 } .grid { stroke: #d1d9e0 } "
        f"path.line {{ fill: none; stroke-width: 2.2 }} path.anchor {{ stroke-dasharray: 7 5 }} {light}"
        "@media (prefers-color-scheme: dark) { .ground { fill: #0d1117 } .ink { fill: #f0f6fc } "
        f".grid {{ stroke: #3d444d }} {dark}}} path.line {{ fill: none !important }}</style>"
    )


def _grid(across: _Axis, up: _Axis) -> Iterator[str]:
    for size in across.decades():
        x = across.place(size)
        yield f'<line class="grid" x1="{x}" y1="{_TOP}" x2="{x}" y2="{_HEIGHT - _BOTTOM}"/>'
        yield f'<text class="ink" x="{x}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{number(size)}</text>'
    for seconds in up.decades():
        y = up.place(seconds)
        yield f'<line class="grid" x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}"/>'
        yield f'<text class="ink" x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{_duration(seconds)}</text>'


def _line(series: Series, place: int, across: _Axis, up: _Axis) -> Iterator[str]:
    """Yield a line, a dot for each of its points, and its entry below the picture."""
    kind = "" if series.is_ours else " anchor"
    dots = [(across.place(x), up.place(y)) for x, y in series.points]
    path = " L".join(f"{x} {y}" for x, y in dots)
    yield f'<path class="line{kind} s{place}" d="M{path}"/>'
    for x, y in dots:
        yield f'<circle class="s{place}" cx="{x}" cy="{y}" r="3.6"/>'
    y = _HEIGHT + _LEGEND_LINE * place + 4
    yield f'<path class="line{kind} s{place}" d="M{_LEFT} {y} L{_LEFT + 44} {y}"/>'
    yield f'<circle class="s{place}" cx="{_LEFT + 22}" cy="{y}" r="3.6"/>'
    yield f'<text class="ink" x="{_LEFT + 54}" y="{y + 4}">{escape(series.name)}</text>'


def _duration(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if round(seconds * factor, 9) >= 1:
            return f"{number(float(f'{seconds * factor:.3g}'))} {unit}"
    return f"{number(float(f'{seconds * 1e6:.3g}'))} µs"
