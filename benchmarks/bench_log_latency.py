"""How long a line takes from ``print`` to whoever follows the job."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import qjob
from room import OUT, SCRIPTS, fresh_home
from rounds import milliseconds, percentile
from row import Row, at_most, compared

_SCRIPT = str(SCRIPTS / "ticks.py")
_FOLLOW = "import qjob, sys; qjob.get(sys.argv[1]).logs(wait=True)"


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare ``job.logs(wait=True)`` in another process, read through a pipe, with a pipe from the script."""
    rounds = 1 if quick else 4
    ours: list[float] = []
    plain: list[float] = []
    with fresh_home(root):
        os.environ["BENCH_LINES"] = "200"
        for _ in range(rounds):
            plain += milliseconds(_by_pipe())
            ours += milliseconds(_by_follower())
        del os.environ["BENCH_LINES"]
    for percent, goal in ((50, None), (99, at_most(50, "ms"))):
        yield compared(
            f"log, print to logs(wait=True), p{percent}",
            "ms",
            ours,
            plain,
            anchor_name="python -u script | reader",
            goal=goal,
            note=f"{len(ours)} lines",
            statistic=percentile(percent),
        )


def _by_pipe() -> list[float]:
    return _latencies_s([sys.executable, "-u", _SCRIPT])


def _by_follower() -> list[float]:
    job = qjob.submit(_SCRIPT)
    found = _latencies_s([sys.executable, "-c", _FOLLOW, job.id])
    job.wait()
    return found


def _latencies_s(command: list[str]) -> list[float]:
    """Return how old each line was when it arrived here; the script begins when its first line has."""
    start = Path(os.environ[OUT])
    start.unlink(missing_ok=True)
    found = []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for came_at, line in _arrivals(process):
            if line.strip() == b"ready":
                start.touch()
            with contextlib.suppress(ValueError):  # a line that is no time, as what a job waits for
                found.append(came_at - float(line))
    return found


def _arrivals(process: subprocess.Popen[bytes]) -> Iterator[tuple[float, bytes]]:
    """Yield each line of a process's output after the time of the read that completed it."""
    if process.stdout is None:
        raise ValueError("the process was started without a pipe")
    rest = b""
    while data := os.read(process.stdout.fileno(), 1 << 16):
        came_at = time.time()
        *lines, rest = (rest + data).split(b"\n")
        yield from ((came_at, line) for line in lines)
