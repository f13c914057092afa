"""Many small jobs: how fast they are taken, and how fast two slots get through them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import qjob
from room import SCRIPTS, fresh_home, size
from rounds import interleaved, run_time_s
from row import Row, compared

_SCRIPT = str(SCRIPTS / "noop.py")
_SLOTS = 2
_PLAIN = f"python -c pass, {_SLOTS} at a time"


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare jobs that do nothing with processes that do nothing, on two slots."""
    jobs = size(full=200, quick=40, smoke=2, is_quick=quick)
    name = f"{jobs} jobs, submitted and ended, {_SLOTS} slots"
    submits: list[float] = []

    def ours() -> float:
        submit_s, all_s = _jobs_s(jobs)
        submits.append(jobs / submit_s)
        return jobs / all_s

    with fresh_home(root, slots=_SLOTS):
        found = interleaved({_PLAIN: lambda: jobs / _processes_s(jobs), name: ours}, rounds=2 if quick else 3)
    yield compared(name, "jobs/s", found[name], found[_PLAIN], anchor_name=_PLAIN)
    yield compared(f"{jobs} jobs, submit() alone, while they run", "jobs/s", submits[-len(found[name]) :])


def _jobs_s(count: int) -> tuple[float, float]:
    started = time.monotonic()
    jobs = [qjob.submit(_SCRIPT) for _ in range(count)]
    submitted = time.monotonic()
    for job in jobs:
        job.wait()
    return submitted - started, time.monotonic() - started


def _processes_s(count: int) -> float:
    command = [sys.executable, "-c", "pass"]
    started = time.monotonic()
    with ThreadPoolExecutor(_SLOTS) as slots:
        list(slots.map(run_time_s, [command] * count))
    return time.monotonic() - started
