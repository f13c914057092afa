"""LogReader: the output of all instances of a job, every byte once, in the order of time."""

from __future__ import annotations

import heapq
import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from itertools import accumulate, islice

from qjob.folder import JobFolder
from qjob.log_index import TimeIndex

_CHUNK_BYTES = 1 << 20
_BACK_BYTES = 1 << 16
_BATCH_LINES = 20_000
_TAG = re.compile(rb"\[[^]\n]*\]")


@dataclass(frozen=True, kw_only=True)
class LogPiece:
    """Some output of one instance.

    Attributes:
        instance: whose.
        data: the bytes as they came: whole lines with their ends, or part of a line that is not finished.
        time: when they came, in seconds since 1970.
    """

    instance: int
    data: bytes
    time: float


class LogReader:
    """Reads on from where it was, however often it is asked."""

    def __init__(self, folder: JobFolder, instances: Sequence[int]) -> None:
        self._folder = folder
        self._instances = instances
        self._tails = [_Tail(folder, instance) for instance in instances]

    def skip_to_time(self, time: float) -> None:
        """Begin with the lines of which a part came at a time, in seconds since 1970, or later.

        Reads only a few entries of the indexes, and goes by times that do not descend.
        """
        for tail in self._tails:
            tail.skip_to_time(time)

    def skip_to_last(self, lines: int) -> None:
        """Begin with the last so many lines of all instances, at least one; reads little more than these of each."""
        for tail in self._tails:
            tail.skip_to_last(lines)
        if len(self._tails) > 1:
            for piece in self._ahead()[:-lines]:
                self._tails[self._instances.index(piece.instance)].skip(len(piece.data))

    def _ahead(self) -> list[LogPiece]:
        """Return all the lines from here on, and stay here."""
        reader = LogReader(self._folder, self._instances)
        for other, tail in zip(reader._tails, self._tails, strict=True):
            other.skip(tail.offset)
        return list(reader.lines(final=True))

    def pieces(self, *, final: bool) -> Iterator[LogPiece]:
        """Yield what has come since the last call.

        With one instance as it came, in large pieces. With several, whole lines in the order of time;
        a line's unfinished part waits for the rest of it, unless this is the ``final`` call.
        """
        if len(self._tails) == 1:
            return self._tails[0].raw()
        return self.lines(final=final)

    def lines(self, *, final: bool) -> Iterator[LogPiece]:
        """Yield the whole lines that have come since the last call, in the order of time."""
        return heapq.merge(*(tail.lines(final=final) for tail in self._tails), key=lambda line: line.time)

    def blocks(self, *, final: bool) -> Iterator[tuple[bytes, Callable[[int], float]]]:
        """Yield what has come since the last call in blocks of whole lines, for whoever reads numbers.

        Beside each block: a function from an offset in it to the time when that byte came. With several
        instances each line begins with a tag that tells whose it is, ``[0]`` of instance 0, unless it has one
        of its own, as MPI launchers write them: `qjob.model.metrics` makes the ``node_id`` of that.
        """
        if len(self._tails) == 1:
            return self._tails[0].blocks(final=final)
        return _merged_blocks(self.lines(final=final))


class _Tail:
    """The log of one instance, and how far it was read.

    Attributes:
        offset: how far.
    """

    def __init__(self, folder: JobFolder, instance: int) -> None:
        self._log = folder.log(instance)
        self._index = TimeIndex(folder.log_index(instance))
        self._instance = instance
        self.offset = 0
        self._unfinished = b""
        self._next_entry = 0
        self._time = 0.0

    def skip_to_time(self, time: float) -> None:
        """Begin with the line of which a part came then or later; at the end when nothing did."""
        offset = self._index.offset_at(time)
        if offset < 0:
            self._begin_at(self._size())
        elif self._size():
            with self._log.open("rb") as file:
                at_line = offset == 0 or os.pread(file.fileno(), 1, offset - 1) == b"\n"
                self._begin_at(offset if at_line else _start_of_last(file, 1, offset))

    def skip_to_last(self, lines: int) -> None:
        """Begin with the last so many lines, one that is not finished among them."""
        if size := self._size():
            with self._log.open("rb") as file:
                self._begin_at(_start_of_last(file, lines, size))

    def skip(self, size: int) -> None:
        """Leave out the next so many bytes; before anything was read."""
        self._begin_at(self.offset + size)

    def _begin_at(self, offset: int) -> None:
        self.offset = offset
        self._next_entry = self._index.number_of(offset)

    def _size(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def raw(self) -> Iterator[LogPiece]:
        for start, data in self._chunks():
            yield LogPiece(instance=self._instance, data=data, time=self._index.time_of(start))

    def lines(self, *, final: bool) -> Iterator[LogPiece]:
        clock = _Clock(self._index, self._next_entry, self._time)
        for start, data in self._chunks():
            begin = start - len(self._unfinished)
            *whole, self._unfinished = (self._unfinished + data).split(b"\n")
            for line in whole:
                yield LogPiece(instance=self._instance, data=line + b"\n", time=clock.time_of(begin))
                begin += len(line) + 1
        if final and self._unfinished:
            begin = self.offset - len(self._unfinished)
            yield LogPiece(instance=self._instance, data=self._unfinished, time=clock.time_of(begin))
            self._unfinished = b""
        self._next_entry, self._time = clock.number, clock.time

    def blocks(self, *, final: bool) -> Iterator[tuple[bytes, Callable[[int], float]]]:
        for start, data in self._chunks():
            begin = start - len(self._unfinished)
            whole, newline, rest = data.rpartition(b"\n")
            if not newline:
                self._unfinished += data
                continue
            block, self._unfinished = self._unfinished + whole + newline, rest
            yield block, partial(self._time_within, begin)
        if final and self._unfinished:
            begin, self._unfinished, block = self.offset - len(self._unfinished), b"", self._unfinished
            yield block, partial(self._time_within, begin)

    def _time_within(self, begin: int, offset: int) -> float:
        return self._index.time_of(begin + offset)

    def _chunks(self) -> Iterator[tuple[int, bytes]]:
        """Yield what is in the file beyond what was read, with the offset of each chunk."""
        try:
            file = self._log.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self.offset)
            while data := file.read(_CHUNK_BYTES):
                start = self.offset
                self.offset += len(data)
                yield start, data


class _Clock:
    """The times of one log, for offsets that ascend; reads the index as it goes.

    Attributes:
        number: of the entry that comes next.
        time: of the one before it.
    """

    def __init__(self, index: TimeIndex, number: int, time: float) -> None:
        self._entries = index.entries(number)
        self._next = next(self._entries, None)
        self.number = number
        self.time = time

    def time_of(self, offset: int) -> float:
        while self._next is not None and self._next[0] <= offset:
            self.time = self._next[1]
            self.number += 1
            self._next = next(self._entries, None)
        return self.time


def _start_of_last(file: BufferedReader, lines: int, size: int) -> int:
    """Return where the last so many lines of a file begin, reading from its end."""
    start, found = size, 0
    while start > 0:
        length = min(_BACK_BYTES, start)
        data = os.pread(file.fileno(), length, start - length)
        if start == size and not data.endswith(b"\n"):
            found += 1  # the unfinished one
        ends = data.count(b"\n")
        if found + ends > lines:
            return start - length + _after_end(data, found + ends - lines)
        start, found = start - length, found + ends
    return 0


def _after_end(data: bytes, number: int) -> int:
    """Return the offset behind the line end of this number, counted from 1."""
    at = 0
    for _ in range(number):
        at = data.index(b"\n", at) + 1
    return at


def _merged_blocks(lines: Iterator[LogPiece]) -> Iterator[tuple[bytes, Callable[[int], float]]]:
    while batch := list(islice(lines, _BATCH_LINES)):
        tagged = list(map(_tagged, batch))
        starts = list(accumulate(map(len, tagged), initial=0))
        yield b"".join(tagged), partial(_time_in_batch, batch, starts)


def _tagged(line: LogPiece) -> bytes:
    tag = b"" if _TAG.match(line.data) else b"[%d]" % line.instance
    end = b"" if line.data.endswith(b"\n") else b"\n"  # an instance's last words; another's may follow
    return tag + line.data + end


def _time_in_batch(batch: Sequence[LogPiece], starts: Sequence[int], offset: int) -> float:
    return batch[bisect_right(starts, offset) - 1].time
