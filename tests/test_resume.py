"""A job that goes on where an ended one stopped, and results that are read while a job runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from living import wait_until
from qjob.errors import InvalidInput, JobStateError
from qjob.job import Job
from qjob.model.config import StoppingCondition

Submit = Callable[..., Job]

COUNTER = """
import sys, time
from qjob.runtime import get_hyperparameters, load_job_checkpoint, save_job_checkpoint, save_job_result
try:
    step = load_job_checkpoint()["step"]
except FileNotFoundError:
    step = 0
for step in range(step + 1, int(get_hyperparameters()["steps"]) + 1):
    save_job_checkpoint({"step": step})
    save_job_result({"step": step})
    print("step", step, flush=True)
    if step == int(get_hyperparameters().get("stop_at", 0)):
        time.sleep(600)
"""


def test_a_cancelled_job_goes_on_where_it_stopped(submit: Submit, capsys: pytest.CaptureFixture[str]) -> None:
    job = submit(COUNTER, name="counter", hyperparameters={"steps": 3, "stop_at": 2}, tags={"a": "b"})
    wait_until(lambda: job.result(partial=True).get("step") == 2)
    with pytest.raises(JobStateError, match="it can be resumed when it has ended"):
        job.resume()
    job.cancel()
    job.wait()
    resumed = job.resume(hyperparameters={"stop_at": 0})
    assert resumed.result() == {"step": 3}
    resumed.logs()
    assert capsys.readouterr().out == "step 3\n"
    data = resumed.metadata()
    assert (data["jobName"], data["tags"], data["qjob"]["copiedFrom"]) == ("counter", {"a": "b"}, job.id)
    assert data["hyperParameters"] == {"steps": "3", "stop_at": "0"}


def test_a_resumed_job_runs_the_code_and_reads_the_data_of_the_first(submit: Submit, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    (data / "deep" / "it.txt").write_text("as it was")
    script = """
from qjob.runtime import get_input_data_dir, save_job_checkpoint, save_job_result
save_job_checkpoint({"a": 1})
save_job_result(open(get_input_data_dir("in") + "/deep/it.txt").read())
"""
    job = submit(script, input_data={"in": data})
    job.wait()
    (data / "deep" / "it.txt").write_text("changed")
    (tmp_path / "script.py").write_text("raise SystemExit(3)")
    assert job.resume(name="again").result() == {"result": "as it was"}


def test_what_the_change_of_a_resumption_may_not_be(submit: Submit) -> None:
    job = submit("from qjob.runtime import save_job_checkpoint\nsave_job_checkpoint({'a': 1})")
    job.wait()
    with pytest.raises(InvalidInput) as error:
        job.resume(name="-no", hyperparameters={"a": ""}, stopping_condition=StoppingCondition(0))
    assert len(error.value.problems) == 3
    with pytest.raises(InvalidInput, match="engine 'no-such'"):
        job.resume(engine="no-such")


@pytest.mark.parametrize("taken", ["checkpoints", "source"])
def test_without_its_checkpoints_or_code_a_job_cannot_go_on(submit: Submit, taken: str) -> None:
    job = submit("from qjob.runtime import save_job_checkpoint\nsave_job_checkpoint({'a': 1})")
    job.wait()
    folder = Path(job.metadata()["qjob"]["folder"])
    for path in (folder / taken).iterdir():
        os.unlink(path)
    with pytest.raises(InvalidInput, match="has left no checkpoints" if taken == "checkpoints" else "is missing"):
        job.resume()


def test_a_partial_result_of_a_job_that_failed(submit: Submit) -> None:
    job = submit("from qjob.runtime import save_job_result\nsave_job_result({'a': 1})\nraise ValueError")
    job.wait()
    assert job.result(partial=True) == {"a": 1}
    with pytest.raises(RuntimeError, match="ValueError"):
        job.result()
