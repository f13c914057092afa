"""From the last thing that a script does to whoever waits for the result."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import qjob
from room import SCRIPTS, fresh_home, told
from rounds import interleaved, milliseconds, percentile
from row import Row, at_most, compared

_SCRIPT = str(SCRIPTS / "last_act.py")
_RESULT = "end: last act to result()"
_PLAIN = "Popen.wait()"


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare ``result()``, which waits, with waiting for a process."""
    with fresh_home(root):
        found = interleaved({_PLAIN: _by_process, _RESULT: _by_result}, rounds=10 if quick else 30)
    for percent, goal in ((50, None), (99, at_most(50, "ms"))):
        yield compared(
            f"{_RESULT}, p{percent}",
            "ms",
            milliseconds(found[_RESULT]),
            milliseconds(found[_PLAIN]),
            anchor_name=_PLAIN,
            goal=goal,
            statistic=percentile(percent),
        )


def _by_process() -> float:
    subprocess.run([sys.executable, _SCRIPT], check=True)
    return time.monotonic() - told()


def _by_result() -> float:
    qjob.submit(_SCRIPT).result()
    return time.monotonic() - told()
