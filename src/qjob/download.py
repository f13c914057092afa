"""What a job left, copied to where a user wants it; nothing that is there already is lost by that.

The copies are the user's own, to write to as he likes. So a file gets no second name (a hard link): whoever writes to
the one would change the other, and a write bit that is taken away comes back with ``chmod``. Where the file system can
(btrfs, XFS), the two share their blocks until one of them is written to.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from qjob.atomic import TEMPORARY_SUFFIX
from qjob.copying import copy_content
from qjob.errors import FolderError

_A_SECOND_NS = 1_000_000_000


def copy_results(results: Path, target: Path) -> Path:
    """Copy the directory ``results`` to ``target`` and return that.

    A file that is there already and is the same stays as it is: so an earlier download may be repeated,
    also one that was cut short. Nothing is copied when something else is in the way.

    Raises FolderError, with the path that is in the way or cannot be read or written.
    """
    entries = sorted(_entries(results))
    _refuse_special_files(results, entries)
    _refuse_to_overwrite(results, target, entries)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for entry in entries:
            _copy(results / entry, target / entry)
    except OSError as error:
        raise FolderError(f"The results cannot be written to {target}: {error}.") from error
    return target


def _entries(directory: Path) -> Iterator[Path]:
    """Yield all that is below a directory, relative to it, without unfinished files."""
    for root, folders, files in os.walk(directory, onerror=_refuse_unreadable):
        below = Path(root).relative_to(directory)
        yield from (below / name for name in folders)
        yield from (below / name for name in files if not name.endswith(TEMPORARY_SUFFIX))


def _refuse_unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # nothing was saved, then
        raise FolderError(f"{error.filename} cannot be read: {error.strerror}; see to its permissions.")


def _refuse_special_files(results: Path, entries: list[Path]) -> None:
    for entry in entries:
        path = results / entry
        if not (path.is_symlink() or path.is_file() or path.is_dir()):
            raise FolderError(f"{path} is no file that can be copied; copy the others by hand.")


def _refuse_to_overwrite(results: Path, target: Path, entries: list[Path]) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise FolderError(f"{target} is in the way of the results; move it, or name another directory.")
    for entry in entries:
        there = target / entry
        if os.path.lexists(there) and not _is_same(results / entry, there):
            raise FolderError(
                f"{there} is there already and is not what this job saved; move it, or name another directory."
            )


def _is_same(ours: Path, there: Path) -> bool:
    if ours.is_symlink() or there.is_symlink():
        return ours.is_symlink() and there.is_symlink() and ours.readlink() == there.readlink()
    if ours.is_dir() or there.is_dir():
        return ours.is_dir() and there.is_dir()
    if not there.is_file():
        return False
    return _is_untouched(ours.stat(), there.stat()) or filecmp.cmp(ours, there, shallow=False)


def _is_untouched(ours: os.stat_result, there: os.stat_result) -> bool:
    """Tell by its size and time whether a file is our copy, which nobody has written to since.

    The copy got the original's time, which was past by then; a write gives it the present one. A time without a
    fraction of a second proves nothing: a file system that counts in seconds may have cut it off.
    """
    is_exact = there.st_mtime_ns % _A_SECOND_NS != 0
    return is_exact and (ours.st_size, ours.st_mtime_ns) == (there.st_size, there.st_mtime_ns)


def _copy(ours: Path, target: Path) -> None:
    if os.path.lexists(target):
        return
    if ours.is_symlink():
        target.symlink_to(ours.readlink())
    elif ours.is_dir():
        target.mkdir()
    else:
        temporary = target.with_name(f".{target.name}{TEMPORARY_SUFFIX}")
        temporary.unlink(missing_ok=True)
        _copy_file(ours, temporary)
        temporary.replace(target)


def _copy_file(ours: Path, target: Path) -> None:
    """Copy a file with its mode and times."""
    with ours.open("rb") as source, target.open("wb") as copy:
        copy_content(source.fileno(), copy.fileno())
    shutil.copystat(ours, target)
