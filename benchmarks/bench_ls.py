"""Listing the jobs when there are ten thousand: such that have ended, and such that wait."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import history
import our_cli
import qjob
from bench_sweep import end_sweep
from room import SCRIPTS, fresh_home, size
from rounds import Measure, interleaved, milliseconds, run_time_s
from row import Row, at_most, compared, not_measured

_JOBS = 10_000
_LS = f"`qjob ls` with {_JOBS:,} jobs"
_LS_ALL = f"`qjob ls --all` with {_JOBS:,} jobs"
_FIND_ALL = f"find() of {_JOBS:,} jobs"
_FIND_SOME = f"find(limit=20) of {_JOBS:,} jobs"
_DIRECTORY = f"ls of {_JOBS:,} files"
_PASS = "python -c pass"
_BLOCKER = str(SCRIPTS / "wait_for_end.py")


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare the list of many jobs with that of as many files."""
    yield from _ended_rows(root, quick=quick)
    yield from _waiting_rows(root, quick=quick)


def _ended_rows(root: Path, *, quick: bool) -> Iterator[Row]:
    goal = at_most(300, "ms")
    no_cli = our_cli.why_not("ls")
    with fresh_home(root) as home:
        history.fill(home, _JOBS)
        measures = _measures(_many_files(root))
        if no_cli is not None:
            del measures[_LS], measures[_LS_ALL]
        found = interleaved(measures, rounds=5 if quick else 15)
    samples = {name: milliseconds(values) for name, values in found.items()}
    if no_cli is None:
        yield compared(_LS, "ms", samples[_LS], samples[_DIRECTORY], anchor_name=_DIRECTORY, goal=goal)
        yield compared(_LS, "ms", samples[_LS], samples[_PASS], anchor_name=_PASS)
        yield compared(_LS_ALL, "ms", samples[_LS_ALL], samples[_DIRECTORY], anchor_name=_DIRECTORY)
    else:
        yield not_measured(_LS, no_cli, goal)
    for name in (_FIND_SOME, _FIND_ALL):
        yield compared(name, "ms", samples[name], samples[_DIRECTORY], anchor_name=_DIRECTORY)


def _measures(files: Path) -> dict[str, Measure]:
    return {
        _PASS: lambda: run_time_s([sys.executable, "-c", "pass"]),
        _DIRECTORY: lambda: run_time_s(["ls", str(files)]),
        _FIND_SOME: lambda: _find_s(20),
        _FIND_ALL: lambda: _find_s(None),
        _LS: lambda: run_time_s([*our_cli.COMMAND, "ls"]),
        _LS_ALL: lambda: run_time_s([*our_cli.COMMAND, "ls", "--all"]),
    }


def _find_s(limit: int | None) -> float:
    started = time.monotonic()
    qjob.find(limit=limit)
    return time.monotonic() - started


def _waiting_rows(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare listing while very many jobs of a sweep wait, at each of which it has to look, with as many files."""
    jobs = size(full=_JOBS, quick=1000, smoke=3, is_quick=quick)
    ls, find = f"`qjob ls` while {jobs:,} jobs wait", f"find(limit=20) while {jobs:,} jobs wait"
    with fresh_home(root, slots=1) as home:
        sweep = qjob.sweep(_BLOCKER, grid={"seed": range(jobs)})
        measures: dict[str, Measure] = {
            _DIRECTORY: lambda: run_time_s(["ls", str(root / "files")]),
            ls: lambda: run_time_s([*our_cli.COMMAND, "ls"]),
            find: lambda: _find_s(20),
        }
        found = interleaved(measures, rounds=5 if quick else 15)
        (home / "end").touch()
        end_sweep(sweep)
    samples = {name: milliseconds(values) for name, values in found.items()}
    yield compared(ls, "ms", samples[ls], samples[_DIRECTORY], anchor_name=_DIRECTORY, goal=at_most(300, "ms"))
    yield compared(find, "ms", samples[find], samples[_DIRECTORY], anchor_name=_DIRECTORY)


def _many_files(root: Path) -> Path:
    directory = root / "files"
    directory.mkdir()
    for number in range(_JOBS):
        (directory / f"scan-{number}").touch()
    return directory
