"""Where benchmarks happen: directories and an environment of their own, and no dispatcher left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent / "scripts"
OUT = "BENCH_OUT"
"""The variable that tells a script where to write what it measured."""
_IDLE_S = 30  # should a benchmark be killed, its dispatcher ends soon
_MISLEADING = ("QJOB_", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")


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
        shutil.rmtree(root, ignore_errors=True)


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
