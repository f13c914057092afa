"""What this machine offers: disks, the kernel's helps, a live dispatcher, quantum SDKs. Looks, and changes nothing."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

_PR_GET_CHILD_SUBREAPER = 37
_IN_CREATE = 0x100
_MOUNTS = Path("/proc/mounts")

SDKS = {
    "amazon-braket-sdk": "braket",
    "pennylane": "pennylane",
    "qiskit": "qiskit",
    "qiskit-aer": "qiskit_aer",
    "cirq-core": "cirq",
    "pytket": "pytket",
    "cudaq": "cudaq",
    "qulacs": "qulacs",
    "qutip": "qutip",
    "pyquil": "pyquil",
    "bloqade": "bloqade",
    "pulser": "pulser",
    "strawberryfields": "strawberryfields",
}
"""Quantum SDKs: the distribution of each, and the module that it is imported as."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """How much a directory holds.

    Attributes:
        files: how many.
        size_bytes: their sizes together.
    """

    files: int
    size_bytes: int


def usage(directory: Path) -> Usage:
    """Return how much a directory holds; what cannot be read, or goes meanwhile, is not counted."""
    files = size_bytes = 0
    for entry in _entries(directory):
        with contextlib.suppress(OSError):
            size_bytes += entry.stat(follow_symlinks=False).st_size
            files += 1
    return Usage(files=files, size_bytes=size_bytes)


def mounts() -> str:
    """Return the text of /proc/mounts; nothing where there is none."""
    try:
        return _MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return ""


def lock_holder(lock: Path) -> int | None:
    """Return the pid in a lock file that a process holds; None when it holds none."""
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        word = os.read(fd, 32).split()
        return int(word[0]) if word and word[0].isdigit() else 0
    else:
        return None
    finally:
        os.close(fd)


def inotify_problem(directory: Path) -> str | None:
    """Return why changes in a directory cannot be waited for, or None when they can."""
    if sys.platform != "linux":
        return "there is none on this system; qjob looks every 20 ms instead"
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if fd < 0:
        return _errno_text("fs.inotify.max_user_instances is used up")
    try:
        if libc.inotify_add_watch(fd, os.fsencode(directory), _IN_CREATE) < 0:
            return _errno_text("fs.inotify.max_user_watches is used up")
    finally:
        os.close(fd)
    return None


def has_subreaper() -> bool:
    """Return whether the kernel gives a job's orphans to its runner (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    if sys.platform != "linux":
        return False
    flag = ctypes.c_int()
    return int(ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(flag), 0, 0, 0)) == 0


def sdks() -> dict[str, tuple[str, bool]]:
    """Return the version of each quantum SDK that is installed, and whether its module is there; imports none."""
    found = {}
    for distribution, module in SDKS.items():
        with contextlib.suppress(PackageNotFoundError):
            found[distribution] = (version(distribution), find_spec(module) is not None)
    return found


def _entries(directory: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            inside = list(entries)
    except OSError:
        return
    for entry in inside:
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path))
        else:
            yield entry


def _errno_text(likely: str) -> str:
    return f"{os.strerror(ctypes.get_errno())}; perhaps {likely}. qjob looks every 20 ms instead"
