"""Table: rows of texts under headers, and its plain form. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

_GAP = "  "


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
    lines = [table.headers, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    place = str.rjust if table.numeric else str.ljust
    return "\n".join(_GAP.join(map(place, line, widths)).rstrip() for line in lines)


def csv_text(table: Table) -> str:
    """Return the table as CSV (RFC 4180, but with plain line feeds), without a line end at the end."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([table.headers, *table.rows])
    return stream.getvalue().removesuffix("\n")
