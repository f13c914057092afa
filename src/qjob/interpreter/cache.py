"""The environments that were made: each in a folder of its own, finished when its ``environment.json`` is there.

Two locks, both ended by the kernel with the processes that hold them: ``<key>.lock`` while an environment is made or
removed, and a shared one on ``environment.json`` for as long as a job uses it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qjob.atomic import write_whole

_MARKER = "environment.json"
_DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Ready:
    """An environment that is finished and held by this process.

    Attributes:
        python: its interpreter; the job's own where nothing had to be installed.
        folder: where it lies; None where nothing had to be installed.
        fd: holds it; inherited by what is executed, so that the job goes on holding it.
    """

    python: str
    folder: Path | None
    fd: int


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An environment on the disk, for people.

    Attributes:
        folder: where it lies.
        size_bytes: what it takes on the disk.
        last_used: when a job last started in it, or when it was left unfinished; aware UTC.
        finished: whether it can be used.
        in_use: whether a job runs in it, or one is being made there.
        requirements: what was asked for.
    """

    folder: Path
    size_bytes: int
    last_used: datetime
    finished: bool
    in_use: bool
    requirements: tuple[str, ...]


def folder_of(directory: Path, key: str) -> Path:
    """Return the folder of an environment."""
    return directory / key


def use(directory: Path, key: str) -> Ready | None:
    """Take a finished environment into use; None when there is none. Raises OSError."""
    folder = folder_of(directory, key)
    fd = _held(folder / _MARKER, fcntl.LOCK_SH)
    if fd is None:
        return None
    kept = _marker(folder)
    python = kept.get("python", "")
    if not os.access(python, os.X_OK):
        os.close(fd)
        return None
    os.utime(fd)  # when it was last used, for `prune`
    return Ready(python=python, folder=folder if kept.get("installed") else None, fd=fd)


@contextlib.contextmanager
def building(directory: Path, key: str, on_wait: Callable[[], None]) -> Iterator[int]:
    """Hold the right to make or remove an environment; yield the lock's descriptor.

    A child process that inherits the descriptor keeps the lock until it has ended, so that nobody builds
    where the installer of a killed build still writes. ``on_wait`` is called once when another holds it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = directory / f"{key}.lock"
    fd = _opened_lock(lock)
    try:
        if not _locked_now(fd):
            on_wait()
        while not _is_held(fd, lock):
            os.close(fd)
            fd = _opened_lock(lock)
        try:
            yield fd
        finally:
            if not folder_of(directory, key).exists():
                lock.unlink(missing_ok=True)  # there is nothing that it is the lock of
    finally:
        os.close(fd)


def finish(folder: Path, python: str, facts: Mapping[str, Any]) -> None:
    """Say that an environment is complete, as the last act of making it; raises OSError."""
    content = {"python": python, "madeAt": datetime.now(UTC).isoformat(), **facts}
    write_whole(folder / _MARKER, json.dumps(content, indent=2).encode())


def describe(directory: Path) -> list[Environment]:
    """Return the environments in a directory, the one last used first."""
    found = [_described(folder) for folder in _folders(directory)]
    return sorted(found, key=lambda each: each.last_used, reverse=True)


def prune(directory: Path, keep_days: float, now: datetime | None = None) -> list[Environment]:
    """Remove what no job has used for ``keep_days`` days, and what was left unfinished; return what it was.

    An environment in use is never removed; one that was removed is made again by the next job that wants it. May be
    called at any time, from several processes.
    """
    limit = (now or datetime.now(UTC)).timestamp() - keep_days * _DAY_S
    old = [each for each in describe(directory) if not each.in_use and _is_old(each, limit)]
    _prune_probes(directory / "interpreters", limit)
    return [each for each in old if _removed(each.folder)]


def clear(folder: Path) -> None:
    """Remove a folder; its marker first, so that half of it is never taken for all; raises OSError."""
    (folder / _MARKER).unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)


def _is_old(environment: Environment, limit: float) -> bool:
    return not environment.finished or environment.last_used.timestamp() <= limit


def _removed(folder: Path) -> bool:
    lock = folder.with_name(f"{folder.name}.lock")
    fd = _opened_lock(lock)
    try:
        if not (_locked_now(fd) and _same_file(fd, lock)) or not _cleared(folder):
            return False
        lock.unlink(missing_ok=True)
    finally:
        os.close(fd)
    return True


def _cleared(folder: Path) -> bool:
    if not (folder / _MARKER).exists():
        clear(folder)
        return True
    held = _held(folder / _MARKER, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if held is None:
        return False
    try:
        clear(folder)
    finally:
        os.close(held)
    return True


def _prune_probes(directory: Path, limit: float) -> None:
    for file in directory.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime <= limit:
                file.unlink()


def _held(path: Path, how: int) -> int | None:
    """Return a descriptor with a lock on the file that has the name now; None when there is none or it is taken."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, how)
    except BlockingIOError:
        os.close(fd)
        return None
    if _same_file(fd, path):
        return fd
    os.close(fd)
    return None


def _opened_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _locked_now(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(fd: int, path: Path) -> bool:
    """Wait for the lock; tell whether it is still the one that everybody goes by: `prune` removes it."""
    fcntl.flock(fd, fcntl.LOCK_EX)
    return _same_file(fd, path)


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _marker(folder: Path) -> dict[str, Any]:
    try:
        kept = json.loads((folder / _MARKER).read_bytes())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _folders(directory: Path) -> list[Path]:
    try:
        entries = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    return [path for path in entries if path.is_dir() and path.name != "interpreters"]


def _described(folder: Path) -> Environment:
    kept = _marker(folder)
    marker = folder / _MARKER
    return Environment(
        folder=folder,
        size_bytes=_size(folder),
        last_used=datetime.fromtimestamp(_changed(marker if kept else folder), UTC),
        finished=bool(kept),
        in_use=_is_taken(folder.with_name(f"{folder.name}.lock")) or _is_taken(marker),
        requirements=tuple(kept.get("requirements", ())),
    )


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _is_taken(path: Path) -> bool:
    if not path.exists():
        return False
    fd = _held(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if fd is not None:
        os.close(fd)
    return fd is None


def _size(folder: Path) -> int:
    total = 0
    for directory, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
    return total
