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
from pathlib import Path

from qjob.folder import JobFolder

INDEX_LINE_BYTES = 33  # "<15 digits> <16 digits>\n", see qjob.runner.capture
_CHUNK_BYTES = 1 << 20
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


class TimeIndex:
    """When the bytes of one log came. Looks a time up by halving; holds nothing in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def time_of(self, offset: int) -> float:
        """Return when the byte at ``offset`` came, in seconds since 1970; 0.0 when that is not known."""
        try:
            with self._path.open("rb") as file:
                return self._search(file, offset)
        except FileNotFoundError:
            return 0.0

    def times(self, first: int = 0) -> list[tuple[int, float]]:
        """Return the (offset, time) pairs from number ``first`` on: from that offset on, bytes came then or later."""
        try:
            with self._path.open("rb") as file:
                file.seek(first * INDEX_LINE_BYTES)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = len(data) - len(data) % INDEX_LINE_BYTES
        return [_entry(data[at : at + INDEX_LINE_BYTES]) for at in range(0, whole, INDEX_LINE_BYTES)]

    def offset_at(self, time: float) -> int:
        """Return the offset of the first byte known to have come at ``time`` or later."""
        return next((offset for offset, came in self.times() if came >= time), -1)

    def _search(self, file: BufferedReader, offset: int) -> float:
        low, high = 0, os.fstat(file.fileno()).st_size // INDEX_LINE_BYTES
        found = 0.0
        while low < high:
            middle = (low + high) // 2
            file.seek(middle * INDEX_LINE_BYTES)
            start, time = _entry(file.read(INDEX_LINE_BYTES))
            if start <= offset:
                found, low = time, middle + 1
            else:
                high = middle
        return found


class LogReader:
    """Reads on from where it was, however often it is asked."""

    def __init__(self, folder: JobFolder, instances: Sequence[int]) -> None:
        self._tails = [_Tail(folder, instance) for instance in instances]

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
    """The log of one instance, and how far it was read."""

    def __init__(self, folder: JobFolder, instance: int) -> None:
        self._log = folder.log(instance)
        self._index = TimeIndex(folder.log_index(instance))
        self._instance = instance
        self._offset = 0
        self._unfinished = b""
        self._times: list[tuple[int, float]] = []  # of what was not yet read; the next is the last
        self._times_read = 0
        self._time = 0.0

    def raw(self) -> Iterator[LogPiece]:
        for start, data in self._chunks():
            yield LogPiece(instance=self._instance, data=data, time=self._index.time_of(start))

    def lines(self, *, final: bool) -> Iterator[LogPiece]:
        came = self._index.times(self._times_read)
        self._times_read += len(came)
        self._times[:0] = reversed(came)
        for start, data in self._chunks():
            begin = start - len(self._unfinished)
            *whole, self._unfinished = (self._unfinished + data).split(b"\n")
            for line in whole:
                yield self._piece(begin, line + b"\n")
                begin += len(line) + 1
        if final and self._unfinished:
            yield self._piece(self._offset - len(self._unfinished), self._unfinished)
            self._unfinished = b""

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
            begin, self._unfinished, block = self._offset - len(self._unfinished), b"", self._unfinished
            yield block, partial(self._time_within, begin)

    def _time_within(self, begin: int, offset: int) -> float:
        return self._index.time_of(begin + offset)

    def _piece(self, start: int, data: bytes) -> LogPiece:
        while self._times and self._times[-1][0] <= start:
            self._time = self._times.pop()[1]
        return LogPiece(instance=self._instance, data=data, time=self._time)

    def _chunks(self) -> Iterator[tuple[int, bytes]]:
        """Yield what is in the file beyond what was read, with the offset of each chunk."""
        try:
            file = self._log.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._offset)
            while data := file.read(_CHUNK_BYTES):
                start = self._offset
                self._offset += len(data)
                yield start, data


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


def _entry(line: bytes) -> tuple[int, float]:
    """Return a line of an index; one that a power cut has damaged knows no time."""
    try:
        offset, time_us = line.split()
        return int(offset), int(time_us) / 1e6
    except ValueError:
        return 0, 0.0
