"""Jobs of several instances, each with a keeper beside it, started by a launcher."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from living import processes_naming, wait_until
from qjob.device_lease import VARIABLE
from qjob.folder import CancelMark, JobFolder
from qjob.model.config import InstanceConfig, StoppingCondition
from qjob.model.status import JobStatus
from qjob.runner import keeper

pytestmark = pytest.mark.live

Prepare = Callable[..., JobFolder]
Start = Callable[..., "subprocess.Popen[str]"]
Finish = Callable[[JobFolder, "subprocess.Popen[str]"], Any]

LAUNCHER = """\
#!{python}
# Starts two keepers, as srun and mpirun do: with the folder as its last argument, and numbers in the environment.
import os, subprocess, sys
keepers = [
    subprocess.Popen(
        [{python!r}, "-P", "-m", "qjob.runner.keeper", sys.argv[-1], *([str(n)] if "--numbers" in sys.argv else [])],
        env=os.environ | {{"SLURM_PROCID": str(n), "SLURM_LOCALID": str(n), "SLURM_NODEID": "0",
                           "SLURM_STEP_TASKS_PER_NODE": "2"}},
        start_new_session=True,
    )
    for n in range(2)
]
print("launched", flush=True)
sys.exit(max([keeper.wait() for keeper in keepers]))
"""
SLEEPER = "import time\nprint('started', flush=True)\ntime.sleep(600)\n"
TWO = InstanceConfig(instanceCount=2)


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """A launcher at a nasty path."""
    path = tmp_path / 'a\'; echo "foo" ü'
    path.write_text(LAUNCHER.format(python=sys.executable))
    path.chmod(0o755)
    return path


@pytest.fixture
def begin(folder_of: Prepare, start: Start, launcher: Path) -> Callable[..., tuple[JobFolder, Any]]:
    """Start the runner of a job of two instances; return its folder and the runner."""

    def begin_it(text: str, *arguments: str, **fields: Any) -> tuple[JobFolder, Any]:
        folder = folder_of(text, instance_config=TWO, **fields)
        return folder, start(folder, "--attempt", "1", "--launcher", shlex.join([str(launcher), *arguments]))

    return begin_it


Begin = Callable[..., tuple[JobFolder, Any]]


def logs(folder: JobFolder) -> list[str]:
    return [folder.log(number).read_text() if folder.log(number).exists() else "" for number in (0, 1)]


def until_started(folder: JobFolder) -> None:
    wait_until(lambda: logs(folder) == ["started\n"] * 2)


def nothing_is_left_of(folder: JobFolder) -> None:
    wait_until(lambda: not processes_naming(folder.id))


@pytest.mark.parametrize("arguments", [(), ("--numbers",)])
def test_each_instance_has_its_log_and_its_exit_code(begin: Begin, finish: Finish, arguments: tuple[str, ...]) -> None:
    ran = finish(*begin("import os\nprint('instance', os.environ['QJOB_INSTANCE'])\n", *arguments))
    assert (ran.outcome.status, ran.outcome.exit_codes) == (JobStatus.COMPLETED, (0, 0))
    assert logs(ran.folder) == ["instance 0\n", "instance 1\n"]
    assert all(ran.folder.log_index(number).stat().st_size for number in (0, 1))
    assert ran.stderr == ""
    nothing_is_left_of(ran.folder)


def test_the_instances_know_each_other(begin: Begin, finish: Finish) -> None:
    folder, runner = begin(
        "import json, os\n"
        "names = ['RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE', 'NODE_RANK', 'MASTER_ADDR', 'MASTER_PORT']\n"
        "print(json.dumps({name: os.environ[name] for name in names}))\n"
    )
    finish(folder, runner)
    zero, one = map(json.loads, logs(folder))
    port = zero.pop("MASTER_PORT")
    assert one.pop("MASTER_PORT") == port
    assert int(port) > 1024
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "NODE_RANK": "0", "MASTER_ADDR": os.uname().nodename}
    assert zero == common | {"RANK": "0", "LOCAL_RANK": "0"}
    assert one == common | {"RANK": "1", "LOCAL_RANK": "1"}


def test_they_see_what_the_scheduler_gave_and_what_the_user_had(
    folder_of: Prepare, start: Start, finish: Finish, launcher: Path, tmp_path: Path
) -> None:
    text = (
        "import json, os\n"
        "names = ['SLURM_PROCID', 'SLURM_JOB_ID', 'USERS_OWN', 'PYTHONPATH', 'QJOB_DEVICE_LEASE']\n"
        "print(json.dumps([os.environ.get(name) for name in names]))\n"
    )
    environment = {"USERS_OWN": "a b", "SLURM_JOB_ID": "of the submitter"}
    folder = folder_of(text, instance_config=TWO, environment=environment)
    device = tmp_path / "device of acme"
    arguments = ("--attempt", "1", "--lease", str(device), "--launcher", shlex.quote(str(launcher)))
    runner = start(folder, *arguments, SLURM_JOB_ID="4711", PYTHONPATH="/nowhere")
    finish(folder, runner)
    assert [json.loads(log) for log in logs(folder)] == [
        [str(number), "4711", "a b", None, f"1 {device}"] for number in (0, 1)
    ]


def test_when_one_fails_the_others_are_ended_and_the_reason_is_told(begin: Begin, finish: Finish) -> None:
    ran = finish(
        *begin(
            "import os, time\n"
            "def fail():\n"
            "    raise ValueError('no such molecule')\n"
            "if os.environ['RANK'] == '1':\n"
            "    fail()\n"
            "time.sleep(600)\n"
        )
    )
    assert ran.outcome.status is JobStatus.FAILED
    assert ran.outcome.reason == "Instance 1: AlgorithmError: ValueError: no such molecule, exit code: 1"
    assert ran.outcome.exit_codes == (-signal.SIGTERM, 1)
    assert "in fail" in ran.outcome.traceback
    assert "qjob" not in ran.outcome.traceback
    nothing_is_left_of(ran.folder)


def test_an_instance_that_is_killed_is_told_by_its_signal(begin: Begin, finish: Finish) -> None:
    ran = finish(
        *begin(
            "import os, signal, time\n"
            "if os.environ['RANK'] == '0':\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            "time.sleep(600)\n"
        )
    )
    assert ran.outcome.exit_codes == (-signal.SIGKILL, -signal.SIGTERM)
    assert ran.outcome.reason.startswith("Instance 0: The script was killed by signal 9")


def test_a_cancelled_job_ends_with_its_grace(begin: Begin, finish: Finish) -> None:
    folder, runner = begin(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(0)))\n"
        "print('started', flush=True)\n"
        "time.sleep(600)\n",
        grace_s=10.0,
    )
    until_started(folder)
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    runner.terminate()
    ran = finish(folder, runner)
    assert (ran.outcome.status, ran.outcome.exit_codes) == (JobStatus.CANCELLED, (0, 0))
    assert logs(folder) == ["started\nsaved\n"] * 2
    nothing_is_left_of(folder)


def test_what_is_deaf_is_killed(begin: Begin, finish: Finish) -> None:
    folder, runner = begin(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('started', flush=True)\n"
        "time.sleep(600)\n",
        grace_s=0.2,
    )
    until_started(folder)
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    ran = finish(folder, runner)
    assert (ran.outcome.status, ran.outcome.exit_codes) == (JobStatus.CANCELLED, (-signal.SIGKILL,) * 2)
    nothing_is_left_of(folder)


def test_at_the_time_limit_all_are_ended(begin: Begin, finish: Finish) -> None:
    ran = finish(*begin(SLEEPER, stopping_condition=StoppingCondition(maxRuntimeInSeconds=1)))
    assert "maxRuntimeInSeconds of 1 s" in ran.outcome.reason
    assert ran.outcome.exit_codes == (-signal.SIGTERM,) * 2


def test_what_an_instance_leaves_behind_is_ended(begin: Begin, finish: Finish) -> None:
    ran = finish(*begin("import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\n"))
    assert ran.outcome.status is JobStatus.COMPLETED
    nothing_is_left_of(ran.folder)


@pytest.mark.parametrize(
    ("text", "code"), [("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137), ("echo no such host >&2; exit 1", 1)]
)
def test_a_launcher_that_dies_at_once(
    folder_of: Prepare, start: Start, finish: Finish, tmp_path: Path, text: str, code: int
) -> None:
    path = tmp_path / "launcher"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    folder = folder_of(SLEEPER, instance_config=TWO)
    ran = finish(folder, start(folder, "--attempt", "1", "--launcher", str(path)))
    assert ran.outcome.status is JobStatus.FAILED
    assert "runner.log" in (ran.outcome.reason or "")
    assert ran.outcome.exit_codes == ((code or 1),) * 2
    assert ran.stderr == ("no such host\n" if "host" in text else "")


def test_a_launcher_that_is_not_there(folder_of: Prepare, start: Start, finish: Finish) -> None:
    folder = folder_of(SLEEPER, instance_config=TWO)
    ran = finish(folder, start(folder, "--attempt", "1", "--launcher", "/nowhere/srun"))
    assert ran.outcome.status is JobStatus.FAILED
    assert "The job's processes cannot be started: " in ran.outcome.reason
    assert "/nowhere/srun" in ran.outcome.reason


def test_when_the_launcher_is_killed_its_keepers_end_what_they_keep(begin: Begin, finish: Finish) -> None:
    folder, runner = begin(SLEEPER)
    until_started(folder)
    [launcher] = _children(runner.pid)
    os.kill(launcher, signal.SIGKILL)
    ran = finish(folder, runner)
    assert ran.outcome.status is JobStatus.FAILED
    nothing_is_left_of(folder)


def test_when_the_runner_is_killed_nothing_goes_on(begin: Begin) -> None:
    """On one machine here: the launcher is the runner's child, and told of its end by the kernel or not at all."""
    folder, runner = begin(SLEEPER)
    until_started(folder)
    launchers = _children(runner.pid)
    runner.kill()
    runner.wait()
    for pid in launchers:  # as a scheduler does with the steps of a job whose batch script has gone
        os.kill(pid, signal.SIGKILL)
    nothing_is_left_of(folder)


def test_a_keeper_that_is_told_to_end_ends_its_instance(folder_of: Prepare) -> None:
    folder = folder_of(SLEEPER, instance_config=TWO)
    folder.instances_state.mkdir()
    with keeper_of(folder, "1") as process:
        wait_until(lambda: logs(folder) == ["", "started\n"])
        process.terminate()
        assert process.wait(30) == 0
    assert json.loads(folder.instance_state(1).read_text()) == {
        "exitCode": -signal.SIGTERM,
        "reason": "",
        "traceback": "",
    }
    nothing_is_left_of(folder)


def test_a_keeper_ends_its_instance_when_the_folder_says_so(folder_of: Prepare) -> None:
    folder = folder_of(SLEEPER, instance_config=TWO)
    folder.instances_state.mkdir()
    with keeper_of(folder, "0") as process:
        wait_until(lambda: logs(folder) == ["started\n", ""])
        folder.end_mark.touch()
        assert process.wait(30) == 0


@pytest.mark.parametrize("name", ["SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"])
def test_a_keeper_has_the_number_of_the_launchers_process(folder_of: Prepare, name: str) -> None:
    folder = folder_of("import sys\nsys.exit(3)\n", instance_config=TWO)
    folder.instances_state.mkdir()
    with keeper_of(folder, **{name: "1"}) as process:
        assert process.wait(30) == 0
    assert json.loads(folder.instance_state(1).read_text())["exitCode"] == 3


@pytest.mark.parametrize("arguments", [[], ["1", "2"]])
def test_a_keeper_without_a_number_says_how_it_is_called(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert keeper.main([str(tmp_path), *arguments]) == 2
    assert capsys.readouterr().err.startswith("usage: python -m qjob.runner.keeper FOLDER [NUMBER]")


@pytest.mark.parametrize(
    ("environment", "meeting"),
    [
        ({}, None),
        ({"SLURM_PROCID": "1"}, (0, None, None)),
        ({"SLURM_LOCALID": "1", "SLURM_NODEID": "0", "SLURM_STEP_TASKS_PER_NODE": "2(x3),1"}, (0, 1, 2)),
        ({"SLURM_LOCALID": "0", "SLURM_NODEID": "3", "SLURM_STEP_TASKS_PER_NODE": "2(x3),1"}, (3, 0, 1)),
        ({"SLURM_LOCALID": "0", "SLURM_NODEID": "4", "SLURM_STEP_TASKS_PER_NODE": "2(x3),1"}, (4, 0, None)),
        ({"SLURM_LOCALID": "0", "SLURM_NODEID": "1"}, (1, 0, None)),
        ({"OMPI_COMM_WORLD_LOCAL_RANK": "1"}, (0, 1, None)),
    ],
)
def test_where_an_instance_is_among_the_others(
    environment: Mapping[str, str], meeting: tuple[int, int | None, int | None] | None
) -> None:
    told = {} if meeting is None else {"QJOB_INSTANCE_MEETING": "node1 29500"}
    found = keeper._meeting({**environment, **told})
    if meeting is None:
        assert found is None
        return
    assert found is not None
    assert (found.host, found.port) == ("node1", 29500)
    assert (found.node, found.local_rank, found.local_size) == meeting


def test_the_lease_is_passed_on() -> None:
    given = keeper._given({VARIABLE: "7 /device", "SLURM_JOB_ID": "1", "HOME": "/home/ada"})
    assert given == {VARIABLE: "7 /device", "SLURM_JOB_ID": "1"}


def keeper_of(folder: JobFolder, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "qjob.runner.keeper", str(folder.path), *arguments]
    return subprocess.Popen(command, env=os.environ | environment, start_new_session=True)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
