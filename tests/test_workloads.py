"""The examples that a Braket user would recognise, as jobs on the local engine, as their READMEs say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from living import wait_until
from qjob.errors import JobFailed
from qjob.job import Job
from qjob.request import Request, prepare
from qjob.service import Service
from qjob.store.store import Query

pytestmark = pytest.mark.examples

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def submitted(service: Service, request: Request) -> Job:
    return Job(service.submit(prepare(request)).id, service=service)


def test_a_classifier_is_trained_by_four_jobs(environment: dict[str, str], service: Service, tmp_path: Path) -> None:
    pytest.importorskip("pennylane", reason="the example needs it: pip install 'qjob[examples]'")
    command = [sys.executable, str(EXAMPLES / "quantum_classifier" / "sweep.py")]
    here = tmp_path / "here"
    here.mkdir()
    done = subprocess.run(command, env=environment, cwd=here, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    *rows, best = done.stdout.splitlines()
    assert [re.sub(r"0\.\d\d$", "…", row) for row in rows] == [
        "layers 1  step size 0.05  train 0.48  test …",
        "layers 1  step size 0.2   train 0.78  test …",
        "layers 3  step size 0.05  train 0.93  test …",
        "layers 3  step size 0.2   train 0.97  test …",
    ]
    assert best == "best: layers 3, step size 0.2, weights of shape (3, 2, 2)"
    assert list(here.iterdir()) == []  # nothing is left where the script was started
    records = service.find(Query(tags={"example": "quantum-classifier"}))
    assert sorted((r.spec.hyperparameters["layers"], r.spec.hyperparameters["step_size"]) for r in records) == [
        ("1", "0.05"),
        ("1", "0.2"),
        ("3", "0.05"),
        ("3", "0.2"),
    ]
    metrics = Job(records[0].id, service=service).metrics()
    assert len(metrics["cost/train"]) == 30
    assert metrics["cost/train"][-1] < metrics["cost/train"][0]


def test_an_interrupted_vqe_goes_on_and_ends_where_one_job_would_have(service: Service) -> None:
    pytest.importorskip("pennylane", reason="the example needs it: pip install 'qjob[examples]'")
    request = Request(source=EXAMPLES / "interrupted_vqe" / "vqe.py", hyperparameters={"iterations": 120}, grace_s=1.0)
    whole, first = submitted(service, request), submitted(service, request)
    wait_until(lambda: len(first.metrics().get("energy", [])) > 20, deadline_s=60)  # the twentieth is saved then
    first.cancel()
    assert first.wait() == "CANCELLED"
    second = first.resume()
    result, expected = second.result(), whole.result()
    assert 20 <= result["begun_after"] < 120
    assert result["energy"] == expected["energy"]
    assert result["exact"] < result["energy"] < -4.6
    steps = (*first.metrics()["iteration_number"], *second.metrics()["iteration_number"])
    # The step that was cut short may be told of twice: its metric was printed, its checkpoint not yet saved.
    assert sorted(set(steps)) == [float(step) for step in range(1, 121)]


def test_a_package_with_requirements(service: Service) -> None:
    pytest.importorskip("braket.circuits", reason="the example needs it: pip install 'qjob[examples]'")
    request = Request(
        source=EXAMPLES / "portfolio",
        entry_point="portfolio.optimise:main",
        hyperparameters={"budget": 2, "verbose": False},
        grace_s=1.0,
    )
    first, second = submitted(service, request), submitted(service, request)
    for job in (first, second):
        result = job.result()
        assert len(result["portfolio"]) == 2
        assert result["cost"] == result["best_cost"]
    logs = [Path(job.metadata()["qjob"]["folder"], "logs", "0.log").read_text() for job in (first, second)]
    assert all("portfolio" in log and "probability" in log for log in logs)
    assert sum("the environment is ready" in log for log in logs) == 1
    with pytest.raises(JobFailed, match=r"cannot take the hyperparameters given \(budgte='2'\)"):
        submitted(service, Request(**{**vars(request), "hyperparameters": {"budgte": 2}})).result()
