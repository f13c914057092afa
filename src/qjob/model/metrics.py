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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qjob.model.config import MetricStatistic, MetricType
from qjob.model.metric_line import ITERATION, TIMESTAMP
from qjob.model.metric_reader import NODE, SHARED, MetricLines, PlainLines, read_metric_lines

_PIVOTS = {MetricType.TIMESTAMP: TIMESTAMP, MetricType.ITERATION_NUMBER: ITERATION}

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
        """Take in the next lines of the log; see `qjob.model.metric_reader.read_metric_lines`."""
        for lines in read_metric_lines(data, time_of):
            self.add(lines)

    def add(self, lines: MetricLines) -> None:
        """Take in lines that were read before; dicts among them are used up."""
        if isinstance(lines, PlainLines):
            self._table.add_plain(lines)
        else:
            self._table.add_lines(lines)

    def columns(self) -> dict[str, list[Any]]:
        """Return the table so far: for each column a list with one value per row, None where there is none.

        Numbers are floats; a ``node_id`` that was a tag is a str. Without metrics there are no columns.
        """
        return self._table.columns()

    @property
    def cells(self) -> int:
        """How many cells the table has; each takes 32 bytes of memory."""
        return self._table.cells


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
        if NODE in table:
            table[NODE] = [key[1] if isinstance(key, tuple) else None for key in keys]
            keys = [key[0] if isinstance(key, tuple) else key for key in keys]
        return table | {self._pivot: keys} if keys else {}

    @property
    def cells(self) -> int:
        return len(self._rows) * len(self._columns)

    def add_lines(self, lines: Iterable[dict[str, Any]]) -> None:
        """Add lines of any form, each as its metrics by name; the dicts are used up."""
        lines = [line for line in lines if self._pivot in line]
        names = list(itertools.chain.from_iterable(lines))
        rows = self._rows.number([_pop_key(line, self._pivot) for line in lines])
        self._open(names)
        for name in set(names) - {self._pivot, NODE}:
            self._fill(self._columns[name])
        columns, merge, merge_shared = self._columns.__getitem__, self._rule.metrics, self._rule.shared
        for row, line in zip(rows, lines, strict=True):
            if merge_shared is not merge:
                shared = {name: line.pop(name) for name in SHARED if name in line}
                merge_shared(map(columns, shared), itertools.repeat(row), shared.values())
            merge(map(columns, line), itertools.repeat(row), line.values())

    def add_plain(self, plain: PlainLines) -> None:
        """Add plain lines; several times as fast as one by one."""
        if self._pivot == ITERATION:
            plain = _with_iteration(plain)
        if not plain.names:
            return
        start, stop = _turns_of_one_row(plain, self._pivot)
        self._add_part(_cut(plain, 0, start))
        self._add_turns(_cut(plain, start, stop))
        self._add_part(_cut(plain, stop, len(plain.names)))

    def _add_part(self, plain: PlainLines) -> None:
        if not plain.names:
            return
        pivots: Sequence[Any] = plain.fixed[self._pivot]
        self._add_rows(plain, self._rows.number(list(zip(pivots, plain.nodes, strict=True)) if plain.nodes else pivots))

    def _add_rows(self, plain: PlainLines, rows: Sequence[int]) -> None:
        self._open(_column_order(plain))
        for name, values in plain.fixed.items():
            if name != self._pivot:
                self._put(name, rows, values)
        self._put_named(plain, rows)

    def _add_turns(self, plain: PlainLines) -> None:
        """Add lines of which those of each turn have the same pivot, and so are of one row."""
        if not plain.names:
            return
        size = len(plain.turns)
        rows = self._rows.number(plain.fixed[self._pivot][::size])
        if not isinstance(rows, range) and len(set(rows)) < len(rows):  # a row is met again: its lines keep their order
            self._add_rows(plain, [row for row in rows for _ in range(size)])
            return
        self._open(_column_order(plain))
        for name, values in plain.fixed.items():
            if name != self._pivot:
                for turn in range(size):
                    self._put(name, rows, values[turn::size])
        for turn, name in enumerate(plain.turns):
            self._put(name, rows, plain.values[turn::size])

    def _finished(self, name: str) -> list[Any]:
        column = self._columns[name]
        return list(map(self._rule.finish, column)) if self._rule.finish and name not in SHARED else column

    def _open(self, names: Iterable[str]) -> None:
        for name in dict.fromkeys(names):
            self._columns.setdefault(name, [])

    def _fill(self, column: list[Any]) -> None:
        """Make a column reach down to the last row."""
        column.extend(itertools.repeat(None, len(self._rows) - len(column)))

    def _put_named(self, plain: PlainLines, rows: Sequence[int]) -> None:
        values, period = plain.values, len(plain.turns)
        for start, name in enumerate(plain.turns):
            self._put(name, rows[start::period], values[start::period])
        if not plain.turns:
            for name in set(plain.names):
                self._fill(self._columns[name])
            self._rule.metrics(map(self._columns.__getitem__, plain.names), rows, values)

    def _put(self, name: str, rows: Sequence[int], values: Sequence[float | None]) -> None:
        column = self._columns[name]
        cells = _as_slice(rows)
        if cells is not None and cells.step == 1 and cells.start >= len(column):
            column.extend(itertools.repeat(None, cells.start - len(column)))
            column.extend(values)
            return
        self._fill(column)
        if cells is not None and column[cells] == [None] * len(rows):
            column[cells] = values
        else:
            merge = self._rule.shared if name in SHARED else self._rule.metrics
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
        if all(is_new):
            self._ascending.extend(keys)
            return range(last + 1, len(self._ascending))
        self._ascending.extend(itertools.compress(keys, is_new))
        return list(itertools.accumulate(is_new, initial=last))[1:]


def _pop_key(line: dict[str, Any], pivot: str) -> _Key:
    key: float = line.pop(pivot)
    return (key, line.pop(NODE)) if NODE in line else key


def _with_iteration(plain: PlainLines) -> PlainLines:
    """Return the lines that have an iteration."""
    held = [iteration is not None for iteration in plain.fixed.get(ITERATION, ())]
    if held and all(held):
        return plain
    return PlainLines(
        fixed={name: list(itertools.compress(values, held)) for name, values in plain.fixed.items()},
        names=list(itertools.compress(plain.names, held)),
        values=list(itertools.compress(plain.values, held)),
        nodes=list(itertools.compress(plain.nodes, held)),
    )


def _turns_of_one_row(plain: PlainLines, pivot: str) -> tuple[int, int]:
    """Return from where to where all the lines of each turn have the same pivot; the same place twice if nowhere.

    That is what a loop logs that reports several metrics in each iteration. A block may begin in the midst of one.
    """
    size, keys = len(plain.turns), plain.fixed[pivot]
    if size < 2 or plain.nodes:
        return 0, 0
    start = next((line for line in range(1, min(size, len(keys))) if keys[line] != keys[line - 1]), 0)
    stop = start + (len(keys) - start) // size * size
    first = keys[start:stop:size]
    same = all(first == keys[start + turn : stop : size] for turn in range(1, size))
    return (start, stop) if same else (0, 0)


def _cut(plain: PlainLines, start: int, stop: int) -> PlainLines:
    """Return the lines from one number to another, that are whole turns if they are more than one."""
    if (start, stop) == (0, len(plain.names)):
        return plain
    size = len(plain.turns)
    fixed = {name: values[start:stop] for name, values in plain.fixed.items()}
    return PlainLines.in_turns(
        plain.names[start : min(stop, start + size)],
        fixed={name: values for name, values in fixed.items() if any(value is not None for value in values)},
        names=plain.names[start:stop],
        values=plain.values[start:stop],
        nodes=plain.nodes[start:stop],
    )


def _column_order(plain: PlainLines) -> Iterable[str]:
    """Return the names of the columns in the order of their first occurrence, some more than once."""
    names = plain.turns or plain.names
    iterations = enumerate(plain.fixed.get(ITERATION, ()))
    first = next((line for line, iteration in iterations if iteration is not None), None)
    of_first_line = [TIMESTAMP, names[0], *([ITERATION] if first == 0 else []), *([NODE] if plain.nodes else [])]
    if first is None:
        return [*of_first_line, *names]
    return [*of_first_line, *names[: first + 1], ITERATION, *names]


def _as_slice(rows: Sequence[int]) -> slice | None:
    """Return evenly spaced rows as a slice, or None if they are not."""
    spaced = rows if isinstance(rows, range) else range(rows[0], rows[0] + len(rows))
    if spaced is not rows and rows != list(spaced):
        return None
    return slice(spaced.start, spaced.stop, spaced.step)
