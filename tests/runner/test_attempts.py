"""Attempts: a job that its scheduler starts again goes on, and nothing of the last attempt goes on beside it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from living import processes_naming, wait_until
from qjob.folder import CancelMark, JobFolder
from qjob.model.event import JobEvent
from qjob.model.status import EventType, JobStatus
from qjob.runner.attempts import last_attempt, set_logs_aside
from qjob.runner.run import EXIT_INTERRUPTED, EXIT_OUTCOME, EXIT_TAKEN
from qjob.testing import make_folder, make_spec, make_sweep_folders

pytestmark = pytest.mark.live

Prepare = Callable[..., JobFolder]
Start = Callable[..., "subprocess.Popen[str]"]
Finish = Callable[[JobFolder, "subprocess.Popen[str]"], Any]

GOING_ON = """\
import os, pathlib, sys, time
checkpoint = pathlib.Path(os.environ["AMZN_BRAKET_CHECKPOINT_DIR"], "step")
if checkpoint.exists():
    print("second, from step", checkpoint.read_text())
    sys.exit()
checkpoint.write_text("7")
print("first", flush=True)
time.sleep(600)
"""
"""A job that sleeps for ever, and when it is started again goes on from what it saved."""
SLEEPER = "import time\nprint('started', flush=True)\ntime.sleep(600)\n"


def until_printed(folder: JobFolder, text: str) -> None:
    wait_until(lambda: folder.log(0).exists() and text in folder.log(0).read_text())


def interrupted(folder: JobFolder, runner: subprocess.Popen[str]) -> None:
    """End an attempt as a scheduler does."""
    runner.terminate()
    _, stderr = runner.communicate(timeout=60)
    assert (runner.returncode, stderr) == (EXIT_INTERRUPTED, "")
    assert not folder.outcome.exists()


def attempts_of(folder: JobFolder) -> list[object]:
    return [event.detail["attempt"] for event in folder.read_events() if event.type is EventType.STARTING_INSTANCE]


def test_an_attempt_that_its_scheduler_ends_leaves_no_outcome(folder_of: Prepare, start: Start) -> None:
    folder = folder_of(SLEEPER)
    runner = start(folder, "--attempt", "1")
    until_printed(folder, "started")
    interrupted(folder, runner)
    left = folder.read_interruption()
    assert left is not None
    assert json.loads(folder.interruption(1).read_text())["status"] == "FAILED"
    assert (left.status, left.exit_codes) == (JobStatus.FAILED, (-signal.SIGTERM,))
    assert "SIGTERM" in (left.reason or "")
    assert folder.environment.exists(), "the next attempt needs it"
    assert not list(folder.path.glob(".reserve*"))
    assert not processes_naming(folder.id)


def test_the_next_attempt_goes_on(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of(GOING_ON)
    first = start(folder, "--attempt", "1")
    until_printed(folder, "first")
    interrupted(folder, first)
    ran = finish(folder, start(folder, "--attempt", "2"))
    assert (ran.outcome.status, ran.outcome.exit_codes) == (JobStatus.COMPLETED, (0,))
    assert ran.log == "first\nsecond, from step 7\n"
    assert (folder.attempt(1) / "logs" / "0.log").read_text() == "first\n"
    assert [event.type for event in folder.read_events()] == [
        EventType.STARTING_INSTANCE,
        EventType.RUNNING,
        EventType.QUEUED_FOR_EXECUTION,
        EventType.STARTING_INSTANCE,
        EventType.RUNNING,
    ]
    assert attempts_of(folder) == [1, 2]
    assert "attempt 1 was interrupted" in folder.read_events()[2].message


def test_the_index_of_the_log_goes_on_too(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of(GOING_ON)
    first = start(folder, "--attempt", "1")
    until_printed(folder, "first")
    interrupted(folder, first)
    finish(folder, start(folder, "--attempt", "2"))
    offsets = [int(line.split()[0]) for line in folder.log_index(0).read_text().splitlines()]
    assert offsets == [0, len("first\n")]


def test_a_third_attempt_keeps_the_logs_of_both(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of(
        "import os, pathlib, time\n"
        "marks = pathlib.Path(os.environ['AMZN_BRAKET_CHECKPOINT_DIR'])\n"
        "number = len(list(marks.iterdir()))\n"
        "(marks / str(number)).touch()\n"
        "print('attempt', number, flush=True)\n"
        "time.sleep(600 if number < 2 else 0)\n"
    )
    for number in ("1", "2"):
        runner = start(folder, "--attempt", number)
        until_printed(folder, f"attempt {int(number) - 1}\n")
        interrupted(folder, runner)
    ran = finish(folder, start(folder, "--attempt", "3"))
    assert ran.log == "attempt 0\nattempt 1\nattempt 2\n"
    assert (folder.attempt(2) / "logs" / "0.log").read_text() == "attempt 0\nattempt 1\n"
    assert attempts_of(folder) == [1, 2, 3]


def test_after_a_runner_that_was_killed_the_job_goes_on(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of(GOING_ON)
    first = start(folder, "--attempt", "1")
    until_printed(folder, "first")
    first.kill()
    first.wait()
    ran = finish(folder, start(folder, "--attempt", "2"))
    assert ran.log == "first\nsecond, from step 7\n"


def test_an_attempt_whose_predecessor_never_began(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of("print('ran')\n")
    ran = finish(folder, start(folder, "--attempt", "3"))
    assert (ran.outcome.status, ran.log) == (JobStatus.COMPLETED, "ran\n")
    assert attempts_of(folder) == [3]
    assert not folder.attempt(1).exists()


def test_an_attempt_after_the_end_changes_nothing(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of("print('once')\n")
    finish(folder, start(folder, "--attempt", "1"))
    before = folder.outcome.read_bytes()
    assert start(folder, "--attempt", "2").wait() == EXIT_OUTCOME
    assert (folder.outcome.read_bytes(), folder.log(0).read_text()) == (before, "once\n")
    assert attempts_of(folder) == [1]


def test_a_duplicate_of_an_attempt_is_refused(folder_of: Prepare, start: Start) -> None:
    folder = folder_of(SLEEPER)
    first = start(folder, "--attempt", "1")
    until_printed(folder, "started")
    assert start(folder, "--attempt", "1").wait() == EXIT_TAKEN
    assert start(folder).wait() == EXIT_TAKEN
    assert first.poll() is None
    interrupted(folder, first)


def test_a_later_attempt_takes_the_job_from_an_earlier_one(folder_of: Prepare, start: Start, finish: Finish) -> None:
    """As after a machine was taken for lost that was not."""
    folder = folder_of(
        "import os, pathlib, subprocess, time\n"
        "marker = pathlib.Path(os.environ['AMZN_BRAKET_CHECKPOINT_DIR'], 'pid')\n"
        "if not marker.exists():\n"
        "    deaf = ['sh', '-c', 'trap \"\" TERM; while :; do sleep 1; done']\n"
        "    deaf = subprocess.Popen(deaf, start_new_session=True)\n"
        "    marker.write_text(str(deaf.pid))\n"
        "    print('first', flush=True)\n"
        "    time.sleep(600)\n"
        "print('second, and the first one is', 'there' if os.path.exists('/proc/' + marker.read_text()) else 'gone')\n"
    )
    first = start(folder, "--attempt", "1")
    until_printed(folder, "first")
    ran = finish(folder, start(folder, "--attempt", "2"))
    assert first.wait(30) == EXIT_INTERRUPTED
    assert ran.outcome.status is JobStatus.COMPLETED
    assert ran.log == "first\nsecond, and the first one is gone\n"
    assert not folder.interruption(1).exists(), "the first one writes nothing any more"
    assert attempts_of(folder) == [1, 2]
    assert not processes_naming(folder.id)


def test_where_locks_are_not_seen_elsewhere_the_newest_runner_has_the_job(
    folder_of: Prepare, start: Start, finish: Finish
) -> None:
    """A controller that has lost the job starts it anew, from 1, on another node of a disk with local locks."""
    folder = folder_of(GOING_ON)
    first = start(folder, "--attempt", "1")
    until_printed(folder, "first")
    copy = folder.events.with_name("copy")
    shutil.copy(folder.events, copy)
    copy.replace(folder.events)  # the first runner has its lock on a file that nobody sees
    ran = finish(folder, start(folder, "--attempt", "1"))
    assert ran.log == "first\nsecond, from step 7\n"
    assert first.wait(5) == EXIT_INTERRUPTED


def test_an_earlier_attempt_that_comes_late_is_refused(folder_of: Prepare, start: Start) -> None:
    folder = folder_of(SLEEPER)
    second = start(folder, "--attempt", "2")
    until_printed(folder, "started")
    assert start(folder, "--attempt", "1").wait() == EXIT_TAKEN
    interrupted(folder, second)
    assert attempts_of(folder) == [2]


def test_a_cancelled_attempt_is_the_end_of_the_job(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of(SLEEPER)
    runner = start(folder, "--attempt", "1")
    until_printed(folder, "started")
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    runner.terminate()
    ran = finish(folder, runner)
    assert (ran.outcome.status, ran.outcome.exit_codes) == (JobStatus.CANCELLED, (-signal.SIGTERM,))
    assert not folder.interruption(1).exists()


def test_a_job_that_is_cancelled_between_attempts_does_not_go_on(
    folder_of: Prepare, start: Start, finish: Finish
) -> None:
    folder = folder_of(GOING_ON)
    first = start(folder, "--attempt", "1")
    until_printed(folder, "first")
    interrupted(folder, first)
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    ran = finish(folder, start(folder, "--attempt", "2"))
    assert (ran.outcome.status, ran.log) == (JobStatus.CANCELLED, "first\n")


def test_the_schedulers_warning_ends_the_job_with_its_grace(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(0)))\n"
        "print('started', flush=True)\n"
        "time.sleep(600)\n",
        grace_s=20.0,
    )
    runner = start(folder, "--attempt", "1")
    until_printed(folder, "started")
    runner.send_signal(signal.SIGUSR1)
    ran = finish(folder, runner)
    assert ran.log == "started\nsaved\n"
    assert ran.outcome.status is JobStatus.FAILED
    assert "The scheduler's time limit was near" in ran.outcome.reason
    assert folder.read_events()[-1].type is EventType.MAX_RUNTIME_EXCEEDED


def test_a_warning_does_not_reach_a_job_without_a_scheduler(folder_of: Prepare, start: Start) -> None:
    folder = folder_of(SLEEPER)
    runner = start(folder)
    until_printed(folder, "started")
    runner.send_signal(signal.SIGUSR1)
    assert runner.wait(30) == -signal.SIGUSR1


def test_a_script_that_dies_of_the_schedulers_signal_before_the_runner_hears_of_it(
    folder_of: Prepare, start: Start
) -> None:
    """Slurm signals all processes of a job: which of them comes first nobody knows."""
    folder = folder_of("import os, signal\nprint('started', flush=True)\nos.kill(os.getpid(), signal.SIGTERM)\n")
    runner = start(folder, "--attempt", "1")
    until_printed(folder, "started")
    wait_until(lambda: not processes_naming(f"QJOB_JOB_ID={folder.id}"))
    interrupted(folder, runner)


def test_a_script_that_ends_itself_by_that_signal_has_failed(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n")
    ran = finish(folder, start(folder, "--attempt", "1"))
    assert (ran.outcome.status, ran.outcome.exit_codes) == (JobStatus.FAILED, (-signal.SIGTERM,))
    assert "signal 15" in ran.outcome.reason


def test_a_runner_whose_parent_is_gone_ends_its_job(folder_of: Prepare, tmp_path: Path) -> None:
    folder = folder_of(SLEEPER)
    code = (
        "import subprocess, sys\n"
        "runner = [sys.executable, '-P', '-m', 'qjob.runner']\n"
        "subprocess.Popen([*runner, sys.argv[1], '--attempt', '1', '--watch-parent'])\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder.path)], stdin=subprocess.PIPE) as parent:
        until_printed(folder, "started")
        parent.kill()
    wait_until(folder.outcome.exists)
    outcome = folder.read_outcome()
    assert outcome is not None
    assert outcome.status is JobStatus.FAILED
    assert "its node has lost the job" in (outcome.reason or "")
    wait_until(lambda: not processes_naming(folder.id))


def test_the_second_attempt_of_a_sweeps_job_keeps_its_working_directory(
    tmp_path: Path, start: Start, finish: Finish
) -> None:
    [folder] = make_sweep_folders(tmp_path / "j o'b\"s", make_spec("sleep", say="first"), points=1)
    first = start(folder, "--attempt", "1")
    until_printed(folder, "first")
    (folder.source / "of the first attempt").write_text("kept")
    interrupted(folder, first)
    spec = folder.read_spec()
    folder.write_spec(make_spec("finish", say="second", sweep_point=spec.sweep_point))
    ran = finish(folder, start(folder, "--attempt", "2"))
    assert (ran.outcome.status, ran.log) == (JobStatus.COMPLETED, "first\nsecond\n")
    assert (folder.source / "of the first attempt").read_text() == "kept"


def test_each_attempt_has_a_lease_of_its_own(folder_of: Prepare, start: Start, finish: Finish, tmp_path: Path) -> None:
    text = "import os\nprint(os.environ['QJOB_DEVICE_LEASE'].split()[0], flush=True)\n" + GOING_ON
    folder = folder_of(text)
    device = tmp_path / "acme's device"
    first = start(folder, "--attempt", "1", "--lease", str(device))
    until_printed(folder, "first")
    interrupted(folder, first)
    ran = finish(folder, start(folder, "--attempt", "2", "--lease", str(device)))
    assert ran.log == "1\nfirst\n2\nsecond, from step 7\n"
    assert (device / "current").read_text() == f"2 {folder.id}\n"


def test_a_lease_that_cannot_be_taken_is_told(folder_of: Prepare, start: Start, finish: Finish, tmp_path: Path) -> None:
    (tmp_path / "device").write_text("in the way")
    folder = folder_of(SLEEPER)
    ran = finish(folder, start(folder, "--attempt", "1", "--lease", str(tmp_path / "device")))
    assert ran.outcome.status is JobStatus.FAILED
    assert "cannot be started" in ran.outcome.reason
    assert ran.log == ""


def test_what_the_scheduler_has_set_goes_before_what_the_user_had(
    folder_of: Prepare, start: Start, finish: Finish
) -> None:
    names = ["SLURM_JOB_ID", "SLURM_CPUS_PER_TASK", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"]
    folder = folder_of(
        f"import os\nprint([os.environ.get(name) for name in {names}])\n",
        environment={"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "9", "OMP_NUM_THREADS": "4"},
    )
    ran = finish(folder, start(folder, "--attempt", "1", SLURM_JOB_ID="4711", CUDA_VISIBLE_DEVICES="0,1"))
    assert ran.log == "['4711', None, '0,1', '4']\n"


@pytest.mark.parametrize("attempt", ["1", "2"])
@pytest.mark.parametrize("damage", [b"\xff\n", b"[]\n", b'{"a"\n'], ids=ascii)
def test_damaged_events_are_named_in_the_outcome(
    folder_of: Prepare, start: Start, finish: Finish, attempt: str, damage: bytes
) -> None:
    folder = folder_of("print('ran')\n")
    folder.events.write_bytes(damage)
    ran = finish(folder, start(folder, "--attempt", attempt))
    assert ran.outcome.status is JobStatus.FAILED
    assert "events.jsonl is damaged" in ran.outcome.reason
    assert ran.log == ""


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"number": "x"}'])
def test_a_damaged_note_of_the_attempt_counts_for_nothing(
    folder_of: Prepare, start: Start, finish: Finish, damage: bytes
) -> None:
    folder = folder_of("print('ran')\n")
    folder.attempt_mark.write_bytes(damage)
    assert finish(folder, start(folder, "--attempt", "1")).log == "ran\n"


def test_arguments_that_are_none_are_told(folder_of: Prepare, start: Start) -> None:
    runner = start(folder_of(SLEEPER), "--attempt", "first")
    _, stderr = runner.communicate(timeout=60)
    assert runner.returncode == 2
    assert "invalid int value: 'first'" in stderr


# Without processes


def starting(**detail: Any) -> JobEvent:
    return JobEvent(type=EventType.STARTING_INSTANCE, time=datetime.now(UTC), detail=detail)


@pytest.mark.parametrize(
    ("events", "number"),
    [
        ([], 0),
        ([JobEvent(type=EventType.RUNNING, time=datetime.now(UTC))], 0),
        ([starting()], 1),
        ([starting(attempt=1), starting(attempt=3)], 3),
    ],
)
def test_the_number_of_the_last_attempt(events: list[JobEvent], number: int) -> None:
    assert last_attempt(events) == number


def test_logs_are_set_aside_once(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "jobs", make_spec())
    folder.log(0).write_text("first\n")
    set_logs_aside(folder, 1)
    folder.log(0).write_text("first\nsecond\n")
    set_logs_aside(folder, 1)
    assert folder.log(0).read_text() == "first\nsecond\n"
    assert (folder.attempt(1) / "logs" / "0.log").read_text() == "first\n"


def test_what_a_lost_machine_still_writes_is_not_in_the_log(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "jobs", make_spec())
    with folder.log(0).open("w") as lost:
        lost.write("first\n")
        lost.flush()
        set_logs_aside(folder, 1)
        lost.write("late\n")
    assert folder.log(0).read_text() == "first\n"
    assert os.listdir(folder.attempt(1)) == ["logs"]


def test_without_logs_there_is_nothing_to_set_aside(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    set_logs_aside(folder, 1)
    assert not folder.logs.exists()
