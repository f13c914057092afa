"""The files beside a document that hold its arrays.

The arrays of ``results.json`` lie in ``results.arrays/``, each in a file whose name no other save uses, and the
document names them. They are written before a document names them, and go when none does any more, neither the
document nor an earlier version of it that is kept. So whoever is killed at whatever moment leaves documents that are
whole; what no document names is removed by the next save. For a lost power supply they have to be on the disk besides,
which `put_on_disk` is for.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qjob.atomic import TEMPORARY_SUFFIX, sync_directory, sync_file
from qjob.errors import DamagedResult
from qjob.runtime.arrays import read_array, write_array

_NAME = re.compile(r"[0-9a-f]{12}-\d+\.npy")
_PATH = re.compile(rf"[^/\0]+\.arrays/{_NAME.pattern}")
_NAMED = re.compile(rf'\.arrays/({_NAME.pattern})"'.encode())


def arrays_directory(document: Path) -> Path:
    """Return where the arrays of a document lie."""
    return document.with_name(f"{document.stem}.arrays")


def new_name(document: Path, token: str, number: int) -> str:
    """Return the name of an array's file as the document has it: relative to the document's directory."""
    return f"{arrays_directory(document).name}/{token}-{number}.npy"


@contextlib.contextmanager
def written(document: Path, arrays: Mapping[str, Any]) -> Iterator[list[Path]]:
    """Write arrays under the names that the document is going to have for them; yield the files.

    When that fails, or what is done with them, they are removed.
    """
    if not arrays:
        yield []
        return
    files = [document.parent / name for name in arrays]
    directory = arrays_directory(document)
    with contextlib.ExitStack() as undo:
        undo.callback(_remove_unnamed, document, files)
        directory.mkdir(mode=0o700, exist_ok=True)
        for file, array in zip(files, arrays.values(), strict=True):
            _write(file, array)
        yield files
        undo.pop_all()


def put_on_disk(files: Sequence[Path]) -> None:
    """Wait until the files of a document's arrays would outlive a lost power supply; raises OSError."""
    for file in files:
        sync_file(file)
    for directory in {file.parent for file in files}:
        sync_directory(directory)
        sync_directory(directory.parent)


def read(document: Path, name: str) -> Any:
    """Return the array that a document names.

    Raises DamagedResult when the file is not a whole array file below the document's directory, FileNotFoundError when
    it is missing, Unavailable without NumPy.
    """
    path = document.parent / name
    if not _PATH.fullmatch(name):
        raise DamagedResult(f"{document} names {name!r}, which cannot be a file of its arrays")
    if not stat.S_ISREG(path.stat().st_mode):  # a named pipe would keep us waiting
        raise DamagedResult(f"{path} is not a file")
    try:
        return read_array(path)
    except (ValueError, EOFError) as error:
        remedy = f"take an earlier copy of it and of {document.name}"
        raise DamagedResult(f"{path} is damaged ({error}); {remedy}") from error


def collect(document: Path, others: Iterable[Path]) -> None:
    """Remove the arrays that neither a document nor one of the others names; harmless to repeat.

    Nobody else may be saving this document meanwhile.
    """
    directory = arrays_directory(document)
    if not directory.is_dir():
        return
    named = {name for path in (document, *others) for name in _names_in(path)}
    ours = [path for path in directory.iterdir() if _NAME.fullmatch(path.name) or path.name.endswith(TEMPORARY_SUFFIX)]
    _remove([path for path in ours if path.name not in named])


def names_in(data: bytes) -> set[str]:
    """Return the file names of the arrays that a document of these bytes names."""
    return {name.decode("ascii") for name in _NAMED.findall(data)}


def _names_in(path: Path) -> set[str]:
    try:
        return names_in(path.read_bytes())
    except FileNotFoundError:
        return set()


def _write(path: Path, array: Any) -> None:
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    try:
        write_array(temporary, array)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _remove_unnamed(document: Path, paths: list[Path]) -> None:
    """Remove arrays, but for those that the document has come to name: an interrupt may come just after that."""
    named = _names_in(document)
    _remove([path for path in paths if path.name not in named])


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    for directory in {path.parent for path in paths}:
        with contextlib.suppress(OSError):  # others lie there still
            os.rmdir(directory)
