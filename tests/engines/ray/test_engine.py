"""The engine ``ray`` against a cluster in memory; tests/live/ray has a real one."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fake_ray import FakeRay
from qjob.engine import Observation, Presence
from qjob.engines.ray.engine import RayDevice, RayEngine
from qjob.errors import EngineUnavailable, SubmitError
from qjob.folder import CancelMark, JobFolder
from qjob.model.config import InstanceConfig
from qjob.model.outcome import Outcome
from qjob.model.status import JobStatus
from qjob.testing import make_folder, make_spec, make_sweep_folders

QPU = "arn:aws:braket:::device/qpu/any/one"


@pytest.fixture
def cluster() -> FakeRay:
    return FakeRay({"CPU": 2.0}, {"CPU": 2.0, "my_qpu": 1.0})


@pytest.fixture
def engine(cluster: FakeRay, tmp_path: Path) -> RayEngine:
    return make_engine(cluster, tmp_path)


def make_engine(cluster: FakeRay, home: Path, **words: Any) -> RayEngine:
    return RayEngine(
        home / "ray",
        home / "jobs",
        runners=home / "runners",
        leases=home / "devices",
        words={"poll_s": 0, **words},
        devices={QPU: RayDevice(asks="my_qpu=1")},
        cluster=cluster,
    )


def submitted(engine: RayEngine, home: Path, **fields: Any) -> tuple[JobFolder, str]:
    spec = make_spec(engine="ray", **fields)
    folder = make_folder(home / "jobs", spec)
    return folder, engine.submit([(folder, spec)])[0]


def seen(engine: RayEngine, ref: str) -> Observation:
    return engine.observe([ref])[ref]


def cancel(engine: RayEngine, folder: JobFolder, ref: str) -> None:
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    engine.cancel([ref])


def test_what_is_submitted(engine: RayEngine, cluster: FakeRay, tmp_path: Path) -> None:
    folder, ref = submitted(engine, tmp_path, device=QPU, grace_s=2.5, python="/some/python")
    request = cluster.requests[ref]
    assert ref == f"qjob-{folder.id}"
    assert (request["entrypoint_num_cpus"], request["entrypoint_resources"]) == (1.0, {"my_qpu": 1.0})
    assert request["runtime_env"] == {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "18"}}
    words = shlex.split(request["entrypoint"])
    copy = next((tmp_path / "runners").iterdir())
    assert words[:3] == ["exec", "env", f"PYTHONPATH={copy}"]
    assert words[4:8] == ["-P", "-m", "qjob.engines.ray.begin", str(folder.path)]
    lease = tmp_path / "devices" / "arn_aws_braket_device_qpu_any_one"
    assert words[8:] == ["--watch-parent", "--lease", str(lease)]


def test_the_path_of_a_folder_may_be_nasty(cluster: FakeRay, tmp_path: Path) -> None:
    home = tmp_path / "a'; echo $HOME \"x"
    folder, ref = submitted(make_engine(cluster, home), home, instance_config=InstanceConfig(instanceCount=2))
    words = shlex.split(cluster.requests[ref]["entrypoint"])
    assert str(folder.path) in words
    launcher = shlex.split(words[words.index("--launcher") + 1])
    assert launcher[1:] == ["-P", "-m", "qjob.engines.ray.spread"]


def test_memory_is_a_whole_number_and_places_the_launcher_anywhere(
    engine: RayEngine, cluster: FakeRay, tmp_path: Path
) -> None:
    _, ref = submitted(engine, tmp_path, instance_config=InstanceConfig(instanceCount=2), options={"cpus": 2})
    request = cluster.requests[ref]
    assert (request.get("entrypoint_num_cpus"), request["entrypoint_memory"]) == (None, 1)
    assert isinstance(request["entrypoint_memory"], int)


def test_a_sweep_is_taken_by_one_call_and_waits_for_its_turns(
    engine: RayEngine, cluster: FakeRay, tmp_path: Path
) -> None:
    folders = make_sweep_folders(tmp_path / "jobs", make_spec(engine="ray"), points=20, concurrency=3)
    jobs = [(folder, folder.read_spec()) for folder in folders]
    refs = engine.submit(jobs)
    assert engine.submit(jobs) == refs == [f"qjob-{folder.id}" for folder in folders]
    assert set(cluster.requests) == set(refs)
    sweep = jobs[0][1].sweep_point
    assert sweep is not None
    slots = tmp_path / "sweeps" / sweep.sweep / "slots"
    assert all(f"--turn {slots} 3" in request["entrypoint"] for request in cluster.requests.values())


def test_what_no_node_has_is_refused(engine: RayEngine, cluster: FakeRay, tmp_path: Path) -> None:
    with pytest.raises(
        SubmitError, match=r"would never start it: no node of the cluster has tpu=1; there is my_qpu=1\."
    ):
        submitted(engine, tmp_path, options={"resources": "tpu=1"})
    assert not cluster.requests
    growing = make_engine(cluster, tmp_path, grows=True)
    assert submitted(growing, tmp_path, options={"resources": "tpu=1"})[1] in cluster.requests


def test_a_refusal_is_final_only_when_nothing_was_taken(engine: RayEngine, cluster: FakeRay, tmp_path: Path) -> None:
    cluster.refuses = "no, thanks"
    with pytest.raises(SubmitError, match="no, thanks"):
        submitted(engine, tmp_path)

    class RefusesTheSecond(FakeRay):
        def submit(self, request: Any) -> None:
            self.refuses = "no more" if self.requests else ""
            super().submit(request)

    folders = make_sweep_folders(tmp_path / "jobs", make_spec(engine="ray"), points=2)
    with pytest.raises(EngineUnavailable, match="no more"):
        make_engine(RefusesTheSecond(), tmp_path).submit([(folder, folder.read_spec()) for folder in folders])


def test_a_cluster_that_is_away_has_no_news(engine: RayEngine, cluster: FakeRay, tmp_path: Path) -> None:
    _, ref = submitted(engine, tmp_path)
    cluster.away = True
    for ask in (lambda: engine.observe([ref]), engine.describe, lambda: submitted(engine, tmp_path)):
        with pytest.raises(EngineUnavailable):
            ask()


def test_a_job_is_seen_to_wait_start_run_and_end(engine: RayEngine, cluster: FakeRay, tmp_path: Path) -> None:
    folder, ref = submitted(engine, tmp_path, options={"resources": "my_qpu=1"})
    assert seen(engine, ref) == Observation(
        presence=Presence.WAITING, message="CPU=1, my_qpu=1 (CPU: 1 of 2 free; my_qpu: 0 of 1 free)"
    )
    cluster.put(ref, "RUNNING")
    assert seen(engine, ref) == Observation(presence=Presence.WAITING, message="its runner to start")
    folder.events.touch()
    assert seen(engine, ref).presence is Presence.RUNNING
    folder.write_outcome(Outcome(status=JobStatus.COMPLETED, ended_at=datetime.now(UTC)))
    questions = cluster.questions
    assert seen(engine, ref).presence is Presence.GONE
    assert cluster.questions == questions  # the folder has said all


def test_a_point_of_a_sweep_waits_for_its_turn(engine: RayEngine, cluster: FakeRay, tmp_path: Path) -> None:
    (folder,) = make_sweep_folders(tmp_path / "jobs", make_spec(engine="ray"), points=1, concurrency=1)
    (ref,) = engine.submit([(folder, folder.read_spec())])
    cluster.put(ref, "RUNNING")
    assert seen(engine, ref).message == "its turn in the sweep"


def test_many_are_asked_for_with_one_question_for_all_processes(cluster: FakeRay, tmp_path: Path) -> None:
    engines = [make_engine(cluster, tmp_path, poll_s=60) for _ in range(3)]
    refs = [submitted(engines[0], tmp_path)[1] for _ in range(5)]
    for engine in engines:
        assert {observation.presence for observation in engine.observe(refs).values()} == {Presence.WAITING}
    assert cluster.questions == 1


def test_a_job_that_was_cancelled_while_it_waited_is_gone_whatever_ray_does(
    engine: RayEngine, cluster: FakeRay, tmp_path: Path
) -> None:
    folder, ref = submitted(engine, tmp_path)
    cancel(engine, folder, ref)
    assert cluster.stopped == [ref]
    gone = seen(engine, ref)
    assert (gone.presence, gone.certain) == (Presence.GONE, True)


def test_ray_is_not_told_to_stop_at_every_look(engine: RayEngine, cluster: FakeRay, tmp_path: Path) -> None:
    folder, ref = submitted(engine, tmp_path)
    for _ in range(5):
        cancel(engine, folder, ref)
    assert cluster.stopped == [ref]


def test_what_has_ended_is_not_stopped(engine: RayEngine, cluster: FakeRay, tmp_path: Path) -> None:
    folder, ref = submitted(engine, tmp_path)
    cluster.put(ref, "SUCCEEDED")
    cancel(engine, folder, ref)
    assert cluster.stopped == []


def test_a_job_that_never_began_is_handed_to_a_new_cluster(engine: RayEngine, cluster: FakeRay, tmp_path: Path) -> None:
    _, ref = submitted(engine, tmp_path)
    cluster.forget_all()
    cluster.requests.clear()
    assert seen(engine, ref).presence is Presence.WAITING
    assert list(cluster.requests) == [ref]


def test_a_job_that_ray_has_dropped_unstarted_is_another_submission(
    engine: RayEngine, cluster: FakeRay, tmp_path: Path
) -> None:
    folder, ref = submitted(engine, tmp_path)
    for attempt in (1, 2):
        submission = ref if attempt == 1 else f"{ref}-{attempt}"
        cluster.put(submission, "FAILED", error_type="JOB_SUPERVISOR_ACTOR_START_TIMEOUT")
        assert seen(engine, ref).presence is Presence.WAITING
        assert f"{ref}-{attempt + 1}" in cluster.requests
    cancel(engine, folder, ref)
    assert cluster.stopped == [f"{ref}-3"]


def test_a_job_waits_for_the_nodes_of_a_cluster_that_was_started_anew(cluster: FakeRay, tmp_path: Path) -> None:
    _, ref = submitted(make_engine(cluster, tmp_path), tmp_path, device=QPU)
    new = FakeRay({"CPU": 1.0})  # its head alone, at first
    waits = seen(make_engine(new, tmp_path), ref)
    assert waits.presence is Presence.WAITING
    assert "no node of the cluster has my_qpu=1" in waits.message
    assert not new.requests
    new.join({"CPU": 1.0, "my_qpu": 1.0})
    assert seen(make_engine(new, tmp_path), ref).presence is Presence.WAITING
    assert list(new.requests) == [ref]


def test_a_ref_of_no_job_is_gone(engine: RayEngine) -> None:
    assert seen(engine, "qjob-000000000000000").presence is Presence.GONE


def test_what_ray_has_no_word_for_is_refused(engine: RayEngine) -> None:
    (problem,) = engine.check(make_spec(engine="ray", priority=3))
    assert problem == "priority 3: Ray starts what there is room for, in no order; leave it out."


def test_it_says_what_the_cluster_has(engine: RayEngine) -> None:
    assert [(fact.what, fact.text, fact.well) for fact in engine.describe()] == [
        ("Ray", "2.60.0 at http://127.0.0.1:8265", True),
        ("nodes", "2", True),
        ("CPU", "1 of 2 free", True),
        ("my_qpu", "0 of 1 free", True),
    ]


def test_without_a_shared_disk_ray_knows_best(cluster: FakeRay, tmp_path: Path) -> None:
    engine = make_engine(cluster, tmp_path, shared=False)
    folder, ref = submitted(engine, tmp_path)
    assert set(cluster.requests[ref]["runtime_env"]) == {"env_vars", "working_dir", "py_modules"}
    cluster.put(ref, "RUNNING")
    assert seen(engine, ref).presence is Presence.RUNNING  # whatever the folder here shows
    cancel(engine, folder, ref)
    cluster.put(ref, "PENDING")
    gone = seen(engine, ref)
    assert (gone.presence, gone.certain) == (Presence.GONE, False)  # the answer may be older than its start
    cluster.forget_all()
    cluster.requests.clear()
    assert seen(engine, ref).presence is Presence.GONE
    assert not cluster.requests  # it may have run there


def test_without_a_shared_disk_instances_stay_on_one_node(cluster: FakeRay, tmp_path: Path) -> None:
    engine = make_engine(cluster, tmp_path, shared=False)
    _, ref = submitted(engine, tmp_path, instance_config=InstanceConfig(instanceCount=2))
    assert cluster.requests[ref]["entrypoint_num_cpus"] == 2
    assert "--launcher" not in cluster.requests[ref]["entrypoint"]


def test_without_a_shared_disk_nobody_counts_the_jobs_of_a_sweep(cluster: FakeRay, tmp_path: Path) -> None:
    engine = make_engine(cluster, tmp_path, shared=False)
    folders = make_sweep_folders(tmp_path / "jobs", make_spec(engine="ray"), points=2, concurrency=1)
    (problem,) = engine.check(folders[0].read_spec())
    assert problem.startswith("concurrency=1: on a Ray cluster that does not share the state directory nobody counts")
    with pytest.raises(SubmitError, match="concurrency=1"):
        engine.submit([(folder, folder.read_spec()) for folder in folders])
