"""Metric lines, read: ``Metrics - timestamp=1700000000.5; energy=-1.1; iteration_number=3;``.

The format, and how a table is made of such lines, are those of the Braket SDK. A line of a log counts when
``Metrics -`` occurs in it. Of such a line every ``name=value;`` is taken, wherever it stands: the name is the
word just before the ``=``, the value what `float` accepts (anything else is dropped), and the last of a
name wins. A line that begins with ``[tag]``, which is how MPI launchers mark the output of their
processes, has the tag as its ``node_id``. Lines with the same pivot (``timestamp`` or ``iteration_number``)
and the same node share a row, except that NaN equals nothing; where they disagree, the larger or the
smaller value is kept, as asked for. Rows and columns stand in the order in which they first occur. Lines
without the pivot are left out.

Different from the SDK on purpose:

- A line that names no time gets the moment at which it came, as a float. The SDK takes over the log's own
  stamp, which may be a text or milliseconds, and cannot compare a text with the seconds of other lines.
- ``Metrics -`` may stand anywhere in the line, as for jobs in the cloud. The SDK's local jobs want it at the
  very beginning, and so miss every line with a node tag.
- Bytes that are not UTF-8 are read as U+FFFD; one of them does not make a whole log unreadable.
- Where a number and NaN meet, the number is kept. With the SDK it depends on which of them came first.
- A value that is no number is dropped without a warning.
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
from qjob.model.metric_line import ITERATION, METRIC_TAG, TIMESTAMP

_TAG = METRIC_TAG.encode()
_NODE = "node_id"
_PIVOTS = {MetricType.TIMESTAMP: TIMESTAMP, MetricType.ITERATION_NUMBER: ITERATION}
_BEATS: dict[MetricStatistic, Callable[[Any, Any], bool]] = {
    MetricStatistic.MIN: operator.lt,
    MetricStatistic.MAX: operator.gt,
}

# For a line that ends in its last ``;``: then no search for one is in vain, and with the possessive repeats
# and the \b this takes time in proportion to the line, whatever a job prints.
_ASSIGNMENT = re.compile(r"\b(\w++)\s*+=\s*+([^;]++);")
_NODE_TAG = re.compile(r"\[([^\]]*)\]")
_LAST_WORD = re.compile(r"\w+\Z")


def _plain_line(name: str, number: str) -> bytes:
    """Return a pattern for the line that `metric_line` writes: all metric lines of most logs.

    The lookbehind ties it to the beginning of a line. A ``^`` in front would do so too, but would keep
    `re` from searching for the literal prefix.
    """
    end = rf"(?: iteration_number={number};\r?\n|\r?\n)"
    return rf"Metrics - (?<=^Metrics - )timestamp={number}; {name}={number};{end}".encode()


# What [^=] and [^;] let through too much (line ends above all), _read_plain finds out for many lines at once:
# classes that exclude it take half as long again.
_PLAIN = re.compile(_plain_line("([^=]{1,99}+)", "([^;]{1,40}+)"), re.MULTILINE)
_STEP = _PLAIN.groups + 1
_STRICT = _plain_line(r"[^=;\r\n]{1,99}+", r"[-+.\deE]{1,40}+")
_STRICT_LINES = re.compile(b"%b(?:%b){7,}" % (_STRICT, _STRICT), re.MULTILINE)  # fewer are read one by one
_BLOCK_BYTES = 1 << 17

_Key = float | tuple[float, float | str]
"""What tells rows apart: the pivot, or the pivot and the node where a line has one."""


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
            data: whole lines, each ended by a line feed and by nothing else; the last may lack its own.
            time_of: gives the moment, in seconds since 1970, at which the byte at an offset of ``data``
                came. It is asked about the ``Metrics -`` of lines that name no time, from first to last.
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
        """Take in lines of which all metric lines are plain; if one is not, take in none and say so."""
        batch = _read_plain(block)
        if batch is None:
            return False
        self._table.add_batch(batch)
        return True

    def _take_mixed(self, data: bytes, start: int, stop: int, time_of: Callable[[int], float]) -> None:
        for plain in _STRICT_LINES.finditer(data, start, stop):
            self._take_lines(data, start, plain.start(), time_of)
            if not self._take_plain(plain[0]):
                self._take_lines(data, plain.start(), plain.end(), time_of)
            start = plain.end()
        self._take_lines(data, start, stop, time_of)

    def _take_lines(self, data: bytes, start: int, stop: int, time_of: Callable[[int], float]) -> None:
        lines = []
        for offset, line in _metric_lines(data, start, stop):
            metrics = _read_line(line)
            if metrics and TIMESTAMP not in metrics:
                metrics[TIMESTAMP] = float(time_of(offset))
            if node := _NODE_TAG.match(line):
                metrics[_NODE] = node[1]
            lines.append(metrics)
        self._table.add_lines(lines)


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Plain metric lines, as columns of the same length.

    Attributes:
        fixed: the times; and the iterations if any line has one, None where a line has none.
        names: the name of each line's metric.
        values: its value.
    """

    fixed: Mapping[str, Sequence[float | None]]
    names: Sequence[str]
    values: Sequence[float]


class _Table:
    """Rows by pivot and node, columns by name, both in the order of their first occurrence.

    ``beats(new, kept)`` tells whether a new number takes the place of the one that is there.
    """

    def __init__(self, pivot: str, beats: Callable[[Any, Any], bool]) -> None:
        self._pivot = pivot
        self._beats = beats
        self._rows = _Rows()
        # Those of pivot and node stay empty, for the keys of the rows have them. Others may be shorter than
        # the table: what is missing at the end is None.
        self._columns: dict[str, list[Any]] = {}

    def columns(self) -> dict[str, list[Any]]:
        keys = self._rows.keys()
        table = {name: column + [None] * (len(keys) - len(column)) for name, column in self._columns.items()}
        if _NODE in table:
            table[_NODE] = [key[1] if isinstance(key, tuple) else None for key in keys]
            keys = [key[0] if isinstance(key, tuple) else key for key in keys]
        return table | {self._pivot: keys} if keys else {}

    def add_lines(self, lines: Iterable[dict[str, Any]]) -> None:
        """Add lines of any form, each as its metrics by name; the dicts are used up."""
        lines = [line for line in lines if self._pivot in line]
        names = list(itertools.chain.from_iterable(lines))
        rows = self._rows.number([_pop_key(line, self._pivot) for line in lines])
        self._open(names)
        for row, line in zip(rows, lines, strict=True):
            self._merge(map(self._columns.__getitem__, line), itertools.repeat(row), line.values())

    def add_batch(self, batch: _Batch) -> None:
        """Add plain lines; several times as fast as one by one."""
        if self._pivot == ITERATION:
            batch = _with_iteration(batch)
        if not batch.names:
            return
        rows = self._rows.number(batch.fixed[self._pivot])
        self._open(_column_order(batch))
        for name, values in batch.fixed.items():
            if name != self._pivot:
                self._put(name, rows, values)
        self._put_named(batch, rows)

    def _open(self, names: Iterable[str]) -> None:
        """Make columns, and make them reach down to the last row."""
        count = len(self._rows)
        for name in dict.fromkeys(names):
            column = self._columns.setdefault(name, [])
            if name not in (self._pivot, _NODE):
                column.extend(itertools.repeat(None, count - len(column)))

    def _put_named(self, batch: _Batch, rows: Sequence[int]) -> None:
        names, values = batch.names, batch.values
        period = len(set(names))
        if names[period:] == names[:-period]:  # a loop that reports the same metrics every time
            for start, name in enumerate(names[:period]):
                self._put(name, rows[start::period], values[start::period])
        else:
            self._merge(map(self._columns.__getitem__, names), rows, values)

    def _put(self, name: str, rows: Sequence[int], values: Sequence[float | None]) -> None:
        column = self._columns[name]
        cells = _as_slice(rows)
        if cells is not None and column[cells] == [None] * len(rows):
            column[cells] = values
        else:
            self._merge(itertools.repeat(column), rows, values)

    def _merge(self, columns: Iterable[list[Any]], rows: Iterable[int], values: Iterable[Any]) -> None:
        beats = self._beats
        for column, row, value in zip(columns, rows, values, strict=False):  # one of them may be endless
            kept = column[row]
            if kept is None:
                column[row] = value
                continue
            if value != kept and value is not None and (beats(value, kept) or kept != kept):
                column[row] = value


class _Rows:
    """The numbers of rows, by key.

    Times and iterations mostly do not descend. As long as they do not, a list of them is enough. The dict,
    which for a million keys takes longer than all the rest, is made when the first is out of order.
    """

    def __init__(self) -> None:
        self._ascending: list[Any] = []
        self._numbers: dict[_Key, int] = {}

    def __len__(self) -> int:
        return len(self._ascending) or len(self._numbers)

    def keys(self) -> list[Any]:
        return list(self._ascending or self._numbers)

    def number(self, keys: Sequence[Any]) -> Sequence[int]:
        """Return the row of each key; a key that is new gets the next number."""
        if not self._numbers:
            rows = self._number_in_order(keys)
            if rows is not None:
                return rows
            self._numbers = {key: row for row, key in enumerate(self._ascending)}
            self._ascending = []
        numbers = self._numbers
        return [numbers.setdefault(key, len(numbers)) for key in keys]

    def _number_in_order(self, keys: Sequence[Any]) -> Sequence[int] | None:
        """Do so for keys that do not descend; return None for others."""
        if not self._ascending:
            self._ascending.extend(keys[:1])
        last = len(self._ascending) - 1
        before = [*self._ascending[-1:], *keys]
        try:
            is_new = list(map(operator.lt, before, keys))
            if not all(is_new) and not all(map(operator.le, before, keys)):
                return None
        except TypeError:  # some lines name a node, some do not
            return None
        self._ascending.extend(itertools.compress(keys, is_new))
        if all(is_new):
            return range(last + 1, len(self._ascending))
        return list(itertools.accumulate(is_new, initial=last))[1:]


def _blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Cut out blocks of whole lines that begin with a metric line; what lies between them has none."""
    tag = data.find(_TAG)
    while tag >= 0:
        start = data.rfind(b"\n", 0, tag) + 1
        stop = max(data.find(b"\n", tag), data.rfind(b"\n", tag, start + _BLOCK_BYTES)) + 1
        yield start, stop
        tag = data.find(_TAG, stop)


def _read_plain(block: bytes) -> _Batch | None:
    """Return the metrics of a block of whole lines, or None if a metric line in it is not plain."""
    parts = _PLAIN.split(block)  # what lies between plain lines, then the groups of one, and so on
    between = b"".join(parts[::_STEP])
    if _TAG in between or between.count(b"\n") + len(parts) // _STEP != block.count(b"\n"):
        return None
    try:
        return _Batch(
            fixed=_fixed(parts[1::_STEP], parts[4::_STEP]),
            names=_column_names(parts[2::_STEP]),
            values=list(map(float, parts[3::_STEP])),
        )
    except ValueError:
        return None


def _fixed(times: Sequence[bytes], iterations: Sequence[Any]) -> dict[str, Sequence[float | None]]:
    fixed: dict[str, Sequence[float | None]] = {TIMESTAMP: list(map(float, times))}
    if all(iterations):
        fixed[ITERATION] = list(map(float, iterations))
    elif any(iterations):
        fixed[ITERATION] = [None if text is None else float(text) for text in iterations]
    return fixed


def _column_names(names: Sequence[bytes]) -> list[str]:
    """Return the words before the ``=``; raises ValueError when one needs a closer look."""
    columns = {name: _column_name(name) for name in set(names)}
    return list(map(columns.__getitem__, names))


def _column_name(name: bytes) -> str:
    word = _LAST_WORD.search(name.decode("utf-8", "replace"))
    if word is None or word[0] in (TIMESTAMP, ITERATION, _NODE):
        raise ValueError(name)
    return word[0]


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


def _pop_key(line: dict[str, Any], pivot: str) -> _Key:
    key: float = line.pop(pivot)
    return (key, line.pop(_NODE)) if _NODE in line else key


def _with_iteration(batch: _Batch) -> _Batch:
    """Return the lines that have an iteration."""
    held = [iteration is not None for iteration in batch.fixed.get(ITERATION, ())]
    if held and all(held):
        return batch
    return _Batch(
        fixed={name: list(itertools.compress(values, held)) for name, values in batch.fixed.items()},
        names=list(itertools.compress(batch.names, held)),
        values=list(itertools.compress(batch.values, held)),
    )


def _column_order(batch: _Batch) -> Iterable[str]:
    """Return the names of the columns in the order of their first occurrence, some more than once."""
    iterations = enumerate(batch.fixed.get(ITERATION, ()))
    first = next((line for line, iteration in iterations if iteration is not None), None)
    if first is None:
        return [TIMESTAMP, *batch.names]
    return [TIMESTAMP, *batch.names[: first + 1], ITERATION, *batch.names]


def _as_slice(rows: Sequence[int]) -> slice | None:
    """Return evenly spaced rows as a slice, or None if they are not."""
    spaced = rows if isinstance(rows, range) else range(rows[0], rows[0] + len(rows))
    if spaced is not rows and rows != list(spaced):
        return None
    return slice(spaced.start, spaced.stop, spaced.step)
