"""`qjob result` and `qjob download`, of jobs that have ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from qjob.model.status import JobStatus
from recorded import put_on_record, record_of

Invoke = Callable[..., Result]

VALUES = {"energy": -1.125, "theta": [1, 2], "name": "H2 ü"}


def test_a_result_is_printed(invoke: Invoke, home: Path) -> None:
    put_on_record(home, record_of(), results=VALUES)
    assert invoke("result", "vqe").stdout == "energy: -1.125\ntheta: [1, 2]\nname: H2 ü\n"
    assert json.loads(invoke("result", "vqe", "-o", "json").stdout) == VALUES


def test_a_job_without_a_result(invoke: Invoke, home: Path) -> None:
    put_on_record(home, record_of())
    result = invoke("result", "vqe")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "The job has saved no result.\n")
    assert json.loads(invoke("result", "vqe", "-o", "json").stdout) == {}


@pytest.mark.parametrize(("status", "code"), [(JobStatus.FAILED, 1), (JobStatus.CANCELLED, 130)])
def test_the_result_of_a_job_that_did_not_complete(invoke: Invoke, home: Path, status: JobStatus, code: int) -> None:
    put_on_record(home, record_of(status, reason="it is so"), results=VALUES, traceback="Traceback\nValueError\n")
    result = invoke("result", "vqe")
    assert (result.exit_code, result.stdout) == (code, "")
    assert "it is so" in result.stderr
    assert ("ValueError" in result.stderr) == (status is JobStatus.FAILED)


@pytest.mark.parametrize("command", ["result", "download"])
def test_a_job_that_has_not_ended_is_not_waited_for_if_not_wanted(invoke: Invoke, home: Path, command: str) -> None:
    folder = put_on_record(home, record_of(JobStatus.RUNNING))
    (folder.path / "environment.json").write_text("{}")
    result = invoke(command, "vqe", "--no-wait")
    assert result.exit_code == 124
    assert "has not ended" in result.stderr


def test_the_files_are_downloaded_as_often_as_asked(invoke: Invoke, home: Path, tmp_path: Path) -> None:
    folder = put_on_record(home, record_of(), results=VALUES)
    (folder.results / "state.npy").write_bytes(b"\x00\x01")
    target = tmp_path / "out"
    for _ in range(2):
        assert invoke("download", "vqe", "--to", str(target)).stdout == f"{target / 'vqe'}\n"
    assert (target / "vqe" / "state.npy").read_bytes() == b"\x00\x01"


def test_what_is_in_the_way_of_a_download_stays(invoke: Invoke, home: Path, tmp_path: Path) -> None:
    put_on_record(home, record_of(), results=VALUES)
    mine = tmp_path / "vqe" / "results.json"
    mine.parent.mkdir()
    mine.write_text("mine")
    result = invoke("download", "vqe", "--to", str(tmp_path))
    assert (result.exit_code, mine.read_text()) == (1, "mine")
    assert str(mine) in result.stderr


def test_what_a_failed_job_had_saved_is_downloaded(invoke: Invoke, home: Path, tmp_path: Path) -> None:
    put_on_record(home, record_of(JobStatus.FAILED, reason="it is so"), results=VALUES)
    result = invoke("download", "vqe", "--to", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, f"{tmp_path / 'vqe'}\n")
    assert (tmp_path / "vqe" / "results.json").exists()
    assert "it is so" in result.stderr
