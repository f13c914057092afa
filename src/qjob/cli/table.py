"""Table: rows of texts under headers, and its plain form. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_GAP = "  "
_MORE = "…"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of texts.

    Attributes:
        headers: the columns.
        rows: each with a text for every column; an empty one for what does not apply.
        numeric: whether the cells are numbers, which stand at the right of their column.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: bool = False


def plain_text(table: Table) -> str:
    """Return the table in aligned columns, every cell in full, without a line end at the end."""
    return "\n".join(_GAP.join(line).rstrip() for line in _aligned(table))


def fitted_text(table: Table, width: int, paint: Callable[[str], str] = str) -> str:
    """Return the table for a screen: the last column is cut where the line ends.

    A table whose other columns alone are too wide is not cut; its lines run on, as a terminal wraps them.

    Args:
        table: the rows.
        width: the columns of the screen.
        paint: adds colours to a cell, given with the blanks around it.
    """
    lines = []
    for *cells, last in _aligned(table):
        left = sum(len(cell) + len(_GAP) for cell in cells)
        lines.append(_GAP.join(map(paint, [*cells, _cut(last.rstrip(), width - left)])).rstrip())
    return "\n".join(lines)


def _aligned(table: Table) -> Iterator[list[str]]:
    lines = [table.headers, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    place = str.rjust if table.numeric else str.ljust
    for line in lines:
        yield list(map(place, line, widths))


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room or room < 1 else text[: room - 1] + _MORE


def csv_text(table: Table) -> str:
    """Return the table as CSV (RFC 4180, but with plain line feeds), without a line end at the end."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([table.headers, *table.rows])
    return stream.getvalue().removesuffix("\n")
