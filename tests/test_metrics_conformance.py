"""Where `qjob.model.metrics` does not differ on purpose, it does what the installed Braket SDK does."""

import contextlib
import io
import logging
import math
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qjob.model.config import MetricStatistic, MetricType
from qjob.model.metric_line import METRIC_TAG, metric_line
from qjob.model.metrics import MetricsParser

sdk = pytest.importorskip("braket.jobs.metrics_data.log_metrics_parser")
definitions = pytest.importorskip("braket.jobs.metrics_data.definitions")
fetcher = pytest.importorskip("braket.jobs.metrics_data.cwl_metrics_fetcher")
sdk_metrics = pytest.importorskip("braket.jobs.metrics")

ARRIVAL = 1.6e9
PUBLISHED_STATISTICS = (MetricStatistic.MIN, MetricStatistic.MAX)
QUIET = logging.Logger("a logger that nobody reads")


def published(lines: list[str], metric_type: MetricType, statistic: MetricStatistic) -> dict[str, list[Any]]:
    """Read the lines as the SDK does for a job in the cloud, with a time that its numbers compare with."""
    parser = sdk.LogMetricsParser(QUIET)
    for line in lines:
        if fetcher.CwlMetricsFetcher._is_metrics_message(line):
            parser.parse_log_message(ARRIVAL, line)
    columns: dict[str, list[Any]] = parser.get_parsed_metrics(
        definitions.MetricType[metric_type.name], definitions.MetricStatistic[statistic.name]
    )
    return columns


def ours(lines: list[str], metric_type: MetricType, statistic: MetricStatistic) -> dict[str, list[Any]]:
    parser = MetricsParser(metric_type, statistic)
    parser.feed("\n".join(lines).encode(), lambda _: ARRIVAL)
    return parser.columns()


def test_the_words_for_pivot_and_statistic_are_the_sdks() -> None:
    assert {word.name: word.value for word in MetricType} == {w.name: w.value for w in definitions.MetricType}
    ours = {word.name: word.value for word in MetricStatistic}
    assert ours == {w.name: w.value for w in definitions.MetricStatistic} | {
        "LAST": "Last",
        "MEAN": "Mean",
        "COUNT": "Count",
    }


@given(
    name=st.text(min_size=1).filter(lambda name: name.strip() and name.splitlines() == [name]),
    value=st.floats() | st.booleans() | st.none() | st.complex_numbers(),
    timestamp=st.floats().filter(bool),  # the SDK takes 0 for "not given"
    iteration_number=st.none() | st.integers(),
)
def test_lines_are_written_alike(name: str, value: object, timestamp: float, iteration_number: int | None) -> None:
    assume(not set(name) & {"=", ";"})
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        sdk_metrics.log_metric(name, value, timestamp, iteration_number)
    line = metric_line(name, value, timestamp=timestamp, iteration_number=iteration_number)
    assert printed.getvalue() == line + "\n"


NUMBERS = st.sampled_from(["0", "-0.0", "1", "5", "5.0", "-1.25", "1e-05", "inf", "-inf", "7", "1_0", " 3", "4 "])
ODDITIES = st.sampled_from(
    ["None", "True", "[1.]", "0x10", "1,5", "2 . 0", "1.2.3", "", "-", "\x1c1", "1\x1c", "٣", "a=b"]
)
NAMES = st.sampled_from(["energy", "grad_norm", "größe", "node_id", "x ", "7", "_"])
ITERATIONS = st.none() | st.sampled_from(["0", "1", "2", "3", "-0"])
BEFORE = st.sampled_from(["", "", "", "[0]", "[]", "[1,mpirank:4,algo-1]<stdout>:", "INFO ", "E=5; ", " 50%|#  |\r"])


@st.composite
def metric_lines(draw: st.DrawFn, value: st.SearchStrategy[str] = NUMBERS) -> str:
    """Return a line much like those of log_metric."""
    iteration = draw(ITERATIONS)
    time = draw(st.sampled_from(["timestamp=1700000000.125; ", "timestamp=3; ", "timestamp=2; "]))
    line = f"{METRIC_TAG} {time}{draw(NAMES)}={draw(value)};"
    return line + ("" if iteration is None else f" iteration_number={iteration};")


# No name with anything but word characters in it, and no metric that is cut by a tag: there we differ.
SCRAPS = ["timestamp=", "iteration_number=", "node_id=", "=", ";", "; ", " ", "\r", "\t", "x", "a", "1", "\u2003"]
SCRAPS += ["25", "é", "\x1c", "y = 3 ;", "! ", " {"]
STRAYS = st.one_of(
    metric_lines(ODDITIES),
    st.builds(str.__add__, BEFORE, metric_lines()),
    st.builds("{}Metrics - {}".format, BEFORE, st.lists(st.sampled_from(SCRAPS), max_size=12).map("".join)),
    st.sampled_from(["", "step 1", "x=1;", "Metrics: x=1;"]),
)
LINES = st.lists(metric_lines(), max_size=40) | st.lists(
    st.one_of(st.lists(metric_lines(), min_size=8, max_size=12), st.lists(STRAYS, max_size=2)), max_size=6
).map(lambda groups: [line for group in groups for line in group])


@settings(max_examples=400, deadline=None)
@given(lines=LINES, metric_type=st.sampled_from(MetricType), statistic=st.sampled_from(PUBLISHED_STATISTICS))
def test_logs_are_read_alike(lines: list[str], metric_type: MetricType, statistic: MetricStatistic) -> None:
    assert repr(ours(lines, metric_type, statistic)) == repr(published(lines, metric_type, statistic))


@pytest.mark.parametrize("metric_type", MetricType)
def test_nan_is_read_alike_where_it_meets_no_number(metric_type: MetricType) -> None:
    lines = [
        metric_line("x", math.nan, timestamp=1, iteration_number=1),
        "Metrics - timestamp=nan; x=2; iteration_number=nan;",
        "Metrics - timestamp=nan; x=3; iteration_number=nan;",
    ]
    for statistic in PUBLISHED_STATISTICS:
        assert repr(ours(lines, metric_type, statistic)) == repr(published(lines, metric_type, statistic))
