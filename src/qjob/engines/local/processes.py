"""Which process a pid means: pids are given out again, a pid with its start time is not."""

from __future__ import annotations

import errno
import os
import sys
from functools import cache
from pathlib import Path


def start_time(pid: int) -> str | None:
    """Return a word for when the process started, the same at every look; None when it does not run.

    A zombie does not run: it has ended, and waits for a parent that may never ask.
    """
    if sys.platform == "linux":
        return _start_time_by_proc(pid)
    return _start_time_by_ps(pid)


def is_alive(pid: int, started: str) -> bool:
    """Return whether the process that had ``pid`` when it was ``started`` still runs."""
    return start_time(pid) == started


def collected(pid: int) -> int | None:
    """Return the exit code of a child that has ended, whose pid is then free; None of any other process.

    It is minus the number of the signal that killed it.
    """
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def _start_time_by_proc(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise  # this says nothing of that process
        return None
    fields = stat.rpartition(b")")[2].split()  # proc(5): the name before it may hold anything
    state, ticks = fields[0], fields[19]
    return None if state in (b"Z", b"X") else f"{_boot_id()}:{ticks.decode()}"


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]


def _start_time_by_ps(pid: int) -> str | None:
    with os.popen(f"ps -o stat=,lstart= -p {int(pid)}") as output:
        line = output.read().split(None, 1)
    return None if len(line) != 2 or line[0].startswith("Z") else line[1].strip()
