"""Sweeps: many jobs of one source, submitted with one call."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import qjob
from qjob.errors import JobStateError
from room import SCRIPTS, fresh_home, has_sdk, script_with_sdk, size
from rounds import interleaved, run_time_s
from row import Goal, Row, at_least, at_most, compared, not_measured, ratio_at_most

SLOTS = 2
_NOOP_SCRIPT = str(SCRIPTS / "noop.py")
_PLAIN = "python script.py"
_PASS = f"python -c pass, {SLOTS} at a time"
_TRUE = f"fork and exec of `true`, {SLOTS} at a time"
_MKDIR = "as many directories with a file in each"


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare sweeps with as many processes of the same script, and with what the system can do at most."""
    yield from _with_braket(root, quick)
    yield from _noop(root, quick)
    yield _submitted(root, quick)


def sweep_s(script: str, jobs: int) -> tuple[float, str]:
    """Run a sweep; return how long it took from the call to the end of the last job, and what was wrong with it."""
    started = time.monotonic()
    sweep = qjob.sweep(script, grid={"seed": range(jobs)})
    counts = sweep.wait(progress=False)
    took_s = time.monotonic() - started
    return took_s, "" if counts == {"COMPLETED": jobs} else f"of {jobs} jobs, {counts}"


def end_sweep(sweep: qjob.Sweep) -> None:
    """End the jobs of a sweep that have not ended by themselves."""
    with contextlib.suppress(JobStateError):  # they all have
        sweep.cancel()
    sweep.wait(progress=False)


def processes_s(command: Sequence[str], count: int) -> float:
    """Run a command so many times, on all slots; return how long that took."""
    started = time.monotonic()
    with ThreadPoolExecutor(SLOTS) as slots:
        list(slots.map(run_time_s, [command] * count))
    return time.monotonic() - started


def _with_braket(root: Path, quick: bool) -> Iterator[Row]:
    """Compare jobs that import an SDK; each time in a new home, so that the first of them find nothing warm."""
    jobs = size(full=1000, quick=100, smoke=3, is_quick=quick)
    plain = size(full=50, quick=6, smoke=1, is_quick=quick)
    name = f"sweep of {jobs:,} jobs that import braket.devices, submit to last end"
    goal = ratio_at_most(1 / 40, text=">= 40x as fast")
    if not has_sdk():
        yield not_measured(name, "it takes amazon-braket-sdk beside qjob", goal)
        return
    anchor = f"{_PLAIN} {jobs:,} times, {SLOTS} at a time, extrapolated from {plain}"
    script = script_with_sdk("sweep_braket.py", smoke="noop.py")
    faults: list[str] = []
    measures = {
        name: lambda: _in_new_home(root, script, jobs, faults),
        anchor: lambda: processes_s([sys.executable, script], plain) * jobs / plain,
    }
    found = interleaved(measures, rounds=2 if quick else 3)
    yield _against(found, name, anchor, "s", goal, faults)


def _noop(root: Path, quick: bool) -> Iterator[Row]:
    jobs = size(full=1000, quick=200, smoke=3, is_quick=quick)
    name = f"sweep of {jobs:,} jobs that do nothing, submit to last end"
    faults: list[str] = []
    measures: dict[str, Callable[[], float]] = {
        name: lambda: jobs / _in_new_home(root, _NOOP_SCRIPT, jobs, faults),
        _PASS: lambda: jobs / processes_s([sys.executable, "-c", "pass"], jobs),
        _TRUE: lambda: jobs / processes_s(["true"], jobs),
    }
    found = interleaved(measures, rounds=3)
    yield _against(found, name, _PASS, "jobs/s", at_least(100, "jobs/s"), faults)
    yield _against(found, name, _TRUE, "jobs/s", None, faults)


def _submitted(root: Path, quick: bool) -> Row:
    points = size(full=10_000, quick=1000, smoke=3, is_quick=quick)
    name = f"sweep of {points:,} points, submit alone"
    faults: list[str] = []
    measures = {
        name: lambda: _submit_s(root, points, faults),
        _MKDIR: lambda: _directories_s(root / "directories", points),
    }
    found = interleaved(measures, rounds=2 if quick else 3)
    return _against(found, name, _MKDIR, "s", at_most(5, "s"), faults)


def _in_new_home(root: Path, script: str, jobs: int, faults: list[str]) -> float:
    with fresh_home(root, slots=SLOTS):
        took_s, fault = sweep_s(script, jobs)
    faults.extend(filter(None, [fault]))
    return took_s


def _submit_s(root: Path, points: int, faults: list[str]) -> float:
    """Submit points to a dispatcher that is at work already; end them after that."""
    with fresh_home(root, slots=SLOTS):
        qjob.submit(_NOOP_SCRIPT).wait()
        started = time.monotonic()
        sweep = qjob.sweep(_NOOP_SCRIPT, grid={"seed": range(points)})
        took_s = time.monotonic() - started
        if len(sweep) != points:
            faults.append(f"the sweep has {len(sweep)} jobs")
        end_sweep(sweep)
    return took_s


def _directories_s(directory: Path, count: int) -> float:
    directory.mkdir(exist_ok=True)
    inside = directory / str(time.monotonic_ns())
    started = time.monotonic()
    for number in range(count):
        job = inside / str(number)
        job.mkdir(parents=True)
        (job / "file").write_bytes(b"{}")
    return time.monotonic() - started


def _against(
    found: dict[str, list[float]], name: str, anchor: str, unit: str, goal: Goal | None, faults: list[str]
) -> Row:
    fault = "; ".join(faults)
    return compared(name, unit, found[name], found[anchor], anchor_name=anchor, goal=goal, fault=fault)
