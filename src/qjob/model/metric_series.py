"""MetricSeries: one metric over time in as few points as a plot has room for, none of its peaks lost.

The values of a metric, in the order in which they were reported, are put into buckets of neighbours, and of each
bucket are kept where it begins, its least and its greatest value, and its last. Beside parsed metric lines lies a
summary of them in up to 12 buckets for some three thousand lines, of which a series is made without reading the lines.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from qjob.model.metric_line import ITERATION, TIMESTAMP
from qjob.model.metric_reader import NODE, SHARED, MetricLines, MixedLines, PlainLines

_BUCKETS = 12
_FEW_BUCKETS = 4
_MANY_METRICS = 32


class Bucket(NamedTuple):
    """Neighbouring values of one metric.

    Attributes:
        time: of the first of them, in seconds since 1970.
        iteration: of the first of them; NaN where it has none.
        low: the least finite value; NaN when there is none.
        high: the greatest.
        last: the last value, finite or not.
        size: how many values these are.
        not_finite: how many of them are NaN or infinite.
    """

    time: float
    iteration: float
    low: float
    high: float
    last: float
    size: float
    not_finite: float


_BUCKET = struct.Struct("<7d")
Key = tuple[str, str | None]
"""A metric's name, and the node that reports it where there is one."""
Summary = dict[Key, list[Bucket]]


@dataclass(frozen=True, kw_only=True)
class MetricSeries:
    """One metric in few points; what stands in the columns at one place is one bucket of neighbouring values.

    Attributes:
        name: the metric's.
        node: the node that reports it; None where it has none.
        over: what ``x`` is: ``iteration_number``, or ``timestamp`` where some bucket begins without an iteration.
        x: where each bucket begins.
        low: its least finite value; NaN when there is none.
        high: its greatest.
        last: its last value.
        size: how many values were reported in all.
        not_finite: how many of them are NaN or infinite.
    """

    name: str
    node: str | None
    over: str
    x: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    last: tuple[float, ...]
    size: int
    not_finite: int


def series_of(key: Key, buckets: Sequence[Bucket], points: int) -> MetricSeries:
    """Return a metric's series of at most so many points, from all its buckets in the order of the log."""
    few = thinned(buckets, points)
    over = TIMESTAMP if any(math.isnan(bucket.iteration) for bucket in few) else ITERATION
    return MetricSeries(
        name=key[0],
        node=key[1],
        over=over,
        x=tuple(bucket.time if over == TIMESTAMP else bucket.iteration for bucket in few),
        low=tuple(bucket.low for bucket in few),
        high=tuple(bucket.high for bucket in few),
        last=tuple(bucket.last for bucket in few),
        size=int(sum(bucket.size for bucket in buckets)),
        not_finite=int(sum(bucket.not_finite for bucket in buckets)),
    )


def thinned(buckets: Sequence[Bucket], points: int) -> Sequence[Bucket]:
    """Return buckets as at most so many, each of as many neighbours as the others but for the last."""
    size = -(-len(buckets) // points)
    if size <= 1:
        return buckets
    return [_joined(buckets[at : at + size]) for at in range(0, len(buckets), size)]


def buckets_of(xs: Sequence[float], values: Sequence[float], most: int) -> list[Bucket]:
    """Return values as at most so many buckets of neighbours; what they are over stands for the time."""
    return _buckets(_Values(xs, [math.nan] * len(xs), values), most)


def buckets_of_metric(lines: MetricLines, name: str, share: float) -> Summary:
    """Return one metric in buckets of which there are a share of its values: as many as these when it is 1."""
    found = {key: values for key, values in _values_by_key(lines).items() if key[0] == name}
    return {key: _buckets(values, math.ceil(share * len(values.values))) for key, values in found.items()}


def summary_of(lines: MetricLines) -> Summary:
    """Return a few buckets for each metric."""
    found = _values_by_key(lines)
    most = _BUCKETS if len(found) <= _MANY_METRICS else _FEW_BUCKETS
    return {key: _buckets(values, most) for key, values in found.items()}


def encode_summaries(summaries: Iterable[Summary]) -> bytes:
    """Return summaries that follow each other, as one, in bytes.

    For each metric a line of JSON, and behind it 7 little-endian doubles for each bucket.
    """
    return b"".join(_section(key, buckets) for summary in summaries for key, buckets in summary.items())


def decode_summary(data: bytes) -> Summary:
    """Return the summary that `encode_summaries` made bytes of; raises ValueError, KeyError or TypeError for others."""
    found: Summary = {}
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        header = json.loads(data[at:end])
        at = end + 1 + header["buckets"] * _BUCKET.size
        body = memoryview(data)[end + 1 : at]
        if len(body) % _BUCKET.size:
            raise ValueError("a summary was cut")
        found.setdefault((header["name"], header["node"]), []).extend(map(Bucket._make, _BUCKET.iter_unpack(body)))
    return found


def _section(key: Key, buckets: Sequence[Bucket]) -> bytes:
    header = {"name": key[0], "node": key[1], "buckets": len(buckets)}
    return json.dumps(header).encode() + b"\n" + b"".join(_BUCKET.pack(*bucket) for bucket in buckets)


class _Values(NamedTuple):
    """The values of one metric, and when they were reported."""

    times: Sequence[float]
    iterations: Sequence[float]
    values: Sequence[float]


def _values_by_key(lines: MetricLines) -> dict[Key, _Values]:
    if not isinstance(lines, PlainLines):
        return _gathered(_mixed_values(lines))
    times: Sequence[Any] = lines.fixed[TIMESTAMP]
    iterations: Sequence[Any] = lines.fixed.get(ITERATION) or [math.nan] * len(times)
    if lines.without_iteration:
        iterations = [math.nan if each is None else each for each in iterations]
    if lines.turns and not lines.nodes:
        columns, period = (times, iterations, lines.values), len(lines.turns)
        return {
            (name, None): _Values(*(column[at::period] if period > 1 else column for column in columns))
            for at, name in enumerate(lines.turns)
        }
    nodes: Sequence[str | None] = lines.nodes or [None] * len(times)
    keys = zip(lines.names, nodes, strict=True)
    return _gathered(zip(keys, times, iterations, lines.values, strict=True))


def _mixed_values(lines: MixedLines) -> Iterator[tuple[Key, float, float, float]]:
    for line in lines:
        node = line.get(NODE)
        for name, value in line.items():
            if name not in SHARED and isinstance(value, float):
                key = (name, node if isinstance(node, str) else None)
                yield key, line[TIMESTAMP], line.get(ITERATION, math.nan), value


def _gathered(found: Iterable[tuple[Key, float, float, float]]) -> dict[Key, _Values]:
    columns: dict[Key, tuple[list[float], list[float], list[float]]] = {}
    for key, time, iteration, value in found:
        kept = columns.get(key)
        if kept is None:
            kept = columns[key] = ([], [], [])
        kept[0].append(time)
        kept[1].append(iteration)
        kept[2].append(value)
    return {key: _Values(*kept) for key, kept in columns.items()}


def _buckets(values: _Values, most: int) -> list[Bucket]:
    count = len(values.values)
    size = -(-count // most)
    return [
        _bucket_of(values.times[at], values.iterations[at], values.values[at : at + size])
        for at in range(0, count, size)
    ]


def _bucket_of(time: float, iteration: float, values: Sequence[float]) -> Bucket:
    finite = values if math.isfinite(sum(values)) else list(filter(math.isfinite, values))
    low, high = (min(finite), max(finite)) if finite else (math.nan, math.nan)
    return Bucket(time, iteration, low, high, values[-1], len(values), len(values) - len(finite))


def _joined(buckets: Sequence[Bucket]) -> Bucket:
    lows = [bucket.low for bucket in buckets if bucket.size > bucket.not_finite]
    highs = [bucket.high for bucket in buckets if bucket.size > bucket.not_finite]
    return Bucket(
        buckets[0].time,
        buckets[0].iteration,
        min(lows, default=math.nan),
        max(highs, default=math.nan),
        buckets[-1].last,
        sum(bucket.size for bucket in buckets),
        sum(bucket.not_finite for bucket in buckets),
    )
