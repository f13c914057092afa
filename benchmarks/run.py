"""Measure qjob beside something that everybody knows: ``python benchmarks/run.py [NAME…] [--quick] [-o json]``.

Without names all is measured, and docs/benchmarks.md is written. Nothing here asserts: a number that misses its
goal is a line that says so. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from chart import Chart, to_table
from machine import machine
from page import write_page
from peer import NO_PEERS
from room import SMOKE_TEST, clean_room
from row import Row, line, not_measured, table, to_json

_MODULES = sorted(path.stem for path in Path(__file__).resolve().parent.glob("bench_*.py"))
_FIRST = ["bench_start", "bench_end", "bench_submit", "bench_sweep", "bench_memory"]
BENCHMARKS = {module.removeprefix("bench_").replace("_", "-"): module for module in dict.fromkeys([*_FIRST, *_MODULES])}
"""Each benchmark and its module, in the order in which they run: first what everybody asks for."""
_SCALING = "scaling"


def main(arguments: Sequence[str]) -> int:
    """Run the benchmarks that were named, or all; return 1 when one of them broke down."""
    options = _options(arguments)
    facts = machine()
    print(", ".join(f"{key} {value}" for key, value in facts.items()), file=sys.stderr)
    broken: list[str] = []
    with clean_room() as root:
        os.environ |= _variables(options)
        names = options.names or [*BENCHMARKS, _SCALING]
        rows = _all_rows([name for name in names if name != _SCALING], root, broken, quick=options.quick)
        charts = _charts(root, broken, quick=options.quick) if _SCALING in names else []
    print(_to_json(facts, rows, charts) if options.output == "json" else _to_text(rows, charts))
    if not options.names and not options.smoke:
        command = " ".join(["python benchmarks/run.py", *arguments])
        print(f"Written: {write_page(rows, charts, facts, command=command, is_quick=options.quick)}", file=sys.stderr)
    return 1 if broken else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*BENCHMARKS, _SCALING]))
    parser.add_argument("--quick", action="store_true", help="smaller and fewer: an hour becomes minutes")
    parser.add_argument("--smoke", action="store_true", help="tiny and once: see only that everything works")
    parser.add_argument("--no-peers", action="store_true", help="install nothing that qjob is compared with")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="what to print at the end")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - {*BENCHMARKS, _SCALING})
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join([*BENCHMARKS, _SCALING])}")
    options.quick = options.quick or options.smoke
    return options


def _variables(options: argparse.Namespace) -> dict[str, str]:
    smoke = {SMOKE_TEST: "yes"} if options.smoke else {}
    return smoke | ({NO_PEERS: "--no-peers was given"} if options.no_peers else {})


def _all_rows(names: Sequence[str], root: Path, broken: list[str], *, quick: bool) -> list[Row]:
    rows = []
    for name in names:
        for row in _rows(name, root, broken, quick=quick):
            print(line(row), file=sys.stderr, flush=True)
            rows.append(row)
    return rows


def _rows(name: str, root: Path, broken: list[str], *, quick: bool) -> Iterator[Row]:
    """Run a benchmark; when it breaks down, that is its last line, and the others go on."""
    (root / name).mkdir(exist_ok=True)
    try:
        module: Any = import_module(BENCHMARKS[name])
        yield from module.run(root / name, quick=quick)
    except Exception as error:  # noqa: BLE001 - an hour of measurements is not to be lost with one of them
        traceback.print_exc()
        broken.append(name)
        yield not_measured(name, f"it broke down, {type(error).__name__}: {error}")


def _charts(root: Path, broken: list[str], *, quick: bool) -> list[Chart]:
    found: list[Chart] = []
    (root / _SCALING).mkdir()
    try:
        module: Any = import_module(_SCALING)
        for chart in module.charts(root / _SCALING, quick=quick):
            print(f"Measured: {chart.title}", file=sys.stderr, flush=True)
            found.append(chart)
    except Exception:  # noqa: BLE001 - as above
        traceback.print_exc()
        broken.append(_SCALING)
    return found


def _to_json(facts: dict[str, str], rows: Sequence[Row], charts: Sequence[Chart]) -> str:
    found = {"machine": facts, "rows": [to_json(row) for row in rows], "charts": [asdict(chart) for chart in charts]}
    return json.dumps(found, indent=2)


def _to_text(rows: Sequence[Row], charts: Sequence[Chart]) -> str:
    tables = [f"{chart.title}\n\n{to_table(chart)}" for chart in charts]
    return "\n\n".join([table(rows), *tables] if rows else tables)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # and not without stopping what was started
    sys.exit(main(sys.argv[1:]))
