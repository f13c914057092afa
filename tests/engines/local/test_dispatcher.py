"""The dispatcher: one for each state directory, there when it is needed, and missed by nobody when it is killed."""

from __future__ import annotations

import multiprocessing
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from living import processes_naming, wait_until
from qjob.engine import Presence
from qjob.engines.local.engine import LocalEngine
from qjob.engines.local.processes import start_time
from qjob.engines.local.queue import QueuedJob
from qjob.errors import SubmitError
from qjob.folder import JobFolder
from qjob.model.outcome import Outcome
from qjob.model.status import JobStatus
from qjob.testing import make_spec

pytestmark = pytest.mark.live

QPU = "arn:aws:braket:::device/qpu/acme/one"
SLEEPER = "import time\nprint('started', flush=True)\ntime.sleep(600)\n"
BRIEF = "print('ran')\n"
UNTIL_TOLD = "import os, time\nprint('started', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.005)\n"

Wait = Callable[[JobFolder], Outcome]
WaitGone = Callable[[LocalEngine, str], str]


def until_started(folder: JobFolder) -> None:
    wait_until(lambda: folder.log(0).exists() and folder.log(0).read_bytes())


def go(folder: JobFolder) -> None:
    (folder.source / "go").touch()


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: start_time(pid) is None)


# Coming and going


def test_a_job_that_comes_as_the_dispatcher_goes_still_runs(place: Any, wait_for: Wait) -> None:
    """Nobody looks at the job, so nobody makes up for a ring that was not heard."""
    engine = place.engine(idle_s=0.05)
    choose = random.Random(7)
    dispatchers: set[int | None] = set()
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline and len(dispatchers) < 25:
        folder, _ = place.submit(engine, "", python="/bin/true")
        assert wait_for(folder).status is JobStatus.COMPLETED
        dispatchers.add(place.dispatcher())
        time.sleep(choose.uniform(0.03, 0.07))  # the moment is the point
    assert len(dispatchers) > 5


def test_an_idle_dispatcher_ends(place: Any, wait_for: Wait) -> None:
    wait_for(place.submit(place.engine(idle_s=0.1), BRIEF)[0])
    wait_until(lambda: not processes_naming("qjob.engines.local.dispatcher\0" + str(place.state.path)))


class Counting(LocalEngine):
    """Notes each dispatcher that it starts."""

    notes: Path

    def _start_dispatcher(self) -> None:
        with self.notes.open("a") as file:
            file.write("+")
        super()._start_dispatcher()


def test_fifty_submitters_at_once_start_one_dispatcher(place: Any, tmp_path: Path, wait_for: Wait) -> None:
    Counting.notes = tmp_path / "notes"
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(50)
    folders = [place.folder("", python="/bin/true") for _ in range(50)]

    def submit(folder: JobFolder) -> None:
        barrier.wait()
        engine = Counting(place.state.path, place.jobs, slots=8, idle_s=5.0)
        engine.submit([(folder, folder.read_spec())])

    processes = [context.Process(target=submit, args=(folder,)) for folder in folders]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    for folder in folders:
        assert wait_for(folder).status is JobStatus.COMPLETED
    assert Counting.notes.read_text() == "+"


def test_a_look_starts_the_dispatcher_again(place: Any, wait_for: Wait) -> None:
    engine = place.engine(slots=1)
    first, _ = place.submit(engine, UNTIL_TOLD)
    second, ref = place.submit(engine, BRIEF)
    until_started(first)
    killed = place.dispatcher()
    kill(killed)
    assert engine.observe([ref])[ref].presence is Presence.WAITING
    assert place.dispatcher() != killed
    go(first)
    assert wait_for(second).status is JobStatus.COMPLETED


def test_two_state_directories_do_not_disturb_each_other(new_place: Any, wait_for: Wait) -> None:
    one, two = new_place("one"), new_place("two")
    engines = [one.engine(slots=1), two.engine(slots=1)]
    jobs = [place.submit(engine, UNTIL_TOLD, device=QPU) for place, engine in zip((one, two), engines, strict=True)]
    for folder, _ in jobs:
        until_started(folder)
    assert one.dispatcher() != two.dispatcher()
    kill(one.dispatcher())
    shutil.rmtree(one.state.path)
    for folder, _ in jobs:
        go(folder)
    assert [wait_for(folder).status for folder, _ in jobs] == [JobStatus.COMPLETED] * 2


def test_the_dispatcher_bears_no_mark_of_the_job_that_started_it(place: Any, wait_for: Wait, monkeypatch: Any) -> None:
    """Set in this process's environment, as that is where a job's own submit would have it from."""
    monkeypatch.setenv("QJOB_JOB_ID", "outer-job")
    wait_for(place.submit(place.engine(), BRIEF)[0])
    assert "outer-job" not in Path(f"/proc/{place.dispatcher()}/environ").read_text()


# Adoption


def test_a_job_that_was_claimed_and_not_started_is_started(place: Any, wait_for: Wait) -> None:
    queue_only = place.folder(BRIEF)
    place.state.path.mkdir(parents=True)
    queue = place.queue()
    queue.add([QueuedJob(id=queue_only.id, folder=str(queue_only.path), priority=0, slots=1)], 1)
    assert queue.claim(queue_only.id)
    queue.close()
    other, _ = place.submit(place.engine(slots=1), BRIEF)
    assert wait_for(queue_only).status is JobStatus.COMPLETED
    assert wait_for(other).status is JobStatus.COMPLETED


def test_a_running_job_is_adopted_with_its_slots_and_its_device(place: Any, wait_for: Wait) -> None:
    engine = place.engine()
    folder, ref = place.submit(engine, UNTIL_TOLD, device=QPU)
    until_started(folder)
    kill(place.dispatcher())
    second, second_ref = place.submit(engine, BRIEF, device=QPU)
    assert engine.observe([second_ref])[second_ref].message == f"device {QPU} is held by job {folder.id}"
    assert engine.observe([ref])[ref].presence is Presence.RUNNING
    go(folder)
    assert wait_for(folder).status is JobStatus.COMPLETED
    assert wait_for(second).status is JobStatus.COMPLETED
    assert wait_for(folder).ended_at <= second.read_events()[0].time


def test_a_job_that_ended_while_no_dispatcher_was_there(place: Any, wait_for: Wait, wait_for_gone: WaitGone) -> None:
    engine = place.engine()
    folder, ref = place.submit(engine, UNTIL_TOLD)
    until_started(folder)
    kill(place.dispatcher())
    go(folder)
    assert wait_for(folder).status is JobStatus.COMPLETED
    wait_until(lambda: not processes_naming(folder.id))
    wait_for_gone(engine, ref)
    assert place.queue().is_empty()


def test_a_runner_that_was_killed_while_no_dispatcher_was_there(place: Any, wait_for_gone: WaitGone) -> None:
    engine = place.engine()
    folder, ref = place.submit(
        engine, "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\n" + SLEEPER
    )
    until_started(folder)
    kill(place.dispatcher())
    kill(folder.read_events()[0].detail["pid"])
    assert wait_for_gone(engine, ref) == "its runner was killed while nobody watched"
    wait_until(lambda: not processes_naming(folder.id))


def test_a_runner_that_somebody_else_has_started_is_adopted(place: Any, wait_for: Wait) -> None:
    folder = place.folder(UNTIL_TOLD)
    runner = subprocess.Popen([sys.executable, "-P", "-m", "qjob.runner", str(folder.path)])
    try:
        until_started(folder)
        engine = place.engine()
        (ref,) = engine.submit([(folder, folder.read_spec())])
        wait_until(lambda: engine._queue().jobs([folder.id])[folder.id].pid == runner.pid)
        assert engine.observe([ref])[ref].presence is Presence.RUNNING
        go(folder)
        assert wait_for(folder).status is JobStatus.COMPLETED
        wait_until(lambda: place.queue().is_empty())
    finally:
        runner.kill()
        runner.wait()
    assert folder.log(0).read_bytes() == b"started\n"


def test_a_pid_that_was_given_out_again_fools_nobody(place: Any, wait_for: Wait) -> None:
    """The runner of a claimed job was killed at once, and its pid is now somebody else's."""
    folder = place.folder(BRIEF)
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            place.state.path.mkdir(parents=True)
            queue = place.queue()
            queue.add([QueuedJob(id=folder.id, folder=str(folder.path), priority=0, slots=1)], 1)
            queue.claim(folder.id)
            queue.set_process(folder.id, stranger.pid, "before this one")
            queue.close()
            engine = place.engine()
            engine.cancel([f"{platform.node()}/{folder.id}"])  # and this starts a dispatcher, which looks as well
            assert wait_for(folder).status is JobStatus.COMPLETED
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_runner_killed_before_its_first_word_is_started_again(place: Any, wait_for: Wait) -> None:
    folder = place.folder(BRIEF)
    dead = subprocess.Popen(["true"])
    dead.wait()
    place.state.path.mkdir(parents=True)
    queue = place.queue()
    queue.add([QueuedJob(id=folder.id, folder=str(folder.path), priority=0, slots=1)], 1)
    queue.claim(folder.id)
    queue.set_process(folder.id, dead.pid, None)
    queue.close()
    place.submit(place.engine(), BRIEF)
    assert wait_for(folder).status is JobStatus.COMPLETED


# Slots and devices


def test_a_device_takes_as_many_jobs_as_the_settings_say(place: Any, wait_for: Wait) -> None:
    engine = place.engine(slots=8, device_capacities={QPU: 2})
    jobs = [place.submit(engine, UNTIL_TOLD, device=QPU) for _ in range(3)]
    for folder, _ in jobs[:2]:
        until_started(folder)
    seen = engine.observe([jobs[2][1]])[jobs[2][1]]
    assert (seen.presence, seen.position) == (Presence.WAITING, 1)
    assert "is held by job" in seen.message
    for folder, _ in jobs:
        go(folder)
    assert [wait_for(folder).status for folder, _ in jobs] == [JobStatus.COMPLETED] * 3


def test_a_job_may_ask_for_slots_of_its_own(place: Any, wait_for: Wait) -> None:
    engine = place.engine(slots=3)
    jobs = [place.submit(engine, UNTIL_TOLD, options={"slots": slots}) for slots in (2, 2, 1)]
    until_started(jobs[0][0])
    seen = {ref: engine.observe([ref])[ref] for _, ref in jobs}
    assert [seen[ref].position for _, ref in jobs[1:]] == [1, 2]
    assert "2 of this machine's 3 slots are in use, and the job takes 2" in seen[jobs[1][1]].message
    for folder, _ in jobs:
        go(folder)
    assert [wait_for(folder).status for folder, _ in jobs] == [JobStatus.COMPLETED] * 3


def test_a_job_wider_than_the_machine_runs_alone(place: Any, wait_for: Wait) -> None:
    engine = place.engine(slots=2)
    narrow = place.submit(engine, UNTIL_TOLD)
    until_started(narrow[0])
    wide = place.submit(engine, BRIEF, options={"slots": 100})
    assert "and the job takes 2" in engine.observe([wide[1]])[wide[1]].message
    go(narrow[0])
    assert wait_for(wide[0]).status is JobStatus.COMPLETED


@pytest.fixture
def few_processes() -> Iterator[Path]:
    """A control group with a limit of processes; a process joins it by writing its pid."""
    group = Path(f"/sys/fs/cgroup/pids/qjob-test-{uuid.uuid4().hex}")
    try:
        group.mkdir()
    except OSError:
        pytest.skip("no right to make a control group with a limit of processes")
    yield group
    (group / "pids.max").write_text("max")
    wait_until(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


def test_when_no_process_is_to_be_had_the_job_waits(few_processes: Path, new_place: Any, wait_for: Wait) -> None:
    place = new_place("few")
    engine = place.engine(idle_s=0.3, warm=False)  # a zygote would have processes
    wait_for(place.submit(engine, BRIEF)[0])
    wait_until(lambda: place.queue().is_empty())
    dispatcher = place.dispatcher()
    (few_processes / "cgroup.procs").write_text(str(dispatcher))
    (few_processes / "pids.max").write_text("1")
    folder, ref = place.submit(engine, BRIEF)
    wait_until(lambda: "Resource temporarily unavailable" in place.state.log.read_text())
    assert engine.observe([ref])[ref].presence is Presence.WAITING
    (few_processes / "pids.max").write_text("max")
    assert wait_for(folder).status is JobStatus.COMPLETED
    assert place.dispatcher() == dispatcher


# What people do to files


def test_a_folder_that_is_removed_while_the_job_waits(place: Any, wait_for: Wait, wait_for_gone: WaitGone) -> None:
    engine = place.engine(slots=1)
    first = place.submit(engine, UNTIL_TOLD)
    until_started(first[0])
    folder, ref = place.submit(engine, BRIEF)
    last = place.submit(engine, BRIEF)
    shutil.rmtree(folder.path)
    go(first[0])
    assert wait_for(last[0]).status is JobStatus.COMPLETED
    assert wait_for_gone(engine, ref) == "its folder was removed"


def test_a_folder_that_is_removed_while_the_job_runs(place: Any, wait_for: Wait, wait_for_gone: WaitGone) -> None:
    engine = place.engine(slots=1)
    folder, ref = place.submit(engine, SLEEPER)
    until_started(folder)
    next_one = place.submit(engine, BRIEF)
    shutil.rmtree(folder.path)
    assert engine.observe([ref])[ref].presence is Presence.RUNNING
    engine.cancel([ref])
    assert wait_for_gone(engine, ref) == "its folder was removed"
    assert wait_for(next_one[0]).status is JobStatus.COMPLETED
    assert not processes_naming(folder.id)


@pytest.mark.parametrize("name", ["spec.json", "environment.json", "events.jsonl"])
def test_a_file_that_is_damaged_while_the_job_waits(place: Any, wait_for: Wait, name: str) -> None:
    engine = place.engine(slots=1)
    first = place.submit(engine, UNTIL_TOLD)
    until_started(first[0])
    folder, _ = place.submit(engine, BRIEF)
    last = place.submit(engine, BRIEF)
    (folder.path / name).write_text("no JSON\n")
    go(first[0])
    outcome = wait_for(folder)
    assert outcome.status is JobStatus.FAILED
    assert f"{name} is damaged" in (outcome.reason or "")
    assert wait_for(last[0]).status is JobStatus.COMPLETED


def test_a_job_that_writes_nonsense_into_its_events_stops_nobody_else(
    place: Any, wait_for: Wait, wait_for_gone: WaitGone
) -> None:
    engine = place.engine(slots=1)
    folder, ref = place.submit(engine, "open('../events.jsonl', 'a').write('nonsense\\n')\n" + SLEEPER)
    until_started(folder)
    runner = int(engine._queue().jobs([folder.id])[folder.id].pid or 0)
    kill(place.dispatcher())
    other, _ = place.submit(engine, BRIEF)
    kill(runner)
    assert wait_for(other).status is JobStatus.COMPLETED
    assert wait_for_gone(engine, ref) == "its runner was killed while nobody watched"


def test_the_interpreter_of_a_job_is_gone(place: Any, wait_for: Wait) -> None:
    folder, _ = place.submit(place.engine(), BRIEF, python="/no/such/python")
    outcome = wait_for(folder)
    assert outcome.status is JobStatus.FAILED
    assert "the interpreter /no/such/python cannot be started" in (outcome.reason or "")


def test_a_damaged_queue_is_told_with_its_remedy_and_the_remedy_works(place: Any, wait_for: Wait) -> None:
    engine = place.engine(slots=1)
    running, running_ref = place.submit(engine, UNTIL_TOLD)
    until_started(running)
    waiting, waiting_ref = place.submit(engine, BRIEF)
    place.state.queue.write_bytes(b"no database " * 1000)
    for part in ("-wal", "-shm"):
        place.state.queue.with_name(f"queue.db{part}").unlink(missing_ok=True)
    fresh = place.engine(slots=1)
    refused = place.folder(BRIEF)
    with pytest.raises(SubmitError, match=r"queue\.db cannot be used: .*\. Move it away"):
        fresh.submit([(refused, refused.read_spec())])
    place.state.queue.rename(place.path / "away")
    seen = fresh.observe([running_ref, waiting_ref])
    assert seen[running_ref].presence is Presence.RUNNING
    assert seen[waiting_ref].presence is Presence.WAITING
    go(running)
    assert wait_for(running).status is JobStatus.COMPLETED
    assert wait_for(waiting).status is JobStatus.COMPLETED
    assert wait_for(place.submit(fresh, BRIEF)[0]).status is JobStatus.COMPLETED
    if "Traceback" in place.state.log.read_text():  # of a dispatcher that found the damage, as it should
        place.state.log.write_text("")


def test_a_queue_that_is_removed_is_made_anew_for_an_engine_that_is_in_use(place: Any, wait_for: Wait) -> None:
    """Nobody looks: the dispatcher that is at work sees for itself that its queue is no more."""
    engine = place.engine(idle_s=600.0)
    wait_for(place.submit(engine, BRIEF)[0])
    wait_until(lambda: place.queue().is_empty())
    for part in ("", "-wal", "-shm"):
        place.state.queue.with_name(f"queue.db{part}").unlink(missing_ok=True)
    assert wait_for(place.submit(engine, BRIEF)[0]).status is JobStatus.COMPLETED


def test_a_state_directory_that_is_removed_under_an_idle_dispatcher(place: Any, wait_for: Wait) -> None:
    engine = place.engine()
    wait_for(place.submit(engine, BRIEF)[0])
    old = place.dispatcher()
    shutil.rmtree(place.path)
    place.jobs.mkdir(parents=True)
    assert wait_for(place.submit(engine, BRIEF)[0]).status is JobStatus.COMPLETED
    assert place.dispatcher() != old
    with suppress(ProcessLookupError):  # it may have noticed by now
        kill(old)


def test_a_state_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    engine = LocalEngine(tmp_path / "file" / "local", tmp_path / "jobs", slots=1)
    with pytest.raises(SubmitError, match=r"cannot be used: .*Not a directory"):
        engine.submit([(JobFolder(tmp_path / "jobs" / "x"), make_spec())])


def test_a_forked_submitter_opens_the_queue_for_itself(place: Any, wait_for: Wait) -> None:
    engine = place.engine()
    first = place.submit(engine, BRIEF)[0]
    second = place.folder(BRIEF)
    process = multiprocessing.get_context("fork").Process(target=engine.submit, args=([(second, second.read_spec())],))
    process.start()
    process.join()
    assert process.exitcode == 0
    third = place.submit(engine, BRIEF)[0]
    assert [wait_for(folder).status for folder in (first, second, third)] == [JobStatus.COMPLETED] * 3


def test_an_outcome_ends_it_whatever_became_of_the_runner(place: Any, wait_for_gone: WaitGone) -> None:
    """A runner that is killed between its outcome and its end has done its work."""
    engine = place.engine(slots=1)
    folder, ref = place.submit(engine, SLEEPER)
    until_started(folder)
    folder.write_outcome(Outcome(status=JobStatus.COMPLETED, ended_at=datetime.now(UTC)))
    kill(folder.read_events()[0].detail["pid"])
    wait_for_gone(engine, ref)
    assert engine._queue().jobs([folder.id]) == {}
