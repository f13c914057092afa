"""A series is short, and nothing that stands out is lost in it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.model.metric_line import metric_line
from qjob.model.metric_reader import read_metric_lines
from qjob.model.metric_series import (
    Bucket,
    Summary,
    buckets_of,
    buckets_of_metric,
    decode_summary,
    encode_summaries,
    series_of,
    summary_of,
    thinned,
)
from test_metrics import LOG

NAN, INF = math.nan, math.inf
NUMBERS = st.lists(st.floats() | st.sampled_from([NAN, INF, -INF]), min_size=1, max_size=60)


@given(values=NUMBERS, most=st.integers(1, 70))
def test_buckets_hold_all_values_and_their_range(values: list[float], most: int) -> None:
    buckets = buckets_of([float(x) for x in range(len(values))], values, most)
    assert len(buckets) <= most
    assert sum(bucket.size for bucket in buckets) == len(values)
    for bucket, following in zip(buckets, [*(bucket.time for bucket in buckets[1:]), len(values)], strict=True):
        mine = values[int(bucket.time) : int(following)]
        finite = [value for value in mine if math.isfinite(value)]
        assert repr(bucket.last) == repr(mine[-1])
        assert (bucket.size, bucket.not_finite) == (len(mine), len(mine) - len(finite))
        assert repr([bucket.low, bucket.high]) == repr([min(finite), max(finite)] if finite else [NAN, NAN])


@given(values=NUMBERS, most=st.integers(1, 70), points=st.integers(1, 70))
def test_thinning_in_two_steps_loses_no_peak(values: list[float], most: int, points: int) -> None:
    finite = [value for value in values if math.isfinite(value)]
    series = series_of(("e", None), buckets_of([0.0] * len(values), values, most), points)
    assert len(series.x) <= points
    assert (series.size, series.not_finite) == (len(values), len(values) - len(finite))
    assert min((x for x in series.low if not math.isnan(x)), default=None) == min(finite, default=None)
    assert max((x for x in series.high if not math.isnan(x)), default=None) == max(finite, default=None)
    assert repr(series.last[-1]) == repr(values[-1])


def test_a_series_is_over_iterations_where_all_have_one() -> None:
    buckets = [Bucket(5.0, 0.0, 1.0, 2.0, 1.5, 3, 0), Bucket(6.0, 3.0, 1.0, 2.0, 1.5, 3, 0)]
    series = series_of(("e", "n"), buckets, 9)
    assert (series.name, series.node, series.over, series.x) == ("e", "n", "iteration_number", (0.0, 3.0))
    series = series_of(("e", None), [buckets[0], buckets[1]._replace(iteration=NAN)], 9)
    assert (series.over, series.x) == ("timestamp", (5.0, 6.0))


def test_neighbours_are_joined_evenly() -> None:
    buckets = buckets_of([float(x) for x in range(10)], [float(x) for x in range(10)], 10)
    assert [(bucket.low, bucket.high) for bucket in thinned(buckets, 4)] == [(0, 2), (3, 5), (6, 8), (9, 9)]
    assert thinned(buckets, 10) is buckets


@settings(max_examples=100, deadline=None)
@given(log=LOG)
def test_a_summary_has_every_value_of_every_metric_and_becomes_bytes_and_back(log: bytes) -> None:
    parts = list(read_metric_lines(log, float))
    summaries = [summary_of(lines) for lines in parts]
    whole: Summary = {}
    for summary in summaries:
        for key, buckets in summary.items():
            whole.setdefault(key, []).extend(buckets)
    assert repr(decode_summary(encode_summaries(summaries))) == repr(
        {key: [Bucket(*map(float, bucket)) for bucket in buckets] for key, buckets in whole.items()}
    )
    for (name, node), buckets in whole.items():
        single = [bucket for lines in parts for bucket in buckets_of_metric(lines, name, 1.0).get((name, node), [])]
        assert sum(bucket.size for bucket in buckets) == len(single)
        assert sum(bucket.not_finite for bucket in buckets) == sum(bucket.not_finite for bucket in single)


def test_many_metrics_have_fewer_buckets_each() -> None:
    def buckets_with(metrics: int) -> int:
        lines = (metric_line(f"m{each % metrics}", 1, timestamp=each) for each in range(4000))
        [read] = read_metric_lines("\n".join(lines).encode(), float)
        return max(map(len, summary_of(read).values()))

    assert [buckets_with(metrics) for metrics in (1, 32, 33)] == [12, 12, 4]


@pytest.mark.parametrize("data", [b"x", b"{}\n", b'{"name": "e", "node": null, "buckets": 1}\n' + bytes(55)])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode_summary(data)
