"""How cost grows: with the jobs of a sweep, with the lines of a log, with the jobs on record."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import our_cli
import peer_braket
import qjob
from bench_sweep import SLOTS, processes_s, sweep_s
from chart import Chart, Series
from history import fill
from peer import PeerMissing, Program
from qjob.model.metric_line import metric_line
from room import SCRIPTS, fresh_home, has_sdk, is_smoke_test, script_with_sdk
from rounds import run_time_s

_NOOP_SCRIPT = str(SCRIPTS / "noop.py")
_METRICS_SCRIPT = str(SCRIPTS / "metrics.py")
_TIMES = 3
_MORE_LINES = 1000


def charts(root: Path, *, quick: bool) -> Iterator[Chart]:
    """Yield one chart after the other."""
    yield _sweeps(root, _sizes(quick, 300, full=10_000))
    yield _metrics(root, _sizes(quick, 30_000, full=1_000_000))
    yield _records(root, _sizes(quick, 10_000, full=1_000_000))


def _sizes(quick: bool, greatest: int, *, full: int) -> list[int]:
    """Return sizes of about half a decade's distance: 1, 3, 10, ... up to the greatest."""
    last = 3 if is_smoke_test() else greatest if quick else full
    steps = [factor * 10**power for power in range(7) for factor in (1, 3)]
    return [step for step in steps if step <= last]


def _sweeps(root: Path, sizes: Sequence[int]) -> Chart:
    noop = [sys.executable, _NOOP_SCRIPT]
    some, few = ([size for size in sizes if size <= most] for most in (1000, 30))
    series = [
        _series("qjob.sweep, jobs that do nothing", sizes, functools.partial(_sweep_s, root, _NOOP_SCRIPT)),
        _series("python script.py that does nothing, two at a time", some, functools.partial(processes_s, noop)),
    ]
    if has_sdk():
        script = script_with_sdk("sweep_braket.py", smoke="noop.py")
        plain = [sys.executable, script]
        series += [
            _series("qjob.sweep, jobs that import braket.devices", some, functools.partial(_sweep_s, root, script)),
            _series("python script.py with that import, two at a time", few, functools.partial(processes_s, plain)),
        ]
    return Chart(
        file_name="sweep.svg",
        title="A sweep in a new home, from submit to the end of its last job",
        size="jobs",
        series=tuple(series),
    )


def _sweep_s(root: Path, script: str, jobs: int) -> float:
    with fresh_home(root, slots=SLOTS):
        took_s, fault = sweep_s(script, jobs)
    if fault:
        raise RuntimeError(fault)
    return took_s


def _series(name: str, sizes: Sequence[int], measure: Callable[[int], float]) -> Series:
    """Measure each size once: each is a sample of the same line."""
    points = tuple((size, measure(size)) for size in sizes)
    return Series(name=name, points=points, is_ours=name.startswith("qjob"))


def _metrics(root: Path, sizes: Sequence[int]) -> Chart:
    first, again, parsed = [], [], []
    with fresh_home(root), contextlib.ExitStack() as stack:
        braket = _parser_if_there(stack)
        for lines in sizes:
            job, log = _job_with_metrics(lines)
            if braket is not None:
                parsed.append((lines, peer_braket.parsed(braket, log, "Timestamp", root / "table.json")[0]))
            first.append((lines, _time_s(job.metrics)))
            _append(log, lines)
            again.append((lines, _time_s(job.metrics)))
    series = [
        Series(name="job.metrics(), the first time", points=tuple(first)),
        Series(name=f"job.metrics() again, after {_MORE_LINES:,} more lines", points=tuple(again)),
        Series(name=peer_braket.NAME, points=tuple(parsed), is_ours=False),
    ]
    return Chart(
        file_name="metrics.svg",
        title="The metrics of a log",
        size="lines of the log",
        series=tuple(line for line in series if line.points),
    )


def _parser_if_there(stack: contextlib.ExitStack) -> Program | None:
    try:
        return stack.enter_context(peer_braket.parser())
    except PeerMissing:
        return None


def _job_with_metrics(lines: int) -> tuple[qjob.Job, Path]:
    os.environ["BENCH_LINES"] = str(lines)
    job = qjob.submit(_METRICS_SCRIPT)
    job.wait()
    del os.environ["BENCH_LINES"]
    return job, Path(job.metadata()["qjob"]["folder"]) / "logs" / "0.log"


def _append(log: Path, lines: int) -> None:
    with log.open("a") as file:
        for number in range(lines, lines + _MORE_LINES):
            file.write(metric_line("loss", 1 / (1 + number), timestamp=1.7e9 + number, iteration_number=number) + "\n")


def _records(root: Path, sizes: Sequence[int]) -> Chart:
    ways: dict[str, Callable[[], object]] = {
        "qjob ls": lambda: run_time_s([*our_cli.COMMAND, "ls"]),
        "qjob.find(limit=20), in a running process": lambda: qjob.find(limit=20),
        "qjob.submit(), in a running process": lambda: qjob.submit(_NOOP_SCRIPT),
    }
    points: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for jobs in sizes:
        with fresh_home(root) as home:
            fill(home, jobs)
            for name, way in ways.items():
                way()
                points[name].append((jobs, median(_time_s(way) for _ in range(_TIMES))))
            _wait_for_all()
    return Chart(
        file_name="index.svg",
        title="Listing and submitting, with a long history",
        size="jobs on record",
        series=tuple(Series(name=name, points=tuple(found)) for name, found in points.items()),
    )


def _wait_for_all() -> None:
    for job in qjob.find(limit=1 + _TIMES):
        job.wait()


def _time_s(act: Callable[[], object]) -> float:
    started = time.monotonic()
    act()
    return time.monotonic() - started
