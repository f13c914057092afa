"""Metric lines, read: ``Metrics - timestamp=1700000000.5; energy=-1.1; iteration_number=3;``.

The format, and how a table is made of such lines, are those of the Braket SDK. A line of a log counts when
``Metrics -`` occurs in it. Of such a line every ``name=value;`` is taken whose value `float` accepts (anything
else is dropped), wherever it stands, and the last of a name wins. A line that begins with ``[tag]``, which is how
MPI launchers mark the output of their processes and `qjob.logs` that of a job's instances, has the tag as its
``node_id``. Lines with the same pivot (``timestamp`` or ``iteration_number``) and the same node share a row, except
that NaN equals nothing; where they disagree, the statistic says what is kept. Rows and columns stand in the order
in which they first occur. Lines without the pivot are left out.

What a name is. In a line of `log_metric`, where it stands between ``Metrics - timestamp=...; `` and ``=``: all
that stands there, without the blanks at its ends; so it may be any text without ``=``, ``;`` and a line end. In
any other text after the tag: the characters before the ``=``, from the last blank or ``;`` on, as far as they
begin and end with a letter, a digit or an underscore, so that other words on the line belong to no name; of
``...timestamp`` and ``...iteration_number`` that word alone. In the text before the tag: the last word.

The statistics MIN and MAX are published and choose column by column, also among times. NaN gives way to any number,
so infinities order as numbers do and NaN is kept only where nothing else was reported. LAST, MEAN and COUNT are
ours and are of the metrics; time and iteration number beside them are the last reported. LAST is what was reported
last, NaN too. MEAN leaves NaN out. COUNT counts every value, NaN too.

Different from the SDK on purpose:

- A metric keeps its whole name: the SDK reads ``train/loss`` and ``val-loss`` both as ``loss``.
- The text before a tag ends there. The SDK takes ``loss=1 Metrics - timestamp=5;``, where a progress bar stands
  in front, for one ``loss``, and the line loses its time.
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
import math
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
_SHARED = (TIMESTAMP, ITERATION)
"""What several metrics of a row have in common, one of them its pivot."""

# All for a text that ends in its last ``;``: then no search for one is in vain, and with the possessive repeats
# and the looks behind this takes time in proportion to the text, whatever a job prints. _WRITTEN is what
# `metric_line` puts behind the tag.
_WRITTEN = re.compile(rf" {TIMESTAMP}=([^;=]++); (?!\s*+=)([^;=]++)=([^;=]++);")
_ASSIGNMENT = re.compile(r"(?<![^\s;=])[^\s;=\w]*+(\w[^\s;=]*+)(?<=\w)\s*+=\s*+([^;]++);")
_ASSIGNMENT_BEFORE_TAG = re.compile(r"\b(\w++)\s*+=\s*+([^;]++);")
_SHARED_AT_END = re.compile(rf"(?<!\w)(?:{'|'.join(_SHARED)})\Z")
_NODE_TAG = re.compile(r"\[([^\]]*)\]")


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
_TAGGED = re.compile(rb"^\[([^]\n]*+)\]" + _PLAIN.pattern.replace(b"(?<=^Metrics - )", b""), re.MULTILINE)
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
        self._table = _Table(_PIVOTS[metric_type], _RULES[statistic])

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
        nodes: its node, if all of the lines have one; else nothing.
    """

    fixed: Mapping[str, Sequence[float | None]]
    names: Sequence[str]
    values: Sequence[float]
    nodes: Sequence[str] = ()


_Merge = Callable[[Iterable[list[Any]], Iterable[int], Iterable[Any]], None]
"""Puts each value, unless it is None, into the cell of its column and row; one of the three may be endless."""


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """What becomes of several values for one cell.

    Attributes:
        metrics: merges the values of metrics.
        shared: merges times and iteration numbers.
        finish: makes of what ``metrics`` left in a cell what the table shows.
    """

    metrics: _Merge
    shared: _Merge
    finish: Callable[[Any], float | None] | None = None


class _Several:
    """More than one value of a cell: how many, and the sum and the number of those that are not NaN."""

    def __init__(self, first: float) -> None:
        self.count = self.numbers = 0
        self.total = -0.0  # the zero that adds nothing, not even a sign
        self.add(first)

    def add(self, value: float) -> None:
        self.count += 1
        if value == value:
            self.numbers += 1
            self.total += value


def _keep(beats: Callable[[Any, Any], bool]) -> _Merge:
    """Return the merge that keeps one value: a new one when it beats the one there, or when that is NaN."""

    def merge(columns: Iterable[list[Any]], rows: Iterable[int], values: Iterable[Any]) -> None:
        for column, row, value in zip(columns, rows, values, strict=False):
            kept = column[row]
            if kept is None:
                column[row] = value
                continue
            if value != kept and value is not None and (beats(value, kept) or kept != kept):
                column[row] = value

    return merge


def _replace(columns: Iterable[list[Any]], rows: Iterable[int], values: Iterable[Any]) -> None:
    """Merge by keeping the value that comes last."""
    for column, row, value in zip(columns, rows, values, strict=False):
        if value is not None:
            column[row] = value


def _gather(columns: Iterable[list[Any]], rows: Iterable[int], values: Iterable[Any]) -> None:
    """Merge by counting and adding up; a cell with one value holds just that."""
    for column, row, value in zip(columns, rows, values, strict=False):
        kept = column[row]
        if kept is None:
            column[row] = value
            continue
        if not isinstance(kept, _Several):
            kept = column[row] = _Several(kept)
        kept.add(value)


def _mean(cell: float | _Several | None) -> float | None:
    if not isinstance(cell, _Several):
        return cell
    return cell.total / cell.numbers if cell.numbers else math.nan


def _count(cell: float | _Several | None) -> float | None:
    if cell is None:
        return None
    return float(cell.count) if isinstance(cell, _Several) else 1.0


_least, _greatest = _keep(operator.lt), _keep(operator.gt)
_RULES = {
    MetricStatistic.MIN: _Rule(metrics=_least, shared=_least),
    MetricStatistic.MAX: _Rule(metrics=_greatest, shared=_greatest),
    MetricStatistic.LAST: _Rule(metrics=_replace, shared=_replace),
    MetricStatistic.MEAN: _Rule(metrics=_gather, shared=_replace, finish=_mean),
    MetricStatistic.COUNT: _Rule(metrics=_gather, shared=_replace, finish=_count),
}


class _Table:
    """Rows by pivot and node, columns by name, both in the order of their first occurrence."""

    def __init__(self, pivot: str, rule: _Rule) -> None:
        self._pivot = pivot
        self._rule = rule
        self._rows = _Rows()
        # Those of pivot and node stay empty, for the keys of the rows have them. Others may be shorter than
        # the table: what is missing at the end is None.
        self._columns: dict[str, list[Any]] = {}

    def columns(self) -> dict[str, list[Any]]:
        keys = self._rows.keys()
        table = {name: self._finished(name) for name in self._columns}
        table = {name: column + [None] * (len(keys) - len(column)) for name, column in table.items()}
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
        columns, merge, merge_shared = self._columns.__getitem__, self._rule.metrics, self._rule.shared
        for row, line in zip(rows, lines, strict=True):
            if merge_shared is not merge:
                shared = {name: line.pop(name) for name in _SHARED if name in line}
                merge_shared(map(columns, shared), itertools.repeat(row), shared.values())
            merge(map(columns, line), itertools.repeat(row), line.values())

    def add_batch(self, batch: _Batch) -> None:
        """Add plain lines; several times as fast as one by one."""
        if self._pivot == ITERATION:
            batch = _with_iteration(batch)
        if not batch.names:
            return
        pivots: Sequence[Any] = batch.fixed[self._pivot]
        rows = self._rows.number(list(zip(pivots, batch.nodes, strict=True)) if batch.nodes else pivots)
        self._open(_column_order(batch))
        for name, values in batch.fixed.items():
            if name != self._pivot:
                self._put(name, rows, values)
        self._put_named(batch, rows)

    def _finished(self, name: str) -> list[Any]:
        column = self._columns[name]
        return list(map(self._rule.finish, column)) if self._rule.finish and name not in _SHARED else column

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
            self._rule.metrics(map(self._columns.__getitem__, names), rows, values)

    def _put(self, name: str, rows: Sequence[int], values: Sequence[float | None]) -> None:
        column = self._columns[name]
        cells = _as_slice(rows)
        if cells is not None and column[cells] == [None] * len(rows):
            column[cells] = values
        else:
            merge = self._rule.shared if name in _SHARED else self._rule.metrics
            merge(itertools.repeat(column), rows, values)


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
    pattern = _TAGGED if block.startswith(b"[") else _PLAIN
    parts = pattern.split(block)  # what lies between plain lines, then the groups of one, and so on
    between, *tags, times, names, values, iterations = (
        parts[at :: pattern.groups + 1] for at in range(pattern.groups + 1)
    )
    rest = b"".join(between)
    if _TAG in rest or rest.count(b"\n") + len(times) != block.count(b"\n"):
        return None
    try:
        return _Batch(
            fixed=_fixed(times, iterations),
            names=_texts(names, _column_name),
            values=list(map(float, values)),
            nodes=_texts(tags[0], _decoded) if tags else (),
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


def _texts(data: Sequence[bytes], text_of: Callable[[bytes], str]) -> list[str]:
    """Return the text of each, of which there are few different ones."""
    texts = {each: text_of(each) for each in set(data)}
    return list(map(texts.__getitem__, data))


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _column_name(name: bytes) -> str:
    """Return what stands before the ``=``; raises ValueError when that needs a closer look."""
    text = _decoded(name).strip()
    if not text or ";" in text or METRIC_TAG in text or text in (TIMESTAMP, ITERATION, _NODE):
        raise ValueError(name)
    return text


def _metric_lines(data: bytes, start: int, stop: int) -> Iterator[tuple[int, str]]:
    """Yield the metric lines, each after the offset in ``data`` at which its tag stands."""
    for line in data[start:stop].split(b"\n"):
        tag = line.find(_TAG)
        if tag >= 0:
            yield start + tag, line.decode("utf-8", "replace")
        start += len(line) + 1


def _read_line(line: str) -> dict[str, Any]:
    before, *texts = line.split(METRIC_TAG)
    metrics: dict[str, Any] = {}
    if ";" in before:
        _take_numbers(_ASSIGNMENT_BEFORE_TAG.findall(before[: before.rfind(";") + 1]), metrics)
    for text in texts:
        ended = text[: text.rfind(";") + 1]
        start = _take_written(written, metrics) if (written := _WRITTEN.match(ended)) else 0
        _take_numbers(_ASSIGNMENT.findall(ended, start), metrics)
    return metrics


def _take_written(written: re.Match[str], metrics: dict[str, Any]) -> int:
    """Take what `metric_line` wrote and return where it ends; 0, and take nothing, when its values are no numbers."""
    time, name, value = written.groups()
    try:
        metrics[TIMESTAMP], metrics[name.strip()] = float(time), float(value)
    except ValueError:
        return 0
    return written.end()


def _take_numbers(found: Iterable[tuple[str, str]], metrics: dict[str, Any]) -> None:
    for name, value in found:
        try:
            number = float(value)
        except ValueError:
            continue
        shared = _SHARED_AT_END.search(name) if name.endswith(_SHARED) else None
        metrics[shared[0] if shared else name] = number


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
        nodes=list(itertools.compress(batch.nodes, held)),
    )


def _column_order(batch: _Batch) -> Iterable[str]:
    """Return the names of the columns in the order of their first occurrence, some more than once."""
    iterations = enumerate(batch.fixed.get(ITERATION, ()))
    first = next((line for line, iteration in iterations if iteration is not None), None)
    of_first_line = [TIMESTAMP, batch.names[0], *([ITERATION] if first == 0 else []), *([_NODE] if batch.nodes else [])]
    if first is None:
        return [*of_first_line, *batch.names]
    return [*of_first_line, *batch.names[: first + 1], ITERATION, *batch.names]


def _as_slice(rows: Sequence[int]) -> slice | None:
    """Return evenly spaced rows as a slice, or None if they are not."""
    spaced = rows if isinstance(rows, range) else range(rows[0], rows[0] + len(rows))
    if spaced is not rows and rows != list(spaced):
        return None
    return slice(spaced.start, spaced.stop, spaced.step)
