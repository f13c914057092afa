"""Files that are never half-written: replaced whole, or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

TEMPORARY_SUFFIX = ".qjob-tmp"
"""What the name of an unfinished file ends in: a process that is killed while it writes leaves one."""


def write_whole(path: Path, data: bytes) -> None:
    """Replace the file at ``path`` by ``data``, or leave it as it was when that fails.

    The bytes are on the disk before the name points to them, so neither a killed process nor a lost
    power supply leaves a mixture. Raises OSError, with nothing changed.
    """
    temporary = path.parent / f".{path.name}.{os.urandom(6).hex()}{TEMPORARY_SUFFIX}"
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def sync_directory(path: Path) -> None:
    """Put the names in a directory on the disk, so that files just made there outlive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
