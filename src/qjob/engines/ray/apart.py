"""Run something in a process of its own, in a session of its own, and stand for it before the parent."""

from __future__ import annotations

import os
import select
import signal
import traceback
from collections.abc import Callable

_LOOK_S = 1.0
PARENT_GONE = 77


def apart(run: Callable[[], int], meanwhile: Callable[[], None] = lambda: None) -> int:
    """Return the exit code of ``run``, called in a child that leads its own session; 77 when the parent goes first.

    The child is not told of that: it sees this process go. Signals that would end this process are left to the
    child, as whoever sends them to this one sends them to all below it. ``meanwhile`` is called about once a second.
    """
    parent = os.getppid()
    read_fd, write_fd = os.pipe()  # closed by the kernel on the child's end; what it executes does not inherit it
    child = os.fork()
    if child == 0:
        _become_child(run)
    os.close(write_fd)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while not select.select([read_fd], [], [], _LOOK_S)[0]:
        if os.getppid() != parent:
            return PARENT_GONE
        meanwhile()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def _become_child(run: Callable[[], int]) -> None:
    try:
        os.setsid()
        os._exit(run())
    except BaseException:  # noqa: BLE001 - this fork must not go on as its parent
        traceback.print_exc()
        os._exit(1)
