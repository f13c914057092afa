"""A copy of qjob for machines that have nothing but Python and the state directory."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from qjob.folder import JobFolder
from qjob.model.config import InstanceConfig
from qjob.model.status import JobStatus
from qjob.runner_copy import PACKAGE, runner_copy
from qjob.testing import ScriptSource, make_folder, make_spec


@pytest.fixture
def runners(tmp_path: Path) -> Path:
    """Where copies lie; not there yet."""
    return tmp_path / 'a\'; echo "foo" ü' / "runners"


def files_below(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*.py")}


def test_it_has_what_a_job_needs_and_no_command_line(runners: Path) -> None:
    copy = runner_copy(runners)
    there = files_below(copy / "qjob")
    assert {"__init__.py", "runner/__main__.py", "runner/keeper.py", "runtime/__init__.py", "folder.py"} <= there
    assert not any(name.startswith("cli/") for name in there)
    assert there <= files_below(PACKAGE)
    assert not [path for path in copy.rglob("*") if path.suffix not in ("", ".py", ".pyc", ".sql", ".typed")]


def test_it_is_made_once(runners: Path) -> None:
    copy = runner_copy(runners)
    before = (copy / "qjob" / "folder.py").stat()
    assert runner_copy(runners) == copy
    assert (copy / "qjob" / "folder.py").stat() == before
    assert os.listdir(runners) == [copy.name]


def test_what_a_killed_process_left_is_no_copy(runners: Path) -> None:
    half = runners / runner_copy(runners.with_name("elsewhere")).name
    unfinished = half.with_name(f".{half.name}.{os.getpid()}")
    (unfinished / "qjob").mkdir(parents=True)
    (unfinished / "qjob" / "__init__.py").touch()
    copy = runner_copy(runners)
    assert copy == half
    assert (copy / "qjob" / "folder.py").exists()


def test_a_disk_that_refuses_is_an_os_error(runners: Path) -> None:
    runners.parent.mkdir()
    runners.write_text("in the way")
    with pytest.raises(OSError, match="runners"):
        runner_copy(runners)


def _copy(runners: Path, barrier: Barrier) -> None:
    barrier.wait()
    copy = runner_copy(runners)
    if not (copy / "qjob" / "runner" / "__main__.py").exists():
        os._exit(7)


@pytest.mark.live
def test_processes_that_come_at_once_have_one_copy(runners: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    makers = [context.Process(target=_copy, args=(runners, barrier)) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert [maker.exitcode for maker in makers] == [0] * 4
    assert len(os.listdir(runners)) == 1


def test_threads_that_come_at_once_have_one_whole_copy(runners: Path) -> None:
    barrier = threading.Barrier(8)

    def make(_: int) -> Path:
        barrier.wait()
        return runner_copy(runners)

    with ThreadPoolExecutor(8) as pool:
        [copy] = set(pool.map(make, range(8)))
    modules = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")}
    wanted = {path for path in modules if path.parts[0] != "cli"}
    assert wanted <= {path.relative_to(copy / "qjob") for path in copy.rglob("*.py")}
    assert len(os.listdir(runners)) == 1


def run_by_copy(runners: Path, folder: JobFolder, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a job as a node does: by the copy, with nothing installed and nothing in the environment."""
    return subprocess.run(
        [sys.executable, "-P", "-S", "-m", "qjob.runner", str(folder.path), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(runner_copy(runners))},
        cwd="/",
        timeout=60,
    )


SCRIPT = """\
import sys
from qjob.runtime import get_hyperparameters, log_metric, save_job_checkpoint, save_job_result
log_metric("energy", -1.5, iteration_number=0)
save_job_checkpoint({"step": 1})
save_job_result({"do": get_hyperparameters()["do"]})
print(sys.modules["qjob"].__file__)
"""


@pytest.mark.live
@pytest.mark.parametrize("instances", [1, 2])
def test_a_job_is_run_by_it_alone(runners: Path, tmp_path: Path, instances: int) -> None:
    spec = make_spec(instance_config=InstanceConfig(instanceCount=instances))
    folder = make_folder(tmp_path / "jobs", spec, ScriptSource(SCRIPT))
    done = run_by_copy(runners, folder, "--attempt", "1", "--lease", str(tmp_path / "device"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    outcome = folder.read_outcome()
    assert outcome is not None
    assert (outcome.status, outcome.reason) == (JobStatus.COMPLETED, None)
    assert (folder.results / "results.json").exists()
    assert list(folder.checkpoints.iterdir())


@pytest.mark.live
def test_a_failure_is_told_by_it_without_its_own_frames(runners: Path, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "jobs", make_spec(), ScriptSource("def f(): raise ValueError('no')\nf()\n"))
    assert run_by_copy(runners, folder).returncode == 0
    outcome = folder.read_outcome()
    assert outcome is not None
    assert outcome.reason == "AlgorithmError: ValueError: no, exit code: 1"
    assert outcome.traceback is not None
    assert str(runners) not in outcome.traceback
