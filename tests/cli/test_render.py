"""Records as text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

import strategies
from qjob.cli import render
from qjob.cli.table import plain_text
from qjob.config import Device, Settings
from qjob.model.config import InstanceConfig
from qjob.model.record import JobRecord, QueueInfo, get_job
from qjob.model.spec import InputChannel
from qjob.model.status import JobStatus
from recorded import NOW, record_of

Golden = Callable[[str, str], None]

QPU = "arn:aws:braket:us-east-1::device/qpu/ionq/Aria-1"
JOBS = [
    record_of(JobStatus.QUEUED, number=4, name="sweep-4", device=QPU, tags={"sweep": "h2", "n": "4"}),
    record_of(JobStatus.RUNNING, number=3, instance_config=InstanceConfig(instanceCount=3)),
    record_of(JobStatus.CANCELLED, number=2, reason="The job was cancelled: enough."),
    record_of(JobStatus.FAILED, number=1, name="qaoa", reason="AlgorithmError: ValueError:\nbad \x1b[31mangle"),
    record_of(JobStatus.COMPLETED),
]
BY_STATUS = {record.status: record for record in JOBS}


def test_jobs_in_a_table(golden: Golden) -> None:
    golden("ls", plain_text(render.jobs_table(JOBS, NOW)))


def test_jobs_in_a_wide_table(golden: Golden) -> None:
    golden("ls_wide", plain_text(render.wide_table(JOBS, NOW)))


def test_a_completed_job(golden: Golden) -> None:
    golden("show_completed", render.job_text(get_job(JOBS[-1], "/q/jobs/1k"), NOW))


def test_a_waiting_job(golden: Golden) -> None:
    queue = QueueInfo(position=2, message=f"device {QPU} is held by job 1k0")
    golden("show_queued", render.job_text(get_job(JOBS[0], "/q/jobs/1k", queue), NOW))


def test_a_failed_job_with_all_that_there_can_be(golden: Golden) -> None:
    record = JOBS[3]
    spec = replace(
        record.spec,
        inputs=(InputChannel(name="molecules", uri="file:///home/ada/data"),),
        tags={"sweep": "h2"},
        options={"slots": 2},
        priority=5,
        copied_from="1k0000000000000",
        git_commit="0123abc",
        left_out=(".git/", "venv/"),
    )
    record = replace(record, spec=spec, exit_codes=(1, -9, None))
    traceback = 'Traceback (most recent call last):\n  File "vqe.py", line 3, in <module>\nValueError: bad angle\n'
    golden("show_failed", render.job_text(get_job(record, "/q/jobs/1k"), NOW, traceback))


def test_the_settings(golden: Golden) -> None:
    home = Path("/home/ada/.local/share/qjob")
    settings = Settings(
        home=home,
        index=home,
        slots=4,
        devices={QPU: Device(capacity=2)},
        engines={"slurm": {"partition": "main", "poll_s": 10}, "ray": {"token": "secret"}},
        sources={
            "home": "default",
            "index": "default",
            "engine": "default",
            "slots": "environment",
            "grace_s": "flag",
            "idle_s": "default",
            "warm": "default",
            "devices": "/work/qjob.toml",
            "engines": "/work/qjob.toml",
        },
    )
    golden("config", plain_text(render.settings_table(settings)))
    assert render.settings_json(settings)["devices"] == {"value": {QPU: {"capacity": 2}}, "from": "/work/qjob.toml"}
    assert json.loads(render.json_text(render.settings_json(settings)))["home"]["value"] == str(home)


@given(strategies.records)
def test_no_record_moves_the_cursor(record: JobRecord) -> None:
    texts = [
        render.job_text(get_job(record, "/q/jobs/1k"), NOW),
        plain_text(render.jobs_table([record], NOW)),
        plain_text(render.wide_table([record], NOW)),
        render.ended_text(record),
        render.outcome_line(record),
    ]
    assert all(character.isprintable() for text in texts for character in text.replace("\n", ""))


@given(strategies.records)
def test_a_table_has_a_line_for_each_job(record: JobRecord) -> None:
    assert len(plain_text(render.wide_table([record, record], NOW)).split("\n")) == 3


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (JobStatus.COMPLETED, "COMPLETED after 1 min 24 s. Results: qjob result {id}, or qjob download {id}"),
        (JobStatus.FAILED, "FAILED after 1 min 24 s: AlgorithmError: ValueError: bad \\x1b[31mangle"),
        (JobStatus.CANCELLED, "CANCELLED after 1 min 24 s: The job was cancelled: enough."),
    ],
)
def test_how_a_job_ended(status: JobStatus, text: str) -> None:
    record = BY_STATUS[status]
    assert render.ended_text(record) == text.format(id=record.id)


def test_a_job_that_never_started_took_no_time() -> None:
    record = replace(BY_STATUS[JobStatus.CANCELLED], started_at=None)
    assert render.ended_text(record) == "CANCELLED: The job was cancelled: enough."


@pytest.mark.parametrize(
    ("queue", "text"),
    [
        (QueueInfo(), ""),
        (QueueInfo(position=2), "Waiting: position 2"),
        (QueueInfo(position=1, message="a [red] device"), "Waiting: position 1 (a [red] device)"),
    ],
)
def test_what_a_job_waits_for(queue: QueueInfo, text: str) -> None:
    assert render.waiting_text(queue) == text
    assert render.now_text(JOBS[0], queue) == (text or "QUEUED")


def test_what_was_left_out_is_counted_when_it_is_much() -> None:
    assert render.left_out_text(record_of()) == ""
    record = record_of(left_out=tuple(f"{letter}/" for letter in "abcdefg"))
    assert render.left_out_text(record) == "Left out of the source: a/, b/, c/, d/, e/ and 2 more"


def test_who_detaches_reads_how_to_come_back() -> None:
    assert "qjob logs -f 1k0" in render.detached_text("1k0")
    assert "qjob cancel 1k0" in render.detached_text("1k0")


class Array:
    """What numpy's arrays are to JSON."""

    def tolist(self) -> list[float]:
        return [1.0, math.nan]


def test_json_holds_only_what_json_can() -> None:
    data = {"a": math.nan, "b": [math.inf, 1.5], 3: Array(), "c": 1 + 2j, "d": (1, None)}
    expected = {"a": None, "b": [None, 1.5], "3": [1.0, None], "c": "(1+2j)", "d": [1, None]}
    assert json.loads(render.json_text(data), parse_constant=pytest.fail) == expected


COLUMNS: dict[str, list[Any]] = {
    "timestamp": [1774965600.25, 1774965601.0],
    "energy": [-1.125, math.nan],
    "iteration_number": [0.0, 1.0],
    "gradient": [None, 1e-07],
}


def test_metrics_in_a_table(golden: Golden) -> None:
    golden("metrics", plain_text(render.metrics_table(COLUMNS)))


def test_the_newest_rows_of_metrics() -> None:
    assert len(render.metrics_table(COLUMNS, 1).rows) == 1
    assert render.metrics_table(COLUMNS, 5) == render.metrics_table(COLUMNS)


def test_a_row_of_metrics_in_words() -> None:
    assert render.row_text(COLUMNS, 0) == "timestamp=1774965600.25 energy=-1.125 iteration_number=0"
    assert render.metric_names(COLUMNS) == ["energy", "gradient"]
