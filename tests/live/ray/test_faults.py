"""What Ray does when things go wrong, and what jobs look like then; each on a real cluster."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from living import processes_naming, wait_until
from qjob.engine import Presence
from qjob.engines.ray.client import RayClient
from qjob.engines.ray.engine import RayEngine
from qjob.errors import EngineUnavailable, SubmitError
from qjob.folder import CancelMark, JobFolder
from qjob.model.config import InstanceConfig
from qjob.model.outcome import Outcome
from qjob.model.status import JobStatus
from qjob.testing import ScriptSource, make_folder, make_spec
from ray_cluster import QPU, RayCluster

DEADLINE_S = 90.0
NOTES_ITS_TIME = """\
import json, os, time

started = time.time()
time.sleep(1.0)
with open(os.path.join(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"], "held"), "w") as file:
    json.dump([started, time.time()], file)
"""
GOES_ON = """\
import itertools, time

for second in itertools.count():
    print(second, flush=True)
    time.sleep(0.2)
"""
TELLS_ITS_RANK = """\
import os

print(*(os.environ[name] for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")))
"""


def submitted(engine: RayEngine, directory: Path, script: str | None = None, **fields: Any) -> tuple[JobFolder, str]:
    spec = make_spec(engine="ray", **fields)
    folder = make_folder(directory / "jobs", spec, None if script is None else ScriptSource(text=script))
    return folder, engine.submit([(folder, spec)])[0]


def outcome_of(folder: JobFolder) -> Outcome:
    found = wait_until(folder.read_outcome, DEADLINE_S)
    assert found is not None
    return found


def presence_of(engine: RayEngine, ref: str) -> Presence:
    return engine.observe([ref])[ref].presence


def has_begun(folder: JobFolder) -> bool:
    return folder.log(0).exists() and folder.log(0).stat().st_size > 0


def cancel(engine: RayEngine, folder: JobFolder, ref: str) -> None:
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    engine.cancel([ref])


def test_a_waiting_job_that_is_cancelled_never_runs_although_ray_starts_it(
    engine: RayEngine, client: RayClient, tmp_path: Path
) -> None:
    holder, holders_ref = submitted(engine, tmp_path, GOES_ON, device=QPU)
    wait_until(lambda: has_begun(holder), DEADLINE_S)
    waiting, ref = submitted(engine, tmp_path, NOTES_ITS_TIME, device=QPU)
    assert presence_of(engine, ref) is Presence.WAITING
    assert "qpu=1" in engine.observe([ref])[ref].message
    cancel(engine, waiting, ref)
    assert presence_of(engine, ref) is Presence.GONE
    cancel(engine, holder, holders_ref)
    assert outcome_of(holder).status is JobStatus.CANCELLED

    wait_until(lambda: _status(client, ref) in ("STOPPED", "SUCCEEDED", "FAILED"), DEADLINE_S)
    assert not has_begun(waiting)
    assert not (waiting.results / "held").exists()


def test_two_jobs_never_have_the_device_at_once(engine: RayEngine, tmp_path: Path) -> None:
    folders = [submitted(engine, tmp_path, NOTES_ITS_TIME, device=QPU)[0] for _ in range(3)]
    spans = []
    for folder in folders:
        assert outcome_of(folder).status is JobStatus.COMPLETED
        spans.append(tuple(map(float, (folder.results / "held").read_text()[1:-1].split(","))))
    spans.sort()
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans)), spans


def test_what_nobody_has_is_refused_at_once(engine: RayEngine, tmp_path: Path) -> None:
    with pytest.raises(SubmitError, match=r"no node of the cluster has tpu=1; there is qpu=1\."):
        submitted(engine, tmp_path, options={"resources": {"tpu": 1}})
    with pytest.raises(SubmitError, match=r"no node of the cluster has CPU=64; there is CPU=2\."):
        submitted(engine, tmp_path, options={"cpus": 64})
    with pytest.raises(SubmitError, match="room for 2 instances with CPU=2, not for 3"):
        submitted(engine, tmp_path, options={"cpus": 2}, instance_config=InstanceConfig(instanceCount=3))


def test_instances_are_spread_over_the_nodes(engine: RayEngine, tmp_path: Path) -> None:
    folder, _ = submitted(
        engine,
        tmp_path,
        TELLS_ITS_RANK,
        options={"cpus": 2},  # all that a node has: each instance is on a node of its own
        instance_config=InstanceConfig(instanceCount=2),
    )
    outcome = outcome_of(folder)
    assert (outcome.status, outcome.exit_codes) == (JobStatus.COMPLETED, (0, 0)), outcome
    told = [folder.log(number).read_text().split() for number in range(2)]
    assert [words[:2] for words in told] == [["0", "2"], ["1", "2"]]
    assert told[0][2:] == told[1][2:]


def test_spread_instances_are_cancelled(engine: RayEngine, tmp_path: Path) -> None:
    folder, ref = submitted(engine, tmp_path, GOES_ON, instance_config=InstanceConfig(instanceCount=2))
    wait_until(lambda: has_begun(folder) and folder.log(1).exists(), DEADLINE_S)
    cancel(engine, folder, ref)
    assert outcome_of(folder).status is JobStatus.CANCELLED
    wait_until(lambda: not processes_naming(folder.id))


def test_a_stranger_who_stops_a_job_at_ray_is_told_of(engine: RayEngine, client: RayClient, tmp_path: Path) -> None:
    folder, ref = submitted(engine, tmp_path, GOES_ON)
    wait_until(lambda: has_begun(folder), DEADLINE_S)
    client.stop(ref)
    outcome = outcome_of(folder)
    assert outcome.status is JobStatus.FAILED
    # Ray tells all processes of the job: the script may be gone before the runner has heard of it.
    assert re.search("by somebody other than qjob|which qjob did not send", outcome.reason or "")


def test_a_job_ends_with_its_raylet(cluster: RayCluster, engine: RayEngine, tmp_path: Path) -> None:
    folder, ref = submitted(engine, tmp_path, GOES_ON, device=QPU)
    wait_until(lambda: has_begun(folder), DEADLINE_S)
    cluster.kill_second_raylet()
    outcome = outcome_of(folder)
    assert outcome.status is JobStatus.FAILED
    assert "its node has lost the job" in (outcome.reason or "")
    assert presence_of(engine, ref) is Presence.GONE
    wait_until(lambda: not processes_naming(folder.id))
    cluster.start_node()


def test_a_job_goes_on_without_the_gcs_or_ends_and_its_folder_tells(
    cluster: RayCluster, engine: RayEngine, tmp_path: Path
) -> None:
    short, _ = submitted(engine, tmp_path, NOTES_ITS_TIME)
    long, long_ref = submitted(engine, tmp_path, GOES_ON, device=QPU)
    wait_until(lambda: long.log(0).exists() and short.log(0).exists(), DEADLINE_S)
    cluster.kill_gcs()
    ending = outcome_of(short)  # it may be done before its node gives up, a few seconds later
    assert ending.status is JobStatus.COMPLETED or "its node has lost the job" in (ending.reason or "")
    with pytest.raises(EngineUnavailable, match="does not answer"):
        wait_until(lambda: engine.observe([long_ref]) is None, DEADLINE_S)
    outcome = outcome_of(long)
    assert outcome.status is JobStatus.FAILED
    assert "its node has lost the job" in (outcome.reason or "")
    assert long.log(0).read_text().startswith("0\n1\n")
    wait_until(lambda: not processes_naming(long.id))
    cluster.restart()
    assert presence_of(engine, long_ref) is Presence.GONE


def test_a_job_that_waited_in_a_cluster_that_is_gone_is_handed_to_the_next(
    cluster: RayCluster, engine: RayEngine, tmp_path: Path
) -> None:
    holder, holders_ref = submitted(engine, tmp_path, GOES_ON, device=QPU)
    wait_until(lambda: has_begun(holder), DEADLINE_S)
    waiting, ref = submitted(engine, tmp_path, NOTES_ITS_TIME, device=QPU)
    cluster.restart()
    wait_until(lambda: presence_of(engine, ref) is Presence.WAITING, DEADLINE_S)
    assert outcome_of(waiting).status is JobStatus.COMPLETED
    assert presence_of(engine, holders_ref) is Presence.GONE


def test_a_job_that_ray_drops_after_its_time_to_wait_is_handed_over_again(
    cluster: RayCluster, engine: RayEngine, client: RayClient, tmp_path: Path
) -> None:
    cluster.restart({"RAY_JOB_START_TIMEOUT_SECONDS": "4"})  # 15 minutes, else
    try:
        holder, holders_ref = submitted(engine, tmp_path, GOES_ON, device=QPU)
        wait_until(lambda: has_begun(holder), DEADLINE_S)
        waiting, ref = submitted(engine, tmp_path, NOTES_ITS_TIME, device=QPU)
        wait_until(lambda: _status(client, ref) == "FAILED", DEADLINE_S)
        wait_until(lambda: presence_of(engine, ref) is Presence.WAITING, DEADLINE_S)
        wait_until(lambda: _status(client, f"{ref}-2") == "PENDING", DEADLINE_S)
        cancel(engine, holder, holders_ref)
        assert outcome_of(waiting).status is JobStatus.COMPLETED
    finally:
        cluster.restart()


def _status(client: RayClient, submission: str) -> str:
    return next((job.status for job in client.jobs() if job.submission_id == submission), "")
