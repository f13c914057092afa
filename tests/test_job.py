"""The handle of a job, over an engine that plays its jobs in memory; and the functions that give handles."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import qjob
from qjob.app import open_service
from qjob.config import Settings
from qjob.engine import Observation
from qjob.errors import InvalidInput, JobCancelled, JobFailed, JobNotFound, JobStateError
from qjob.job import Job, waiting_text
from qjob.model.config import InstanceConfig, MetricStatistic, MetricType
from qjob.model.naming import arn_of
from qjob.model.record import JobRecord, QueueInfo
from qjob.model.status import JobStatus
from qjob.service import Service
from qjob.store.store import Query
from qjob.testing import ScriptSource, make_folder, make_spec
from scene import MoodyEngine, Scene

SOON_S = 20.0


@pytest.fixture
def service(scene: Scene) -> Service:
    return scene.service()


@pytest.fixture
def submitted(scene: Scene, service: Service) -> Callable[..., Job]:
    """Submit a job of the contract; keyword arguments are fields of `JobSpec`."""
    return lambda do="finish", **fields: Job(scene.submitted(service, do, **fields).id, service=service)


Submitted = Callable[..., Job]


def play(scene: Scene, steps: int = 2) -> None:
    for _ in range(steps):
        scene.engine.step()


# What it is


def test_a_handle_is_taken_up_by_any_name_of_the_job(service: Service, submitted: Submitted) -> None:
    job = submitted(name="vqe")
    for selector in (job.id, job.arn, "vqe", job.id[:-1]):
        assert Job(selector, service=service) == job
    with pytest.raises(JobNotFound):
        Job("nothing", service=service)


def test_handles_of_one_job_are_equal(service: Service, submitted: Submitted) -> None:
    job, other = submitted(), submitted()
    again: object = Job(job.id, service=service)
    assert job == again
    assert len({job, again, other}) == 2
    assert job != other
    assert job != job.id
    assert repr(job) == f"Job({job.id!r})"


def test_a_job_says_what_it_is_called(submitted: Submitted) -> None:
    job = submitted(name="vqe")
    assert (job.name, job.arn, len(job.id)) == ("vqe", arn_of(job.id), 15)
    assert job.arn.endswith(f"job/{job.id}")


def test_the_table_for_notebooks_escapes_what_users_wrote(scene: Scene, submitted: Submitted) -> None:
    job = submitted("fail", device="local:<b>/x")
    play(scene)
    table = job._repr_html_()
    assert "<td>local:&lt;b&gt;/x</td>" in table
    assert "<td>FAILED</td>" in table
    assert "told to fail" in table


# How it stands


def test_the_state_is_that_of_now_unless_a_cached_one_will_do(scene: Scene, submitted: Submitted) -> None:
    job = submitted()
    assert job.state() == "QUEUED"
    play(scene)
    assert job.state(use_cached_value=True) == "QUEUED"
    assert job.metadata(use_cached_value=True)["status"] == "QUEUED"
    assert job.state() == "COMPLETED"
    assert job.state(use_cached_value=True) == "COMPLETED"


def test_the_first_cached_value_is_looked_up(submitted: Submitted) -> None:
    assert submitted().state(use_cached_value=True) == "QUEUED"


def test_the_place_in_the_queue_is_told(scene: Scene, submitted: Submitted) -> None:
    submitted()
    job = submitted()
    assert job.queue_position() == QueueInfo(position=2, message="its turn")
    play(scene, 3)
    assert job.queue_position() == QueueInfo()


@pytest.mark.parametrize(
    ("queue", "text"),
    [
        (QueueInfo(), ""),
        (QueueInfo(message="a free node"), "Waiting for a free node"),
        (QueueInfo(position=1), "Job queue position: 1"),
        (QueueInfo(position=2, message="2 of 2 slots are taken"), "Job queue position: 2 (2 of 2 slots are taken)"),
    ],
)
def test_what_a_job_waits_for_is_a_sentence(queue: QueueInfo, text: str) -> None:
    assert waiting_text(queue) == text


# Waiting and results


def test_wait_returns_the_state(scene: Scene, submitted: Submitted) -> None:
    job = submitted("fail")
    with pytest.raises(TimeoutError):
        job.wait(timeout_s=0)
    play(scene)
    assert job.wait() == "FAILED"


def test_result_waits_for_the_end(scene: Scene, submitted: Submitted) -> None:
    job = submitted()
    with pytest.raises(TimeoutError, match=r"timed out after 0 seconds"):
        job.result(poll_timeout_seconds=0)
    thread = threading.Thread(target=play, args=(scene,))
    thread.start()
    assert job.result(poll_timeout_seconds=SOON_S) == {}
    thread.join()


@pytest.mark.parametrize(("do", "error"), [("fail", JobFailed), ("cancel", JobCancelled)])
def test_a_job_that_did_not_complete_has_no_result(
    scene: Scene, submitted: Submitted, do: str, error: type[RuntimeError]
) -> None:
    job = submitted("sleep" if do == "cancel" else do)
    if do == "cancel":
        assert job.cancel() == "CANCELLED"
        with pytest.raises(JobStateError, match="CANCELLED"):
            job.cancel()
    play(scene)
    with pytest.raises(error):
        job.result()
    assert issubclass(error, RuntimeError)


def test_results_are_put_where_they_are_wanted(
    scene: Scene, submitted: Submitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(name="vqe")
    with pytest.raises(TimeoutError):
        job.download_result(str(tmp_path / "out"), poll_timeout_seconds=0)
    play(scene)
    job.download_result(str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out" / "vqe") == ["done"]
    # The published default is the working directory, which only the process itself has.
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    job.download_result()
    assert os.listdir("vqe") == ["done"]
    assert os.listdir(".") == ["vqe"]


# Logs and metrics


def test_the_log_is_printed(
    scene: Scene, service: Service, submitted: Submitted, capfd: pytest.CaptureFixture[str]
) -> None:
    job = submitted(instance_config=InstanceConfig(instanceCount=2))
    job.logs()
    play(scene, 1)
    service.folder(job.id).log(1).write_bytes(b"no end")
    job.logs()
    assert capfd.readouterr().out == "hello\nno end"
    play(scene, 1)
    job.logs(wait=True)
    assert capfd.readouterr().out == "hello\nno end"


class GoesOn(MoodyEngine):
    """An engine whose jobs take a step whenever they were looked at."""

    def observe(self, refs: Sequence[str]) -> dict[str, Observation]:
        seen = super().observe(refs)
        self.step()
        return seen


def test_following_says_what_the_job_waits_for_and_raises_when_it_failed(
    scene: Scene, submitted: Submitted, capfd: pytest.CaptureFixture[str]
) -> None:
    scene.engine = GoesOn(scene.clock)
    for _ in range(5):
        submitted()
    job = submitted("fail")
    with pytest.raises(RuntimeError, match="told to fail"):
        job.logs(wait=True, poll_interval_seconds=0)
    *waited, said = capfd.readouterr().out.splitlines()
    assert said == "hello"
    assert waited[-1] == "Job queue position: 1 (its turn)"
    assert len(waited) == len(set(waited)) > 1


def test_following_a_cancelled_job_raises_nothing(
    scene: Scene, submitted: Submitted, capfd: pytest.CaptureFixture[str]
) -> None:
    job = submitted("sleep")
    play(scene, 1)
    job.cancel()
    job.logs(wait=True)
    assert capfd.readouterr().out == "hello\n"


def test_metrics_are_columns(scene: Scene, service: Service, submitted: Submitted) -> None:
    job = submitted()
    assert job.metrics() == {}
    play(scene, 1)
    lines = "".join(f"Metrics - timestamp=7; energy={value}; iteration_number=0;\n" for value in (1, 3, 2))
    service.folder(job.id).log(0).write_text(lines)
    assert job.metrics()["energy"] == [3.0]
    assert job.metrics(MetricType.ITERATION_NUMBER, MetricStatistic.MIN)["energy"] == [1.0]


# The functions


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Make the settings those of this process; the functions take theirs from the environment."""
    monkeypatch.setenv("QJOB_HOME", str(settings.home))
    return settings


@pytest.fixture
def on_record(home: Settings) -> dict[str, str]:
    """Three jobs that have ended, from their folders; ids by name, the oldest first."""
    ended = {"one": JobStatus.COMPLETED, "two": JobStatus.FAILED, "three": JobStatus.COMPLETED}
    ids = {}
    for name in ended:
        spec = make_spec(name=name, tags={"parity": "odd" if name != "two" else "even"})
        ids[name] = make_folder(home.jobs, spec, ScriptSource()).id
    service = open_service(home)
    for name, status in ended.items():
        folder = service.folder(ids[name])
        now = datetime.now(UTC)
        folder.write_record(replace(folder.read_record(), status=status, ended_at=now, failure_reason="why"))
    service.reindex()
    assert len(service.find(Query())) == 3
    return ids


def names(jobs: list[Job]) -> list[str]:
    return [job.name for job in jobs]


def test_jobs_are_found_by_what_is_asked(on_record: dict[str, str]) -> None:
    assert names(qjob.find()) == ["three", "two", "one"]
    assert names(qjob.find(status="COMPLETED")) == ["three", "one"]
    assert names(qjob.find(status=["FAILED", JobStatus.RUNNING])) == ["two"]
    assert names(qjob.find(status=[])) == ["three", "two", "one"]
    assert names(qjob.find(name="one")) == ["one"]
    assert names(qjob.find(tags={"parity": "odd"}, limit=1)) == ["three"]
    assert names(qjob.find(device="local:none/none", limit=2)) == ["three", "two"]
    assert names(qjob.find(created_after=datetime.now(UTC) + timedelta(days=1))) == []
    assert names(qjob.find(created_after=datetime.now(UTC) - timedelta(days=1), status="FAILED")) == ["two"]


def test_a_job_that_is_deleted_meanwhile_is_left_out(
    on_record: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = Service.find

    def find_and_lose_one(service: Service, query: Query) -> list[JobRecord]:
        found = find(service, query)
        service.delete(on_record["one"])
        return found

    monkeypatch.setattr(Service, "find", find_and_lose_one)
    assert names(qjob.find()) == ["three", "two"]


def test_a_question_that_makes_no_sense_is_refused(home: Settings) -> None:
    with pytest.raises(InvalidInput, match="status 'DONE': there are QUEUED, RUNNING, COMPLETED"):
        qjob.find(status=["FAILED", "DONE"])
    with pytest.raises(InvalidInput, match="a time with its zone is expected"):
        qjob.find(created_after=datetime(2026, 1, 1))


def test_a_job_is_given_by_name_and_removed_once(on_record: dict[str, str], home: Settings) -> None:
    job = qjob.get("one")
    assert job.id == on_record["one"]
    qjob.delete(job)
    with pytest.raises(JobNotFound):
        qjob.get("one")
    with pytest.raises(JobNotFound):
        qjob.delete(job)
    qjob.delete("two")
    assert os.listdir(home.jobs) == [on_record["three"]]


def test_what_cannot_be_submitted_is_not(home: Settings, tmp_path: Path) -> None:
    script = tmp_path / "vqe.py"
    script.write_text("")
    with pytest.raises(InvalidInput) as refusal:
        qjob.submit(script, name="-", engine="", hyperparameters={"": 1})
    assert len(refusal.value.problems) == 3
    with pytest.raises(InvalidInput, match="engine 'nope': there are local, ray, slurm"):
        qjob.submit(script, engine="nope")
    with pytest.raises(JobNotFound):
        qjob.submit(script, copy_checkpoints_from_job="no-such")
    assert os.listdir(home.jobs) == []
