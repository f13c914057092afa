"""The turn of a job in its sweep, and the process apart in which it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from living import processes_naming, wait_until
from qjob.engines.ray.begin import begin_arguments
from qjob.engines.ray.turn import wait_for_turn
from qjob.folder import CancelMark, JobFolder
from qjob.testing import make_folder, make_spec

IN_A_GROUP = """\
import os, sys, time
from qjob.engines.ray.apart import apart

def work():
    open(sys.argv[1], "w").write(f"{os.getpid()} {os.getpgid(0)}")
    for _ in range(600):
        time.sleep(0.05)
        if os.getppid() != parent:
            open(sys.argv[1] + ".left", "w").close()
            return 0

parent = os.getpid()
sys.exit(apart(work))
"""


SUPERVISOR = "import subprocess, sys; subprocess.run(sys.argv[1:])"


def test_there_are_as_many_slots_as_may_run_at_a_time(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    held = [wait_for_turn(folder, tmp_path / "slots", 2) for _ in range(2)]
    assert sorted(os.listdir(tmp_path / "slots")) == ["0", "1"]
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    assert wait_for_turn(folder, tmp_path / "slots", 2) is None  # it would wait, and was cancelled
    for fd in held:
        assert fd is not None
        os.close(fd)


def test_a_slot_is_free_when_its_holder_lets_go(tmp_path: Path) -> None:
    first = wait_for_turn(JobFolder(tmp_path), tmp_path / "slots", 1)
    assert first is not None
    os.close(first)
    second = wait_for_turn(JobFolder(tmp_path), tmp_path / "slots", 1)
    assert second is not None
    os.close(second)


def test_the_arguments_of_a_job() -> None:
    folder = Path("/jobs/a b")
    assert begin_arguments(folder, None, ["--watch-parent"]) == ["/jobs/a b", "--watch-parent"]
    assert begin_arguments(folder, (Path("/s"), 3), []) == ["/jobs/a b", "--turn", "/s", "3"]


@pytest.mark.live
def test_what_kills_the_group_of_the_entrypoint_spares_the_runner(tmp_path: Path) -> None:
    told = tmp_path / "told"
    process = subprocess.Popen([sys.executable, "-c", IN_A_GROUP, str(told)], start_new_session=True)
    runner, group = map(int, wait_until(lambda: told.exists() and told.read_text()).split())  # type: ignore[union-attr]
    assert group == runner != process.pid
    os.killpg(process.pid, signal.SIGTERM)
    assert process.poll() is None  # it leaves the end to the runner
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_until((tmp_path / "told.left").exists)


@pytest.mark.live
def test_the_exit_code_is_handed_on() -> None:
    script = "import sys; from qjob.engines.ray.apart import apart; sys.exit(apart(lambda: 7))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 7


@pytest.mark.live
def test_a_job_that_waits_for_its_turn_never_begins_when_its_supervisor_is_gone(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "jobs", make_spec("finish"))
    slot = wait_for_turn(folder, tmp_path / "slots", 1)
    assert slot is not None
    arguments = begin_arguments(folder.path, (tmp_path / "slots", 1), ["--watch-parent"])
    command = [sys.executable, "-P", "-m", "qjob.engines.ray.begin", *arguments]
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, *command], start_new_session=True)
    wait_until(folder.runner_log.exists)  # it waits
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not processes_naming(str(folder.path)))
    assert not folder.events.exists()
    os.close(slot)
