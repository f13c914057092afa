"""Where benchmarks happen: directories and an environment of their own, and no dispatcher left behind."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent / "scripts"
OUT = "BENCH_OUT"
"""The variable that tells a script where to write what it measured."""
SMOKE_TEST = "BENCH_SMOKE_TEST"
"""The variable that says that nothing is to be measured, only tried."""
_IDLE_S = 30  # should a benchmark be killed, its dispatcher ends soon
_ENDING_S = 0.1  # within that a process that was told to end makes no more files
_REMOVED_WITHIN_S = 5.0
_MISLEADING = ("QJOB_", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")


def is_smoke_test() -> bool:
    """Tell whether it is only to be seen that everything works: the sizes are tiny then."""
    return SMOKE_TEST in os.environ


def size(*, full: int, quick: int, smoke: int, is_quick: bool) -> int:
    """Return one of three sizes of the same thing."""
    if is_smoke_test():
        return smoke
    return quick if is_quick else full


def script_with_sdk(name: str, *, smoke: str) -> str:
    """Return the path of a script that imports an SDK; in a smoke test that of one which is like it, but for that."""
    return str(SCRIPTS / (smoke if is_smoke_test() else name))


def has_sdk() -> bool:
    """Tell whether scripts that import ``braket.devices`` can be run here."""
    return is_smoke_test() or importlib.util.find_spec("braket") is not None


@contextlib.contextmanager
def clean_room() -> Iterator[Path]:
    """Work in a new directory, without the user's settings; yield it.

    Python's buffering and its cache of bytecode are those of a plain installation, whatever the calling
    shell has set; the cache lies in the directory, and every benchmark's first round fills it.
    """
    before, directory = dict(os.environ), Path.cwd()
    root = Path(tempfile.mkdtemp(prefix="qjob-bench-"))
    for name in [name for name in before if name.startswith(_MISLEADING)]:
        del os.environ[name]
    os.environ |= {"XDG_CONFIG_HOME": str(root / "config"), "PYTHONPYCACHEPREFIX": str(root / "pycache")}
    os.chdir(root)
    try:
        yield root
    finally:
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(before)
        _remove(root)


def _remove(root: Path) -> None:
    """Remove a directory, also one in which a process that is ending still caches bytecode."""
    deadline = time.monotonic() + _REMOVED_WITHIN_S
    while root.exists() and time.monotonic() < deadline:
        shutil.rmtree(root, ignore_errors=True)
        time.sleep(_ENDING_S)


@contextlib.contextmanager
def fresh_home(root: Path, slots: int = 2) -> Iterator[Path]:
    """Use a new, empty QJOB_HOME below ``root``; its dispatcher is stopped at the end."""
    home = Path(tempfile.mkdtemp(dir=root, prefix="home-"))
    settings = {"QJOB_HOME": str(home), "QJOB_SLOTS": str(slots), "QJOB_IDLE_S": str(_IDLE_S)}
    os.environ |= settings | {OUT: str(home / "out")}
    try:
        yield home
    finally:
        stop_dispatcher(home)
        for name in (*settings, OUT):
            del os.environ[name]
        shutil.rmtree(home, ignore_errors=True)


def stop_dispatcher(home: Path) -> None:
    """End the home's dispatcher, if there is one, and wait until it is gone. It must have no jobs."""
    try:
        lock = os.open(home / "local" / "dispatcher.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.kill(int(os.read(lock, 32)), signal.SIGTERM)
        fcntl.flock(lock, fcntl.LOCK_EX)
    finally:
        os.close(lock)


def told() -> float:
    """Return the number that the last script wrote to where `OUT` says."""
    return float(Path(os.environ[OUT]).read_text())
