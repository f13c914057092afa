"""The life of a job in the runner: begun once, always with an outcome."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from living import processes_naming, wait_until
from qjob.folder import CancelMark, JobFolder
from qjob.model.config import InstanceConfig, StoppingCondition
from qjob.model.outcome import Outcome
from qjob.model.status import EventType, JobStatus
from qjob.runner.run import EXIT_FOLDER, EXIT_OUTCOME, EXIT_TAKEN

pytestmark = pytest.mark.live

Run = Callable[..., Any]
Prepare = Callable[..., JobFolder]
Start = Callable[[JobFolder], "subprocess.Popen[str]"]
Finish = Callable[[JobFolder, "subprocess.Popen[str]"], Any]

SLEEPER = "import time\nprint('started', flush=True)\ntime.sleep(600)\n"


def until_started(folder: JobFolder) -> None:
    wait_until(lambda: folder.log(0).exists() and folder.log(0).read_bytes())


def test_a_job_is_run_once(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of("print('once')\n")
    finish(folder, start(folder))
    written = folder.outcome.read_bytes()
    assert start(folder).wait() == EXIT_OUTCOME
    assert folder.log(0).read_bytes() == b"once\n"
    assert folder.outcome.read_bytes() == written


def test_a_second_runner_leaves_the_job_to_the_first(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of(SLEEPER)
    first = start(folder)
    until_started(folder)
    assert start(folder).wait() == EXIT_TAKEN
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    first.terminate()
    assert finish(folder, first).log == "started\n"


def test_what_an_earlier_runner_began_is_not_begun_again(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of(SLEEPER)
    first = start(folder)
    until_started(folder)
    first.kill()
    first.wait()
    wait_until(lambda: not processes_naming(folder.id))  # the script has gone with its runner
    ran = finish(folder, start(folder))
    assert ran.outcome.reason == "An earlier runner of this job was killed."
    assert ran.log == "started\n"


def test_a_job_that_was_cancelled_before_never_starts(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of("print('ran')\n")
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    ran = finish(folder, start(folder))
    assert (ran.outcome.status, ran.outcome.exit_codes, ran.log) == (JobStatus.CANCELLED, (), "")


@pytest.mark.parametrize("name", ["spec.json", "environment.json", "events.jsonl"])
@pytest.mark.parametrize("damage", [b"{", b"\xff\xfe\n", b"[]\n", b"{}\n"], ids=ascii)
def test_a_damaged_file_is_named_in_the_outcome(
    folder_of: Prepare, start: Start, finish: Finish, name: str, damage: bytes
) -> None:
    if (name, damage) in {("environment.json", b"[]\n"), ("environment.json", b"{}\n"), ("events.jsonl", b"{")}:
        damage = b'{"a"\n'  # what stands there is no damage in that file
    folder = folder_of("print('ran')\n")
    (folder.path / name).write_bytes(damage)
    ran = finish(folder, start(folder))
    assert ran.outcome.status is JobStatus.FAILED
    assert f"{name} is damaged" in ran.outcome.reason
    assert ran.log == ""


@pytest.mark.parametrize("name", ["spec.json", "environment.json"])
def test_a_missing_file_is_named_in_the_outcome(folder_of: Prepare, start: Start, finish: Finish, name: str) -> None:
    folder = folder_of("print('ran')\n")
    (folder.path / name).unlink()
    assert f"{name} is missing" in finish(folder, start(folder)).outcome.reason


def test_a_folder_that_is_gone_is_told_by_the_exit_code(tmp_path: Path, start: Start) -> None:
    runner = start(JobFolder(tmp_path / "gone"))
    _, stderr = runner.communicate()
    assert runner.returncode == EXIT_FOLDER
    assert "gone" in stderr
    assert "Traceback" not in stderr


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_under_its_own_log_does_not_change_the_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "qjob.runner", str(tmp_path / "gone")]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, check=False, stderr=full).returncode == EXIT_FOLDER


def test_a_folder_that_is_removed_while_the_job_runs(folder_of: Prepare, start: Start) -> None:
    folder = folder_of("import time\nprint('started', flush=True)\nfor _ in range(600): time.sleep(0.01)\n")
    runner = start(folder)
    until_started(folder)
    shutil.rmtree(folder.path)
    runner.terminate()
    runner.communicate()
    assert runner.returncode == EXIT_FOLDER
    assert not folder.path.exists()
    assert not processes_naming(folder.id)


def test_a_job_that_removes_its_own_folder(folder_of: Prepare, start: Start) -> None:
    folder = folder_of("import os, shutil\nshutil.rmtree(os.path.dirname(os.getcwd()))\n")
    runner = start(folder)
    runner.communicate()
    assert runner.returncode == EXIT_FOLDER
    assert not folder.path.exists()


@pytest.mark.parametrize("kind", ["missing", "not executable", "a directory", "not a program"])
def test_an_interpreter_that_cannot_be_started(run: Run, tmp_path: Path, kind: str) -> None:
    python = tmp_path / "python"
    if kind == "a directory":
        python.mkdir()
    elif kind != "missing":
        python.write_bytes(b"\0\1\2")
        python.chmod(0o644 if kind == "not executable" else 0o755)
    ran = run("print('ran')\n", python=str(python))
    assert ran.outcome.status is JobStatus.FAILED
    assert f"the interpreter {python} cannot be started" in ran.outcome.reason
    assert ran.log == ""


@pytest.mark.parametrize("limit_s", [10**9, 10**400])
def test_a_time_limit_may_be_as_long_as_one_likes(run: Run, limit_s: int) -> None:
    condition = StoppingCondition(maxRuntimeInSeconds=limit_s)
    assert run("print('ran')\n", stopping_condition=condition).outcome.status is JobStatus.COMPLETED


def test_at_the_time_limit_the_script_has_its_grace(run: Run) -> None:
    ran = run(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(0)))\n"
        "time.sleep(600)\n",
        stopping_condition=StoppingCondition(maxRuntimeInSeconds=1),
        grace_s=20.0,
    )
    assert ran.log == "saved\n"
    assert ran.outcome.status is JobStatus.FAILED
    assert "maxRuntimeInSeconds of 1 s" in ran.outcome.reason
    assert [event.type for event in ran.folder.read_events()][-1] is EventType.MAX_RUNTIME_EXCEEDED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_runner_that_somebody_else_ends_says_so(
    folder_of: Prepare, start: Start, finish: Finish, number: signal.Signals
) -> None:
    folder = folder_of(SLEEPER)
    runner = start(folder)
    until_started(folder)
    runner.send_signal(number)
    ran = finish(folder, runner)
    assert ran.outcome.status is JobStatus.FAILED
    assert "somebody other than qjob" in ran.outcome.reason


def test_a_lost_signal_is_made_up_for_by_looking(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of(SLEEPER)
    runner = start(folder)
    until_started(folder)
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    assert finish(folder, runner).outcome.status is JobStatus.CANCELLED


def test_a_runner_that_is_stopped_for_a_while_goes_on(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of("import time\nprint('started', flush=True)\nfor i in range(20): print(i); time.sleep(0.01)\n")
    runner = start(folder)
    until_started(folder)
    runner.send_signal(signal.SIGSTOP)
    wait_until(lambda: Path(f"/proc/{runner.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    runner.send_signal(signal.SIGCONT)
    assert finish(folder, runner).log.split()[1:] == [str(i) for i in range(20)]


def test_signals_that_the_submitters_thread_had_blocked_come_through(folder_of: Prepare) -> None:
    folder = folder_of(SLEEPER)
    blocked = [signal.SIGTERM, signal.SIGCHLD, signal.SIGINT]
    old = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        runner = subprocess.Popen([sys.executable, "-P", "-m", "qjob.runner", str(folder.path)])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
    with runner:
        until_started(folder)
        folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
        runner.terminate()
    outcome = folder.read_outcome()
    assert isinstance(outcome, Outcome)
    assert outcome.exit_codes == (-signal.SIGTERM,)


def test_an_instance_is_alone_with_its_output(run: Run) -> None:
    ran = run(
        "import os, signal\n"
        "links = {fd: os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')\n"
        "         if os.path.exists(f'/proc/self/fd/{fd}') or fd in '012'}\n"
        "print(sorted(os.path.basename(link).partition(':')[0] for link in links.values()))\n"
        "print(os.getsid(0) == os.getpid() == os.getpgid(0))\n"
        "print([n.name for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD) if signal.getsignal(n)])\n"
        "print(open('/proc/self/oom_score_adj').read().strip())\n",
        instance_config=InstanceConfig(instanceCount=3),
    )
    assert ran.outcome.exit_codes == (0, 0, 0)
    for number in range(3):
        said = ran.folder.log(number).read_text().splitlines()
        # stdout and stderr are the log; and there is the report's pipe, of which the script knows nothing
        assert said[0] == f"['{number}.log', '{number}.log', 'null', 'pipe']"
        assert said[1:] == ["True", "[]", "300"]


def test_a_crash_among_many_threads_is_told_by_its_own_stack(run: Run) -> None:
    ran = run(
        "import ctypes, threading\n"
        "def wait(n):\n    if n: return wait(n - 1)\n    ready.release(); go.wait()\n"
        "go, ready = threading.Event(), threading.Semaphore(0)\n"
        "for _ in range(40): threading.Thread(target=wait, args=(60,), daemon=True).start()\n"
        "for _ in range(40): ready.acquire()\n"
        "def crash(): ctypes.string_at(0)\n"
        "crash()\n"
    )
    assert "crashed in native code (signal 11, SIGSEGV)" in ran.outcome.reason
    assert "in crash" in ran.outcome.traceback
    assert "qjob/runner" not in ran.outcome.traceback


def test_unfinished_files_of_a_killed_script_are_removed(run: Run) -> None:
    ran = run(
        "import os\n"
        "for kind in ('JOB_RESULTS', 'CHECKPOINT'):\n"
        "    directory = os.environ[f'AMZN_BRAKET_{kind}_DIR']\n"
        "    for name in ('.results.json.abc.qjob-tmp', 'kept'): open(os.path.join(directory, name), 'w').close()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert [path.name for path in ran.folder.results.iterdir()] == ["kept"]
    assert [path.name for path in ran.folder.checkpoints.iterdir()] == ["kept"]
    assert not list(ran.folder.path.glob(".*"))


def test_a_runner_without_output_sleeps(folder_of: Prepare, start: Start, finish: Finish) -> None:
    """A job that computes for days must not cost a second processor."""
    folder = folder_of("import os, time\nos.close(1); os.close(2)\nopen('ready', 'w').close()\ntime.sleep(1.5)\n")
    runner = start(folder)
    wait_until((folder.source / "ready").exists)
    before = _cpu_ticks(runner.pid)
    time.sleep(1.0)  # the very thing that is measured
    assert _cpu_ticks(runner.pid) - before <= 5
    assert finish(folder, runner).outcome.status is JobStatus.COMPLETED


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_usage(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "qjob.runner"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 2
    assert "usage: python -m qjob.runner" in done.stderr
