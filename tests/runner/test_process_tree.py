"""Whatever a job has started ends with it, wherever it hid."""

from __future__ import annotations

import os
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
from qjob.model.status import JobStatus
from qjob.runner import process_tree
from qjob.runner.environment import JOB_ID

pytestmark = pytest.mark.live

Run = Callable[..., Any]
Prepare = Callable[..., JobFolder]
Start = Callable[[JobFolder], subprocess.Popen[str]]
Finish = Callable[[JobFolder, subprocess.Popen[str]], Any]

HELPERS = """\
import os, signal, subprocess, sys, time

def note(pid):
    with open("pids", "a") as file:
        file.write(f"{pid}\\n")

def plain():
    note(subprocess.Popen(["sleep", "600"]).pid)

def own_session():
    note(subprocess.Popen(["sleep", "600"], start_new_session=True).pid)

def without_environment():
    note(subprocess.Popen(["/bin/sleep", "600"], start_new_session=True, env={}).pid)

def forked(body):
    pid = os.fork()
    if pid:
        return pid
    try:
        body()
    finally:
        os._exit(0)

def daemon():
    def become():
        os.setsid()
        note(forked(lambda: (os.chdir("/"), os.closerange(0, 50), os.execve("/bin/sleep", ["sleep", "600"], {}))))
    os.waitpid(forked(become), 0)

def deaf():
    ready, told = os.pipe()
    def sleep():
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        os.write(told, b"+")
        time.sleep(600)
    note(forked(sleep))
    os.read(ready, 1)

def stopped():
    process = subprocess.Popen(["sleep", "600"])
    note(process.pid)
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)

def many():
    for _ in range(200):
        note(forked(lambda: time.sleep(600)))

def family():
    def parent():
        note(forked(lambda: (note(forked(lambda: time.sleep(600))), time.sleep(600))))
        time.sleep(600)
    note(forked(parent))
    while len(open("pids").readlines()) < 3: time.sleep(0.001)

def reborn():
    def again(number, frame):
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, again)
            while True: time.sleep(600)
        os._exit(0)
    def sleep():
        signal.signal(signal.SIGTERM, again)
        os.write(told, b"+")
        time.sleep(600)
    ready, told = os.pipe()
    note(forked(sleep))
    os.read(ready, 1)

"""
KINDS = ["plain", "own_session", "without_environment", "daemon", "deaf", "stopped", "many", "family", "reborn"]


def children_of(folder: JobFolder) -> list[int]:
    return [int(line) for line in (folder.source / "pids").read_text().split()]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


def cancel(folder: JobFolder, runner: subprocess.Popen[str]) -> None:
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    runner.terminate()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_script_leaves_behind_is_ended_and_the_job_has_completed(run: Run, kind: str) -> None:
    ran = run(HELPERS + f"{kind}()\nprint('done')\n", grace_s=0.2)
    assert ran.log == "done\n"
    assert ran.outcome.status is JobStatus.COMPLETED
    assert ran.outcome.exit_codes == (0,)
    assert alive(children_of(ran.folder)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_cancel_ends_all_of_it_in_time(folder_of: Prepare, start: Start, finish: Finish, kind: str) -> None:
    folder = folder_of(HELPERS + f"{kind}()\nprint('started', flush=True)\ntime.sleep(600)\n", grace_s=0.2)
    runner = start(folder)
    wait_until(lambda: folder.log(0).exists() and folder.log(0).read_bytes())
    asked_at = time.monotonic()
    cancel(folder, runner)
    ran = finish(folder, runner)
    assert time.monotonic() - asked_at < 5
    assert ran.outcome.status is JobStatus.CANCELLED
    assert alive(children_of(folder)) == []


def test_a_failure_ends_the_others_with_their_grace(run: Run) -> None:
    ran = run(HELPERS + "deaf()\nplain()\nraise ValueError('x')\n", grace_s=0.2)
    assert ran.outcome.reason == "AlgorithmError: ValueError: x, exit code: 1"
    assert alive(children_of(ran.folder)) == []


def test_the_script_has_its_grace_to_save_something(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of(
        "import signal, sys, time\n"
        "def save(number, frame):\n"
        "    time.sleep(0.3); print('saved'); sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "print('started', flush=True)\n"
        "time.sleep(600)\n",
        grace_s=20.0,
    )
    runner = start(folder)
    wait_until(lambda: folder.log(0).exists() and folder.log(0).read_bytes())
    cancel(folder, runner)
    ran = finish(folder, runner)
    assert ran.log == "started\nsaved\n"
    assert (ran.outcome.status, ran.outcome.exit_codes) == (JobStatus.CANCELLED, (3,))


def test_a_script_that_was_stopped_has_its_grace_too(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of(
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(3)))\n"
        "print('started', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
        "signal.pause()\n",
        grace_s=20.0,
    )
    runner = start(folder)
    wait_until(lambda: stopped_children(runner.pid))
    cancel(folder, runner)
    assert finish(folder, runner).log == "started\nsaved\n"


def stopped_children(pid: int) -> list[int]:
    children = process_tree.children(pid)
    return [child for child in children if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "T"]


def test_a_script_may_kill_its_own_process_group(run: Run) -> None:
    ran = run("import os, signal\nprint('on', flush=True)\nos.killpg(0, signal.SIGTERM)\n")
    assert ran.log == "on\n"
    assert ran.outcome.reason == "The script was killed by signal 15 (SIGTERM), which qjob did not send."


def test_zombies_are_reaped_while_the_job_runs(run: Run) -> None:
    """Orphans of the script become the runner's children, and it takes their exit codes."""
    ran = run(
        "import os, time\n"
        "def zombies(): return [pid for pid in pids if os.path.exists(f'/proc/{pid}')]\n"
        "pids = []\n"
        "for _ in range(50):\n"
        "    read, write = os.pipe()\n"
        "    if os.fork() == 0:\n"
        "        pid = os.fork()\n"
        "        if pid: os.write(write, b'%d' % pid)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "    pids.append(int(os.read(read, 20)))\n"
        "    os.close(read); os.close(write)\n"
        "end = time.monotonic() + 20\n"
        "while zombies() and time.monotonic() < end: time.sleep(0.01)\n"
        "print(len(zombies()))\n"
    )
    assert ran.log == "0\n"


def test_output_of_what_was_left_behind_is_kept_until_it_ends(run: Run) -> None:
    ran = run(
        "import os, signal, time\n"
        "read, write = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    signal.signal(signal.SIGTERM, lambda *_: (print('last words', flush=True), os._exit(0)))\n"
        "    os.write(write, b'+')\n"
        "    time.sleep(600)\n"
        "os.read(read, 1)\n"
        "print('script ends', flush=True)\n"
        "os._exit(0)\n"
    )
    assert ran.log == "script ends\nlast words\n"
    assert ran.outcome.status is JobStatus.COMPLETED


def test_a_child_that_ends_by_itself_in_the_grace_keeps_nobody_waiting(run: Run) -> None:
    asked_at = time.monotonic()
    ran = run(HELPERS + "plain()\n", grace_s=30.0)
    assert ran.outcome.status is JobStatus.COMPLETED
    assert time.monotonic() - asked_at < 10


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_marked_finds_a_job_without_its_runner() -> None:
    job_id = f"test{os.getpid()}"
    environment = {**os.environ, JOB_ID: job_id}
    with subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True) as process:
        try:
            wait_until(lambda: process_tree.marked(job_id) == [process.pid])
            assert process_tree.marked(job_id[:-1]) == []
        finally:
            process.kill()
    assert process_tree.marked(job_id) == []


def test_descendants_come_parents_first() -> None:
    script = "import os, time; os.fork(); os.fork(); os.write(1, b'+'); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.read(4) == b"++++"
            below = process_tree.descendants(process.pid)
            assert len(below) == 3
            found = process_tree.descendants(os.getpid())
            assert [pid for pid in found if pid in (process.pid, *below)] == [process.pid, *below]
            assert set(process_tree.children(process.pid)) < set(below)
            process_tree.kill_until_gone(below)
            assert process_tree.descendants(process.pid) == []
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_signal_to_what_is_gone_is_no_error() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    process_tree.signal_all([process.pid], signal.SIGTERM)
    process_tree.kill_until_gone([process.pid])
    assert processes_naming(f"no such {process.pid}") == []


def test_without_proc_ps_tells_the_same() -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            by_ps = process_tree._parents_by_ps(zombies=False)
            assert by_ps[process.pid] == os.getpid()
            assert by_ps[process.pid] == process_tree._parents()[process.pid]
        finally:
            process.kill()
