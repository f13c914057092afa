"""Metric lines become bytes and the same lines again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from qjob.model.metric_chunk import decode, encode
from qjob.model.metric_reader import MetricLines, read_metric_lines
from test_metrics import LOG


def texts(parts: list[MetricLines]) -> str:
    """Return all there is to them, NaN and -0.0 and the order included."""
    return repr(parts).replace("()", "[]")


@settings(max_examples=200, deadline=None)
@given(log=LOG)
def test_lines_become_bytes_and_the_same_lines_again(log: bytes) -> None:
    parts = list(read_metric_lines(log, float))
    assert texts(list(decode(encode(parts)))) == texts(parts)


def test_each_nan_is_one_of_its_own() -> None:
    """As rows are told apart by their pivots, and NaN equals nothing but itself."""
    [lines] = decode(encode([[{"timestamp": float("nan"), "x": 1.0}, {"timestamp": float("nan"), "x": 2.0}]]))
    assert isinstance(lines, list)
    assert lines[0]["timestamp"] is not lines[1]["timestamp"]


@pytest.mark.parametrize("data", [b"x", b"\n", b"{}\n", b'{"lines": 2, "iterations": true}\n' + bytes(40), b"[]\n"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        list(decode(data))
