"""When memory runs out: the kernel takes the script, and the reason says so; or Python says it itself."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from living import wait_until
from qjob.folder import JobFolder
from qjob.job import Job
from qjob.model.config import InstanceConfig
from qjob.model.status import JobStatus
from qjob.testing import ScriptSource, make_folder, make_spec

pytestmark = [pytest.mark.live, pytest.mark.fault]

HUNGRY = "print('started', flush=True)\nhold = []\nwhile True: hold.append(bytearray(b'x' * (1 << 20)))\n"
LIMIT_BYTES = 64 << 20


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A control group of 64 MB, of either version; a process joins it by writing its pid."""
    group = _make_group("/sys/fs/cgroup/memory", "memory.limit_in_bytes") or _make_group("/sys/fs/cgroup", "memory.max")
    if group is None:
        pytest.skip("no right to make a control group with a limit of memory")
    yield group
    wait_until(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


def _make_group(parent: str, limit: str) -> Path | None:
    group = Path(parent) / f"qjob-test-{uuid.uuid4().hex}"
    if not Path(parent, "cgroup.procs").exists():
        return None
    try:
        group.mkdir()
    except OSError:
        return None
    try:
        (group / limit).write_text(str(LIMIT_BYTES))
    except OSError:
        group.rmdir()
        return None
    return group


def run_within(group: Path, folder: JobFolder) -> str:
    """Run a job, the runner included, in the group; return why it failed."""
    joined = f"echo $$ > '{group}/cgroup.procs' && exec \"$@\""
    command = [sys.executable, "-P", "-m", "qjob.runner", str(folder.path)]
    subprocess.run(["sh", "-c", joined, "sh", *command], check=True, timeout=60)
    outcome = folder.read_outcome()
    assert outcome is not None
    assert outcome.status is JobStatus.FAILED
    return outcome.reason or ""


def test_the_kernel_takes_the_script_and_the_runner_tells_of_it(small_memory: Path, tmp_path: Path) -> None:
    folder = make_folder(tmp_path, make_spec(), ScriptSource(HUNGRY))
    reason = run_within(small_memory, folder)
    assert reason.startswith("The script was killed by the kernel because memory ran out (SIGKILL)")
    assert folder.log(0).read_text() == "started\n"


def test_the_instance_that_the_kernel_took_is_named(small_memory: Path, tmp_path: Path) -> None:
    text = "import os, time\nif os.environ['QJOB_INSTANCE'] == '0': time.sleep(600)\n" + HUNGRY
    spec = make_spec(instance_config=InstanceConfig(instanceCount=2))
    reason = run_within(small_memory, make_folder(tmp_path, spec, ScriptSource(text)))
    assert reason.startswith("Instance 1: The script was killed by the kernel because memory ran out")


def test_a_child_that_the_kernel_took_is_the_scripts_to_tell(small_memory: Path, tmp_path: Path) -> None:
    text = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {HUNGRY!r}], check=True)\n"
    reason = run_within(small_memory, make_folder(tmp_path, make_spec(), ScriptSource(text)))
    assert "CalledProcessError" in reason
    assert "SIGKILL" in reason


def test_python_runs_into_its_own_limit(submit: Callable[..., Job]) -> None:
    job = submit(
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20))\n"
        "def grow():\n"
        "    hold = []\n"
        "    while True: hold.append(bytearray(1 << 20))\n"
        "grow()\n"
    )
    assert job.wait() == "FAILED"
    assert job.metadata()["failureReason"].startswith("AlgorithmError: MemoryError")
    with pytest.raises(RuntimeError, match=r"hold\.append"):
        job.result()
