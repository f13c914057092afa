"""What an interpreter says that cannot make the call; the calls themselves are in test_hybrid_job.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from qjob.braket import LocalQuantumJob, hybrid_job
from qjob.braket.recovery import TakenModule, entry_point, taken_module

pytestmark = pytest.mark.live


def entry_file(job: LocalQuantumJob) -> Path:
    job.wait()
    (file,) = Path(job.metadata()["qjob"]["folder"]).glob("source/*/entry_point.py")
    return file


def test_another_python_cannot_run_the_code(here: Path) -> None:
    file = entry_file(hybrid_job(device=None)(lambda: 1)())
    about = json.loads((file.parent / "call.json").read_text())
    (file.parent / "call.json").write_text(json.dumps(about | {"python": "3.0"}))
    with pytest.raises(RuntimeError, match=r"submitted from Python 3\.0, and code that is pickled there cannot run"):
        entry_point(str(file))()


def test_an_interpreter_without_cloudpickle_is_told_so(here: Path) -> None:
    file = entry_file(hybrid_job(device=None)(lambda: 1)())
    program = (
        "import sys\nsys.modules['cloudpickle'] = None\n"
        "from qjob.braket.recovery import entry_point\nentry_point(sys.argv[1])()\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith(f"; install it for {sys.executable}, as functions are pickled by it")


def test_the_job_knows_its_function_by_name(here: Path) -> None:
    def train() -> None: ...

    job = hybrid_job(device=None)(train)()
    script = job.metadata()["algorithmSpecification"]["scriptModeConfig"]
    folder = entry_file(job).parent.name
    assert folder.startswith("decorator_job_")
    assert script["entryPoint"] == f"{folder}.entry_point:train"
    assert script["s3Uri"] == Path(__file__).resolve().as_uri()


def test_a_module_that_the_process_has_by_itself_is_left_alone() -> None:
    module = taken_module("json")
    assert isinstance(module, TakenModule)
    assert not isinstance(sys.modules["json"], TakenModule)
    assert taken_module("json") is module
