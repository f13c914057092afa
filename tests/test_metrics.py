import functools
import itertools
import math
import operator
import random
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qjob.model.config import MetricStatistic, MetricType
from qjob.model.metric_line import METRIC_TAG, metric_line
from qjob.model.metrics import MetricsParser

TIMESTAMP, ITERATION = MetricType.TIMESTAMP, MetricType.ITERATION_NUMBER
MIN, MAX = MetricStatistic.MIN, MetricStatistic.MAX
START = 1.7e9
"""The moment at which the first byte of every log here came; each byte after it came a second later."""


def parsed(
    *chunks: bytes, metric_type: MetricType = TIMESTAMP, statistic: MetricStatistic = MAX
) -> dict[str, list[Any]]:
    parser = MetricsParser(metric_type, statistic)
    start = START
    for chunk in chunks:
        parser.feed(chunk, start.__add__)
        start += len(chunk)
    return parser.columns()


def reference(log: bytes, metric_type: MetricType, statistic: MetricStatistic) -> dict[str, list[Any]]:
    """Read the log as plainly as can be: what the parser must answer, whatever its shortcuts."""
    pivot = "timestamp" if metric_type is TIMESTAMP else "iteration_number"
    rows: dict[Any, dict[str, list[Any]]] = {}
    columns: dict[str, None] = {}
    for metrics in reference_lines(log):
        if pivot in metrics:
            columns |= dict.fromkeys(metrics)
            row = rows.setdefault((metrics[pivot], metrics.get("node_id")), {})
            for name, value in metrics.items():
                row.setdefault(name, []).append(value)
    keys = {name: name in (pivot, "node_id") for name in columns}
    return {
        name: [reference_choice(row.get(name), statistic, name, is_key) for row in rows.values()]
        for name, is_key in keys.items()
    }


def reference_lines(log: bytes) -> Iterable[dict[str, Any]]:
    offset = 0
    for line in log.split(b"\n"):
        text = line.decode("utf-8", "replace")
        before, *texts = text.split("Metrics -")
        found = [match.groups() for match in re.finditer(PUBLISHED, before)]
        for behind in texts:
            found += reference_assignments(behind)
        numbers = [(name, reference_number(value)) for name, value in found]
        metrics: dict[str, Any] = {name: number for name, number in numbers if number is not None}
        if b"Metrics -" in line and metrics:
            metrics.setdefault("timestamp", START + offset + line.index(b"Metrics -"))
            if node := re.match(r"\[([^\]]*)\]", text):
                metrics["node_id"] = node[1]
            yield metrics
        offset += len(line) + 1


PUBLISHED = r"(\w+)\s*=\s*([^;]+)\s*;"


def reference_assignments(text: str) -> list[tuple[str, str]]:
    written = re.match(r" timestamp=([^;=]+); ([^;=]+)=([^;=]+);", text)
    if written and written[2].strip() and None not in map(reference_number, (written[1], written[3])):
        rest = reference_assignments("." + text[written.end() :])  # which no log_metric wrote
        return [("timestamp", written[1]), (written[2].strip(), written[3]), *rest]
    return [(reference_name(text, match), match[2]) for match in re.finditer(PUBLISHED, text)]


def reference_name(text: str, match: re.Match[str]) -> str:
    """Return the SDK's name and what is in front of it, without a gap."""
    if match[1] in ("timestamp", "iteration_number"):
        return match[1]
    run = re.search(r"[^\s;=]*\Z", text[: match.end(1)])
    assert run
    return re.sub(r"\A\W+", "", run[0])


def reference_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def reference_choice(values: list[Any] | None, statistic: MetricStatistic, name: str, is_key: bool) -> Any:
    if values is None or is_key:
        return values and values[0]
    numbers = [value for value in values if not math.isnan(value)]
    if statistic is MIN or statistic is MAX:
        return (min if statistic is MIN else max)(numbers) if numbers else values[0]
    if statistic is MetricStatistic.LAST or name in ("timestamp", "iteration_number"):
        return values[-1]
    if statistic is MetricStatistic.COUNT:
        return float(len(values))
    return functools.reduce(operator.add, numbers, -0.0) / len(numbers) if numbers else math.nan


@pytest.mark.parametrize(
    ("value", "timestamp", "iteration_number", "line"),
    [
        (-1.1, 1700000000.5, 3, "Metrics - timestamp=1700000000.5; energy=-1.1; iteration_number=3;"),
        (-1.1, 1700000000.5, None, "Metrics - timestamp=1700000000.5; energy=-1.1;"),
        (2, 0, 0, "Metrics - timestamp=0; energy=2; iteration_number=0;"),
        (True, 1e20, None, "Metrics - timestamp=1e+20; energy=True;"),
        ([1.0], 1.5, None, "Metrics - timestamp=1.5; energy=[1.0];"),
    ],
)
def test_metric_line_is_the_published_one(
    value: object, timestamp: float, iteration_number: int | None, line: str
) -> None:
    written = metric_line("energy", value, timestamp=timestamp, iteration_number=iteration_number)
    assert written == line
    assert METRIC_TAG in written


@given(
    value=st.floats(allow_nan=False),
    timestamp=st.floats(allow_nan=False),
    iteration_number=st.none() | st.integers(-(2**60), 2**60),
)
def test_what_is_written_is_read_back(value: float, timestamp: float, iteration_number: int | None) -> None:
    line = metric_line("energy", value, timestamp=timestamp, iteration_number=iteration_number)
    expected = {"timestamp": [timestamp], "energy": [value]}
    if iteration_number is not None:
        expected["iteration_number"] = [float(iteration_number)]
    assert parsed(line.encode()) == expected


@pytest.mark.parametrize("log", [b"", b"\n", b"step 1\n", b"energy=1;\n", b"Metrics - \n", b"Metrics - x=y;\n"])
@pytest.mark.parametrize("metric_type", MetricType)
def test_a_log_without_metrics_has_no_columns(log: bytes, metric_type: MetricType) -> None:
    assert parsed(log, metric_type=metric_type) == {}


@pytest.mark.parametrize(
    ("text", "metrics"),
    [
        ("x=1_000;", {"x": 1000.0}),
        ("x=inf; y=-inf; z=1e3;", {"x": math.inf, "y": -math.inf, "z": 1000.0}),
        ("x = 2 ;", {"x": 2.0}),
        ("x=\t2\r;", {"x": 2.0}),
        ("x=\x1c2;", {"x": 2.0}),
        ("x=0x10; y=1,5; z=2 . 0; w= ; v=; ok=1;", {"ok": 1.0}),
        ("x=True; y=None; z=[1.]; w=(1+2j); ok=1;", {"ok": 1.0}),
        ("größe=1;", {"größe": 1.0}),
        ("x=1; y=2; x=3;", {"x": 3.0, "y": 2.0}),
        ("x=1; x=bad;", {"x": 1.0}),
        ("a=b=5; ok=1;", {"ok": 1.0}),
        ("a != b = 5;", {"b": 5.0}),
        ("x==5; =6; ok=1;", {"ok": 1.0}),
        ("x=1; y=2", {"x": 1.0}),
        ("x=1;y=2;z=3;", {"x": 1.0, "y": 2.0, "z": 3.0}),
    ],
)
def test_every_assignment_of_a_line_is_read(text: str, metrics: dict[str, float]) -> None:
    columns = parsed(f"Metrics - timestamp=7; {text}\n".encode())
    assert columns == {"timestamp": [7.0]} | {name: [value] for name, value in metrics.items()}
    assert list(columns) == ["timestamp", *metrics]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        # what log_metric writes
        ("Metrics - timestamp=1; loss/train=1;", ["loss/train"]),
        ("Metrics - timestamp=1; energy-x=1; iteration_number=2;", ["energy-x"]),
        ("Metrics - timestamp=1; val acc=1;", ["val acc"]),
        ("Metrics - timestamp=1; acc (%)=1;", ["acc (%)"]),
        ("Metrics - timestamp=1; <Z₀Z₁>=1;", ["<Z₀Z₁>"]),
        ("Metrics - timestamp=1; エネルギー ⚛=1;", ["エネルギー ⚛"]),
        ("Metrics - timestamp=1;  x =1;", ["x"]),
        ("Metrics - timestamp=1; train timestamp=1;", ["train timestamp"]),
        ("[1,mpirank:4]<stdout>:Metrics - timestamp=1; val acc=1;", ["val acc"]),
        ("half a line Metrics - timestamp=1; val acc=1;", ["val acc"]),
        ("Metrics - timestamp=1; a b=1; Metrics - timestamp=1; c d=1;", ["a b", "c d"]),
        (f"Metrics - timestamp=1; {'n' * 300} {'m' * 300}=1;", [f"{'n' * 300} {'m' * 300}"]),
        # what others write behind the tag
        ("Metrics - timestamp=1; a/b=1; c.d=1;", ["a/b", "c.d"]),
        ("Metrics - epoch 3: val-loss=1; timestamp=1;", ["val-loss"]),
        ("Metrics - (loss=1; timestamp=1;", ["loss"]),
        ("Metrics - rank0/timestamp=1; x=1;", ["x"]),
        ("Metrics - timestamp=1; x=1; then <y=1;", ["x", "y"]),
        ("Metrics - timestamp=1; x=1; y%=1;", ["x"]),
        ("Metrics - timestamp=1; =1; x=1;", ["x"]),
        ("Metrics - timestamp=1;   =1; x=1;", ["x"]),
        # in front of it
        ("E=1; Metrics - timestamp=1; x=1;", ["E", "x"]),
        ("a/E=1; Metrics - timestamp=1; x=1;", ["E", "x"]),
        (" 50%|##  | loss=0.5Metrics - timestamp=1; x=1;", ["x"]),
        ("Metrics - timestamp=1; loss=0.Metrics - timestamp=1; x=1;", ["x"]),
    ],
)
def test_a_metric_keeps_its_whole_name(line: str, names: Sequence[str]) -> None:
    columns = parsed(line.encode(), metric_type=TIMESTAMP)
    assert [name for name in columns if name not in ("timestamp", "iteration_number", "node_id")] == names
    assert columns["timestamp"] == [1.0]


@given(
    name=st.text(min_size=1).filter(lambda name: name.splitlines() == [name] and name.strip()),
    iteration_number=st.none() | st.just(3),
)
def test_any_name_that_is_written_is_read_back(name: str, iteration_number: int | None) -> None:
    assume(name.strip() not in ("timestamp", "iteration_number") and not {"=", ";"} & set(name))
    line = metric_line(name, 2.5, timestamp=1.0, iteration_number=iteration_number)
    assert parsed(line.encode())[name.strip()] == [2.5]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a=b", "contains '='"),
        ("a;b", "contains ';'"),
        ("a=b;c", "contains '=' and contains ';'"),
        ("Metrics - x", "contains 'Metrics -'"),
        ("a\nb", "has a line end in it"),
        ("a\r", "has a line end in it"),
        ("a\u2028b", "has a line end in it"),
        ("", "is blank"),
        (" \t", "is blank"),
    ],
)
def test_a_name_that_could_not_be_read_back_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^the metric name {re.escape(repr(name))} {re.escape(said)}, so that"):
        metric_line(name, 1, timestamp=1)


def test_a_name_may_be_anything_that_has_a_text() -> None:
    assert metric_line(3, 1, timestamp=1) == "Metrics - timestamp=1; 3=1;"  # type: ignore[arg-type]


def test_rows_and_columns_stand_in_the_order_of_their_first_occurrence() -> None:
    log = b"""Metrics - timestamp=5; b=1; iteration_number=9;
Metrics - timestamp=3; a=2;
Metrics - timestamp=4; b=3; iteration_number=8;
Metrics - timestamp=3; c=4; iteration_number=7;
"""
    columns = parsed(log)
    assert columns == {
        "timestamp": [5.0, 3.0, 4.0],
        "b": [1.0, None, 3.0],
        "iteration_number": [9.0, 7.0, 8.0],
        "a": [None, 2.0, None],
        "c": [None, 4.0, None],
    }
    assert list(columns) == ["timestamp", "b", "iteration_number", "a", "c"]


def test_lines_without_an_iteration_are_left_out_when_it_is_the_pivot() -> None:
    log = b"Metrics - timestamp=1; a=1;\nMetrics - timestamp=2; b=2; iteration_number=0;\n"
    columns = parsed(log, metric_type=ITERATION)
    assert columns == {"timestamp": [2.0], "b": [2.0], "iteration_number": [0.0]}


@pytest.mark.parametrize(("statistic", "moment", "value"), [(MIN, 1.0, -3.0), (MAX, 2.0, 4.0)])
def test_the_statistic_settles_conflicts_column_by_column(
    statistic: MetricStatistic, moment: float, value: float
) -> None:
    log = b"""Metrics - timestamp=2; x=-3; iteration_number=5;
Metrics - timestamp=1; x=4; iteration_number=5;
"""
    columns = parsed(log, metric_type=ITERATION, statistic=statistic)
    assert columns == {"timestamp": [moment], "x": [value], "iteration_number": [5.0]}


@pytest.mark.parametrize(("statistic", "values"), [(MIN, [1.0, 2.0, 3.0]), (MAX, [4.0, 5.0, 6.0])])
def test_logs_without_tags_meet_in_the_same_rows(statistic: MetricStatistic, values: list[float]) -> None:
    logs = [
        b"".join(
            b"Metrics - timestamp=1; x=%d; iteration_number=%d;\n" % pair for pair in zip(xs, range(3), strict=True)
        )
        for xs in ([1, 5, 3], [4, 2, 6])
    ]
    columns = parsed(*logs, metric_type=ITERATION, statistic=statistic)
    assert columns == {"timestamp": [1.0] * 3, "x": values, "iteration_number": [0.0, 1.0, 2.0]}


@pytest.mark.parametrize("statistic", [MIN, MAX, MetricStatistic.MEAN])
@pytest.mark.parametrize("values", list(itertools.permutations(["nan", "2", "nan"])))
def test_a_number_is_kept_rather_than_nan(statistic: MetricStatistic, values: Sequence[str]) -> None:
    log = "".join(f"Metrics - timestamp=1; x={value};\n" for value in values)
    assert parsed(log.encode(), statistic=statistic) == {"timestamp": [1.0], "x": [2.0]}


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([3.0], {"Min": 3.0, "Max": 3.0, "Last": 3.0, "Mean": 3.0, "Count": 1.0}),
        ([3.0, 1.0, 2.0], {"Min": 1.0, "Max": 3.0, "Last": 2.0, "Mean": 2.0, "Count": 3.0}),
        ([2.0, 2.0], {"Min": 2.0, "Max": 2.0, "Last": 2.0, "Mean": 2.0, "Count": 2.0}),
        ([1.0, NAN, 4.0, NAN], {"Min": 1.0, "Max": 4.0, "Last": NAN, "Mean": 2.5, "Count": 4.0}),
        ([NAN, NAN], {"Min": NAN, "Max": NAN, "Last": NAN, "Mean": NAN, "Count": 2.0}),
        ([NAN], {"Min": NAN, "Max": NAN, "Last": NAN, "Mean": NAN, "Count": 1.0}),
        ([INF, 1.0, NAN], {"Min": 1.0, "Max": INF, "Last": NAN, "Mean": INF, "Count": 3.0}),
        ([-INF, 1.0], {"Min": -INF, "Max": 1.0, "Last": 1.0, "Mean": -INF, "Count": 2.0}),
        ([-INF, NAN, INF], {"Min": -INF, "Max": INF, "Last": INF, "Mean": NAN, "Count": 3.0}),
    ],
)
@pytest.mark.parametrize("before", ["", "[n]"], ids=["plain", "tagged"])
@pytest.mark.parametrize("statistic", MetricStatistic)
def test_what_a_statistic_keeps(
    statistic: MetricStatistic, before: str, values: Sequence[float], kept: dict[str, float]
) -> None:
    log = "".join(
        f"{before}Metrics - timestamp={moment}; x={value}; iteration_number=7;\n"
        for moment, value in zip([8, 9, 6, 5], values, strict=False)
    )
    columns = parsed(log.encode(), metric_type=ITERATION, statistic=statistic)
    assert repr(columns["x"]) == repr([kept[statistic.value]])
    assert columns["iteration_number"] == [7.0]


@pytest.mark.parametrize("statistic", [MetricStatistic.LAST, MetricStatistic.MEAN, MetricStatistic.COUNT])
@pytest.mark.parametrize("before", ["", "[n]"], ids=["plain", "tagged"])
def test_beside_our_statistics_time_and_iteration_are_the_last(statistic: MetricStatistic, before: str) -> None:
    log = "".join(
        f"{before}Metrics - timestamp={moment}; x=1; iteration_number={iteration};\n"
        for moment, iteration in ((5, 1), (3, 1), (3, 4), (3, 2))
    )
    assert parsed(log.encode(), metric_type=ITERATION, statistic=statistic)["timestamp"] == [3.0, 3.0, 3.0]
    assert parsed(log.encode(), statistic=statistic)["iteration_number"] == [1.0, 2.0]


def test_a_mean_is_of_the_row_and_not_of_the_block() -> None:
    log = [f"Metrics - timestamp={n // 4}; {'ab'[n % 2]}={n};\n".encode() for n in range(12)]
    columns = parsed(*log, statistic=MetricStatistic.MEAN)
    assert columns == {"timestamp": [0.0, 1.0, 2.0], "a": [1.0, 5.0, 9.0], "b": [2.0, 6.0, 10.0]}
    assert parsed(b"".join(log), statistic=MetricStatistic.MEAN) == columns


@pytest.mark.parametrize("metric_type", MetricType)
def test_nan_as_a_pivot_is_a_row_of_its_own_each_time(metric_type: MetricType) -> None:
    log = b"".join(b"Metrics - timestamp=nan; x=%d; iteration_number=nan;\n" % x for x in range(3))
    assert parsed(log, log, metric_type=metric_type)["x"] == [0.0, 1.0, 2.0] * 2


def test_the_time_zero_is_a_time() -> None:
    assert parsed(b"Metrics - timestamp=0; x=1;\n") == {"timestamp": [0.0], "x": [1.0]}


def test_each_node_has_rows_of_its_own() -> None:
    log = b"""[1,mpirank:0,algo-1]<stdout>:Metrics - timestamp=1; x=1; iteration_number=5;
[1,mpirank:1,algo-2]<stdout>:Metrics - timestamp=1; x=2; iteration_number=5;
Metrics - timestamp=1; x=3; iteration_number=5;
[1,mpirank:0,algo-1]<stdout>:Metrics - timestamp=2; x=4; iteration_number=5;
"""
    assert parsed(log, metric_type=ITERATION) == {
        "timestamp": [2.0, 1.0, 1.0],
        "x": [4.0, 2.0, 3.0],
        "iteration_number": [5.0, 5.0, 5.0],
        "node_id": ["1,mpirank:0,algo-1", "1,mpirank:1,algo-2", None],
    }


def test_a_node_tag_takes_the_place_of_a_metric_called_node_id() -> None:
    log = b"[a]Metrics - node_id=3; timestamp=1; x=1;\nMetrics - timestamp=1; node_id=3;\n"
    columns = parsed(log)
    assert columns == {"node_id": ["a", 3.0], "timestamp": [1.0, 1.0], "x": [1.0, None]}
    assert list(columns) == ["node_id", "timestamp", "x"]


def test_a_line_without_a_time_gets_the_one_at_which_its_tag_came() -> None:
    log = b"hello\n 50%|##  |\rMetrics - x=1;\nMetrics - timestamp=bad; x=2;\nMetrics - timestamp=3; x=3;\n"
    times = [START + log.index(b"Metrics - x"), START + log.index(b"Metrics - timestamp=bad"), 3.0]
    assert parsed(log) == {"x": [1.0, 2.0, 3.0], "timestamp": times}
    assert all(type(moment) is float for moment in parsed(log)["timestamp"])


def test_times_are_asked_for_in_order_and_only_where_none_is_named() -> None:
    asked = []

    def time_of(offset: int) -> float:
        asked.append(offset)
        return 1.0

    MetricsParser().feed(b"Metrics - y=none;\nMetrics - x=1;\nMetrics - timestamp=1; x=1;\n[n]Metrics - x=1;", time_of)
    assert asked == [18, 64]


def test_times_are_floats_even_if_the_log_counts_in_whole_seconds() -> None:
    parser = MetricsParser()
    parser.feed(b"Metrics - x=1;", int)
    assert repr(parser.columns()) == "{'x': [1.0], 'timestamp': [0.0]}"


def test_times_of_lines_with_and_without_one_can_be_compared() -> None:
    log = b"Metrics - x=1; iteration_number=1;\nMetrics - timestamp=1; x=1; iteration_number=1;\n"
    for statistic, moment in ((MIN, 1.0), (MAX, START)):
        assert parsed(log, metric_type=ITERATION, statistic=statistic)["timestamp"] == [moment]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n", b"\r\r\n", b" \n", b" trailing words\n"])
def test_what_follows_the_last_value_does_no_harm(end: bytes) -> None:
    log = b"Metrics - timestamp=1; x=1; iteration_number=2;" + end
    assert parsed(log) == {"timestamp": [1.0], "x": [1.0], "iteration_number": [2.0]}


@pytest.mark.parametrize(
    ("log", "columns"),
    [
        (b"Metrics - timestamp=1; x=5\n;\n", {"timestamp": [1.0]}),
        (b"Metrics - timestamp=1\n; x=5;\n", {}),
        (b"Metrics - timestamp=\n1; x=5;\n", {}),
        (b"Metrics - timestamp=1; x\n=5;\n", {"timestamp": [1.0]}),
        (b"Metrics - timestamp=1; y\nx=5;\n", {"timestamp": [1.0]}),
        (b"Metrics - timestamp=1; x=5; iteration_number=2\n;\n", {"timestamp": [1.0], "x": [5.0]}),
    ],
)
def test_nothing_reaches_into_the_next_line(log: bytes, columns: dict[str, list[float]]) -> None:
    assert parsed(log) == columns


def test_bytes_that_are_not_utf8_are_passed_over() -> None:
    log = b"[\xff]Metrics - timestamp=1; caf\xe9=1; \xffx=2; y=\xff3; \xc3\xa9=4;\nMetrics - timestamp=2; \xffx=2;\n"
    assert parsed(log) == {
        "timestamp": [1.0, 2.0],
        "caf\ufffd": [1.0, None],
        "x": [2.0, None],
        "é": [4.0, None],
        "node_id": ["\ufffd", None],
        "\ufffdx": [None, 2.0],
    }


def test_the_table_may_be_asked_for_between_chunks_and_is_the_callers_own() -> None:
    parser = MetricsParser()
    parser.feed(b"Metrics - timestamp=1; x=1;\n", START.__add__)
    early = parser.columns()
    for column in early.values():
        column.clear()
    parser.feed(b"Metrics - timestamp=2; y=2;\n", START.__add__)
    assert parser.columns() == {"timestamp": [1.0, 2.0], "x": [1.0, None], "y": [None, 2.0]}


@pytest.mark.parametrize(
    "log",
    [
        b"Metrics - " + b"a" * 100_000,
        b"Metrics - " + b"a" * 100_000 + b";",
        b"Metrics - x=" + b" " * 100_000,
        b"Metrics - " + b"a=" * 100_000,
        b"Metrics - " + b"a=" * 100_000 + b";",
        b"Metrics - " + b"a " * 100_000 + b"=",
        b"Metrics - timestamp=1; " + b"a;" * 100_000,
        b"[" * 100_000 + b"Metrics - ",
        b"Metrics - timestamp=1" * 10_000,
        b"Metrics - timestamp=1\n" * 10_000,
        b"Metrics - timestamp=1; x\n" * 10_000,
        b"Metrics - timestamp=1; " + b"a.b " * 100_000 + b"=1;",
        b"Metrics - " + b"a." * 100_000 + b";",
        b"Metrics - " + b".a" * 100_000 + b" .=;",
        b"Metrics - " + b"." * 100_000 + b"=;",
        b"a=1;" * 100_000 + b"Metrics - ",
        b"Metrics - timestamp=1; x=1\n" * 10_000,
    ],
    ids=lambda log: log[:30],
)
def test_time_is_in_proportion_to_the_log_whatever_is_in_it(log: bytes) -> None:
    started = time.process_time()
    parsed(log)
    assert time.process_time() - started < 2  # it takes some milliseconds; minutes if it grew with the square


NAMES = st.sampled_from(
    [
        "energy",
        "energy",
        "grad_norm",
        "train.loss",
        "val acc",
        "größe",
        "node_id",
        "timestamp",
        "a ",
        "b/timestamp",
        "c<",
        " ",
    ]
)
NUMBERS = st.sampled_from(
    ["0", "-0.0", "1", "5", "5.0", "-1.25", "1e-05", "nan", "inf", "-inf", "7", "1_0", " 3", "4 "]
)
TIMES = st.sampled_from(["1700000000.123", "1700000001", "3", "0", "nan"])
ITERATIONS = st.none() | st.sampled_from(["0", "1", "2", "3", "-0", "nan"])
ENDS = st.sampled_from(["", "", "", "\r"])
BAD_NUMBERS = st.sampled_from(["None", "True", "[1.]", "1.2.3", "e", "", "-", "\x1c1", "1\x1c", "٣", "9" * 41])


@st.composite
def plain_line(draw: st.DrawFn, numbers: st.SearchStrategy[str] = NUMBERS) -> bytes:
    iteration = draw(ITERATIONS)
    line = f"Metrics - timestamp={draw(TIMES)}; {draw(NAMES)}={draw(numbers)};"
    return (line + ("" if iteration is None else f" iteration_number={iteration};") + draw(ENDS)).encode()


@st.composite
def tagged_lines(draw: st.DrawFn) -> list[bytes]:
    """What instances write that report the same metrics side by side."""
    tags = draw(st.lists(st.sampled_from([b"[0]", b"[1]", b"[]", b"[\xff]", b"[[a]"]), min_size=1, max_size=3))
    return [tag + line for line in draw(steady_lines()) for tag in tags]


@st.composite
def steady_lines(draw: st.DrawFn) -> list[bytes]:
    """What a loop writes that reports the same metrics in every iteration."""
    names = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3))
    first, count, step = draw(st.integers(0, 9)), draw(st.integers(1, 15)), draw(st.sampled_from([0, 0.25, 1]))
    return [
        metric_line(name, -iteration / 8, timestamp=first + step * line, iteration_number=iteration).encode()
        for iteration in range(first, first + count)
        for line, name in enumerate(names, start=iteration)
    ]


SCRAPS = [
    "Metrics - ",
    "Metrics -",
    "timestamp=",
    "timestamp",
    "=",
    ";",
    "; ",
    " ",
    "\r",
    "x",
    "a.b",
    "<c/",
    "iteration_number=",
]
SCRAPS += ["1", "2.5", "nan", "[", "]", "é", "\x1c", "node_id=", "y = 3 ;", "Metrics - timestamp=1; x=", "[n]"]
SCRAP_LINE = st.lists(st.sampled_from(SCRAPS), max_size=12).map(lambda scraps: "".join(scraps).encode())
TAG = st.sampled_from([b"[1,mpirank:4,algo-1]<stdout>:", b"[0]", b"[]", b"INFO ", b"E=5; ", b"\xff", b" "])
NO_METRIC = st.sampled_from([b"", b"step 1", b"x=1;", b"\xff\xfe", b"Metrics: x=1;", b"\r", b"\x00"])
STRAY = st.one_of(
    plain_line(BAD_NUMBERS), st.builds(bytes.__add__, TAG, plain_line()), SCRAP_LINE, st.binary(max_size=9)
)
GROUP = st.one_of(
    st.lists(plain_line(), max_size=12),
    st.lists(st.builds(bytes.__add__, st.sampled_from([b"[0]", b"[1]"]), plain_line()), max_size=12),
    steady_lines(),
    tagged_lines(),
    st.lists(NO_METRIC, max_size=2),
)
LOG = st.one_of(
    st.lists(GROUP, max_size=8),
    st.lists(st.one_of(GROUP, steady_lines(), st.lists(STRAY, max_size=2)), max_size=8),
).map(lambda groups: b"\n".join(itertools.chain.from_iterable(groups)))


@settings(max_examples=400, deadline=None)
@given(
    log=LOG,
    cuts=st.lists(st.integers(0, 60), max_size=3),
    metric_type=st.sampled_from(MetricType),
    statistic=st.sampled_from(MetricStatistic),
)
def test_any_log_in_any_chunks_is_read_as_the_plain_reading_does(
    log: bytes, cuts: list[int], metric_type: MetricType, statistic: MetricStatistic
) -> None:
    columns = parsed(*chunks(log, cuts), metric_type=metric_type, statistic=statistic)
    expected = reference(log, metric_type, statistic)
    assert repr(columns) == repr(expected)  # the same order, and NaN and -0.0 in the same places


@st.composite
def turns(draw: st.DrawFn) -> bytes:
    """What a loop writes that reports several metrics each time, begun and ended anywhere."""
    names, count = draw(st.sampled_from(["ab", "abc", "abcd"])), draw(st.integers(1, 5))
    iterations = st.none() | st.sampled_from(["0", "-0.0", "1", "2", "nan"])
    alike, lines = draw(st.booleans()), []
    for _ in range(count):
        time, iteration = draw(st.sampled_from(["1", "2", "3", "0", "-0.0", "nan"])), draw(iterations)
        for name in names:
            told = iteration if alike else draw(iterations)
            end = "" if told is None else f" iteration_number={told};"
            lines.append(f"Metrics - timestamp={time}; {name}={draw(NUMBERS)};{end}\n".encode())
    return b"".join(lines[draw(st.integers(0, len(names))) : len(lines) - draw(st.integers(0, len(names)))])


@settings(max_examples=300, deadline=None)
@given(
    logs=st.lists(turns(), max_size=3), metric_type=st.sampled_from(MetricType), kept=st.sampled_from(MetricStatistic)
)
def test_turns_are_read_as_the_plain_reading_does(
    logs: list[bytes], metric_type: MetricType, kept: MetricStatistic
) -> None:
    columns = parsed(*logs, metric_type=metric_type, statistic=kept)
    assert repr(columns) == repr(reference(b"".join(logs), metric_type, kept))


def test_what_is_reported_last_is_last_where_turns_meet_in_one_row() -> None:
    lines = ["a=1; iteration_number=9;", "b=1; iteration_number=2;", "a=1; iteration_number=1;", "b=1;"]
    log = "".join(f"Metrics - timestamp=1; {line}\n" for line in lines).encode()
    assert parsed(log, statistic=MetricStatistic.LAST)["iteration_number"] == [1.0]


def chunks(log: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut the log after the lines of these numbers, as far as there are such."""
    lines = re.findall(rb"[^\n]*\n|[^\n]+", log)
    edges = [0, *sorted(cuts), len(lines)]
    return [b"".join(lines[start:stop]) for start, stop in itertools.pairwise(edges)]


@pytest.mark.parametrize("stray_share", [0, 0.001, 0.02, 0.5])
@pytest.mark.parametrize("metric_type", MetricType)
@pytest.mark.parametrize("tags", [[b""], [b"[0]", b"[1]"], [b"[0]", b""]], ids=["plain", "tagged", "mixed"])
def test_a_log_of_many_blocks_is_read_as_the_plain_reading_does(
    tags: list[bytes], metric_type: MetricType, stray_share: float
) -> None:
    generator = random.Random(str(stray_share))
    log = b"".join(generator.choice(tags) + line for line in long_log(generator, stray_share))
    assert len(log) > 400_000
    assert repr(parsed(log, metric_type=metric_type)) == repr(reference(log, metric_type, MAX))


def long_log(generator: random.Random, stray_share: float) -> Iterable[bytes]:
    strays = [
        b"step %d\n",
        b"Metrics - loss=%d;\n",
        b"[%d]Metrics - timestamp=1; x=1;\n",
        b"Metrics - %d" + b" " * 150_000 + b"x=1;\n",
    ]
    for line in range(6000):
        if generator.random() < stray_share:
            yield generator.choices(strays, [1, 1, 1, 0.001])[0] % line
        name = "energy" if line % 2 else "grad_norm"
        yield (
            metric_line(name, generator.random(), timestamp=1e9 + line / 8, iteration_number=line // 2).encode() + b"\n"
        )
