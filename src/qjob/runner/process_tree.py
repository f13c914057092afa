"""All the processes that a job has started, also those that left their session or their parent.

On Linux the runner is the *subreaper* of the job (prctl(2)): a process whose parent ends becomes the
runner's child, so the tree below the runner is complete at every moment, and empty exactly when waitpid says
that there is no child. Elsewhere the processes of the instances' sessions are found with ``ps``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from qjob.runner.environment import JOB_ID

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_S = 5.0
_SWEEP_AGAIN_S = 0.002
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Make every orphan among this process's descendants its child; without effect outside Linux."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies; without effect outside Linux."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def descendants(root: int) -> list[int]:
    """Return the pids of all processes below ``root``, parents before children."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents().items():
        children.setdefault(parent, []).append(pid)
    found = list(children.get(root, ()))
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def children(parent: int, *, zombies: bool = False) -> list[int]:
    """Return the pids of a process's children; with ``zombies``, also those that ended and wait for it."""
    return [pid for pid, its_parent in _parents(zombies=zombies).items() if its_parent == parent]


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to each process; those that are gone by now are no error."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def marked(job_id: str) -> list[int]:
    """Return the pids of the job's processes by the mark in their environment.

    For the case that the runner is gone and with it the tree. A process is seen by its first
    environment only, and only on Linux; elsewhere the list is empty.
    """
    mark = f"{JOB_ID}={job_id}".encode()
    return [pid for pid in _pids() if mark in _environment(pid)]


def kill_marked(job_id: str) -> None:
    """Kill whatever still runs of a job whose runner is gone, also what was being started meanwhile."""
    _kill_while(lambda: [pid for pid in marked(job_id) if pid != os.getpid()])


def kill_until_gone(pids: Sequence[int]) -> None:
    """Kill processes that are this process's descendants, and see them go."""
    alive = set(pids)
    _kill_while(lambda: sorted(alive & set(_parents())))


def _kill_while(find: Callable[[], list[int]]) -> None:
    """Kill what is found until nothing is, but not for ever: another user's process, or one in
    uninterruptible sleep, is left to the kernel."""
    deadline = time.monotonic() + _SWEEP_S
    while pids := find():
        signal_all(pids, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(_SWEEP_AGAIN_S)


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except FileNotFoundError:
        return []


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []  # ended meanwhile, or another user's


def _parents(*, zombies: bool = False) -> dict[int, int]:
    if sys.platform == "linux":
        return {pid: parent for pid in _pids() if (parent := _parent(pid, zombies)) is not None}
    return _parents_by_ps(zombies)


def _parent(pid: int, zombies: bool) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    state, parent = stat.rpartition(b")")[2].split()[:2]  # proc(5)
    return int(parent) if zombies or state != b"Z" else None


def _parents_by_ps(zombies: bool) -> dict[int, int]:
    with os.popen("ps -A -o pid=,ppid=,stat=") as output:
        rows = [line.split() for line in output]
    return {int(pid): int(parent) for pid, parent, state in rows if zombies or state[0] != "Z"}
