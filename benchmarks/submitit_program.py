"""Started by `peer_submitit` with the Python that has submitit: submits a job for each line of its input.

Says one line when it is up, and answers each line with seconds from the submit: of the executor ``local`` to the
first thing that the submitted function does, of ``slurm`` to the sight of the line that it prints. Everything said
is JSON.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

_LINE = "first line"
_LOOK_S = 0.005


def main(kind: str, directory: Path) -> None:
    """Answer until the input ends."""
    submitit: Any = import_module("submitit")
    executor = {"local": submitit.LocalExecutor, "slurm": submitit.SlurmExecutor}[kind](folder=directory)
    measure = {"local": _first_act_s, "slurm": _line_seen_s}[kind]
    print(json.dumps("up"), flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure(executor)), flush=True)


def _first_act_s(executor: Any) -> float:
    started = time.monotonic()
    first: float = executor.submit(time.monotonic).result()
    return first - started


def _line_seen_s(executor: Any) -> float:
    """Look at the output and not at the state, which it does not know of a Slurm without accounting."""
    started = time.monotonic()
    output: Path = executor.submit(print, _LINE, flush=True).paths.stdout
    while not (output.exists() and _LINE in output.read_text()):
        time.sleep(_LOOK_S)
    return time.monotonic() - started


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
