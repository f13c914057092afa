"""A curve in a terminal, in braille dots or, where those cannot be written, in ASCII. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from qjob.model.metric_series import buckets_of

MIN_WIDTH = 32
"""The narrowest plot, in characters; a narrower terminal gets one of this width."""
_MOST_POINTS = 4096  # several for each dot of the widest terminal
_FEWEST_DIGITS = 4
_MOST_DIGITS = 9
_AXIS_CHARS = 2
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille character, by row and column

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What is plotted.

    Attributes:
        title: stands above it.
        x_label: what it is over, below it.
        points: (x, y) in any order. Those that are not finite cannot be drawn; they are counted.
        last: the last y, finite or not; None where it is that of the last point.
        left_out: how many values that are not finite are not among the points.
    """

    title: str
    x_label: str
    points: Sequence[Point]
    last: float | None = None
    left_out: int = 0


def curve_of(title: str, x_label: str, xs: Sequence[float], ys: Sequence[float]) -> Curve:
    """Return the curve through points in order; of very many, the least and the greatest of each few neighbours."""
    if len(ys) <= _MOST_POINTS:
        return Curve(title=title, x_label=x_label, points=list(zip(xs, ys, strict=True)))
    buckets = buckets_of(xs, ys, _MOST_POINTS // 2)
    return Curve(
        title=title,
        x_label=x_label,
        points=[(bucket.time, y) for bucket in buckets for y in (bucket.low, bucket.high) if math.isfinite(y)],
        last=ys[-1],
        left_out=int(sum(bucket.not_finite for bucket in buckets)),
    )


@dataclass(frozen=True)
class _Style:
    """The characters of a plot; ``dots``: dots per character, across and down."""

    dots: tuple[int, int]
    tick: str
    axis: str
    corner: str
    floor: str


_BRAILLE = _Style(dots=(2, 4), tick="┤", axis="│", corner="└", floor="─")
_ASCII = _Style(dots=(1, 1), tick="+", axis="|", corner="+", floor="-")


@dataclass(frozen=True)
class _Range:
    """From the least to the greatest value that is plotted."""

    low: float
    high: float

    def place(self, value: float, steps: int) -> int:
        """Return which of so many steps a value is on; the middle one when all values are the same."""
        if self.low == self.high:
            return (steps - 1) // 2
        span = self.high - self.low
        part = (value - self.low) / span if math.isfinite(span) else (value / 2 - self.low / 2) / self._half_span()
        return min(steps - 1, max(0, round(part * (steps - 1))))

    def labels(self) -> tuple[str, str]:
        """Return the two ends as texts, to about a hundredth of what lies between them."""
        largest, span = max(abs(self.low), abs(self.high)), self.high - self.low
        spread = largest / span if span else 1.0
        digits = min(_MOST_DIGITS, _FEWEST_DIGITS + int(max(0.0, math.log10(spread or 1.0))))
        return _number_text(self.low, digits), _number_text(self.high, digits)

    def _half_span(self) -> float:
        return self.high / 2 - self.low / 2


def _number_text(value: float, digits: int) -> str:
    """Return a number of at most 16 characters; a whole one without an exponent, as iterations are counted."""
    return str(int(value)) if value.is_integer() and abs(value) < 10**_MOST_DIGITS else f"{value:.{digits}g}"


def plot(curve: Curve, *, width: int, height: int = 10, unicode: bool = True) -> list[str]:
    """Return the lines of a plot, each at most ``width`` characters (but see `MIN_WIDTH`).

    A point in each column of dots, or the range of the points there, joined to the next: a spike among a
    million points is seen.

    Args:
        curve: what to plot.
        width: of the whole, labels included.
        height: of the curve alone, in lines.
        unicode: whether braille and lines can be shown; else it is ASCII.
    """
    width = max(width, MIN_WIDTH)
    points = sorted(point for point in curve.points if all(map(math.isfinite, point)))
    title = _title(curve, points)[:width]
    if not points:
        return [title]
    style = _BRAILLE if unicode else _ASCII
    xs = _range_of([x for x, _ in points])
    ys = _range_of([y for _, y in points])
    low, high = ys.labels()
    margin = max(len(low), len(high))
    columns = width - margin - _AXIS_CHARS
    canvas = _Canvas(columns, height, style)
    for column, top, bottom in _strokes(_by_column(points, xs, ys, canvas)):
        canvas.stroke(column, top, bottom)
    labels = {0: high, height - 1: low} if low != high else {(height - 1) // 2: low}
    body = [_body_line(canvas.line(row), labels.get(row), margin, style) for row in range(height)]
    indent = " " * (margin + 1)
    return [title, *body, f"{indent}{style.corner}{style.floor * columns}", f"{indent} {_feet(xs, curve, columns)}"]


def _range_of(values: Sequence[float]) -> _Range:
    return _Range(float(min(values)), float(max(values)))


def _title(curve: Curve, points: Sequence[Point]) -> str:
    left_out = curve.left_out + len(curve.points) - len(points)
    if not curve.points and curve.last is None:
        return f"{curve.title}  no values"
    last = curve.points[-1][1] if curve.last is None else curve.last
    return f"{curve.title}  last {last:.9g}" + (f"  ({left_out} not finite)" if left_out else "")


def _body_line(dots: str, label: str | None, margin: int, style: _Style) -> str:
    axis = style.axis if label is None else style.tick
    return f"{label or '':>{margin}} {axis}{dots}".rstrip()


def _feet(xs: _Range, curve: Curve, columns: int) -> str:
    low, high = xs.labels()
    if low == high:
        return f"{low} {curve.x_label}"[:columns]
    room = columns - len(low) - len(high)
    label = curve.x_label if len(curve.x_label) + 2 <= room else ""
    return f"{low}{label:^{max(1, room)}}{high}"[:columns]


@dataclass(frozen=True)
class _Column:
    """The points that fall on one column of dots: where the curve enters, its range, and where it leaves."""

    number: int
    first: int
    top: int
    bottom: int
    last: int


def _by_column(points: Iterable[Point], xs: _Range, ys: _Range, canvas: _Canvas) -> list[_Column]:
    """Return the columns that have points, from left to right; rows are counted from the top."""
    rows: dict[int, list[int]] = {}
    for x, y in points:
        rows.setdefault(xs.place(x, canvas.across), []).append(canvas.down - 1 - ys.place(y, canvas.down))
    return [_Column(number, on[0], min(on), max(on), on[-1]) for number, on in sorted(rows.items())]


def _strokes(columns: Sequence[_Column]) -> Iterator[tuple[int, int, int]]:
    """Yield vertical strokes (column, top, bottom) that are the points and the lines between them."""
    for column in columns:
        yield column.number, column.top, column.bottom
    for left, right in pairwise(columns):
        steps = right.number - left.number
        rows = [left.last + round((right.first - left.last) * step / steps) for step in range(steps + 1)]
        for step, (here, there) in enumerate(pairwise(rows)):
            middle = (here + there) // 2
            yield left.number + step, min(here, middle), max(here, middle)
            yield left.number + step + 1, min(middle, there), max(middle, there)


class _Canvas:
    """A field of dots."""

    def __init__(self, columns: int, lines: int, style: _Style) -> None:
        self.across = columns * style.dots[0]
        self.down = lines * style.dots[1]
        self._style = style
        self._lines = [[0] * columns for _ in range(lines)]

    def stroke(self, column: int, top: int, bottom: int) -> None:
        """Set the dots of a column from row ``top`` to row ``bottom``, both included."""
        wide, tall = self._style.dots
        for row in range(top, bottom + 1):
            self._lines[row // tall][column // wide] |= _DOTS[row % tall][column % wide]

    def line(self, row: int) -> str:
        """Return a line of characters."""
        if self._style is _ASCII:
            return "".join("*" if bits else " " for bits in self._lines[row])
        return "".join(chr(0x2800 + bits) if bits else " " for bits in self._lines[row])
