"""TimeIndex: when the bytes of a log came; see docs/job-folder.md for its lines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

INDEX_LINE_BYTES = 33  # "<15 digits> <16 digits>\n", see qjob.runner.capture
_LINES_AT_ONCE = 2_000


class TimeIndex:
    """When the bytes of one log came. Looks up by halving; holds nothing in memory, however long the log is."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def time_of(self, offset: int) -> float:
        """Return when the byte at ``offset`` came, in seconds since 1970; 0.0 when that is not known."""
        with _opened(self._path) as file:
            number = _halved(file, lambda start, _: start <= offset)
            return _entry_at(file, number - 1)[1] if number else 0.0

    def offset_at(self, time: float) -> int:
        """Return the offset of the first byte known to have come at ``time`` or later; -1 when there is none.

        Goes by times that do not descend; where the clock was set back, it is one of several such bytes.
        """
        with _opened(self._path) as file:
            number = _halved(file, lambda _, came: came < time)
            return _entry_at(file, number)[0] if number < _count(file) else -1

    def number_of(self, offset: int) -> int:
        """Return the number of the entry that tells when the byte at ``offset`` came; 0 when none does."""
        with _opened(self._path) as file:
            return max(0, _halved(file, lambda start, _: start <= offset) - 1)

    def last_offset(self) -> int:
        """Return the offset of the last entry; -1 when there is none. What came before it has the time it has."""
        with _opened(self._path) as file:
            return _entry_at(file, _count(file) - 1)[0] if _count(file) else -1

    def entries(self, first: int = 0) -> Iterator[tuple[int, float]]:
        """Yield the (offset, time) pairs from number ``first`` on: from that offset on, bytes came then or later."""
        with _opened(self._path) as file:
            file.seek(first * INDEX_LINE_BYTES)
            while data := file.read(_LINES_AT_ONCE * INDEX_LINE_BYTES):
                whole = len(data) - len(data) % INDEX_LINE_BYTES
                for at in range(0, whole, INDEX_LINE_BYTES):
                    yield _entry(data[at : at + INDEX_LINE_BYTES])


def _opened(path: Path) -> BufferedReader:
    """Open an index; one that is not there is as good as an empty one."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        return open(os.devnull, "rb")


def _halved(file: BufferedReader, holds: Callable[[int, float], bool]) -> int:
    """Return how many of the entries a condition holds for that holds for the first ones only."""
    low, high = 0, _count(file)
    while low < high:
        middle = (low + high) // 2
        if holds(*_entry_at(file, middle)):
            low = middle + 1
        else:
            high = middle
    return low


def _count(file: BufferedReader) -> int:
    return os.fstat(file.fileno()).st_size // INDEX_LINE_BYTES


def _entry_at(file: BufferedReader, number: int) -> tuple[int, float]:
    return _entry(os.pread(file.fileno(), INDEX_LINE_BYTES, number * INDEX_LINE_BYTES))


def _entry(line: bytes) -> tuple[int, float]:
    """Return a line of an index; one that a power cut has damaged knows no time."""
    try:
        offset, time_us = line.split()
        return int(offset), int(time_us) / 1e6
    except ValueError:
        return 0, 0.0
