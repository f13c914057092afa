"""What a job has left, copied to where the user wants it."""

from __future__ import annotations

import filecmp
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import qjob
from room import SCRIPTS, fresh_home, size
from rounds import interleaved, milliseconds, run_time_s
from row import Row, compared, ratio_at_most

_SCRIPT = str(SCRIPTS / "leave_file.py")
_CP = "cp -r"
_CP_AGAIN = "cp -ru"


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare ``download_result`` with ``cp``, into a directory that is empty and into one that has it all."""
    size_mb = size(full=1000, quick=250, smoke=1, is_quick=quick)
    name = f"download_result() of {size_mb:,} MB"
    with fresh_home(root):
        job = _job_with_file(size_mb)
        results = Path(job.metadata()["qjob"]["folder"]) / "results"
        ours, theirs = root / "ours", root / "theirs"
        first = {
            name: lambda: _into_empty(ours, lambda: _download_s(job, ours)),
            _CP: lambda: _into_empty(theirs, lambda: run_time_s(["cp", "-r", str(results), str(theirs)])),
        }
        found = interleaved(first, rounds=3 if quick else 7)
        fault = "" if _is_same(results, ours / job.name) else "the copy is not what the job has left"
        again = {
            f"{name} again": lambda: _download_s(job, ours),
            _CP_AGAIN: lambda: run_time_s(["cp", "-ruT", str(results), str(theirs / "results")]),
        }
        found |= interleaved(again, rounds=5 if quick else 11)
    for what, anchor, goal in ((name, _CP, ratio_at_most(1.5)), (f"{name} again", _CP_AGAIN, None)):
        yield compared(
            what,
            "ms",
            milliseconds(found[what]),
            milliseconds(found[anchor]),
            anchor_name=anchor,
            goal=goal,
            fault=fault,
        )


def _job_with_file(size_mb: int) -> qjob.Job:
    os.environ["BENCH_MB"] = str(size_mb)
    job = qjob.submit(_SCRIPT)
    job.wait()
    del os.environ["BENCH_MB"]
    return job


def _into_empty(directory: Path, measure: Callable[[], float]) -> float:
    """Measure something that fills a directory, on an idle disk."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    os.sync()
    return measure()


def _download_s(job: qjob.Job, target: Path) -> float:
    started = time.monotonic()
    job.download_result(str(target))
    return time.monotonic() - started


def _is_same(results: Path, copy: Path) -> bool:
    names = os.listdir(results)
    return sorted(names) == sorted(os.listdir(copy)) and not any(filecmp.cmpfiles(results, copy, names, False)[1:])
