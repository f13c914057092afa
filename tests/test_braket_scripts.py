"""Scripts that import `braket` and nothing of ours run as jobs, unchanged: from the shell and by Braket's call."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from qjob.job import Job
from qjob.service import Service

pytest.importorskip("braket.jobs", reason="the scripts import the Braket SDK: pip install 'qjob[examples]'")

SCRIPTS = Path(__file__).with_name("braket_scripts")
HYPERPARAMETERS = {"theta": "0.5", "iterations": "3"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One script.

    Attributes:
        source: the file or folder.
        result: what the job saves.
        entry_point: where it starts, if that is not its source's own.
        files: what else it leaves in its results.
    """

    source: str
    result: dict[str, Any]
    entry_point: str | None = None
    files: dict[str, str] = field(default_factory=dict)


CASES = [
    Case(source="training.py", result={"theta": 0.0625}),
    Case(
        source="inputs.py", result={"atoms": ["H", "H"], "files": ["h2.json", "notes.md"]}, files={"plot.txt": "a plot"}
    ),
    Case(
        source="hard_coded_paths.py",
        result={"theta": "0.5", "atoms": ["H", "H"]},
        files={"notes.txt": "left by hand"},
    ),
    Case(
        source="function_entry.py",
        entry_point="function_entry:start_here",
        result={"theta": 0.5, "iterations": 3, "noisy": True},
    ),
    Case(source="pickled.py", result={"eigenvalue": 1 + 2j}),
    Case(source="my_package", entry_point="my_package.main:run", result={"energy": -0.75}),
    Case(source="my_package", entry_point="my_package.main", result={"energy": -0.75}),
    Case(source="going_on.py", result={"step": 1}),
]

Start = Callable[[Case, Path], Job]


@pytest.fixture
def molecules(tmp_path: Path) -> Path:
    folder = tmp_path / "molecules"
    folder.mkdir()
    (folder / "h2.json").write_text(json.dumps({"atoms": ["H", "H"]}))
    (folder / "notes.md").write_text("")
    return folder


@pytest.fixture
def from_the_shell(environment: dict[str, str], service: Service) -> Start:
    def start(case: Case, molecules: Path) -> Job:
        done = qjob(environment, "run", str(SCRIPTS / case.source), "--name", "it", *options(case, molecules))
        assert done.returncode == 0, done.stderr
        return Job("it", service=service)

    return start


@pytest.fixture
def by_brakets_call(environment: dict[str, str], service: Service) -> Start:
    """In a process of its own, as the state directory comes from the environment."""

    def start(case: Case, molecules: Path) -> Job:
        arguments = {
            "device": "local:braket/default",
            "source_module": str(SCRIPTS / case.source),
            "entry_point": case.entry_point,
            "hyperparameters": HYPERPARAMETERS,
            "input_data": {"molecules": str(molecules)},
        }
        code = f"from qjob.braket import LocalQuantumJob\nprint(LocalQuantumJob.create(**{arguments!r}).arn)"
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        return Job(done.stdout.strip(), service=service)

    return start


@pytest.mark.parametrize("how", ["from_the_shell", "by_brakets_call"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.entry_point or case.source)
def test_an_unmodified_script(how: str, case: Case, molecules: Path, request: pytest.FixtureRequest) -> None:
    start: Start = request.getfixturevalue(how)
    job = start(case, molecules)
    assert job.result(allow_pickle=True) == case.result
    for name, text in case.files.items():
        assert (Path(job.metadata()["qjob"]["folder"]) / "results" / name).read_text() == text


def test_metrics_and_checkpoints_of_an_unmodified_script(from_the_shell: Start, molecules: Path) -> None:
    job = from_the_shell(CASES[0], molecules)
    assert job.metrics()["theta"] == [0.25, 0.125, 0.0625]
    saved = json.loads((Path(job.metadata()["qjob"]["folder"]) / "checkpoints" / "it_latest.json").read_text())
    assert saved["dataDictionary"] == {"theta": 0.0625, "iteration": 2}


def test_a_simulator_in_an_unmodified_script(from_the_shell: Start, molecules: Path) -> None:
    result = from_the_shell(Case(source="bell.py", result={}), molecules).result()
    assert sum(result["counts"].values()) == 100
    assert set(result["counts"]) <= {"00", "11"}
    assert (result["name"], result["device"]) == ("it", "local:none/none")


def test_an_unmodified_script_goes_on_from_a_checkpoint_of_another_name(
    environment: dict[str, str], service: Service
) -> None:
    script = str(SCRIPTS / "going_on.py")
    assert qjob(environment, "run", script, "--name", "first").returncode == 0
    copying = ("--copy-checkpoints-from", "first", "-p", "copied_from=first")
    assert qjob(environment, "run", script, "--name", "second", *copying).returncode == 0
    assert Job("second", service=service).result() == {"step": 2}


def test_the_reason_of_a_failure_reads_like_the_services(environment: dict[str, str], service: Service) -> None:
    assert qjob(environment, "run", str(SCRIPTS / "failing.py"), "--name", "bad").returncode == 1
    job = Job("bad", service=service)
    reason = "AlgorithmError: FileNotFoundError: [Errno 2] No such file or directory: 'fake_file', exit code: 1"
    assert job.metadata()["failureReason"] == reason
    assert job.result(partial=True) == {"so_far": 1}


def qjob(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "qjob.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def options(case: Case, molecules: Path) -> list[str]:
    entry_point = ["--entry-point", case.entry_point] if case.entry_point else []
    parameters = [f"--hyperparameter={key}={value}" for key, value in HYPERPARAMETERS.items()]
    return [*entry_point, *parameters, "--input", f"molecules={molecules}"]
