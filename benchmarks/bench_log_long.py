"""A log of ten gigabytes, opened in the middle; and many logs followed to which nothing comes."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import qjob
from qjob.app import shared_service
from qjob.logs import LogReader
from qjob.service import Service
from room import SCRIPTS, fresh_home, size
from rounds import interleaved, milliseconds
from row import Row, at_most, compared

_SILENT = str(SCRIPTS / "silent.py")
_NOOP = str(SCRIPTS / "noop.py")
_LINES = 20
_ENTRIES = 1_000_000
_TAIL = f"tail -n {_LINES}"
_ROUNDS = 10


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare with ``tail``, which knows nothing of times; say what 50 followed logs cost."""
    with fresh_home(root):
        yield from _opening(size(full=10_000_000_000, quick=1_000_000_000, smoke=1_000_000, is_quick=quick))
    jobs = size(full=50, quick=10, smoke=1, is_quick=quick)
    with fresh_home(root, slots=jobs):
        yield _following(jobs, seconds=size(full=20, quick=5, smoke=1, is_quick=quick))


def _opening(log_bytes: int) -> Iterator[Row]:
    service, job = shared_service(), qjob.submit(_NOOP)
    job.wait()
    log = service.folder(job.id).log(0)
    _make_long(log, log_bytes)
    ways: dict[str, Callable[[LogReader], None]] = {
        f"the last {_LINES} lines": lambda reader: reader.skip_to_last(_LINES),
        "what came since a time": lambda reader: reader.skip_to_time(float(_ENTRIES)),
        "the first piece": lambda reader: None,
    }
    measures = {name: _reading(service, job.id, skip) for name, skip in ways.items()}
    found = interleaved(measures | {_TAIL: lambda: _tail_s(log)}, _ROUNDS)
    for name in ways:
        yield compared(
            f"a log of {log_bytes / 1e9:g} GB, {name}",
            "ms",
            milliseconds(found[name]),
            milliseconds(found[_TAIL]),
            anchor_name=f"{_TAIL} as a process",
            goal=at_most(50, "ms"),
            note="the log is a sparse file",
        )


def _make_long(log: Path, log_bytes: int) -> None:
    """Make a log of a hole and some last lines, and an index of a million entries."""
    last = b"".join(b"line %d\n" % number for number in range(_LINES))
    with log.open("wb") as file:
        file.truncate(log_bytes)
        file.seek(log_bytes - len(last) - 1)
        file.write(b"\n" + last)
    with log.with_suffix(".index").open("wb") as index:
        step = log_bytes // _ENTRIES
        index.writelines(b"%015d %016d\n" % (number * step, number * 10**6) for number in range(_ENTRIES))
        index.write(b"%015d %016d\n" % (log_bytes - len(last), _ENTRIES * 10**6))


def _reading(service: Service, job_id: str, skip: Callable[[LogReader], None]) -> Callable[[], float]:
    def seconds() -> float:
        started = time.monotonic()
        reader = service.log(job_id)
        skip(reader)
        next(reader.pieces(final=True))
        return time.monotonic() - started

    return seconds


def _tail_s(log: Path) -> float:
    started = time.monotonic()
    subprocess.run(["tail", "-n", str(_LINES), log], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def _following(jobs: int, seconds: int) -> Row:
    """Follow so many jobs in one process, a thread each, while they print nothing."""
    submitted = [qjob.submit(_SILENT) for _ in range(jobs)]
    service, begun = shared_service(), threading.Semaphore(0)
    threads = [threading.Thread(target=_follow, args=(service, job.id, begun)) for job in submitted]
    for thread in threads:
        thread.start()
    for _ in threads:
        begun.acquire()
    time.sleep(1)  # what the last one that came woke has gone back to sleep
    before = time.process_time()
    time.sleep(seconds)
    used = (time.process_time() - before) / seconds * 100
    for job in submitted:
        with suppress(qjob.JobStateError):
            job.cancel()
    for thread in threads:
        thread.join()
    name = f"{jobs} jobs followed in one process while they print nothing"
    return compared(name, "% of a core", [used], goal=at_most(jobs / 10, "% of a core"), note=f"over {seconds} s")


def _follow(service: Service, job_id: str, begun: threading.Semaphore) -> None:
    reader = service.log(job_id)
    pieces = service.follow(job_id, lambda final: reader.pieces(final=final))
    next(pieces)
    begun.release()
    for _ in pieces:
        pass
