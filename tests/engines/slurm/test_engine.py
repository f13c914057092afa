"""The engine against commands that are real executables, and a cluster that is a few files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fake_slurm import CONFIGURATION, PARTITIONS, FakeSlurm, earlier, submit
from qjob.engine import Observation, Presence
from qjob.engines.slurm.engine import SlurmDevice, SlurmEngine
from qjob.engines.slurm.handover import read_handover, single, write_handover
from qjob.errors import EngineUnavailable, FolderError, SettingsError, SubmitError
from qjob.folder import CancelMark, JobFolder
from qjob.model.config import InstanceConfig, StoppingCondition
from qjob.model.spec import InputChannel
from qjob.model.status import JobStatus
from qjob.sweep_folder import SweepFolder, sweep_folder
from qjob.testing import make_spec

ARN = "arn:aws:braket:us-east-1::device/qpu/acme/one"
AtWork = Callable[[JobFolder], AbstractContextManager[None]]


@pytest.fixture
def engine(slurm: FakeSlurm) -> SlurmEngine:
    """An engine that was never used."""
    return slurm.engine()


def look(engine: SlurmEngine, ref: str) -> Observation:
    return engine.observe([ref])[ref]


def presence(engine: SlurmEngine, ref: str) -> Presence:
    return look(engine, ref).presence


def mark(folder: JobFolder, ago_s: float = 0.0) -> None:
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC) - timedelta(seconds=ago_s)))


def shared_of(slurm: FakeSlurm, folders: list[JobFolder]) -> SweepFolder:
    point = folders[0].read_spec().sweep_point
    assert point is not None
    return sweep_folder(slurm.jobs, point.sweep)


def hand_over(engine: SlurmEngine, folders: list[JobFolder]) -> list[str]:
    return engine.submit([(folder, folder.read_spec()) for folder in folders])


# Submitting


def test_a_job_is_handed_over_with_one_call(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, ref = slurm.submitted(engine)
    assert slurm.calls("sbatch") == [["--parsable", str(folder.submit_script)]]
    assert folder.submit_script.read_text().startswith(f"#!/bin/sh\n#SBATCH --job-name=qjob-{folder.id}\n")
    known = read_handover(folder.handed_over)
    assert known is not None
    assert known.refs() == {folder.id: ref}
    assert ref.startswith("1@")
    assert submit(slurm.engine(), folder) == ref
    assert len(slurm.calls("sbatch")) == 1


def test_the_clusters_name_in_the_answer_is_no_part_of_the_number(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    slurm.moods("federated")
    assert slurm.submitted(engine)[1].startswith("1@")


def test_commands_get_nothing_of_the_job_in_which_they_are_called(slurm: FakeSlurm) -> None:
    """And nothing of the user's that would change what they do."""
    program = slurm.directory / "sbatch"
    text = program.read_text()
    program.write_text(
        text.replace("HERE = Path", "Path(sys.argv[0] + '.env').write_text(repr(os.environ))\nHERE = Path")
    )
    environment = {
        "PATH": str(slurm.directory),
        "SLURM_CONF": str(slurm.directory / "sbatch"),
        "SLURM_CONF_SERVER": "head:6817",
        "SBATCH_ACCOUNT": "chem",
        "SLURM_JOB_ID": "7",
        "SLURM_MEM_PER_NODE": "9",
        "PYTHONPATH": "/x",
    }
    engine = SlurmEngine(slurm.state, slurm.jobs, runners=slurm.runners, leases=slurm.home, environment=environment)
    slurm.submitted(engine)
    seen = (slurm.directory / "sbatch.env").read_text()
    assert "SLURM_CONF" in seen
    assert "SLURM_CONF_SERVER" in seen
    others = ("SLURM_JOB_ID", "SLURM_MEM_PER_NODE", "PYTHONPATH", "SBATCH_ACCOUNT", "SLURM_TIME_FORMAT")
    assert not any(name in seen for name in others)


@pytest.mark.parametrize("name", ["SBATCH_JOB_NAME", "SBATCH_EXPORT", "SBATCH_ARRAY_INX", "SQUEUE_PARTITION"])
def test_variables_that_would_undo_what_the_engine_asks_for_are_not_passed_on(slurm: FakeSlurm, name: str) -> None:
    """SBATCH_JOB_NAME goes before the script's own name; with SQUEUE_PARTITION squeue does not show all jobs."""
    from qjob.engines.slurm.commands import Slurm

    program = slurm.directory / "squeue"
    program.write_text(f'#!/bin/sh\nprintf %s "${{{name}-unset}}"\n')
    assert Slurm({"PATH": str(slurm.directory), name: "main"}).queue() == "unset"


@pytest.mark.live
def test_a_submitter_that_is_killed_between_sbatch_and_its_note(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    slurm.moods("kills")
    folder = slurm.folder()
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from qjob.engines.slurm.engine import SlurmEngine\nfrom qjob.folder import JobFolder\n"
        "state, jobs, runners, path, folder = map(Path, sys.argv[1:])\n"
        "engine = SlurmEngine(state, jobs, runners=runners, leases=state, environment={'PATH': str(path)})\n"
        "engine.submit([(JobFolder(folder), JobFolder(folder).read_spec())])\n"
    )
    paths = map(str, (slurm.state, slurm.jobs, slurm.runners, slurm.directory, folder.path))
    killed = subprocess.run([sys.executable, "-c", code, *paths], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    known = read_handover(folder.handed_over)
    assert known is not None
    assert known.slurm_id is None
    slurm.moods()
    assert submit(engine, folder).startswith("1@")
    assert len(slurm.calls("sbatch")) == 1
    assert len(slurm.queue()) == 1


def test_a_submit_of_which_nobody_knows_whether_it_went_through_did(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    slurm.moods("deaf")
    folder = slurm.folder()
    with pytest.raises(EngineUnavailable, match="Socket timed out"):
        submit(engine, folder)
    slurm.moods()
    ref = submit(slurm.engine(), folder)
    assert ref.startswith("1@")
    assert len(slurm.calls("sbatch")) == 1
    assert presence(engine, ref) is Presence.WAITING


@pytest.mark.parametrize("mood", ["away", "babbles"])
def test_a_submit_that_did_not_go_through_is_made_again(slurm: FakeSlurm, engine: SlurmEngine, mood: str) -> None:
    slurm.moods(mood)
    folder = slurm.folder()
    with pytest.raises(EngineUnavailable):
        submit(engine, folder)
    slurm.forget()
    slurm.moods()
    assert submit(slurm.engine(), folder).startswith("1@")
    assert len(slurm.calls("sbatch")) == 2
    assert len(slurm.queue()) == 1


def test_a_job_that_slurm_has_forgotten_but_that_has_begun_is_not_submitted_again(
    slurm: FakeSlurm, engine: SlurmEngine
) -> None:
    folder = slurm.folder()
    write_handover(folder.handed_over, single(folder.id, 1700.0))
    folder.events.touch()
    ref = submit(engine, folder)
    assert ref == f"0@1700/qjob-{folder.id}"
    assert slurm.calls("sbatch") == []
    assert submit(slurm.engine(), folder) == ref


def test_what_slurm_refuses_leaves_nothing_and_may_be_tried_again(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    slurm.moods("refuses")
    folder = slurm.folder()
    with pytest.raises(SubmitError, match=r"^Slurm refuses the job: sbatch: .*Invalid qos specification"):
        submit(engine, folder)
    assert not folder.handed_over.exists()
    assert slurm.queue() == []
    slurm.moods()
    assert submit(engine, folder).startswith("1@")


def test_a_folder_that_cannot_be_written_to(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder = slurm.folder()
    spec = folder.read_spec()
    folder.submit_script.mkdir()
    with pytest.raises(SubmitError, match="the job's folder cannot be written to"):
        engine.submit([(folder, spec)])
    folder.events.touch()
    with pytest.raises(EngineUnavailable, match="the job's folder cannot be written to"):
        engine.submit([(folder, spec)])
    assert slurm.calls("sbatch") == []


def test_a_sweep_of_which_a_later_array_is_refused_leaves_none_and_may_be_tried_again(
    slurm: FakeSlurm, engine: SlurmEngine
) -> None:
    of_size(slurm, 2)
    folders = slurm.sweep(4)
    slurm.moods("refuses the second")
    with pytest.raises(SubmitError):
        hand_over(engine, folders)
    assert [job["state"] for job in slurm.queue()] == ["CANCELLED"] * 2
    slurm.moods()
    refs = hand_over(slurm.engine(), folders)
    assert [ref.split("@")[0] for ref in refs] == ["2_0", "2_1", "3_0", "3_1"]


def test_a_sweep_whose_submit_was_cut_short_and_is_refused_then(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    of_size(slurm, 2)
    folders = slurm.sweep(4)
    slurm.moods("deaf")
    with pytest.raises(EngineUnavailable):
        hand_over(engine, folders)
    slurm.moods("refuses")
    with pytest.raises(SubmitError):
        hand_over(engine, folders)
    assert [job["state"] for job in slurm.queue()] == ["CANCELLED"] * 2, "none was started, and none will be"


def test_a_damaged_note_is_named(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder = slurm.folder()
    folder.handed_over.write_text("{")
    with pytest.raises(FolderError, match=r"submitted\.json cannot be read"):
        submit(engine, folder)


def test_the_jobs_own_limit_goes_before_that_of_the_settings(slurm: FakeSlurm) -> None:
    engine = slurm.engine(words={"time": "30", "nice": 5, "mem": "1G"})
    usual, _ = slurm.submitted(engine)
    assert "\n#SBATCH --time=30\n" in usual.submit_script.read_text()
    assert "\n#SBATCH --nice=5\n" in usual.submit_script.read_text()
    long, _ = slurm.submitted(engine, stopping_condition=StoppingCondition(maxRuntimeInSeconds=86_400), priority=-9)
    assert "\n#SBATCH --time=1443\n" in long.submit_script.read_text()
    assert "\n#SBATCH --nice=9\n" in long.submit_script.read_text()
    asked, _ = slurm.submitted(
        engine, stopping_condition=StoppingCondition(maxRuntimeInSeconds=86_400), options={"time": "7"}
    )
    assert "\n#SBATCH --time=7\n" in asked.submit_script.read_text()


def test_a_device_that_one_job_holds_at_a_time_is_asked_for_and_leased(slurm: FakeSlurm) -> None:
    device = SlurmDevice(asks="--licenses=qpu1:1")
    engine = slurm.engine(devices={ARN: device}, words={"licenses": "matlab", "mem": "1G"})
    folder, _ = slurm.submitted(engine, device=ARN, options={"mem": "2G"})
    script = folder.submit_script.read_text()
    assert "\n#SBATCH --licenses=matlab,qpu1:1\n#SBATCH --mem=2G\n" in script
    assert "--lease " in script
    assert "arn_aws_braket_us-east-1_device_qpu_acme_one" in script


@pytest.mark.parametrize(
    "device",
    [SlurmDevice(asks=""), SlurmDevice(asks="--licenses=sim:1", capacity=4)],
)
def test_a_device_that_several_jobs_may_use_is_not_leased(slurm: FakeSlurm, device: SlurmDevice) -> None:
    folder, _ = slurm.submitted(slurm.engine(devices={ARN: device}), device=ARN)
    assert "--lease" not in folder.submit_script.read_text()


def test_the_settings_own_words_are_no_options(slurm: FakeSlurm) -> None:
    words = {"python": "python3.12", "setup": "module load python", "poll_s": 5, "partition": "main"}
    folder, _ = slurm.submitted(slurm.engine(words=words))
    script = folder.submit_script.read_text()
    assert script.startswith("#!/bin/bash -l\n")
    assert "\nmodule load python\npython=python3.12\n" in script
    assert "#SBATCH --partition=main\n" in script
    assert "poll" not in script


@pytest.mark.parametrize("value", [0, 0.5, "5", True, None])
def test_how_often_to_ask_is_a_number_of_seconds(slurm: FakeSlurm, value: object) -> None:
    with pytest.raises(SettingsError, match=r"\[engines\.slurm\] poll_s = .*: a number of seconds from 1"):
        slurm.engine(words={"poll_s": value})


# Looking


def test_where_a_job_is(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, ref = slurm.submitted(engine)
    slurm.change(folder.id, reason="Licenses")
    slurm.pass_(10.0)
    assert look(engine, ref) == Observation(
        presence=Presence.WAITING, message="its device, or another licence, to be free (Slurm: Licenses)"
    )
    slurm.change(folder.id, state="RUNNING", nodes="n1")
    slurm.pass_(60.0)
    assert presence(engine, ref) is Presence.RUNNING
    slurm.change(folder.id, state="NODE_FAIL", end=slurm.queue()[0]["submit"] + 2)
    slurm.pass_(60.0)
    seen = look(engine, ref)
    assert (seen.presence, seen.certain, seen.ended_as) == (Presence.GONE, True, JobStatus.FAILED)
    assert "its node failed" in seen.message


def test_a_job_that_was_put_back_waits_since_then(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, ref = slurm.submitted(engine)
    slurm.change(folder.id, restarts=1, submit=1_700_000_000)
    slurm.pass_(10.0)
    since = look(engine, ref).waits_since
    assert since is not None
    assert int(since.timestamp()) == 1_700_000_000 - 10


def test_what_it_never_handed_over_is_gone(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    assert engine.observe([]) == {}
    assert slurm.calls("squeue") == []
    seen = engine.observe(["", "host/0123", "4711"])
    assert [each.presence for each in seen.values()] == [Presence.GONE] * 3


def test_a_controller_that_is_away_makes_nothing_gone_and_is_left_alone(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    _, ref = slurm.submitted(engine)
    assert presence(engine, ref) is Presence.WAITING
    slurm.moods("away")
    slurm.pass_(60.0)
    asked = len(slurm.calls("squeue"))
    for each in (engine, slurm.engine(), engine):
        with pytest.raises(EngineUnavailable, match="Unable to contact slurm controller"):
            each.observe([ref])
    assert len(slurm.calls("squeue")) == asked + 1
    slurm.pass_(2.0)
    with pytest.raises(EngineUnavailable):
        engine.observe([ref])
    assert len(slurm.calls("squeue")) == asked + 2
    slurm.moods()
    slurm.pass_(60.0)
    assert presence(engine, ref) is Presence.WAITING


def test_one_question_serves_many_jobs_and_many_processes(slurm: FakeSlurm) -> None:
    engines = [slurm.engine(), slurm.engine()]
    refs = [slurm.submitted(engines[number % 2])[1] for number in range(6)]
    slurm.pass_(60.0)
    for _ in range(3):
        for each in engines:
            assert {seen.presence for seen in each.observe(refs).values()} == {Presence.WAITING}
    assert len(slurm.calls("squeue")) == 1
    slurm.pass_(29.0)
    engines[0].observe(refs)
    assert len(slurm.calls("squeue")) == 1
    slurm.pass_(1.0)
    engines[1].observe(refs)
    engines[0].observe(refs)
    assert len(slurm.calls("squeue")) == 2


def test_after_an_act_of_another_process_it_asks_sooner(slurm: FakeSlurm) -> None:
    one, other = slurm.engine(), slurm.engine()
    _, first = slurm.submitted(one)
    slurm.pass_(100.0)
    one.observe([first])
    slurm.pass_(5.0)
    _, second = slurm.submitted(other)
    asked = len(slurm.calls("squeue"))
    one.observe([first, second])
    assert len(slurm.calls("squeue")) == asked + 1
    one.observe([first, second])
    assert len(slurm.calls("squeue")) == asked + 1
    slurm.pass_(1.0)
    one.observe([first, second])
    assert len(slurm.calls("squeue")) == asked + 2


def test_a_job_that_the_last_answer_cannot_have_is_waiting(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    _, first = slurm.submitted(engine)
    engine.observe([first])
    _, second = slurm.submitted(engine)
    seen = look(engine, second)
    assert (seen.presence, seen.message) == (Presence.WAITING, "Slurm to look at it")


def test_an_id_that_is_given_out_again_is_somebody_elses(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, ref = slurm.submitted(engine, ago_s=6000)
    slurm.forget()
    other, theirs = slurm.submitted(engine, ago_s=6000)
    assert ref.split("@")[0] == theirs.split("@")[0] == "1"
    slurm.change(other.id, state="RUNNING")
    slurm.pass_(60.0)
    seen = engine.observe([ref, theirs])
    assert (seen[ref].presence, seen[theirs].presence) == (Presence.GONE, Presence.RUNNING)
    mark(folder)
    engine.cancel([ref])
    assert slurm.calls("scancel") == []


def test_a_job_that_is_missing_is_gone_and_after_a_while_for_certain(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    _, ref = slurm.submitted(engine, ago_s=6000)
    slurm.forget()
    seen = look(engine, ref)
    assert (seen.presence, seen.certain) == (Presence.GONE, False)
    assert "Slurm does not know it any more" in seen.message
    slurm.pass_(14.0)
    assert not look(engine, ref).certain
    slurm.pass_(2.0)
    assert look(slurm.engine(), ref).certain
    slurm.pass_(60.0)
    assert look(engine, ref).certain
    assert len(slurm.calls("sbatch")) == 1


def test_a_job_that_was_there_and_is_missing_was_lost_and_is_handed_over_again(
    slurm: FakeSlurm, engine: SlurmEngine
) -> None:
    folder, ref = slurm.submitted(engine, ago_s=6000)
    assert presence(engine, ref) is Presence.WAITING
    slurm.change(folder.id, state="RUNNING")
    slurm.pass_(60.0)
    assert presence(engine, ref) is Presence.RUNNING
    slurm.forget()
    slurm.pass_(60.0)
    seen = look(engine, ref)
    assert (seen.presence, seen.waits_since is not None) == (Presence.WAITING, True)
    assert "handed over again" in seen.message
    for each in (engine, slurm.engine()):
        assert presence(each, ref) is Presence.WAITING
    assert len(slurm.calls("sbatch")) == 2
    assert [job["name"] for job in slurm.queue()] == [f"qjob-{folder.id}"]
    slurm.change(folder.id, state="RUNNING")
    slurm.pass_(60.0)
    assert presence(engine, ref) is Presence.RUNNING
    assert submit(engine, folder).partition("/")[2] == ref.partition("/")[2]
    assert len(slurm.calls("sbatch")) == 2


def test_a_job_that_was_lost_soon_after_its_submit_is_handed_over_again(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    _, ref = slurm.submitted(engine, ago_s=100)
    slurm.forget()
    assert presence(engine, ref) is Presence.WAITING
    assert len(slurm.queue()) == 1


def refuse_to_start(slurm: FakeSlurm, folder: JobFolder) -> None:
    """Have a controller come back that takes a job that runs for one that waits: its node ends it, for good."""
    slurm.change(folder.id, state="FAILED", exit="1:0", nodes="n1", end=int(time.time()))


def test_a_job_that_its_node_would_not_start_again_is_handed_over_again_once(
    slurm: FakeSlurm, engine: SlurmEngine
) -> None:
    folder, ref = slurm.submitted(engine, ago_s=100)
    folder.events.touch()
    folder.runner_log.touch()
    refuse_to_start(slurm, folder)
    slurm.pass_(5.0)
    seen = look(engine, ref)
    assert (seen.presence, seen.certain) == (Presence.GONE, False), "its outcome may come late"
    slurm.pass_(30.0)
    seen = look(engine, ref)
    assert (seen.presence, seen.waits_since is not None) == (Presence.WAITING, True)
    assert "handed over again" in seen.message
    for each in (engine, slurm.engine()):
        assert presence(each, ref) is Presence.RUNNING, "the last answer is older than that"
    assert [job["state"] for job in slurm.queue()] == ["FAILED", "PENDING"]
    slurm.pass_(60.0)
    assert presence(engine, ref) is Presence.RUNNING
    slurm.keep([slurm.queue()[1]])
    refuse_to_start(slurm, folder)
    slurm.pass_(60.0)
    known = read_handover(folder.handed_over)
    assert known is not None
    assert known.again_at is not None
    write_handover(folder.handed_over, replace(known, again_at=known.again_at - 60))
    seen = look(slurm.engine(), ref)
    assert (seen.presence, seen.certain) == (Presence.GONE, True)
    assert len(slurm.calls("sbatch")) == 2


@pytest.mark.parametrize("kind", ["cancelled", "at work", "removed", "said why", "ended", "its own code", "a signal"])
def test_who_has_failed_for_another_reason_is_not_handed_over_again(
    slurm: FakeSlurm, engine: SlurmEngine, at_work: AtWork, kind: str
) -> None:
    folder, ref = slurm.submitted(engine, ago_s=100)
    folder.events.touch()
    refuse_to_start(slurm, folder)
    slurm.pass_(60.0)
    if kind == "cancelled":
        mark(folder)
    if kind == "removed":
        shutil.rmtree(folder.path)
    if kind == "said why":
        folder.runner_log.write_text("Traceback (most recent call last)")
    if kind == "ended":
        folder.outcome.write_text("{}")
    if kind == "its own code":
        slurm.change(folder.id, exit="3:0")
    if kind == "a signal":
        slurm.change(folder.id, exit="1:9")
    if kind == "at work":
        with at_work(folder):
            assert presence(engine, ref) is Presence.RUNNING
    else:
        assert presence(engine, ref) is Presence.GONE
    assert len(slurm.calls("sbatch")) == 1


@pytest.mark.parametrize("kind", ["cancelled", "at work", "removed", "forgets soon"])
def test_who_is_missing_for_another_reason_is_not_handed_over_again(
    slurm: FakeSlurm, engine: SlurmEngine, at_work: AtWork, kind: str
) -> None:
    if kind == "forgets soon":
        slurm.tell(configuration="MinJobAge = 2 sec\nMaxArraySize = 1001\n")
    folder, ref = slurm.submitted(engine, ago_s=100)
    slurm.forget()
    if kind == "cancelled":
        mark(folder)
    if kind == "removed":
        shutil.rmtree(folder.path)
    if kind == "at work":
        with at_work(folder):
            assert presence(engine, ref) is Presence.RUNNING
    else:
        assert presence(engine, ref) is Presence.GONE
    assert len(slurm.calls("sbatch")) == 1


def test_of_an_array_those_are_handed_over_again_that_were_lost(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folders = slurm.sweep(5, concurrency=2)
    refs = [earlier(ref, 100) for ref in hand_over(engine, folders)]
    slurm.pass_(60.0)
    engine.observe(refs)
    slurm.keep([job for job in slurm.queue() if job["index"] in (0, 2)])
    slurm.pass_(60.0)
    assert {seen.presence for seen in engine.observe(refs).values()} == {Presence.WAITING}
    assert arrays_of(slurm, folders) == [("1,3-4%2", None)]
    assert len(slurm.queue()) == 5
    assert [job["name"] for job in slurm.queue()] == [slurm.queue()[0]["name"]] * 5
    slurm.pass_(60.0)
    engine.observe(refs)
    assert len(slurm.calls("sbatch")) == 2


@pytest.mark.parametrize(
    "trouble",
    ["refuses", "damaged"],
)
def test_one_job_that_cannot_be_handed_over_again_hides_no_other(
    slurm: FakeSlurm, engine: SlurmEngine, trouble: str
) -> None:
    folder, lost = slurm.submitted(engine, ago_s=100)
    slurm.forget()
    _, there = slurm.submitted(engine)
    slurm.pass_(20.0)
    if trouble == "damaged":
        folder.handed_over.write_text("{")
    else:
        slurm.moods(trouble)
    seen = engine.observe([lost, there])
    assert seen[there].presence is Presence.WAITING
    assert not seen[lost].certain or seen[lost].presence is not Presence.GONE


def test_a_lost_job_is_remembered_when_it_cannot_be_handed_over_at_once(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    _, ref = slurm.submitted(engine, ago_s=6000)
    assert presence(engine, ref) is Presence.WAITING
    slurm.forget()
    slurm.pass_(60.0)
    slurm.moods("deaf")
    with pytest.raises(EngineUnavailable, match="timed out"):
        engine.observe([ref])
    slurm.forget()  # nothing came of that
    slurm.moods()
    for trouble in slurm.home.rglob("trouble"):  # as if its time had passed
        trouble.unlink()
    for _ in range(4):
        slurm.pass_(60.0)
        assert presence(engine, ref) is Presence.WAITING
    assert len(slurm.queue()) == 1


def test_a_lost_job_is_found_so_although_another_was_cancelled_before_anybody_looked(
    slurm: FakeSlurm, engine: SlurmEngine
) -> None:
    _, lost = slurm.submitted(engine, ago_s=6000)
    folder, there = slurm.submitted(engine, ago_s=6000)
    engine.observe([lost, there])
    slurm.keep([job for job in slurm.queue() if job["name"] == f"qjob-{folder.id}"])
    slurm.pass_(60.0)
    engine.cancel([there])
    assert presence(engine, lost) is Presence.WAITING
    assert [job["name"] for job in slurm.queue() if job["state"] == "PENDING"] == [f"qjob-{lost.split('qjob-')[1]}"]


def test_a_job_that_slurm_has_lost_runs_as_long_as_its_runner_does(
    slurm: FakeSlurm, engine: SlurmEngine, at_work: AtWork
) -> None:
    folder, ref = slurm.submitted(engine, ago_s=6000)
    slurm.forget()
    slurm.pass_(60.0)
    with at_work(folder):
        assert presence(engine, ref) is Presence.RUNNING
    assert presence(engine, ref) is Presence.GONE


def test_a_job_that_slurm_takes_for_ended_runs_as_long_as_its_runner_does(
    slurm: FakeSlurm, engine: SlurmEngine, at_work: AtWork
) -> None:
    folder, ref = slurm.submitted(engine)
    slurm.change(folder.id, state="NODE_FAIL", end=1_700_000_000, nodes="n1")
    slurm.pass_(60.0)
    with at_work(folder):
        assert presence(engine, ref) is Presence.RUNNING
    assert presence(engine, ref) is Presence.GONE


def test_a_job_whose_folder_was_removed_is_gone(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, ref = slurm.submitted(engine)
    slurm.forget()
    shutil.rmtree(folder.path)
    seen = look(engine, ref)
    assert (seen.presence, seen.message, seen.certain) == (Presence.GONE, "its folder was removed", True)


def test_a_job_that_is_submitted_anew_is_not_taken_for_one_that_is_missing(
    slurm: FakeSlurm, engine: SlurmEngine
) -> None:
    """Between the question by which the submit was settled and the next one, the answers do not have it."""
    folder = slurm.folder()
    write_handover(folder.handed_over, single(folder.id, datetime.now(UTC).timestamp()))
    other, others_ref = slurm.submitted(engine)
    slurm.pass_(20.0)
    engine.observe([others_ref])  # and an answer of 20 s ago, which lacks it too
    known = read_handover(folder.handed_over)
    assert known is not None
    write_handover(folder.handed_over, replace(known, at=known.at - 600))
    slurm.pass_(20.0)
    ref = submit(engine, folder)
    assert len(slurm.calls("sbatch")) == 2
    assert presence(engine, ref) is Presence.WAITING
    assert other.path.exists()


def test_the_accounting_knows_how_a_job_ended_that_the_queue_has_forgotten(
    slurm: FakeSlurm, engine: SlurmEngine
) -> None:
    folder, ref = slurm.submitted(engine, ago_s=6000)
    slurm.change(folder.id, state="OUT_OF_MEMORY", end=1_700_000_000, nodes="n1")
    slurm.account(slurm.forget())
    _, unknown = slurm.submitted(engine, ago_s=6000)
    slurm.forget()
    slurm.pass_(60.0)
    seen = engine.observe([ref, unknown])
    assert "it needed more memory" in seen[ref].message
    assert seen[ref].certain
    assert "Slurm does not know it any more" in seen[unknown].message
    asked = len(slurm.calls("sacct"))
    assert asked == 1
    assert slurm.engine().observe([ref, unknown]) == seen
    assert len(slurm.calls("sacct")) == asked, "what it says is remembered, also that it says nothing"


@pytest.mark.parametrize(("state", "ago_s"), [("RUNNING", 6000), ("PENDING", 6000), ("RUNNING", 100), ("PENDING", 100)])
def test_what_the_accounting_still_has_running_is_not_believed(
    slurm: FakeSlurm, engine: SlurmEngine, state: str, ago_s: int
) -> None:
    """A controller that was killed has lost the job; its database takes it for running ever after."""
    folder, ref = slurm.submitted(engine, ago_s=ago_s)
    slurm.change(folder.id, state=state, nodes="n1")
    slurm.account(slurm.forget())
    assert presence(engine, ref) is (Presence.GONE if ago_s > 1000 else Presence.WAITING)
    assert len(slurm.calls("sbatch")) == (1 if ago_s > 1000 else 2), "what was lost is handed over again"


def test_an_accounting_that_is_out_of_order_is_done_without(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    _, ref = slurm.submitted(engine, ago_s=6000)
    slurm.account(slurm.forget())
    (slurm.directory / "accounting.json").unlink()
    slurm.pass_(60.0)
    assert presence(engine, ref) is Presence.GONE


# Ending


def test_those_that_wait_are_taken_out_first(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    jobs = [slurm.submitted(engine) for _ in range(4)]
    for folder, _ in jobs:
        mark(folder)
    for folder, _ in jobs[:2]:
        slurm.change(folder.id, state="RUNNING")
    engine.cancel([ref for _, ref in jobs])
    assert slurm.calls("scancel") == [
        ["--quiet", "3", "4"],
        ["--quiet", "--batch", "--signal=TERM", "1", "2"],
    ]
    slurm.pass_(1.0)
    seen = engine.observe([ref for _, ref in jobs])
    assert [each.presence for each in seen.values()] == [Presence.RUNNING] * 2 + [Presence.GONE] * 2
    assert [seen[ref].ended_as for _, ref in jobs[2:]] == [JobStatus.CANCELLED] * 2


def test_slurm_hears_of_a_cancellation_once_in_ten_seconds(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, ref = slurm.submitted(engine)
    slurm.change(folder.id, state="RUNNING")
    mark(folder)
    for each in (engine, slurm.engine(), engine):
        each.cancel([ref])
    assert len(slurm.calls("scancel")) == 1
    assert len(slurm.calls("squeue")) == 1
    slurm.pass_(11.0)
    engine.cancel([ref])
    assert slurm.calls("scancel") == [["--quiet", "--batch", "--signal=TERM", "1"]] * 2


def test_a_runner_that_does_not_end_its_job_is_ended_by_force(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    """After the job's grace period, which is a second, and some patience."""
    folder, ref = slurm.submitted(engine)
    slurm.change(folder.id, state="RUNNING")
    mark(folder, ago_s=20.0)
    engine.cancel([ref])
    slurm.pass_(11.0)
    mark(folder, ago_s=31.0)
    engine.cancel([ref])
    assert slurm.calls("scancel")[0] == ["--quiet", "--batch", "--signal=TERM", "1"]
    assert slurm.calls("scancel")[1] == ["--quiet", "1"]


@pytest.mark.parametrize("damage", ["remove", "damage"])
def test_without_a_mark_nobody_is_ended_by_force(slurm: FakeSlurm, engine: SlurmEngine, damage: str) -> None:
    folder, ref = slurm.submitted(engine)
    slurm.change(folder.id, state="RUNNING")
    if damage == "damage":
        folder.cancel_mark.write_text("{")
    engine.cancel([ref])
    assert slurm.calls("scancel") == [["--quiet", "--batch", "--signal=TERM", "1"]]


def test_what_has_ended_or_was_never_there_is_left_alone(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, ref = slurm.submitted(engine)
    slurm.change(folder.id, state="COMPLETED", end=1_700_000_000)
    engine.cancel([ref, "", "host/0123", f"9@1700/qjob-{'0' * 15}"])
    assert slurm.calls("scancel") == []
    engine.cancel([])


def test_who_could_not_be_told_is_told_with_the_next_call(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, ref = slurm.submitted(engine)
    mark(folder)
    slurm.moods("away")
    with pytest.raises(EngineUnavailable):
        engine.cancel([ref])
    slurm.moods()
    slurm.pass_(2.0)
    engine.cancel([ref])
    assert slurm.calls("scancel") == [["--quiet", "1"]]


def test_a_damaged_memory_of_who_was_told_counts_for_nothing(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    _, ref = slurm.submitted(engine)
    for damage in (b"", b"{", b"\0\0\0"):
        (slurm.state / "told.json").write_bytes(damage)
        engine.cancel([ref])
    assert len(slurm.calls("scancel")) == 1, "then it has ended"


# Sweeps


def test_a_sweep_is_one_array(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folders = slurm.sweep(5)
    refs = hand_over(engine, folders)
    shared = shared_of(slurm, folders)
    assert slurm.calls("sbatch") == [["--parsable", str(shared.submit_script(0))]]
    script = shared.submit_script(0).read_text()
    assert "#SBATCH --array=0-4\n" in script
    assert f"\n3) job={folders[3].id} ;;\n" in script
    assert [ref.split("@")[0] for ref in refs] == ["1_0", "1_1", "1_2", "1_3", "1_4"]
    assert hand_over(slurm.engine(), folders) == refs
    assert hand_over(engine, folders[2:3]) == refs[2:3]
    assert len(slurm.calls("sbatch")) == 1
    slurm.pass_(60.0)
    assert {seen.presence for seen in engine.observe(refs).values()} == {Presence.WAITING}


def arrays_of(slurm: FakeSlurm, folders: list[JobFolder]) -> list[tuple[str, str | None]]:
    """Return the options ``array`` and ``dependency`` of each part of a sweep."""
    found: list[tuple[str, str | None]] = []
    while (path := shared_of(slurm, folders).submit_script(len(found))).exists():
        words = dict(
            line.removeprefix("#SBATCH --").partition("=")[::2]
            for line in path.read_text().splitlines()
            if line.startswith("#SBATCH ")
        )
        found.append((words["array"], words.get("dependency")))
    return found


def of_size(slurm: FakeSlurm, size: int) -> None:
    text = (slurm.directory / "configuration").read_text()
    slurm.tell(configuration=text.replace("= 1001", f"= {size}"))


def test_a_sweep_has_as_many_arrays_as_slurms_limit_asks_for(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    of_size(slurm, 4)
    folders = slurm.sweep(10)
    refs = hand_over(engine, folders)
    assert arrays_of(slurm, folders) == [("0-3", None), ("0-3", None), ("0-1", None)]
    assert len(set(refs)) == 10
    assert refs[9].startswith("3_1@")
    assert hand_over(slurm.engine(), folders) == refs
    assert len(slurm.calls("sbatch")) == 3


def test_arrays_that_may_not_run_at_a_time_wait_for_each_other(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    of_size(slurm, 4)
    folders = slurm.sweep(10, concurrency=2)
    hand_over(engine, folders)
    assert arrays_of(slurm, folders) == [("0-3%2", None), ("0-3%2", "afterany:1"), ("0-1%2", "afterany:2")]


def test_a_sweep_of_which_some_jobs_were_handed_over_before(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folders = slurm.sweep(6)
    first = hand_over(engine, folders[:2] + folders[4:5])
    refs = hand_over(slurm.engine(), folders)
    assert [refs[number] for number in (0, 1, 4)] == first
    assert arrays_of(slurm, folders) == [("0-1,4", None), ("2-3,5", None)]
    assert hand_over(engine, folders) == refs
    assert len(slurm.calls("sbatch")) == 2


def test_what_is_handed_over_later_keeps_the_sweeps_throttle(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folders = slurm.sweep(6, concurrency=1)
    hand_over(engine, folders[:3])
    hand_over(engine, folders)
    assert arrays_of(slurm, folders) == [("0-2%1", None), ("3-5%1", "afterany:1")]


def test_a_sweep_whose_submit_was_cut_short_is_submitted_once(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    of_size(slurm, 2)
    folders = slurm.sweep(6, concurrency=1)
    slurm.moods("deaf")
    with pytest.raises(EngineUnavailable):
        hand_over(engine, folders)
    assert len(slurm.queue()) == 2
    slurm.moods()
    refs = hand_over(slurm.engine(), folders)
    assert [ref.split("@")[0] for ref in refs] == ["1_0", "1_1", "2_0", "2_1", "3_0", "3_1"]
    assert len(slurm.calls("sbatch")) == 3
    assert arrays_of(slurm, folders) == [("0-1%1", None), ("0-1%1", "afterany:1"), ("0-1%1", "afterany:2")]


def test_a_part_that_slurm_has_forgotten_holds_up_no_other(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    of_size(slurm, 2)
    folders = slurm.sweep(4, concurrency=1)
    slurm.moods("deaf")
    with pytest.raises(EngineUnavailable):
        hand_over(engine, folders)
    slurm.moods()
    slurm.forget()
    folders[0].events.touch()
    refs = hand_over(engine, folders)
    assert [ref.split("@")[0] for ref in refs] == ["0_0", "0_1", "1_0", "1_1"]


def test_the_tasks_of_an_array_are_cancelled_together(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folders = slurm.sweep(6)
    refs = hand_over(engine, folders)
    slurm.keep([job | ({"state": "RUNNING"} if job["index"] < 2 else {}) for job in slurm.queue()])
    engine.cancel([refs[number] for number in (0, 2, 3, 5)])
    assert slurm.calls("scancel") == [
        ["--quiet", "1_[2-3,5]"],
        ["--quiet", "--batch", "--signal=TERM", "1_[0]"],
    ]
    slurm.pass_(1.0)
    assert [presence(engine, ref) for ref in refs[:4]] == [
        Presence.RUNNING,
        Presence.RUNNING,
        Presence.GONE,
        Presence.GONE,
    ]


# What a job may be


def problems_of(engine: SlurmEngine, **fields: Any) -> list[str]:
    return engine.check(make_spec(engine="slurm", **fields))


def test_a_plain_job_is_taken_and_nothing_is_left_behind(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    assert problems_of(engine) == []
    assert problems_of(engine, options={"mem": "8G", "qpu": "ibm_fez"}, priority=-3) == []
    assert problems_of(engine, device="local:braket/default") == []
    assert not slurm.state.exists()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"options": {"partiton": "x"}}, "option 'partiton': sbatch knows no such option; did you mean 'partition'?"),
        (
            {"options": {"output": "x"}},
            "option 'output' is not to be given: the output is in the job's folder.",
        ),
        (
            {"device": ARN},
            f"device '{ARN}': this Slurm does not know it. Name what a job asks Slurm for, in qjob.toml: "
            f'[devices."{ARN}"] slurm = "--licenses=…"; or slurm = "" if it may be used without asking.',
        ),
        (
            {"priority": 3},
            "priority=3: Slurm lets its users only lower the priority of a job, by a negative number; leave it out, "
            "or ask for another quality of service (options={'qos': …}).",
        ),
        (
            {"inputs": (InputChannel(name="data", uri="s3://bucket/key"),)},
            "input channel 'data' is s3://bucket/key: the engine slurm cannot fetch from S3; download it and name "
            "the path.",
        ),
        (
            {
                "options": {"partition": "short"},
                "stopping_condition": StoppingCondition(maxRuntimeInSeconds=3600),
            },
            "the partition short ends jobs after 600 s",
        ),
    ],
)
def test_what_this_cluster_does_not_take(engine: SlurmEngine, fields: dict[str, Any], problem: str) -> None:
    [told] = problems_of(engine, **fields)
    assert problem in told


def test_all_problems_are_told_at_once(slurm: FakeSlurm) -> None:
    engine = slurm.engine(words={"zzz": 1})
    told = problems_of(engine, options={"zzz": 1, "output": 1}, device=ARN, priority=1)
    assert len(told) == 5
    assert told[0].startswith("[engines.slurm] option 'zzz'")


@pytest.mark.parametrize("asks", ["qpu1:1", "'--licenses=qpu1"])
def test_a_device_whose_setting_is_wrong(slurm: FakeSlurm, asks: str) -> None:
    [told] = problems_of(slurm.engine(devices={ARN: SlurmDevice(asks=asks)}), device=ARN)
    assert told.startswith(f"device {ARN!r}: slurm = {asks!r} in the settings: ")


@pytest.mark.parametrize("asks", ["--output=x", "--job-name=x", "--licences=qpu1:1"])
def test_a_device_may_ask_for_no_more_than_a_job(slurm: FakeSlurm, asks: str) -> None:
    told = problems_of(slurm.engine(devices={ARN: SlurmDevice(asks=asks)}), device=ARN)
    assert len(told) == 1
    assert ARN in told[0]


def test_without_sbatch_the_check_says_where_to_go(slurm: FakeSlurm) -> None:
    (slurm.directory / "sbatch").unlink()
    [told] = problems_of(slurm.engine(), options={"zzz": 1})
    assert told == (
        "engine 'slurm': sbatch is not on the PATH of this machine: is it a login node? "
        "Submit where Slurm's commands are, or name another engine."
    )


@pytest.mark.parametrize("kind", ["a directory", "not executable"])
def test_an_sbatch_that_cannot_be_started_is_no_sbatch(slurm: FakeSlurm, kind: str) -> None:
    sbatch = slurm.directory / "sbatch"
    if kind == "a directory":
        sbatch.unlink()
        sbatch.mkdir()
    else:
        sbatch.chmod(0o600)
    [told] = problems_of(slurm.engine())
    assert told.startswith("engine 'slurm': ")


def test_the_limits_of_partitions_are_asked_for_once_in_ten_minutes(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    limited = StoppingCondition(maxRuntimeInSeconds=60)
    for each in (engine, slurm.engine(), engine):
        assert problems_of(each, stopping_condition=limited) == []
    assert slurm.calls("scontrol") == [["show", "config"], ["--oneliner", "show", "partition"]]
    slurm.pass_(601.0)
    problems_of(engine, stopping_condition=limited)
    assert len(slurm.calls("scontrol")) == 4


def test_when_the_controller_is_away_the_limits_are_not_known_and_the_submit_tells(
    slurm: FakeSlurm, engine: SlurmEngine
) -> None:
    slurm.moods("away")
    limited = StoppingCondition(maxRuntimeInSeconds=10**6)
    assert problems_of(engine, options={"partition": "short"}, stopping_condition=limited) == []


@pytest.mark.parametrize(
    "wanted_s",
    [
        *(1, 60, 300, 400, 479),
        *(seconds for seconds in (480, 500, 599)),
    ],
)
def test_what_is_taken_asks_for_no_more_than_the_partition_has(
    slurm: FakeSlurm, engine: SlurmEngine, wanted_s: int
) -> None:
    """Slurm lets a job that asks for more wait for ever (PartitionTimeLimit)."""
    fields: dict[str, Any] = {
        "options": {"partition": "short"},
        "stopping_condition": StoppingCondition(maxRuntimeInSeconds=wanted_s),
    }
    if problems_of(engine, **fields):
        assert wanted_s > 300, "so much is well within the limit"
        return
    folder, _ = slurm.submitted(engine, **fields)
    [line] = [line for line in folder.submit_script.read_text().splitlines() if "--time=" in line]
    assert int(line.partition("=")[2]) <= 10


@pytest.mark.parametrize("partition", ["main", "none-such", None])
def test_without_a_limit_there_is_no_problem(engine: SlurmEngine, partition: str | None) -> None:
    limited = StoppingCondition(maxRuntimeInSeconds=10**6)
    options = {} if partition is None else {"partition": partition}
    assert problems_of(engine, options=options, stopping_condition=limited) == []


def test_the_settings_partition_counts_where_the_job_names_none(slurm: FakeSlurm) -> None:
    limited = StoppingCondition(maxRuntimeInSeconds=3600)
    engine = slurm.engine(words={"partition": "short"})
    assert len(problems_of(engine, stopping_condition=limited)) == 1
    assert problems_of(engine, options={"p": "main"}, stopping_condition=limited) == []


def test_what_it_offers(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    facts = engine.describe()
    assert [fact.what for fact in facts] == [
        "Slurm",
        "partition main (default)",
        "partition short",
        "license qpu1",
    ]
    assert all(fact.well for fact in facts)
    slurm.tell(partitions=PARTITIONS.replace("State=UP", "State=DOWN"))
    assert not any(fact.well for fact in engine.describe()[1:3]), "what is so now, however lately it was asked"
    slurm.moods("away")
    with pytest.raises(EngineUnavailable):
        slurm.engine().describe()


def test_a_job_of_several_instances_is_started_by_srun(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, _ = slurm.submitted(engine, instance_config=InstanceConfig(instanceCount=3))
    script = folder.submit_script.read_text()
    assert "#SBATCH --ntasks=3\n" in script
    assert "--launcher 'srun --ntasks=3 " in script


def test_the_runner_is_a_copy_that_outlives_an_upgrade(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, _ = slurm.submitted(engine)
    [copy] = [each for each in slurm.runners.iterdir() if not each.name.startswith(".")]
    assert f"export PYTHONPATH={copy}\n" in folder.submit_script.read_text()
    assert (copy / "qjob" / "runner" / "__main__.py").exists()
    assert not (copy / "qjob" / "cli").exists()


def test_there_is_nothing_to_sync(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, ref = slurm.submitted(engine)
    before = sorted(os.listdir(folder.path))
    engine.sync(ref, folder)
    assert sorted(os.listdir(folder.path)) == before
    assert engine.name == "slurm"


# What a hostile user tried


def test_the_tasks_of_an_array_that_was_cancelled_whole_are_cancelled(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    """``scancel -u`` and ``scancel -n`` leave one row for all tasks that had not started, and it has no index."""
    folders = slurm.sweep(3)
    refs = hand_over(engine, folders)
    first, *_ = slurm.queue()
    slurm.keep([{**first, "state": "RUNNING"}, {**first, "index": None, "state": "CANCELLED", "end": first["submit"]}])
    slurm.pass_(20.0)
    seen = engine.observe(refs)
    assert [seen[ref].presence for ref in refs] == [Presence.RUNNING, Presence.GONE, Presence.GONE]
    assert [seen[ref].ended_as for ref in refs[1:]] == [JobStatus.CANCELLED] * 2
    assert len(slurm.calls("sbatch")) == 1


def test_a_job_that_squeue_cannot_show_is_not_handed_over_at_every_look(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, ref = slurm.submitted(engine, ago_s=20)
    for _ in range(4):
        slurm.forget()
        slurm.pass_(5.0)
        engine.observe([ref])
    assert len(slurm.calls("sbatch")) == 2
    known = read_handover(folder.handed_over)
    assert known is not None
    assert known.again_at is not None
    write_handover(folder.handed_over, replace(known, again_at=known.again_at - 30))
    slurm.pass_(5.0)
    assert look(engine, ref).presence is Presence.UNKNOWN
    assert "squeue does not list it" in look(engine, ref).message


def test_a_slurm_that_takes_no_job_is_left_alone_for_a_while(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    slurm.moods("away")
    first, second = slurm.folder(), slurm.folder()
    for folder in (first, second):
        with pytest.raises(EngineUnavailable):
            submit(slurm.engine(), folder)
    assert len(slurm.calls("sbatch")) == 1
    slurm.moods()
    assert submit(engine, first).startswith("1@")
    assert submit(engine, second).startswith("2@")


def test_an_array_has_no_more_tasks_than_the_scheduler_takes(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    slurm.tell(configuration=f"{CONFIGURATION}SchedulerParameters = bf_interval=5,max_array_tasks=2\n")
    folders = slurm.sweep(3)
    hand_over(engine, folders)
    assert arrays_of(slurm, folders) == [("0-1", None), ("0", None)]


def test_a_suspended_job_is_taken_out(slurm: FakeSlurm, engine: SlurmEngine) -> None:
    folder, ref = slurm.submitted(engine)
    slurm.change(folder.id, state="SUSPENDED", nodes="n1")
    mark(folder)
    engine.cancel([ref])
    assert slurm.calls("scancel") == [["--quiet", "1"]]


@pytest.mark.parametrize(
    "words",
    [
        {"poll_s": float("nan")},
        {"poll_s": float("inf")},
        {"poll_s": 0},
        {"poll_s": "1"},
        {"setup": ["module load x"]},
        {"setup": 7},
        {"python": ""},
        {"python": ["python3"]},
    ],
)
def test_a_setting_of_the_wrong_kind_is_named(slurm: FakeSlurm, words: dict[str, Any]) -> None:
    [name] = words
    with pytest.raises(SettingsError, match=rf"\[engines.slurm\] {name} = "):
        slurm.engine(words=words)


def test_a_home_that_pythonpath_cannot_name_is_refused(slurm: FakeSlurm) -> None:
    engine = slurm.engine()
    assert problems_of(engine) == []
    colon = SlurmEngine(
        slurm.state,
        slurm.jobs,
        runners=slurm.home / "a:b",
        leases=slurm.home,
        environment={"PATH": str(slurm.directory)},
    )
    assert "a:b has a colon" in problems_of(colon)[0]


@pytest.mark.parametrize(("count", "tasks", "refused"), [(1, 4, 0), (4, 4, 0), (4, 2, 1)])
def test_as_many_tasks_as_instances(slurm: FakeSlurm, count: int, tasks: int, refused: int) -> None:
    slurm.tell(help="  -n, --ntasks=ntasks         number of tasks to run\n")
    found = problems_of(slurm.engine(), instance_config=InstanceConfig(instanceCount=count), options={"ntasks": tasks})
    assert len(found) == refused


def test_a_configuration_that_is_not_there_is_named_at_once(slurm: FakeSlurm) -> None:
    environment = {"PATH": str(slurm.directory), "SLURM_CONF": "/none/such"}
    engine = SlurmEngine(slurm.state, slurm.jobs, runners=slurm.runners, leases=slurm.home, environment=environment)
    [told] = problems_of(engine)
    assert "SLURM_CONF=/none/such: there is no such file" in told


def test_sbatch_variables_are_defaults_behind_the_settings(slurm: FakeSlurm) -> None:
    environment = {"PATH": str(slurm.directory), "SBATCH_ACCOUNT": "chem", "SBATCH_PARTITION": "theirs"}
    engine = SlurmEngine(
        slurm.state,
        slurm.jobs,
        runners=slurm.runners,
        leases=slurm.home,
        environment=environment,
        words={"partition": "main"},
    )
    folder, _ = slurm.submitted(engine)
    script = folder.submit_script.read_text()
    assert "\n#SBATCH --account=chem\n" in script
    assert "\n#SBATCH --partition=main\n" in script
