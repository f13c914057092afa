"""Reading and writing files of results and checkpoints, whole, with their arrays and earlier versions.

A save holds a lock on the file's directory from its first look to its last act: so the instances of one job can save
results at the same time, and none of them loses what another saved. The lock ends with its process. Reading takes
no lock.

A checkpoint is on the disk when its save returns, with its arrays. Of results, large arrays are not: the disk would
take longer than all the rest, and the runner waits for it once, when the job ends (docs/results.md).
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from qjob.atomic import TEMPORARY_SUFFIX, sync_directory, write_whole
from qjob.errors import DamagedResult, ResultError
from qjob.runtime import side_files
from qjob.runtime.alone import alone_in
from qjob.runtime.document import Document, parse, read_document
from qjob.runtime.formats import PersistedJobDataFormat
from qjob.runtime.pickled import pickle_all, unpickle_all
from qjob.runtime.typed import decode, encode, unwritable

_PICKLED = PersistedJobDataFormat.PICKLED_V4
_LOOKS = 1000
_LARGE_BYTES = 16 << 20
"""From this size on, the disk is what the saving of arrays takes most of its time for."""


def add_values(path: Path, data: Mapping[Any, Any], wanted: PersistedJobDataFormat | None) -> None:
    """Add values to the results file, in the place of those that it has under the same keys.

    Large arrays get onto the disk when the system sees fit, or the job has ended; all else is there on return.

    Raises TypeError for values that cannot be saved, and for plain text on top of pickles; ResultError when the file
    cannot be read; OSError. Nothing has changed then.
    """
    with alone_in(path.parent) as is_alone:
        earlier = _read_if_there(path)
        chosen = _format_to_merge(earlier.data_format, wanted)
        kept = earlier if earlier.data_format is chosen else _pickle_again(earlier, path)
        added, arrays = _encode(data, chosen, "result_data", path)
        document = Document(
            values=kept.values | added.values,
            types={key: form for key, form in kept.types.items() if key not in added.values} | added.types,
            data_format=chosen,
        )
        data_bytes = _bytes_of(document, "result_data")
        with side_files.written(path, arrays) as files:
            if sum(array.nbytes for array in arrays.values()) < _LARGE_BYTES:
                side_files.put_on_disk(files)
            write_whole(path, data_bytes)
        if is_alone:
            _clean_up(path)


def replace_values(path: Path, data: Mapping[Any, Any], data_format: PersistedJobDataFormat, kept: int) -> None:
    """Replace the checkpoint, and keep ``kept`` of its versions, this one among them; it is on the disk then.

    Raises TypeError for values that cannot be saved; OSError. Nothing has changed then.
    """
    with alone_in(path.parent) as is_alone:
        document, arrays = _encode(data, data_format, "checkpoint_data", path)
        data_bytes = _bytes_of(document, "checkpoint_data")
        with side_files.written(path, arrays) as files:
            side_files.put_on_disk(files)
            _write_version(path, data_bytes, kept)
            sync_directory(path.parent)
        if is_alone:
            _clean_up(path)


def read_values(path: Path, allow_pickle: bool) -> dict[str, Any]:
    """Return the values of a file, which may be saved anew meanwhile.

    Raises ResultError when it is damaged, or is pickled and ``allow_pickle`` is false; MissingExtra when a value needs
    a package that is not installed; OSError when the file is missing or cannot be opened.
    """
    data = path.read_bytes()
    for _ in range(_LOOKS):
        try:
            return _decode(parse(data, path), path, allow_pickle)
        except FileNotFoundError as error:  # of an array
            earlier, data = data, path.read_bytes()
            if data == earlier:
                missing = (
                    f"{error.filename} is missing, which {path} names; copy the directories *.arrays along with it"
                )
                raise DamagedResult(missing) from error
    raise ResultError(f"{path} changes faster than it can be read; try again later")


def read_checkpoint(path: Path, allow_pickle: bool) -> dict[str, Any]:
    """Return a checkpoint; where it is damaged, its newest earlier version that is not.

    Raises FileNotFoundError when it is not there; what the newest has when all are damaged.
    """
    try:
        return read_values(path, allow_pickle)
    except FileNotFoundError:
        raise
    except (DamagedResult, OSError) as error:
        for earlier in versions(path):
            with contextlib.suppress(DamagedResult, OSError):
                values = read_values(earlier, allow_pickle)
                warnings.warn(f"{error}; {earlier}, which is older, is taken instead", RuntimeWarning, stacklevel=3)
                return values
        raise


def versions(path: Path) -> list[Path]:
    """Return the earlier versions of a checkpoint that are there, the newest first."""
    numbers = sorted(number for name in _names(path.parent) if (number := _version_number(name, path)))
    return [_version(path, number) for number in numbers]


def _read_if_there(path: Path) -> Document:
    try:
        return read_document(path)
    except FileNotFoundError:
        return Document()


def _format_to_merge(earlier: PersistedJobDataFormat, wanted: PersistedJobDataFormat | None) -> PersistedJobDataFormat:
    """Return the format that the results have after a save in the wanted format."""
    if earlier is PersistedJobDataFormat.PLAINTEXT:
        return wanted or earlier
    if wanted is PersistedJobDataFormat.PLAINTEXT:
        raise TypeError(
            "results.json holds pickled_v4 values, plaintext ones cannot be added to it; "
            "leave data_format out or pass data_format=PersistedJobDataFormat.PICKLED_V4"
        )
    return earlier


def _pickle_again(earlier: Document, path: Path) -> Document:
    values = decode(earlier.values, earlier.types, path, partial(side_files.read, path))
    return Document(values=pickle_all(values, path.name), data_format=_PICKLED)


def _encode(
    data: Mapping[Any, Any], data_format: PersistedJobDataFormat, name: str, path: Path
) -> tuple[Document, dict[str, Any]]:
    """Return what a document says of the data, and the arrays that go beside it."""
    if problems := [_key_problem(key, name) for key in data if not isinstance(key, (str, int, float))]:
        raise TypeError("\n".join(problems))
    values = {_text_of(key): value for key, value in data.items()}
    if data_format is _PICKLED:
        return Document(values=pickle_all(values, name), data_format=data_format), {}
    encoded = encode(values, name, partial(side_files.new_name, path, os.urandom(6).hex()))
    return Document(values=encoded.values, types=encoded.types), encoded.arrays


def _key_problem(key: object, name: str) -> str:
    return f"{name}: the key {key!r} is a {type(key).__qualname__}; make it a str"


def _text_of(key: object) -> str:
    return str.__str__(key) if isinstance(key, str) else str(key)  # of an enum's member, its value


def _bytes_of(document: Document, name: str) -> bytes:
    try:
        return document.to_bytes()
    except RecursionError as error:
        raise TypeError(f"{name} is nested too deeply to be saved; make it flatter, or save it in parts") from error
    except ValueError as error:
        raise TypeError("\n".join(unwritable(document.values, name)) or f"{name} cannot be saved: {error}") from error


def _decode(document: Document, path: Path, allow_pickle: bool) -> dict[str, Any]:
    if document.data_format is not _PICKLED:
        values: dict[str, Any] = decode(document.values, document.types, path, partial(side_files.read, path))
        return values
    if not allow_pickle:
        raise ResultError(
            f"{path} holds pickled values, and unpickling runs whatever code the file contains; "
            "if you trust who wrote it, pass allow_pickle=True"
        )
    return unpickle_all(document.values, path)


def _write_version(path: Path, data: bytes, kept: int) -> None:
    """Write a checkpoint, making the one that is there its earlier version; each step leaves a whole file."""
    new = path.with_name(f".{path.name}.{os.urandom(6).hex()}{TEMPORARY_SUFFIX}")
    try:
        write_whole(new, data)
        _make_room(path, kept - 1)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _make_room(path: Path, earlier: int) -> None:
    for version in reversed(versions(path)):
        number = _version_number(version.name, path)
        if number < earlier:
            version.replace(_version(path, number + 1))
        elif number > earlier:
            version.unlink(missing_ok=True)
    if earlier and path.exists():
        _copy(path, _version(path, 1))


def _version(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _version_number(name: str, path: Path) -> int:
    """Return which version of a checkpoint goes by a name; 0 when none does."""
    start, _, number = name.rpartition(".")
    return int(number) if start == path.name and number.isdecimal() and number.isascii() else 0


def _copy(path: Path, target: Path) -> None:
    """Give a file a second name, in the place of whatever has it."""
    link = path.with_name(f".{path.name}.{os.urandom(6).hex()}{TEMPORARY_SUFFIX}")
    try:
        os.link(path, link)
    except OSError:  # a disk that has no links
        write_whole(target, path.read_bytes())
        return
    try:
        link.replace(target)
    finally:
        link.unlink(missing_ok=True)  # is still there when both were the same file


def _clean_up(path: Path) -> None:
    """Remove what no version of a file needs any more, and what killed saves of it have left."""
    for name in _names(path.parent):
        if name.lstrip(".").startswith(f"{path.name}.") and name.endswith(TEMPORARY_SUFFIX):
            path.with_name(name).unlink(missing_ok=True)
    side_files.collect(path, versions(path))


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
