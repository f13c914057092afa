"""The metrics of a job, however often they are asked for, and by whom: always what its logs say now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qjob.errors import InvalidInput
from qjob.folder import JobFolder
from qjob.metric_log import MetricLog, MetricMemory
from qjob.model.config import InstanceConfig, MetricStatistic, MetricType
from qjob.model.metric_line import metric_line
from qjob.model.metrics import MetricsParser
from qjob.model.status import JobStatus
from qjob.service import Service
from recorded import put_on_record, record_of, write_log
from test_metrics import reference

QUESTION = ("job", MetricType.TIMESTAMP, MetricStatistic.MAX)


def lines(first: int, last: int, name: str = "loss") -> bytes:
    found = (
        metric_line(name, each % 97 / 8, timestamp=1e9 + each, iteration_number=each) for each in range(first, last)
    )
    return "".join(line + "\n" for line in found).encode()


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    made = JobFolder(tmp_path)
    made.logs.mkdir()
    return made


def truth(log: bytes) -> dict[str, list[Any]]:
    return reference(log, MetricType.TIMESTAMP, MetricStatistic.MAX)


def table_of(folder: JobFolder) -> tuple[MetricLog, MetricsParser]:
    log, parser = MetricLog(folder, [0]), MetricsParser()
    for each in log.read(final=False):
        parser.add(each)
    return log, parser


# What the service answers


@pytest.mark.parametrize("instances", [1, 2])
def test_a_running_job_s_metrics_grow_and_an_old_answer_stays_as_it_was(
    service: Service, home: Path, instances: int
) -> None:
    config = InstanceConfig(instanceCount=instances)
    folder = put_on_record(home, record_of(JobStatus.RUNNING, instance_config=config))
    whole, tables = b"", []
    for step in range(3):
        whole += lines(step * 10, step * 10 + 10)
        write_log(folder, whole)
        tables.append(service.metrics(folder.id))
        assert tables[-1]["loss"] == truth(whole)["loss"]
    assert [len(table["loss"]) for table in tables] == [10, 20, 30]
    tables[-1]["loss"].clear()
    assert service.metrics(folder.id)["loss"] == truth(whole)["loss"]


def test_each_question_has_its_own_answer(service: Service, home: Path) -> None:
    folder = put_on_record(home, record_of(), log=lines(0, 9) + lines(0, 5) + b"Metrics - x=1;\n")
    log = folder.log(0).read_bytes()
    for _ in range(2):
        for kind in MetricType:
            for statistic in MetricStatistic:
                found = service.metrics(folder.id, kind, statistic)
                expected = reference(log, kind, statistic)
                if kind is MetricType.TIMESTAMP:  # when the last line came, the reference does not know
                    for table in (found, expected):
                        table["timestamp"].pop()
                assert found == expected


def test_a_log_that_was_changed_is_read_anew(service: Service, home: Path) -> None:
    folder = put_on_record(home, record_of(), log=lines(0, 10))
    service.metrics(folder.id)
    for log in (lines(0, 5), lines(5, 30), b"", lines(1, 9)):
        folder.log(0).write_bytes(log)
        assert service.metrics(folder.id) == truth(log)


def test_the_last_words_of_an_ended_job_count_once(service: Service, home: Path) -> None:
    folder = put_on_record(home, record_of(), log=lines(0, 3).removesuffix(b"\n"))
    for _ in range(2):
        assert service.metrics(folder.id, statistic=MetricStatistic.COUNT)["loss"] == [1.0, 1.0, 1.0]


# Memory


def test_a_table_is_gone_on_with_as_long_as_the_log_is_the_same(folder: JobFolder) -> None:
    folder.log(0).write_bytes(lines(0, 5))
    memory, table = MetricMemory(), table_of(folder)
    memory.put(QUESTION, *table)
    assert memory.take(QUESTION) == table
    assert memory.take(QUESTION) is None  # it is in somebody's hands
    memory.put(QUESTION, *table)
    folder.log(0).write_bytes(lines(3, 9))
    assert memory.take(QUESTION) is None


def test_the_oldest_tables_make_room(folder: JobFolder) -> None:
    folder.log(0).write_bytes(lines(0, 5))
    memory = MetricMemory(most_cells=40)
    for number in range(4):
        memory.put((f"{number}", *QUESTION[1:]), *table_of(folder))  # of 15 cells
    kept = [number for number in range(4) if memory.take((f"{number}", *QUESTION[1:]))]
    assert kept == [2, 3]


def test_a_table_that_is_too_large_is_not_remembered(folder: JobFolder) -> None:
    folder.log(0).write_bytes(lines(0, 50))
    memory = MetricMemory(most_cells=40)
    memory.put(QUESTION, *table_of(folder))
    assert memory.take(QUESTION) is None


# Series


def spiky(count: int) -> bytes:
    return lines(0, count // 2) + b"Metrics - timestamp=1; loss=1e9;\n" + lines(count // 2, count)


@pytest.mark.parametrize("count", [10, 500, 20_000])
@pytest.mark.parametrize("points", [1, 7, 500])
def test_a_series_has_few_points_and_the_spike(service: Service, home: Path, count: int, points: int) -> None:
    folder = put_on_record(home, record_of(), log=spiky(count))
    for _ in range(2):  # from the log, and from what was kept of it
        [series] = service.metric_series(folder.id, "loss", points)
        assert min(points, 40) <= max(40, len(series.x)) <= max(40, points)
        assert (series.size, max(series.high), min(series.low), series.last[-1]) == (
            count + 1,
            1e9,
            0.0,
            (count - 1) % 97 / 8,
        )
        assert series.size <= points or len(series.x) > min(points, count) // 2
    assert service.metric_series(folder.id, "other") == []


def test_each_node_has_its_series(service: Service, home: Path) -> None:
    config = InstanceConfig(instanceCount=2)
    folder = put_on_record(home, record_of(instance_config=config), log=lines(0, 3))
    write_log(folder, lines(0, 5), instance=1)
    assert [(each.node, each.size) for each in service.metric_series(folder.id, "loss")] == [("0", 3), ("1", 5)]


def test_a_series_without_points_is_refused(service: Service, home: Path) -> None:
    folder = put_on_record(home, record_of(), log=lines(0, 3))
    with pytest.raises(InvalidInput, match="points=0: a series has at least one point"):
        service.metric_series(folder.id, "loss", 0)
