"""How fast jobs are handed to a Slurm, one by one and as an array; they are held, so that nothing runs meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import qjob
from room import SCRIPTS, size
from rounds import interleaved
from row import Goal, Row, compared, not_measured, ratio_at_least
from slurm_room import HELD, sbatch, slurm_room, why_no_slurm

_SCRIPT = str(SCRIPTS / "noop.py")
_GOAL = ratio_at_least(0.7)
_BATCH = "#!/bin/sh\n#SBATCH --hold\n#SBATCH --output=/dev/null\nexec python3 {script}\n"
_ARRAY = "one sbatch --array of as many"
_CALLS = "as many calls of sbatch"


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare submits with calls of sbatch, and a sweep with an array that somebody has written a script for."""
    jobs = size(full=200, quick=40, smoke=2, is_quick=quick)
    points = size(full=1000, quick=200, smoke=3, is_quick=quick)
    name = f"slurm: {jobs} jobs, submit() alone"
    if reason := why_no_slurm():
        yield not_measured(name, reason, _GOAL)
        return
    batch = root / "script.sh"
    batch.write_text(_BATCH.format(script=_SCRIPT))
    with slurm_room(root) as cluster:
        yield _single(cluster, batch, name, jobs, rounds=3 if quick else 7)
        yield from _sweep(cluster, batch, points, rounds=3)


def _single(cluster: Any, batch: Path, name: str, jobs: int, rounds: int) -> Row:
    def ours() -> None:
        for _ in range(jobs):
            qjob.submit(_SCRIPT, options=HELD)

    def calls() -> None:
        for _ in range(jobs):
            sbatch(str(batch))

    found, fault = _rates(cluster, {name: ours, _CALLS: calls}, jobs, rounds)
    return _against(found, name, _CALLS, fault, _GOAL)


def _sweep(cluster: Any, batch: Path, points: int, rounds: int) -> Iterator[Row]:
    name = f"slurm: sweep of {points:,} points, submit alone"
    seeds = {"seed": range(points)}

    def ours() -> None:
        qjob.sweep(_SCRIPT, seeds, options=HELD)

    def array() -> None:
        sbatch(f"--array=0-{points - 1}", str(batch))

    def calls() -> None:
        for _ in range(points):
            sbatch(str(batch))

    found, fault = _rates(cluster, {name: ours, _CALLS: calls, _ARRAY: array}, points, rounds)
    yield _against(found, name, _CALLS, fault)
    yield _against(found, name, _ARRAY, fault)


def _rates(
    cluster: Any, ways: Mapping[str, Callable[[], None]], jobs: int, rounds: int
) -> tuple[dict[str, list[float]], str]:
    """Return how many jobs each way submits in a second, and what was wrong with that."""
    faults: list[str] = []
    measures = {name: partial(_rate, cluster, submit, jobs, faults) for name, submit in ways.items()}
    return interleaved(measures, rounds), "; ".join(faults)


def _rate(cluster: Any, submit: Callable[[], None], jobs: int, faults: list[str]) -> float:
    """Submit jobs, which have to wait in the queue after that; empty the queue then."""
    started = time.monotonic()
    submit()
    took_s = time.monotonic() - started
    waiting = len(cluster.run("squeue", "--noheader", "--array", "--states=PENDING", "--format=%i").splitlines())
    if waiting != jobs:
        faults.append(f"of {jobs} jobs {waiting} wait")
    cluster.run("scancel", "--state=PENDING", "--me")
    return jobs / took_s


def _against(found: dict[str, list[float]], name: str, anchor: str, fault: str, goal: Goal | None = None) -> Row:
    return compared(name, "jobs/s", found[name], found[anchor], anchor_name=anchor, goal=goal, fault=fault)
