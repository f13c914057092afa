"""`qjob resume`, and `qjob result --partial`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from qjob.job import Job

Invoke = Callable[..., Result]

SCRIPT = """
from qjob.runtime import get_hyperparameters, load_job_checkpoint, save_job_checkpoint, save_job_result
try:
    step = load_job_checkpoint()["step"] + 1
except FileNotFoundError:
    step = 1
save_job_checkpoint({"step": step})
save_job_result({"step": step})
print("step", step, get_hyperparameters())
if step == 1:
    raise ValueError("first")
"""


def test_resume_prints_the_new_id_and_goes_on(invoke: Invoke, submit: Callable[..., Job]) -> None:
    job = submit(SCRIPT, hyperparameters={"a": "1"})
    job.wait()
    partial = invoke("result", job.id, "--partial", "-o", "json")
    assert (partial.exit_code, partial.stdout) == (0, '{\n  "step": 1\n}\n')
    new = invoke("resume", job.id, "-p", "b=2").stdout.strip()
    assert invoke("result", new).exit_code == 0
    assert invoke("logs", new).stdout == "step 2 {'a': '1', 'b': '2'}\n"


def test_resume_follows(invoke: Invoke, submit: Callable[..., Job]) -> None:
    job = submit(SCRIPT)
    job.wait()
    result = invoke("resume", job.id, "--follow", "--max-runtime", "1h", "--name", "again")
    assert (result.exit_code, result.stdout) == (0, "step 2 {}\n")
    assert "again" in result.stderr


def test_without_checkpoints_nothing_is_submitted(invoke: Invoke, submit: Callable[..., Job], home: Path) -> None:
    job = submit("pass")
    job.wait()
    result = invoke("resume", job.id)
    assert result.exit_code == 2
    assert "has left no checkpoints to go on from" in result.stderr
    assert [path.name for path in (home / "jobs").iterdir()] == [job.id]
