"""Measure qjob beside something that everybody knows: ``python benchmarks/run.py [NAME…] [--quick] [-o json]``.

Nothing here asserts: a number that misses its goal is a line that says so. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import qjob
from room import clean_room
from row import Row, line, table, to_json

BENCHMARKS = {
    "import": "bench_import",
    "start": "bench_start",
    "end": "bench_end",
    "submit": "bench_submit",
    "log-throughput": "bench_log_throughput",
    "log-latency": "bench_log_latency",
    "ls": "bench_ls",
    "metrics": "bench_metrics",
}
"""Each benchmark and its module, in the order in which they run: the one that loads most comes last."""


def main(arguments: Sequence[str]) -> int:
    """Run the benchmarks that were named, or all."""
    parser = _parser()
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    machine = _machine()
    rows = []
    print(", ".join(f"{key} {value}" for key, value in machine.items()), file=sys.stderr)
    for row in _rows(options.names or list(BENCHMARKS), quick=options.quick):
        print(line(row), file=sys.stderr, flush=True)
        rows.append(row)
    if options.output == "json":
        print(json.dumps({"machine": machine, "rows": [to_json(row) for row in rows]}, indent=2))
    else:
        print(table(rows))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="smaller and fewer: minutes become seconds")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="what to print at the end")
    return parser


def _rows(names: Sequence[str], *, quick: bool) -> Iterator[Row]:
    with clean_room() as root:
        for name in names:
            module: Any = import_module(BENCHMARKS[name])
            (root / name).mkdir(exist_ok=True)
            yield from module.run(Path(root / name), quick=quick)


def _machine() -> dict[str, str]:
    return {
        "qjob": qjob.__version__,
        "Python": platform.python_version(),
        "on": platform.platform(),
        "CPUs": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
