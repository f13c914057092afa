"""MetricFeed: the metric lines of a log, of which nobody parses twice what somebody has parsed.

Whoever parses them keeps them beside the log, in ``logs/<i>.metrics``, and everybody else goes on from there. The log
is the truth: what is kept is checked against it, and when the file is missing, damaged, of another log, or cannot be
written, the log is parsed again and that is all.

The file. A header of 24 bytes: ``qjob metrics 1`` and two zeros, and the log's inode as an unsigned 64-bit integer;
all integers are little-endian. Then records: where a part of the log begins and where it ends, 8 bytes each; the sizes
of a summary and of the lines, 4 bytes each; and 4 bytes each for the CRC-32 of the summary, of the lines, of a sample
of that part of the log (its first and its last 256 bytes), and of the 36 bytes before this. Behind that the summary
(`qjob.model.metric_series`) and the lines (`qjob.model.metric_chunk`). Parts begin and end at the beginnings of lines;
one begins where the one before it ends, the first at 0.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple, TypeVar
from zlib import crc32

from qjob.folder import JobFolder
from qjob.log_index import TimeIndex
from qjob.model.metric_chunk import decode, encode
from qjob.model.metric_reader import MetricLines, read_metric_lines
from qjob.model.metric_series import Summary, decode_summary, encode_summaries, summary_of

T = TypeVar("T")
_HEADER = struct.Struct("<16sQ")
_MAGIC = b"qjob metrics 1\0\0"
_HEAD = struct.Struct("<QQIIIII")
_SEAL = struct.Struct("<I")
_RECORD_BYTES = _HEAD.size + _SEAL.size
_READ_BYTES = 1 << 20
_SAMPLE_BYTES = 256
_ROOM_BYTES = 1 << 26
"""What must be free on the disk beyond what is to be kept there: the job comes first."""
_DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error)
"""What decoding may raise when, for all the checksums, the file holds something that this module does not write."""


class MetricFeed:
    """Reads on from where it was, however often it is asked; what it holds does not grow with the log.

    Attributes:
        certain: whether whoever reads the same later will read the same. Not so when a line without a time of
            its own came so recently that the log's index does not tell yet when that was.
    """

    def __init__(self, folder: JobFolder, instance: int, *, least_bytes: int = 1 << 18) -> None:
        """Begin with the first line of an instance's log.

        Args:
            folder: the job's.
            instance: whose log.
            least_bytes: of a log, from which on it is worth a record; less is parsed in a few milliseconds.
        """
        self._least_bytes = least_bytes
        self._log = folder.log(instance)
        self._index = TimeIndex(folder.log_index(instance))
        self._file = _MetricFile(self._log.with_suffix(".metrics"))
        self._pending: list[_Part] = []  # parsed by us and not yet kept
        self._inode = 0
        self._offset = 0
        self._before = b""  # the last bytes that were read
        self._ended = False  # with a line that lacks its end
        self.certain = True

    def read(self, *, final: bool) -> Iterator[MetricLines]:
        """Yield the metric lines that have come since the last call.

        The unfinished last line waits for the rest of it, unless this is the ``final`` call, after which nothing
        more comes.
        """
        with self._opened() as log:
            for kept in self._kept(log, _Record.lines):
                yield from kept
            for parts in self._parsed(log, final):
                yield from parts
            if final:
                yield from self._rest(log)

    def summaries(self, *, final: bool) -> Iterator[Summary]:
        """Yield summaries of what has come since the last call; of what is kept, only a tenth is read for that."""
        with self._opened() as log:
            yield from self._kept(log, _Record.summary)
            for parts in self._parsed(log, final):
                yield from map(summary_of, parts)
            if final:
                yield from map(summary_of, self._rest(log))

    @property
    def offset(self) -> int:
        """How far the log was read, in bytes."""
        return self._offset

    def goes_on(self) -> bool:
        """Return whether the log still begins with what was read, and after a final call holds nothing else."""
        with self._opened(look=True) as log:
            status = os.fstat(log.fileno())
            same = self._inode in (0, status.st_ino) and _before(log, self._offset) == self._before
            return same and (status.st_size == self._offset or not self._ended)

    @contextlib.contextmanager
    def _opened(self, *, look: bool = False) -> Iterator[BufferedReader]:
        try:
            log = self._log.open("rb")
        except FileNotFoundError:
            log = open(os.devnull, "rb")  # noqa: SIM115 - closed below
        with log:
            if not look:
                self._inode = os.fstat(log.fileno()).st_ino
            yield log

    def _kept(self, log: BufferedReader, content: Callable[[_Record], T]) -> Iterator[T]:
        """Yield what somebody has kept of what comes next."""
        if self._pending:
            return
        for record in self._file.records(self._inode):
            if record.start != self._offset or record.sample != _sample(log, record.start, record.stop):
                return
            try:
                found = content(record)
            except _DAMAGE:
                return
            self._go_to(log, record.stop)
            yield found

    def _parsed(self, log: BufferedReader, final: bool) -> Iterator[Sequence[MetricLines]]:
        """Parse the whole lines that come next, a megabyte or so at a time, and see that they are kept."""
        while data := _whole_lines(log, self._offset):
            asked: list[int] = []
            start = self._offset
            parts = list(read_metric_lines(data, partial(self._time_of, start, asked)))
            self.certain = self.certain and (final or not asked or asked[-1] < self._index.last_offset())
            self._go_to(log, start + len(data))
            self._keep(log, start, parts)
            yield parts

    def _time_of(self, start: int, asked: list[int], offset: int) -> float:
        asked.append(start + offset)
        return self._index.time_of(start + offset)

    def _rest(self, log: BufferedReader) -> Iterator[MetricLines]:
        """Parse the last words, which lack their line end."""
        data = os.pread(log.fileno(), os.fstat(log.fileno()).st_size - self._offset, self._offset)
        self._ended = bool(data)
        start = self._offset
        self._go_to(log, start + len(data))
        yield from read_metric_lines(data, lambda offset: self._index.time_of(start + offset))

    def _go_to(self, log: BufferedReader, offset: int) -> None:
        self._offset, self._before = offset, _before(log, offset)

    def _keep(self, log: BufferedReader, start: int, parts: Sequence[MetricLines]) -> None:
        if not self.certain or not self._file.is_ours:
            return
        self._pending.append(_Part(start, encode_summaries(map(summary_of, parts)), encode(parts)))
        start = self._pending[0].start
        if self._offset - start >= self._least_bytes:
            self._file.append(_sealed(self._pending, self._offset, _sample(log, start, self._offset)), self._inode)
            self._pending.clear()


class _Part(NamedTuple):
    """Where a part of a log begins, and what is to be kept of it."""

    start: int
    summary: bytes
    lines: bytes


def _sealed(parts: Sequence[_Part], stop: int, sample: int) -> bytes:
    """Return the record of parts that follow each other."""
    summary = b"".join(part.summary for part in parts)
    lines = b"".join(part.lines for part in parts)
    head = _HEAD.pack(parts[0].start, stop, len(summary), len(lines), crc32(summary), crc32(lines), sample)
    return head + _SEAL.pack(crc32(head)) + summary + lines


@dataclass(frozen=True, kw_only=True)
class _Record:
    """A record in an open file.

    Attributes:
        file: which.
        at: where the record begins there.
        start: where the part of the log begins.
        stop: where it ends.
        sizes: of the summary and of the lines.
        checksums: of the same.
        sample: the checksum of the log's sample.
    """

    file: BufferedReader
    at: int
    start: int
    stop: int
    sizes: tuple[int, int]
    checksums: tuple[int, int]
    sample: int

    @classmethod
    def read(cls, file: BufferedReader, at: int) -> _Record | None:
        """Return the record that begins somewhere, or None when none does that was wholly written."""
        head, seal = os.pread(file.fileno(), _HEAD.size, at), os.pread(file.fileno(), _SEAL.size, at + _HEAD.size)
        if len(seal) < _SEAL.size or _SEAL.unpack(seal) != (crc32(head),):
            return None
        start, stop, *numbers, sample = _HEAD.unpack(head)
        sizes, checksums = (numbers[0], numbers[1]), (numbers[2], numbers[3])
        record = cls(file=file, at=at, start=start, stop=stop, sizes=sizes, checksums=checksums, sample=sample)
        return record if record.end <= os.fstat(file.fileno()).st_size else None

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.at + _RECORD_BYTES + sum(self.sizes)

    def summary(self) -> Summary:
        return decode_summary(self._content(0))

    def lines(self) -> list[MetricLines]:
        return list(decode(self._content(1)))

    def _content(self, number: int) -> bytes:
        data = os.pread(self.file.fileno(), self.sizes[number], self.at + _RECORD_BYTES + sum(self.sizes[:number]))
        if crc32(data) != self.checksums[number]:
            raise ValueError(f"{self.file.name} is damaged")
        return data


class _MetricFile:
    """The file beside a log; read on from where it was, and appended to by one process at a time.

    Attributes:
        is_ours: whether we may append to it: the disk has room and lets us, and nobody else does.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0  # up to which the file is good
        self._size = 0  # when we looked
        self.is_ours = True

    def records(self, inode: int) -> Iterator[_Record]:
        """Yield the next records. One is behind us when the one after it is asked for, and not before."""
        self._size = 0
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            self._size = os.fstat(file.fileno()).st_size
            if file.read(_HEADER.size) != _HEADER.pack(_MAGIC, inode):
                self._position = 0
                return
            self._position = max(self._position, _HEADER.size)
            while record := _Record.read(file, self._position):
                yield record
                self._position = record.end

    def append(self, record: bytes, inode: int) -> None:
        """Write a record behind the good ones, unless something is in the way: then nobody will miss it."""
        self.is_ours = False
        with contextlib.suppress(OSError), _open_to_append(self._path) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstatvfs(fd)
            if os.fstat(fd).st_size != self._size or status.f_bavail * status.f_frsize < _ROOM_BYTES + len(record):
                return
            header = b"" if self._position else _HEADER.pack(_MAGIC, inode)
            self._write(fd, header + record)

    def _write(self, fd: int, data: bytes) -> None:
        os.ftruncate(fd, self._position)
        if os.pwrite(fd, data, self._position) < len(data):
            os.ftruncate(fd, self._position)
            return
        self._position = self._size = self._position + len(data)
        self.is_ours = True


@contextlib.contextmanager
def _open_to_append(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def _whole_lines(log: BufferedReader, offset: int) -> bytes:
    """Return the lines from an offset on: a megabyte of them, or one that is longer; nothing if none is finished."""
    size, stop = _READ_BYTES, os.fstat(log.fileno()).st_size
    while True:
        data = os.pread(log.fileno(), size, offset)
        whole = data.rfind(b"\n") + 1
        if whole or offset + size >= stop:
            return data[:whole]
        size *= 2


def _sample(log: BufferedReader, start: int, stop: int) -> int:
    """Return a checksum that tells whether this part of the log is the same as before."""
    first = os.pread(log.fileno(), min(_SAMPLE_BYTES, stop - start), start)
    return crc32(_before(log, stop), crc32(first))


def _before(log: BufferedReader, offset: int) -> bytes:
    start = max(0, offset - _SAMPLE_BYTES)
    return os.pread(log.fileno(), offset - start, start)
