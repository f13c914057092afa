"""Handles of jobs and sweeps in other processes, to which Python takes them by pickle."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import qjob
from qjob.braket import LocalQuantumJob
from qjob.sweep_handle import Sweep

SCRIPT = """
from qjob.runtime import get_hyperparameters, save_job_result
save_job_result({"twice": 2 * int(get_hyperparameters().get("n", 21))})
"""


@pytest.fixture
def script(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script, and a state directory that other processes find by their environment, as a user's do."""
    monkeypatch.setenv("QJOB_HOME", str(home))
    monkeypatch.setenv("QJOB_IDLE_S", "5")
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def test_handles_go_to_other_processes(script: Path) -> None:
    job = qjob.submit(script)
    sweep = qjob.sweep(script, {"n": [1, 2]})
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(qjob.Job.result, job).result() == {"twice": 42}
        assert list(pool.map(qjob.Job.result, sweep)) == [{"twice": 2}, {"twice": 4}]
        assert pool.submit(Sweep.counts, sweep).result() == {"COMPLETED": 2}


def test_a_handle_comes_back_as_what_it_was(script: Path) -> None:
    job = LocalQuantumJob(qjob.submit(script).arn)
    again = pickle.loads(pickle.dumps(job))
    assert (type(again), again) == (LocalQuantumJob, job)
    sweep = qjob.sweep(script, {"n": [1]})
    assert pickle.loads(pickle.dumps(sweep)) == sweep
    sweep.wait()


def test_another_state_directory_does_not_know_the_job(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = qjob.submit(script)
    job.wait()
    pickled = pickle.dumps(job)
    monkeypatch.setenv("QJOB_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(qjob.JobNotFound, match=job.id):
        pickle.loads(pickled)
