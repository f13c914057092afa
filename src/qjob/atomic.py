"""Files that are never half-written: replaced whole, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

TEMPORARY_SUFFIX = ".qjob-tmp"
"""What the name of an unfinished file ends in: a process that is killed while it writes leaves one."""


def write_whole(path: Path, data: bytes) -> None:
    """Replace the file at ``path`` by ``data``, or leave it as it was when that fails.

    The bytes are on the disk before the name points to them, so neither a killed process nor a lost
    power supply leaves a mixture. Raises OSError, with nothing changed.
    """
    with _replacing(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_unsynced(path: Path, data: bytes) -> None:
    """Replace the file at ``path`` by ``data``, or leave it as it was when that fails.

    A killed process leaves no mixture; a lost power supply may leave an empty file. Raises OSError, with
    nothing changed.
    """
    with _replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    temporary = path.parent / f".{path.name}.{os.urandom(6).hex()}{TEMPORARY_SUFFIX}"
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def sync_file(path: Path) -> None:
    """Put a file that was written before on the disk; raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # of a pipe nobody may keep us waiting
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_below(directory: Path, pattern: str) -> None:
    """Put the files below a directory that match a pattern on the disk, and their names.

    What is no file, or may not be read, is left alone. Raises OSError when the disk refuses.
    """
    found = [path for path in directory.glob(pattern) if path.is_file() and not path.is_symlink()]
    for path in found:
        with contextlib.suppress(PermissionError):
            sync_file(path)
    for parent in {path.parent for path in found}:
        sync_directory(parent)


def sync_directory(path: Path) -> None:
    """Put the names in a directory on the disk, so that files just made there outlive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
