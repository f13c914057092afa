"""What ``import qjob`` costs, and what it loads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from room import fresh_home
from rounds import interleaved, milliseconds, run_time_s
from row import Row, at_most, at_most_more, compared

_MODULES = "import sys; print(*sys.modules)"
_STATEMENTS = {"import": "import qjob", "import of submit()": "from qjob import submit"}


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare interpreters that import qjob with one that does nothing."""
    commands = {"pass": "pass"} | _STATEMENTS
    with fresh_home(root):
        measures = {name: partial(run_time_s, [sys.executable, "-c", code]) for name, code in commands.items()}
        found = interleaved(measures, rounds=7 if quick else 31)
    for name, code in _STATEMENTS.items():
        yield compared(
            f"{name} ({code})",
            "ms",
            milliseconds(found[name]),
            milliseconds(found["pass"]),
            anchor_name="python -c pass",
            goal=at_most_more(40, "ms") if name == "import" else None,
        )
        foreign = sorted(_modules(f"{code}; {_MODULES}") - _modules(_MODULES) - sys.stdlib_module_names - {"qjob"})
        yield compared(
            f"{name}: third-party modules", "", [float(len(foreign))], goal=at_most(0, ""), note=" ".join(foreign)
        )


def _modules(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in done.stdout.split()}
