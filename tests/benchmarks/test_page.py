"""The page that tells what was measured holds all of it, and nothing of whose machine it was."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

Module = Callable[[str], Any]


def page_of(module: Module, **options: Any) -> str:
    row, chart = module("row"), module("chart")
    rows = [
        row.compared("start", "ms", [1.0, 2.0, 3.0], [1.0], anchor_name="python", goal=row.ratio_at_most(3)),
        row.compared("end", "ms", [9.0], goal=row.at_most(3, "ms")),
        row.not_measured("ray", "no network", row.at_most(1, "s")),
    ]
    line = chart.Series(name="ours", points=((1, 0.5), (10, 5.0)))
    charts = [chart.Chart(file_name="sweep.svg", title="A sweep", size="jobs", series=(line,))]
    text: str = module("page").to_text(rows, charts, {"CPU": "Z80"}, command="python benchmarks/run.py", **options)
    return text


def test_it_has_machine_rows_goals_and_pictures(module: Module) -> None:
    page = page_of(module, is_quick=False)
    for part in (
        "| CPU | Z80 |",
        "2 (1–3) ms",
        "not measured: no network",
        "Of 3 goals 1 are met, 1 could not be measured.",
        "![A sweep](benchmarks/sweep.svg)",
        "| 10 | 5 s |",
        "`python benchmarks/run.py`",
    ):
        assert part in page
    assert "quick run" not in page


def test_a_quick_run_says_so(module: Module) -> None:
    assert "**This was a quick run" in page_of(module, is_quick=True)


def test_the_machine_is_described_but_not_named(module: Module) -> None:
    facts = module("machine").machine()
    assert all(facts[key] for key in ("CPU", "cores", "memory", "system", "Python", "date", "file system"))
    said = " ".join(facts.values())
    assert platform.node() not in said.split()
    assert getpass.getuser() not in said.split()
    assert str(Path.cwd()) not in said
