"""Reading the metrics out of a long log."""

from __future__ import annotations

import gc
import importlib.util
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import qjob
from qjob.folder import JobFolder
from qjob.model.config import MetricType
from qjob.model.event import JobEvent
from qjob.model.metric_line import metric_line
from qjob.model.naming import job_id
from qjob.model.record import JobRecord, apply
from qjob.model.spec import JobSpec
from qjob.model.status import EventType
from qjob.store.store import Store
from room import fresh_home
from rounds import interleaved
from row import Row, compared, not_measured, ratio_at_least

_PARSER = "braket.jobs.metrics_data"
_BRAKET = "LogMetricsParser of amazon-braket-sdk"
_GOAL = ratio_at_least(5)


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare ``job.metrics()`` with Braket's parser on the same file."""
    lines = 100_000 if quick else 1_000_000
    with fresh_home(root) as home:
        yield _row(home, f"metrics() of {lines:,} lines by time", _by_time(lines), MetricType.TIMESTAMP)
        name = f"metrics() of {lines:,} lines by iteration, one in five not a metric"
        yield _row(home, name, _by_iteration(lines), MetricType.ITERATION_NUMBER)


def _row(home: Path, name: str, lines: list[str], kind: MetricType) -> Row:
    job, log = _job_with_log(home, lines)
    if not _has_braket():
        return not_measured(name, "amazon-braket-sdk is not installed: pip install amazon-braket-sdk", _GOAL)
    tables: dict[str, dict[str, list[Any]]] = {}

    def ours() -> float:
        started = time.monotonic()
        tables["ours"] = job.metrics(metric_type=kind)
        return len(lines) / 1000 / (time.monotonic() - started)

    def theirs() -> float:
        gc.collect()
        started = time.monotonic()
        tables["theirs"] = _parsed_by_braket(log, kind)
        return len(lines) / 1000 / (time.monotonic() - started)

    found = interleaved({_BRAKET: theirs, name: ours}, rounds=3)
    same = "the same table" if tables["ours"] == tables["theirs"] else "NOT the same table"
    return compared(name, "k lines/s", found[name], found[_BRAKET], anchor_name=_BRAKET, goal=_GOAL, note=same)


def _has_braket() -> bool:
    return importlib.util.find_spec("braket") is not None and importlib.util.find_spec(_PARSER) is not None


def _parsed_by_braket(log: Path, kind: MetricType) -> dict[str, list[Any]]:
    definitions: Any = import_module(f"{_PARSER}.definitions")
    parser = import_module(f"{_PARSER}.log_metrics_parser").LogMetricsParser()
    with log.open() as file:
        for line in file:
            parser.parse_log_message("0", line)
    table: dict[str, list[Any]] = parser.get_parsed_metrics(
        definitions.MetricType(kind.value), definitions.MetricStatistic.MAX
    )
    return table


def _by_time(count: int) -> list[str]:
    dice = random.Random(1)
    return [
        metric_line("loss", dice.random(), timestamp=1_700_000_000 + number / 100, iteration_number=number)
        for number in range(count)
    ]


def _by_iteration(count: int) -> list[str]:
    """Return lines in fives: four metrics of one iteration, and something else."""
    dice = random.Random(2)
    found = []
    for number in range(count // 5):
        found += [
            metric_line(name, dice.random(), timestamp=1_700_000_000 + number / 20, iteration_number=number)
            for name in ("energy", "gradient", "step", "shots")
        ]
        found.append(f"iteration {number} of {count // 5}: still going down")
    return found


def _job_with_log(home: Path, lines: list[str]) -> tuple[qjob.Job, Path]:
    """Put an ended job on record whose log holds the lines."""
    now = datetime.now(UTC)
    spec = JobSpec(name="scan", entry_point="scan", source_name="scan.py", source_uri="", python=sys.executable)
    record = JobRecord(id=job_id(int(now.timestamp() * 1e6), 0), spec=spec, created_at=now)
    record = apply(record, JobEvent(type=EventType.COMPLETED, time=now))
    folder = JobFolder(home / "jobs" / record.id)
    qjob.find()  # makes the home
    store = Store(home / "index.db", home / "jobs")
    store.insert(record)
    store.close()
    folder.logs.mkdir(parents=True)
    folder.log(0).write_text("\n".join(lines) + "\n")
    return qjob.get(record.id), folder.log(0)
