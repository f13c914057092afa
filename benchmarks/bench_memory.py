"""What a job costs in memory while it runs, and while it waits.

Memory is what belongs to a process alone: ``Private_Clean`` and ``Private_Dirty`` in Linux' ``smaps_rollup``. Pages
that a fork shares with its zygote are counted nowhere, as they would be there without the job.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import qjob
from bench_sweep import end_sweep
from qjob.engines.local.dispatcher import PATIENCE
from room import OUT, SCRIPTS, fresh_home, has_sdk, script_with_sdk, size
from rounds import interleaved
from row import Goal, Row, at_most, compared, not_measured

_SCRIPT = str(SCRIPTS / "wait_for_end.py")
_NOOP_SCRIPT = str(SCRIPTS / "noop.py")
_PLAIN = "python script.py"
_RUNNING = "private memory of a running warm job and its runner"
_WAITING = "memory of the dispatcher for each job that waits"
_WITHIN_S = 60.0
_LOOK_S = 0.005
_SEEN_S = 0.5  # within that the dispatcher has looked at what was submitted


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Measure the memory of jobs that run and of jobs that wait."""
    goals = {_RUNNING: at_most(15, "MB"), _WAITING: at_most(20, "KB")}
    if not Path("/proc/self/smaps_rollup").exists():
        for name, goal in goals.items():
            yield not_measured(name, "it takes Linux' smaps_rollup", goal)
        return
    rounds = size(full=7, quick=3, smoke=1, is_quick=quick)
    yield _of_running(root, _RUNNING, _SCRIPT, rounds, goals[_RUNNING])
    if has_sdk():
        script = script_with_sdk("wait_for_end_braket.py", smoke="wait_for_end.py")
        yield _of_running(root, f"{_RUNNING}, after `import braket.devices`", script, rounds, None)
    jobs = size(full=10_000, quick=1000, smoke=3, is_quick=quick)
    memory_kb, disk_kb = _of_waiting_jobs_kb(root, jobs)
    yield compared(_WAITING, "KB", [memory_kb], goal=goals[_WAITING], note=f"{jobs:,} jobs of a sweep")
    yield compared("disk for each job that waits", "KB", [disk_kb], note="blocks that its files take, with the index")


def _of_running(root: Path, name: str, script: str, rounds: int, goal: Goal | None) -> Row:
    os.environ[PATIENCE] = str(_WITHIN_S)  # or the first jobs are cold, and have memory for a whole interpreter
    with fresh_home(root):
        measures = {name: lambda: _of_a_job_mb(script), _PLAIN: lambda: _of_a_process_mb(script)}
        found = interleaved(measures, rounds)
    del os.environ[PATIENCE]
    return compared(name, "MB", found[name], found[_PLAIN], anchor_name=_PLAIN, goal=goal)


def _of_a_job_mb(script: str) -> float:
    with _running_job(script) as job:
        runner = _runner_of(job)
        return sum(map(_private_bytes, [runner, *_children(runner)])) / 1e6


def _of_a_process_mb(script: str) -> float:
    started = _forget_last()
    with subprocess.Popen([sys.executable, script]) as process:
        _wait_for(started)
        found = _private_bytes(process.pid)
        _tell_to_end()
    return found / 1e6


def _of_waiting_jobs_kb(root: Path, jobs: int) -> tuple[float, float]:
    """Return the growth of the dispatcher's memory and of the home for each job of a sweep that cannot start."""
    with fresh_home(root, slots=1) as home, _running_job(_SCRIPT):
        dispatcher = int((home / "local" / "dispatcher.lock").read_text())
        memory, disk = _private_bytes(dispatcher), _disk_bytes(home)
        sweep = qjob.sweep(_NOOP_SCRIPT, grid={"seed": range(jobs)})
        time.sleep(_SEEN_S)
        memory, disk = _private_bytes(dispatcher) - memory, _disk_bytes(home) - disk
        end_sweep(sweep)
    return memory / 1000 / jobs, disk / 1000 / jobs


@contextlib.contextmanager
def _running_job(script: str) -> Iterator[qjob.Job]:
    started = _forget_last()
    job = qjob.submit(script)
    _wait_for(started)
    yield job
    _tell_to_end()
    job.wait()


def _forget_last() -> Path:
    """Have the next script wait, and return the file that it makes when it has begun."""
    out = Path(os.environ[OUT])
    out.unlink(missing_ok=True)
    out.with_name("end").unlink(missing_ok=True)
    return out


def _tell_to_end() -> None:
    Path(os.environ[OUT]).with_name("end").touch()


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} does not come")
        time.sleep(_LOOK_S)


def _runner_of(job: qjob.Job) -> int:
    events = (Path(job.metadata()["qjob"]["folder"]) / "events.jsonl").read_text().splitlines()
    return next(int(detail["pid"]) for detail in (json.loads(event)["detail"] for event in events) if "pid" in detail)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _private_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def _disk_bytes(directory: Path) -> int:
    """Return what the files of a tree take on the disk, those with several names once."""
    found = [Path(root) / name for root, folders, files in os.walk(directory) for name in [*folders, *files]]
    stats = {stat.st_ino: stat for stat in (path.lstat() for path in found if os.path.lexists(path))}
    return sum(512 * stat.st_blocks for stat in stats.values())
