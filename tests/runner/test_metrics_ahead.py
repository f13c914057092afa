"""The metrics of long logs are there when somebody asks, and nothing of that can end a job."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from qjob.folder import JobFolder
from qjob.metric_file import MetricFeed
from qjob.metric_log import MetricLog
from qjob.model.config import MetricStatistic, MetricType
from qjob.model.metrics import MetricsParser
from qjob.runner.metrics_ahead import MetricsAhead

LINES = 40_000


def metric_lines(count: int = LINES) -> str:
    return "".join(
        f"Metrics - timestamp={1e9 + n}; energy={-1.1 + n * 1e-6}; iteration_number={n};\n" for n in range(count)
    )


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "job")
    folder.logs.mkdir(parents=True)
    return folder


def kept(folder: JobFolder) -> Path:
    return folder.log(0).with_suffix(".metrics")


def columns(folder: JobFolder) -> dict[str, list[float]]:
    parser = MetricsParser(MetricType.TIMESTAMP, MetricStatistic.MAX)
    for lines in MetricLog(folder, [0]).read(final=True):
        parser.add(lines)
    return parser.columns()


def test_a_log_is_parsed_when_its_job_has_ended(folder: JobFolder) -> None:
    folder.log(0).write_text(metric_lines())
    MetricsAhead(folder).finish()
    assert kept(folder).stat().st_size > 0
    found = columns(folder)
    kept(folder).unlink()
    assert found == columns(folder)
    assert len(found["energy"]) == LINES


def test_a_log_is_parsed_while_it_grows(folder: JobFolder) -> None:
    ahead = MetricsAhead(folder)
    ahead.go_on()  # there is no log yet
    folder.log(0).write_text(metric_lines())
    deadline = time.monotonic() + 20
    while not kept(folder).exists():
        assert time.monotonic() < deadline
        ahead.go_on()
    before = kept(folder).stat().st_size
    with folder.log(0).open("a") as log:
        log.write(metric_lines())
    ahead.finish()
    assert kept(folder).stat().st_size > before
    feed = MetricFeed(folder, 0)
    assert sum(1 for _ in feed.read(final=True)) > 0
    assert feed.offset == folder.log(0).stat().st_size


@pytest.mark.parametrize(
    "text",
    ["", metric_lines(100), "no metric in this line\n" * 100_000 + metric_lines(), "Metrics - x" * 300_000],
    ids=["empty", "short", "late", "endless"],
)
def test_logs_that_are_short_or_begin_otherwise_are_left_alone(folder: JobFolder, text: str) -> None:
    folder.log(0).write_text(text)
    ahead = MetricsAhead(folder)
    ahead.go_on()
    ahead.finish()
    assert not kept(folder).exists()


def test_a_log_that_cannot_be_read_is_no_failure(folder: JobFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.log(0).mkdir()
    (folder.log(0) / "file").touch()
    ahead = MetricsAhead(folder)
    folder.log(0).joinpath("file").unlink()
    ahead.finish()
    folder.log(0).rmdir()
    folder.log(0).write_text(metric_lines())
    kept(folder).mkdir()  # in the way of what is kept
    ahead.finish()
    assert len(columns(folder)["energy"]) == LINES
    assert "Error" not in capsys.readouterr().err


def test_the_runner_does_it(run: Any) -> None:
    script = f"import sys\nfor n in range({LINES}): print(f'Metrics - timestamp={{1e9 + n}}; energy={{n}};')"
    done = run(script)
    assert kept(done.folder).exists()  # the runner has ended
    assert columns(done.folder)["energy"] == list(map(float, range(LINES)))
