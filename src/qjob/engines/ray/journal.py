"""Journal: what a job has written on a node, told piece by piece in files that are never changed.

A submitter who shares no disk with the cluster has one channel: Ray's dashboard gives the bytes of any file below the
directory of a node's logs, whole or by its last lines. So there lies, beside the logs, for each job::

    <logs>/qjob/<submission>/index    a line of JSON for each piece: see `Entry`
    <logs>/qjob/<submission>/<number> the bytes of that piece

Logs and events are told by what was added to them. Results and checkpoints are told whole, when they have been left
alone for a moment; of each file there is only the newest piece. The outcome comes last of all.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from qjob.atomic import TEMPORARY_SUFFIX
from qjob.folder import JobFolder

INDEX = "index"
ADDED, WHOLE, GONE = "added", "whole", "gone"
_PIECE_BYTES = 1 << 26
_QUIET_S = 1.0  # a file that was written to since may be half of what it will be
_LARGE_BYTES = 1 << 23
_LARGE_AGAIN_S = 30.0  # how soon a large file is told again while the job runs


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the index.

    Attributes:
        number: of the piece, from 1.
        path: of the file, relative to the job's folder.
        kind: ``added``: the piece belongs at ``offset``; ``whole``: it is the file; ``gone``: there is no such file.
        offset: where it belongs, in bytes.
        size: of the piece, in bytes.
    """

    number: int
    path: str
    kind: str
    offset: int = 0
    size: int = 0


def read_index(text: bytes) -> list[Entry]:
    """Return the entries of an index, or of its end; a line that is not finished does not count."""
    return [Entry(**json.loads(line)) for line in text.split(b"\n")[:-1] if line]


class Journal:
    """Tells of one job's folder."""

    def __init__(self, folder: JobFolder, directory: Path, clock: Callable[[], float] = time.time) -> None:
        """Keep the journal in a directory, which is made. Of what is there already only changes are told."""
        self._folder = folder
        self._directory = directory
        self._clock = clock
        self._number = 0
        self._index_bytes = 0
        self._told_bytes: dict[str, int] = {}
        self._pieces: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._told = {name: signature for name, path in self._there().items() if (signature := _signature(path))}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def tell(self) -> None:
        """Tell what is new. Raises OSError when the disk refuses it; the next call tells it then."""
        self._tell_added()
        self._tell_whole(is_over=False)

    def finish(self) -> None:
        """Tell all that is new, of a job that has ended: its outcome last. Raises OSError."""
        try:
            self._tell_added()
        finally:  # results and outcome are linked, not copied: a disk that is full of logs may still have room for them
            self._tell_whole(is_over=True)
            if self._folder.outcome.exists():
                self._tell_file(self._folder.outcome, self._folder.outcome.name, is_over=True)

    def _tell_added(self) -> None:
        for path in self._growing():
            name = str(path.relative_to(self._folder.path))
            with path.open("rb") as file:
                told = self._told_bytes.get(name, 0)
                if os.fstat(file.fileno()).st_size < told:  # the script has emptied its log
                    self._add(name, WHOLE, 0, b"")
                    told = 0
                file.seek(told)
                while piece := file.read(_PIECE_BYTES):
                    self._add(name, ADDED, told, piece)
                    told += len(piece)
                    self._told_bytes[name] = told

    def _growing(self) -> list[Path]:
        logs = [path for path in sorted(self._folder.logs.glob("*")) if path.suffix in (".log", ".index")]
        return [path for path in (*logs, self._folder.runner_log, self._folder.events) if path.is_file()]

    def _add(self, name: str, kind: str, offset: int, piece: bytes) -> None:
        number = self._number + 1
        (self._directory / str(number)).write_bytes(piece)
        self._note(Entry(number=number, path=name, kind=kind, offset=offset, size=len(piece)))

    def _tell_whole(self, *, is_over: bool) -> None:
        there = self._there()
        for name in self._told.keys() - there.keys():  # first: what was a file may be a directory now
            del self._told[name]
            self._note(Entry(number=self._number + 1, path=name, kind=GONE))
            self._forget_piece(name)
        for name, path in there.items():
            self._tell_file(path, name, is_over=is_over)

    def _there(self) -> dict[str, Path]:
        return {str(path.relative_to(self._folder.path)): path for path in self._files()}

    def _files(self) -> Iterator[Path]:
        for directory in (self._folder.results, self._folder.checkpoints):
            for parent, _, names in os.walk(directory):
                paths = (Path(parent, name) for name in names if not name.endswith(TEMPORARY_SUFFIX))
                yield from (path for path in paths if path.is_file() and not path.is_symlink())

    def _tell_file(self, path: Path, name: str, *, is_over: bool) -> None:
        before = _signature(path)
        if before is None or before == self._told.get(name) or not (is_over or self._is_due(name, before)):
            return
        number = self._number + 1
        piece = self._directory / str(number)
        piece.unlink(missing_ok=True)
        _copy(path, piece, may_link=is_over)
        if not is_over and _signature(path) != before:  # it was written to meanwhile
            piece.unlink()
            return
        self._note(Entry(number=number, path=name, kind=WHOLE, size=piece.stat().st_size))
        self._forget_piece(name)
        self._told[name], self._pieces[name] = before, number
        self._due[name] = self._clock() + (_LARGE_AGAIN_S if before[0] > _LARGE_BYTES else 0.0)

    def _is_due(self, name: str, signature: tuple[int, int, int]) -> bool:
        now = self._clock()
        return now - signature[1] / 1e9 >= _QUIET_S and now >= self._due.get(name, 0.0)

    def _forget_piece(self, name: str) -> None:
        number = self._pieces.pop(name, None)
        if number is not None:
            (self._directory / str(number)).unlink(missing_ok=True)

    def _note(self, entry: Entry) -> None:
        line = json.dumps(asdict(entry)).encode() + b"\n"
        fd = os.open(self._directory / INDEX, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _write_all(fd, line, self._index_bytes)  # over what a full disk may have left of the last try
        finally:
            os.close(fd)
        self._number = entry.number
        self._index_bytes += len(line)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:  # removed since it was seen
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _write_all(fd: int, data: bytes, offset: int) -> None:
    """Write bytes where they belong; raises OSError when not all of them find room."""
    while data:
        written = os.pwrite(fd, data, offset)
        data, offset = data[written:], offset + written


def _copy(path: Path, piece: Path, *, may_link: bool) -> None:
    """Copy a file; or let the piece be the file, when nobody will write to it any more."""
    if may_link:
        try:
            os.link(path, piece)
        except OSError:  # another file system, or one without links
            pass
        else:
            return
    shutil.copyfile(path, piece)
