"""The turn of a job in its sweep: at most so many of a sweep's jobs run at a time, on whatever nodes.

Ray knows no such limit, and nobody is there to watch: so a sweep's folder has as many *slots*, files with a lock, and
a job that Ray has started waits until it holds one. The lock ends with the process that holds it. What that costs:
a job that waits for its turn holds what Ray has set aside for it.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from qjob.folder import JobFolder

_LOOK_S = 0.1


def wait_for_turn(folder: JobFolder, slots: Path, count: int) -> int | None:
    """Return the descriptor of a slot, which is held until it is closed; None when the job has nothing to wait for.

    That is one that was cancelled, and one whose parent, Ray's supervisor, is gone.
    """
    slots.mkdir(mode=0o700, parents=True, exist_ok=True)
    parent = os.getppid()
    while not folder.cancel_mark.exists() and os.getppid() == parent:
        for number in range(count):
            fd = _taken(slots / str(number))
            if fd is not None:
                return fd
        time.sleep(_LOOK_S)
    return None


def _taken(slot: Path) -> int | None:
    fd = os.open(slot, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd
