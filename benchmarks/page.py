"""The page that tells what was measured: docs/benchmarks.md, and the pictures in docs/benchmarks/."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from chart import Chart, to_svg, to_table
from row import Row, table

DOCS = Path(__file__).resolve().parents[1] / "docs"

_HEAD = """\
# Benchmarks

What qjob costs, beside what everybody knows: `python script.py`, `cp`, `numpy.save`, and programs that do the same.
Written by `{command}`; nothing here was typed in. How each is measured, and what the goals are, is in
[benchmarks/README.md](../benchmarks/README.md).

{machine}
{warning}
## Measured

Medians, with the least and the greatest of runs that took turns with the anchor's, or the percentile that a name
says. *ours/anchor* compares them: below 1 is better for times and sizes, above 1 for rates (jobs/s, lines/s, MB/s).
{goals}

{table}
"""

_QUICK = """
**This was a quick run, with small sizes and few rounds: a first look.** `make bench` takes the whole of it.
"""

_CHARTS = """
## How cost grows

Both axes are logarithmic: a straight line that rises by a decade for each decade is a cost in proportion.
Each point is one measurement, but for the last picture, whose points are medians of three.
"""

_CHART = """
![{title}](benchmarks/{file_name})

{table}
"""

_END = """
## Again, on your machine

    make bench                      # all of this, into docs/benchmarks.md
    make bench ARGS=--quick         # small sizes
    make bench ARGS='start sweep'   # some of it, onto the terminal
    make bench ARGS=--no-peers      # without installing what qjob is compared with

The peers are installed once, into an environment of their own (`.venv-bench`). What cannot be installed is a line that
says so.
"""


def write_page(
    rows: Sequence[Row], charts: Sequence[Chart], machine: Mapping[str, str], *, command: str, is_quick: bool
) -> Path:
    """Write the page and its pictures in the place of the last ones; return the page."""
    pictures = DOCS / "benchmarks"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir()
    for chart in charts:
        (pictures / chart.file_name).write_text(to_svg(chart), encoding="utf-8")
    page = DOCS / "benchmarks.md"
    page.write_text(to_text(rows, charts, machine, command=command, is_quick=is_quick), encoding="utf-8")
    return page


def to_text(
    rows: Sequence[Row], charts: Sequence[Chart], machine: Mapping[str, str], *, command: str, is_quick: bool
) -> str:
    """Return the page."""
    head = _HEAD.format(
        command=command,
        machine="\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in machine.items())]),
        warning=_QUICK if is_quick else "",
        goals=_goals(rows),
        table=table(rows),
    )
    pictures = "".join(_CHART.format(title=c.title, file_name=c.file_name, table=to_table(c)) for c in charts)
    return head + (_CHARTS + pictures if charts else "") + _END


def _goals(rows: Sequence[Row]) -> str:
    aimed = [row for row in rows if row.goal]
    met = [row for row in aimed if row.met]
    unknown = [row for row in aimed if row.met is None]
    rest = f", {len(unknown)} could not be measured" if unknown else ""
    return f"Of {len(aimed)} goals {len(met)} are met{rest}."
