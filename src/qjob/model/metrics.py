"""The metric line, written and read: ``Metrics - timestamp=1700000000.5; energy=-1.1; iteration_number=3;``.

The format, and how a table is made of such lines, are those of the Braket SDK. A line of a log counts when
``Metrics -`` occurs in it. Of such a line every ``name=value;`` is taken, wherever it stands: the name is the
word just before the ``=``, the value what `float` accepts (anything else is dropped), and the last of a
name wins. A line that begins with ``[tag]``, which is how MPI launchers mark the output of their
processes, has the tag as its ``node_id``. Lines with the same pivot (``timestamp`` or ``iteration_number``)
and the same node share a row; where they disagree, the larger or the smaller value is kept, as asked for.
Rows and columns stand in the order in which they first occur. Lines without the pivot are left out.

Different from the SDK on purpose:

- A line that names no time gets the moment at which it came, as a float. The SDK takes over the log's own
  stamp, which may be a text or milliseconds, and cannot compare a text with the seconds of other lines.
- ``Metrics -`` may stand anywhere in the line, as for jobs in the cloud. The SDK's local jobs want it at the
  very beginning, and so miss every line with a node tag.
- Bytes that are not UTF-8 are read as U+FFFD; one of them does not make a whole log unreadable.
- Where a number and NaN meet, the number is kept. With the SDK it depends on which of them came first.
- A value that is no number is dropped silently.
- The time 0 is a time. The SDK writes the current time in its place.
"""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qjob.model.config import MetricStatistic, MetricType

METRIC_TAG = "Metrics -"
"""What makes a line of a log a metric line."""

_TAG = METRIC_TAG.encode()
_TIMESTAMP = "timestamp"
_ITERATION = "iteration_number"
_NODE = "node_id"
_RESERVED = frozenset({_TIMESTAMP, _ITERATION, _NODE})
_PIVOTS = {MetricType.TIMESTAMP: _TIMESTAMP, MetricType.ITERATION_NUMBER: _ITERATION}
_BEATS: dict[MetricStatistic, Callable[[Any, Any], bool]] = {
    MetricStatistic.MIN: operator.lt,
    MetricStatistic.MAX: operator.gt,
}

_NODE_TAG = re.compile(r"\[([^\]]*)\]")
# For a line that ends in its last ``;``: then no search for one is in vain, and with the possessive repeats
# and the \b this takes time in proportion to the line, whatever a job prints.
_ASSIGNMENT = re.compile(r"\b(\w++)\s*+=\s*+([^;]++);")
_LAST_WORD = re.compile(r"(\w+)\s*\Z")


def _plain_line(name: str, number: str) -> bytes:
    """Return a pattern for the line that `metric_line` writes: all metric lines of most logs.

    The lookbehind ties it to the beginning of a line. A ``^`` in front would do so too, but would keep
    `re` from searching for the literal prefix.
    """
    end = rf"(?: iteration_number={number};\r?\n|\r?\n)"
    return rf"Metrics - (?<=^Metrics - )timestamp={number}; {name}={number};{end}".encode()


# What [^;] and [^=] let through too much (line ends above all), _read_plain finds out for many lines at once;
# classes that exclude it cost half as much time again.
_PLAIN = re.compile(_plain_line("([^=]{1,99}+)", "([^;]{1,40}+)"), re.MULTILINE)
_STEP = _PLAIN.groups + 1
_STRICT = _plain_line(r"[^=;\r\n]{1,99}+", r"[-+.\deE]{1,40}+")
_PLAIN_RUN = re.compile(b"%b(?:%b){7,}" % (_STRICT, _STRICT), re.MULTILINE)
_BLOCK_BYTES = 1 << 17

_Key = float | tuple[float, float | str]
"""What tells rows apart: the pivot, or the pivot and the node where a line has one."""


def metric_line(name: str, value: object, *, timestamp: float, iteration_number: int | None = None) -> str:
    """Return the line that reports a metric, in the published format, without a line end.

    ``timestamp`` is in seconds since 1970. ``name`` and ``value`` are printed as they are; read back are
    only the last word of the name (letters, digits, underscores) and a value that `float` accepts.
    """
    line = f"{METRIC_TAG} {_TIMESTAMP}={timestamp}; {name}={value};"
    return line if iteration_number is None else f"{line} {_ITERATION}={iteration_number};"


class MetricsParser:
    """Makes a table of the metrics in a log; is fed piece by piece, and asked for the table at any time.

    What it holds in memory grows with the table, not with the log.
    """

    def __init__(
        self,
        metric_type: MetricType = MetricType.TIMESTAMP,
        statistic: MetricStatistic = MetricStatistic.MAX,
    ) -> None:
        self._table = _Table(_PIVOTS[metric_type], _BEATS[statistic])

    def feed(self, data: bytes, time_of: Callable[[int], float]) -> None:
        """Take in the next lines of the log.

        Args:
            data: whole lines, each ended by a line feed and nothing else; the last may lack its own.
            time_of: gives the moment, in seconds since 1970, at which the byte at an offset of ``data``
                came. It is asked about the ``Metrics -`` of lines that name no time, in their order.
        """
        if not data.endswith(b"\n"):
            data += b"\n"
        for start, stop in _blocks(data):
            if not self._take_plain(data[start:stop]):
                self._take_mixed(data, start, stop, time_of)

    def columns(self) -> dict[str, list[Any]]:
        """Return the table so far: for each column a list with one value per row, None where there is none.

        Numbers are floats; a ``node_id`` that was a tag is a str. Without metrics there are no columns.
        """
        return self._table.columns()

    def _take_plain(self, block: bytes) -> bool:
        """Take in lines of which all metric lines are plain, or nothing: then return False."""
        run = _read_plain(block)
        if run is not None:
            self._table.add_run(run)
        return run is not None

    def _take_mixed(self, data: bytes, start: int, stop: int, time_of: Callable[[int], float]) -> None:
        for run in _PLAIN_RUN.finditer(data, start, stop):
            self._take_lines(data, start, run.start(), time_of)
            if not self._take_plain(run[0]):
                self._take_lines(data, run.start(), run.end(), time_of)
            start = run.end()
        self._take_lines(data, start, stop, time_of)

    def _take_lines(self, data: bytes, start: int, stop: int, time_of: Callable[[int], float]) -> None:
        lines = []
        for offset, line in _metric_lines(data, start, stop):
            metrics = _read_line(line)
            if metrics and _TIMESTAMP not in metrics:
                metrics[_TIMESTAMP] = float(time_of(offset))
            if metrics and (node := _NODE_TAG.match(line)):
                metrics[_NODE] = node[1]
            lines.append(metrics)
        self._table.add_lines(lines)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Plain metric lines, as columns of the same length; an iteration is None where the line has none."""

    times: Sequence[float]
    names: Sequence[str]
    values: Sequence[float]
    iterations: Sequence[float | None]


class _Table:
    """Rows by pivot and node, columns by name, both in the order of their first occurrence.

    ``beats(new, kept)`` tells whether a new value takes the place of the one that is there.
    """

    def __init__(self, pivot: str, beats: Callable[[Any, Any], bool]) -> None:
        self._pivot = pivot
        self._beats = beats
        self._rows = _Rows()
        # A column may be shorter than the table: what its end lacks is None.
        self._columns: dict[str, list[Any]] = {}

    def columns(self) -> dict[str, list[Any]]:
        count = len(self._rows)
        return {name: column + [None] * (count - len(column)) for name, column in self._columns.items()}

    def add_lines(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Add lines of any form, each as its metrics by name."""
        lines = [line for line in lines if self._pivot in line]
        keys = [(line[self._pivot], line[_NODE]) if _NODE in line else line[self._pivot] for line in lines]
        rows = self._rows.number(keys)
        self._open(dict.fromkeys(itertools.chain.from_iterable(lines)))
        for row, line in zip(rows, lines, strict=True):
            self._merge(map(self._columns.__getitem__, line), itertools.repeat(row), line.values())

    def add_run(self, run: _Run) -> None:
        """Add plain lines; several times as fast as line by line."""
        by_time = self._pivot == _TIMESTAMP
        run = run if by_time else _with_iterations(run)
        if not run.times:
            return
        known = len(self._rows)
        rows = self._rows.number(run.times if by_time else run.iterations)
        self._open(_columns_of(run))
        put = self._append if len(self._rows) - known == len(rows) else self._merge_column
        put(_TIMESTAMP, rows, run.times)
        if _ITERATION in self._columns:
            put(_ITERATION, rows, run.iterations)
        if len(set(run.names)) == 1:
            put(run.names[0], rows, run.values)
        else:
            self._merge(map(self._columns.__getitem__, run.names), rows, run.values)

    def _open(self, names: Iterable[str]) -> None:
        """Make columns of these names reach down to the last row."""
        count = len(self._rows)
        for name in names:
            column = self._columns.setdefault(name, [])
            if len(column) < count:
                column.extend(itertools.repeat(None, count - len(column)))

    def _append(self, name: str, rows: Sequence[int], values: Iterable[float | None]) -> None:
        """Write a column where all ``rows`` are new, and therefore the last ones in their order."""
        self._columns[name][rows[0] :] = values

    def _merge_column(self, name: str, rows: Sequence[int], values: Iterable[float | None]) -> None:
        self._merge(itertools.repeat(self._columns[name]), rows, values)

    def _merge(self, columns: Iterable[list[Any]], rows: Iterable[int], values: Iterable[Any]) -> None:
        beats = self._beats
        for column, row, value in zip(columns, rows, values, strict=False):  # some are endless
            kept = column[row]
            if value == kept or value is None:
                continue
            if kept is None or beats(value, kept) or kept != kept:
                column[row] = value


class _Rows:
    """The numbers of rows, by key.

    Times and iterations mostly come in ascending order. As long as they do they are kept as a list; the
    dict, which for a million keys takes longer than all the rest, is made when one is out of order.
    """

    def __init__(self) -> None:
        self._ascending: list[Any] = []
        self._numbers: dict[_Key, int] = {}

    def __len__(self) -> int:
        return len(self._ascending) or len(self._numbers)

    def number(self, keys: Sequence[Any]) -> Sequence[int]:
        """Return the row of each key; a key that is new gets the next number."""
        if not self._numbers:
            rows = self._number_ascending(keys)
            if rows is not None:
                return rows
            self._numbers = dict(zip(self._ascending, itertools.count()))
            self._ascending = []
        numbers = self._numbers
        return [numbers.setdefault(key, len(numbers)) for key in keys]

    def _number_ascending(self, keys: Sequence[Any]) -> Sequence[int] | None:
        last = self._ascending[-1:]
        first = len(self._ascending) - len(last)
        run = [*last, *keys]
        if _ascend(run):
            self._ascending += keys
            return range(first + len(last), len(self._ascending))
        run = list(dict.fromkeys(run))
        if not _ascend(run):
            return None
        self._ascending[first:] = run
        return list(map(dict(zip(run, itertools.count(first))).__getitem__, keys))


def _ascend(keys: Sequence[Any]) -> bool:
    try:
        return all(map(operator.lt, keys, itertools.islice(keys, 1, None)))
    except TypeError:  # a key with a node next to one without
        return False


def _blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Cut out blocks of whole lines that begin with a metric line; what lies between them has none."""
    tag = data.find(_TAG)
    while tag >= 0:
        start = data.rfind(b"\n", 0, tag) + 1
        stop = max(data.find(b"\n", tag), data.rfind(b"\n", tag, start + _BLOCK_BYTES)) + 1
        yield start, stop
        tag = data.find(_TAG, stop)


def _metric_lines(data: bytes, start: int, stop: int) -> Iterator[tuple[int, str]]:
    """Yield the metric lines, each after the offset in ``data`` at which its tag stands."""
    for line in data[start:stop].split(b"\n"):
        tag = line.find(_TAG)
        if tag >= 0:
            yield start + tag, line.decode("utf-8", "replace")
        start += len(line) + 1


def _read_line(line: str) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    for name, text in _ASSIGNMENT.findall(line[: line.rfind(";") + 1]):
        try:
            metrics[name] = float(text)
        except ValueError:
            continue
    return metrics


def _read_plain(block: bytes) -> _Run | None:
    """Return the metrics of a block of whole lines, or None if some metric line in it is not plain."""
    parts = _PLAIN.split(block)  # what lies between plain lines, then the four groups, and so on
    between = b"".join(parts[::_STEP])
    if _TAG in between or between.count(b"\n") + len(parts) // _STEP != block.count(b"\n"):
        return None
    names = _column_names(parts[2::_STEP])
    try:
        return names and _Run(
            times=list(map(float, parts[1::_STEP])),
            names=names,
            values=list(map(float, parts[3::_STEP])),
            iterations=_numbers(parts[4::_STEP]),
        )
    except ValueError:
        return None


def _column_names(names: Sequence[bytes]) -> list[str]:
    """Return """
    columns = {name: _column_name(name) for name in set(names)}
    if not all(columns.values()):
        return None
    if len(columns)==1: return list(columns.values())*len(names)
    return list(map(columns.__getitem__, names))


def _column_name(name: bytes) -> str:
    """Return the word before the ``=`` of a plain line, or nothing if it needs to be looked at closely."""
    word = _LAST_WORD.search(name.decode("utf-8", "replace"))
    return "" if word is None or b";" in name or b"\n" in name or word[1] in _RESERVED else word[1]


def _numbers(texts: Sequence[bytes | None]) -> Sequence[float | None]:
    if all(texts):
        return list(map(float, texts))  # type: ignore[arg-type]
    return [None if text is None else float(text) for text in texts]


def _with_iterations(run: _Run) -> _Run:
    """Return the lines of a run that have an iteration."""
    held = [iteration is not None for iteration in run.iterations]
    if all(held):
        return run
    return _Run(
        times=list(itertools.compress(run.times, held)),
        names=list(itertools.compress(run.names, held)),
        values=list(itertools.compress(run.values, held)),
        iterations=list(itertools.compress(run.iterations, held)),
    )


def _columns_of(run: _Run) -> Iterable[str]:
    """Return the columns of a run in the order of their first occurrence, some of them twice."""
    numbered = (index for index, iteration in enumerate(run.iterations) if iteration is not None)
    first = next(numbered, None)
    if first is None:
        return (_TIMESTAMP, *dict.fromkeys(run.names))
    return (_TIMESTAMP, *dict.fromkeys(run.names[: first + 1]), _ITERATION, *dict.fromkeys(run.names))
