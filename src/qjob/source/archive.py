"""From an archive to a `PackedSource`: looked through when it is packed, unpacked into the job's folder.

The layout is Braket's: what is in the archive lies in ``source/``. Nothing is written beside the archive. What
may be in one is said in `qjob.source.entries`.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import tarfile
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from qjob.errors import InvalidInput
from qjob.source.entries import Entry, Kind, Plan, Refused
from qjob.source.git import commit_of
from qjob.source.location import Location
from qjob.source.packed import MAX_TEXT_BYTES, REQUIREMENTS, SUFFIX, PackedSource, is_text
from qjob.source.tree import SourceFile

_MAX_KEPT_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
_MAX_CHUNKS_BEHIND = 64  # tar writes 10 KiB of zeros behind the last entry; a bomb as much as it likes
_ZIP_SUFFIXES = (".zip", ".whl")
_REMEDY = "make it anew, as with 'tar czf code.tar.gz FOLDER', or unpack it and name the folder."
_TAR_KINDS = {
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.LINK,
    tarfile.LNKTYPE: Kind.COPY,
    tarfile.CHRTYPE: Kind.DEVICE,
    tarfile.BLKTYPE: Kind.DEVICE,
    tarfile.FIFOTYPE: Kind.DEVICE,
} | dict.fromkeys(tarfile.REGULAR_TYPES, Kind.FILE)
_MODE_KINDS = {stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.LINK, stat.S_IFREG: Kind.FILE, 0: Kind.FILE}

Open = Callable[[], IO[bytes]]


@dataclass(frozen=True, kw_only=True)
class PackedArchive(PackedSource):
    """A source that lies in an archive.

    Attributes:
        path: the archive.
        identity: what it was when it was looked through, see `_identity`.
        plan: what it is unpacked to.
        kept: what its code holds, by path.
    """

    path: str
    identity: tuple[int, ...]
    plan: Plan
    kept: dict[str, bytes]

    @property
    def is_complete(self) -> bool:
        """True: what a file imports lies in the archive or is installed."""
        return True

    def write_to(self, directory: Path) -> None:
        """Unpack the archive into ``directory``, which is made if need be.

        Raises OSError, and InvalidInput when the archive is damaged or was changed since it was packed;
        what was unpacked until then stays. Nothing is synced to the disk.
        """
        directory.mkdir(parents=True, exist_ok=True)
        entries = self.plan.entries.values()
        for entry in entries:
            if entry.kind is Kind.DIRECTORY:
                os.mkdir(directory / entry.path)
        for entry, chunks in self._contents():
            _write(directory / entry.path, chunks, entry.executable)
        # Last of all, so that nothing is written through a link.
        for entry in entries:
            if entry.kind is Kind.COPY:
                os.link(directory / entry.target, directory / entry.path)
            if entry.kind is Kind.LINK:
                os.symlink(entry.target, directory / entry.path)

    def resolved(self, path: str) -> str:
        """Return where a path leads when the links in the archive are followed."""
        return self.plan.resolved(path)

    def read(self, file: SourceFile) -> bytes:
        """Return what a file holds; raises InvalidInput when the archive is damaged or changed."""
        path = self.plan.resolved(file.relative)
        if path in self.kept:
            return self.kept[path]
        return next((b"".join(chunks) for entry, chunks in self._contents() if entry.path == path), b"")

    def texts(self) -> Iterator[bytes]:
        """Yield what the files hold that look like code or settings; large ones are passed over."""
        yield from self.kept.values()

    def root_requirements(self) -> bytes | None:
        """Return the ``requirements.txt`` at the archive's top, else that of the one folder in it."""
        content = self._content(REQUIREMENTS)
        return self._content(f"{self.name}/{REQUIREMENTS}") if content is None else content

    def _contents(self) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Yield each file that will be there, with its content in pieces."""
        if _identity(self.path) != self.identity:
            raise _changed(self.path)
        for number, (found, opened) in enumerate(_members(self.path)):
            entry = self.plan.entries.get(_plain(found.path))
            if entry is not None and entry.kind is Kind.FILE and self.plan.numbers[entry.path] == number:
                if (found.kind, found.size) != (entry.kind, entry.size):
                    raise _changed(self.path)
                yield entry, _chunks(self.path, opened, entry.size)


def pack_archive(location: Location) -> PackedArchive:
    """Return the archive, ready to be unpacked into a job's folder. It is read once from end to end.

    The source is the one Python file, or folder with Python files, at its top; with several, it is a bundle.

    Raises InvalidInput when it cannot be read or something in it is refused.
    """
    identity = _identity(location.path)
    try:
        plan, kept = _looked_through(location.path)
    except Refused as refused:
        raise InvalidInput(f"source {location.name!r}: {refused}; {_REMEDY}") from refused
    name = plan.one_entry()
    return PackedArchive(
        name=name or location.name,
        uri=location.uri,
        is_directory=name is None or not (name.endswith(SUFFIX) and plan.leads_to(name) is Kind.FILE),
        is_bundle=name is None,
        files=_files(location.path, plan),
        directories=tuple(path for path, entry in plan.entries.items() if entry.kind is Kind.DIRECTORY),
        git_commit=commit_of(Path(location.path)),
        path=location.path,
        identity=identity,
        plan=plan,
        kept=kept,
    )


def _looked_through(path: str) -> tuple[Plan, dict[str, bytes]]:
    """Return what an archive will be unpacked to, and the texts in it; raises Refused or InvalidInput."""
    plan = Plan(archive_bytes=os.path.getsize(path))
    kept: dict[str, bytes] = {}
    room = _MAX_KEPT_BYTES
    for found, opened in _members(path):
        entry = plan.add(found)
        if entry is None or entry.kind is not Kind.FILE:
            continue
        kept.pop(entry.path, None)
        if _is_wanted(entry.path) and entry.size <= min(room, MAX_TEXT_BYTES):
            kept[entry.path] = b"".join(_chunks(path, opened, entry.size))
            room -= entry.size
    return plan, kept


def _is_wanted(path: str) -> bool:
    return is_text(path) or path.endswith(REQUIREMENTS)


def _files(path: str, plan: Plan) -> tuple[SourceFile, ...]:
    """Return the files, and the links to files."""
    found = (each for each in plan.entries if plan.leads_to(each) is Kind.FILE)
    return tuple(SourceFile(relative=each, absolute=f"{path}/{each}") for each in found)


def _members(path: str) -> Iterator[tuple[Entry, Open]]:
    """Yield each entry as the archive has it, in its order, with what opens it until the next is asked for.

    Raises InvalidInput when the archive is damaged.
    """
    read = _zip_members if path.lower().endswith(_ZIP_SUFFIXES) else _tar_members
    with closing(read(path)) as found:
        while True:
            with _damage_told(path):
                member = next(found, None)
            if member is None:
                return
            yield member


def _tar_members(path: str) -> Generator[tuple[Entry, Open]]:
    with _unpacked(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
        while (found := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # which it keeps for look-ups by name, of which there are none
            entry = Entry(
                path=found.name,
                kind=_TAR_KINDS.get(found.type, Kind.UNKNOWN),
                size=found.size,
                executable=bool(found.mode & stat.S_IXUSR),
                target=found.linkname,
            )
            yield entry, partial(_tar_file, archive, found)
        _check_end(archive)


@contextmanager
def _unpacked(path: str) -> Iterator[Any]:
    """Open a file with what unpacks it, by its first bytes; yield the part of a file that tarfile uses."""
    with open(path, "rb") as file:
        start = file.read(6)
        file.seek(0)
        yield _Guarded(_decompressed(file, start))


def _decompressed(file: IO[bytes], start: bytes) -> Any:
    # Not every Python was built with all of them.
    if start.startswith(b"\x1f\x8b"):
        import gzip

        return gzip.open(file)
    if start.startswith(b"BZh"):
        import bz2

        return bz2.open(file)
    if start == b"\xfd7zXZ\0":
        import lzma

        return lzma.open(file)
    return file


class _Guarded:
    """A file of which nobody reads much at once: tarfile reads names of any declared length into memory."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _CHUNK_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return bytes(self._file.read(size))


def _tar_file(archive: tarfile.TarFile, found: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(found)
    assert file is not None, found.name  # it is a regular file
    return file


def _check_end(archive: tarfile.TarFile) -> None:
    """Raise ReadError when tarfile has stopped at what is no entry: it takes that for the end; or what is wrong behind.

    What is packed is compared with its checksum when its end is read, and tarfile does not read so far.
    """
    assert archive.fileobj is not None
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError("bad header")
    for _ in range(_MAX_CHUNKS_BEHIND):
        if not archive.fileobj.read(_CHUNK_BYTES):
            return


def _zip_members(path: str) -> Generator[tuple[Entry, Open]]:
    with zipfile.ZipFile(path) as archive:
        for found in archive.infolist():
            mode = found.external_attr >> 16  # of archives made on Unix; else 0
            kind = Kind.DIRECTORY if found.is_dir() else _MODE_KINDS.get(stat.S_IFMT(mode), Kind.DEVICE)
            entry = Entry(
                path=found.filename,
                kind=kind,
                size=found.file_size,
                executable=bool(mode & stat.S_IXUSR),
                target=_zip_link(archive, found) if kind is Kind.LINK else "",
            )
            yield entry, partial(archive.open, found)


def _zip_link(archive: zipfile.ZipFile, found: zipfile.ZipInfo) -> str:
    with archive.open(found) as file:
        return os.fsdecode(file.read(MAX_TEXT_BYTES))


def _chunks(path: str, opened: Open, size: int) -> Iterator[bytes]:
    """Yield the content of an archive's file in pieces; raises InvalidInput when it is not of that size."""
    left = size
    with _damage_told(path):
        file = opened()
    with file:
        while left:
            with _damage_told(path):
                chunk = file.read(min(left, _CHUNK_BYTES))
                if not chunk:
                    raise EOFError("it ends too early")
            left -= len(chunk)
            yield chunk
        with _damage_told(path):
            file.read(1)  # a zip's checksum is looked at when the end is read


@contextmanager
def _damage_told(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(path, error) from error
    # tarfile, zipfile and what they unpack with let through whatever a damaged archive makes of them.
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> InvalidInput:
    return InvalidInput(
        f"source {os.path.basename(path)!r}: it cannot be unpacked, as it is damaged or of a kind that Python "
        f"{sys.version_info.major}.{sys.version_info.minor} does not know ({str(error) or type(error).__name__}); "
        + _REMEDY
    )


def _changed(path: str) -> InvalidInput:
    return InvalidInput(f"source {os.path.basename(path)!r}: it was changed while it was submitted; submit again.")


def _identity(path: str) -> tuple[int, ...]:
    status = os.stat(path)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _plain(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _write(path: Path, chunks: Iterator[bytes], executable: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with io.FileIO(os.open(path, flags, 0o755 if executable else 0o644), "w") as file:
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]
