"""Jobs on a real cluster that does not see the state directory: what they need goes there, what they write comes."""

from __future__ import annotations

import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from living import wait_until
from qjob.engine import Presence
from qjob.engines.ray.client import RayClient
from qjob.engines.ray.engine import RayDevice, RayEngine
from qjob.errors import EngineUnavailable
from qjob.folder import CancelMark, JobFolder
from qjob.model.outcome import Outcome
from qjob.model.spec import InputChannel
from qjob.model.status import JobStatus
from qjob.testing import ScriptSource, make_folder, make_spec
from ray_cluster import AGENT_PORT, QPU, RayCluster

DEADLINE_S = 90.0
GOES_ON = """\
import itertools, os, time

for step in itertools.count():
    print(step, flush=True)
    with open(os.path.join(os.environ["AMZN_BRAKET_CHECKPOINT_DIR"], "step"), "w") as file:
        file.write(str(step))
    time.sleep(1.5)
"""
LARGE_MB = 200
LEAVES_MUCH = f"""\
import os

with open(os.path.join(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"], "large"), "wb") as file:
    for number in range({LARGE_MB}):
        file.write(number.to_bytes(1, "big") * (1 << 20))
"""
READS_ON = """\
import os, sys

kept = os.environ["AMZN_BRAKET_CHECKPOINT_DIR"]
print(open(os.path.join(kept, "step")).read(), open(os.environ["AMZN_BRAKET_INPUT_DIR"] + "/data/x").read())
print(os.path.realpath(kept).startswith(os.environ["SUBMITTED_IN"]))
os.remove(os.path.join(kept, "step"))
"""


@pytest.fixture
def engine(cluster: RayCluster, tmp_path: Path) -> RayEngine:
    return cluster.engine(tmp_path, {QPU: RayDevice(asks="qpu=1")}, shared=False, python=sys.executable)


def submitted(engine: RayEngine, directory: Path, script: str, **fields: Any) -> tuple[JobFolder, str]:
    spec = make_spec(engine="ray", **fields)
    folder = make_folder(directory / "jobs", spec, ScriptSource(text=script))
    return folder, engine.submit([(folder, spec)])[0]


def look(engine: RayEngine, folder: JobFolder, ref: str) -> Presence:
    presence = engine.observe([ref])[ref].presence
    engine.sync(ref, folder)
    return presence


def outcome_of(engine: RayEngine, folder: JobFolder, ref: str) -> Outcome:
    wait_until(lambda: look(engine, folder, ref) and folder.outcome.exists(), DEADLINE_S)
    outcome = folder.read_outcome()
    assert outcome is not None
    return outcome


def cancel(engine: RayEngine, folder: JobFolder, ref: str) -> None:
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    engine.cancel([ref])


def begins(engine: RayEngine, folder: JobFolder, ref: str) -> None:
    wait_until(lambda: look(engine, folder, ref) and folder.log(0).exists(), DEADLINE_S)


def test_logs_and_checkpoints_come_while_it_runs(engine: RayEngine, tmp_path: Path) -> None:
    folder, ref = submitted(engine, tmp_path, GOES_ON)
    step = folder.checkpoints / "step"
    wait_until(lambda: look(engine, folder, ref) and step.exists() and int(step.read_text()) >= 2, DEADLINE_S)
    assert folder.log(0).read_text().startswith("0\n1\n2\n")
    assert look(engine, folder, ref) is Presence.RUNNING
    cancel(engine, folder, ref)
    assert outcome_of(engine, folder, ref).status is JobStatus.CANCELLED


def test_what_it_needs_goes_along_and_what_it_removes_goes_here_too(engine: RayEngine, tmp_path: Path) -> None:
    spec = make_spec(engine="ray", inputs=(InputChannel(name="data", uri="file:///data"),))
    folder = make_folder(tmp_path / "jobs", spec, ScriptSource(text=READS_ON))
    folder.write_environment({"SUBMITTED_IN": str(tmp_path)})
    (folder.checkpoints / "step").write_text("41")
    (folder.input / "data").mkdir(parents=True)
    (folder.input / "data" / "x").write_text("input")
    (folder.source / "link").symlink_to("job.py")
    ref = engine.submit([(folder, spec)])[0]
    assert outcome_of(engine, folder, ref).status is JobStatus.COMPLETED
    assert folder.log(0).read_text() == "41 input\nFalse\n"
    assert not (folder.checkpoints / "step").exists()


def test_large_results_come_whole(engine: RayEngine, tmp_path: Path) -> None:
    folder, ref = submitted(engine, tmp_path, LEAVES_MUCH)
    assert outcome_of(engine, folder, ref).status is JobStatus.COMPLETED
    with (folder.results / "large").open("rb") as file:
        for number in range(LARGE_MB):
            assert file.read(1 << 20) == bytes([number]) * (1 << 20)


def test_a_waiting_job_that_is_cancelled_never_runs(engine: RayEngine, client: RayClient, tmp_path: Path) -> None:
    holder, holders_ref = submitted(engine, tmp_path, GOES_ON, device=QPU)
    begins(engine, holder, holders_ref)
    waiting, ref = submitted(engine, tmp_path, GOES_ON, device=QPU)
    cancel(engine, waiting, ref)
    assert look(engine, waiting, ref) is Presence.GONE
    cancel(engine, holder, holders_ref)
    outcome_of(engine, holder, holders_ref)
    wait_until(lambda: _status(client, ref) in ("STOPPED", "SUCCEEDED", "FAILED"), DEADLINE_S)
    engine.sync(ref, waiting)
    assert not waiting.log(0).exists()


def test_the_loss_of_its_node_leaves_what_was_fetched(
    cluster: RayCluster, engine: RayEngine, client: RayClient, tmp_path: Path
) -> None:
    folder, ref = submitted(engine, tmp_path, GOES_ON, device=QPU)
    begins(engine, folder, ref)
    cluster.kill_second_raylet()
    wait_until(lambda: _status(client, ref) == "FAILED", DEADLINE_S)
    engine.sync(ref, folder)
    gone = engine.observe([ref])[ref]
    assert (gone.presence, gone.ended_as) == (Presence.GONE, JobStatus.FAILED)
    assert folder.log(0).read_text().startswith("0\n")
    cluster.start_node()


def test_a_node_whose_agent_could_not_start_is_told_of(
    cluster: RayCluster, engine: RayEngine, client: RayClient, tmp_path: Path
) -> None:
    cluster.stop_node()
    with socket.create_server(("127.0.0.1", AGENT_PORT)):
        cluster.start_node(agent=False)
        folder, ref = submitted(engine, tmp_path, GOES_ON, device=QPU)
        wait_until(lambda: engine.observe([ref])[ref].presence is Presence.RUNNING, DEADLINE_S)
        with pytest.raises(EngineUnavailable, match=r"cannot read .* node [0-9a-f]+: .*dashboard_agent\.log"):
            wait_until(lambda: engine.sync(ref, folder), DEADLINE_S)
        cancel(engine, folder, ref)
        wait_until(lambda: _status(client, ref) in ("STOPPED", "FAILED"), DEADLINE_S)
    cluster.start_node()


def _status(client: RayClient, submission: str) -> str:
    return next((job.status for job in client.jobs() if job.submission_id == submission), "")
