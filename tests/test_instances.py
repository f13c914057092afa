"""Jobs of several instances: they meet, end together, and can be told apart in logs and metrics."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from qjob.job import Job
from qjob.model.config import InstanceConfig, MetricStatistic, MetricType

Submit = Callable[..., Job]
TWO = InstanceConfig(instanceCount=2)

# An all-reduce: what torch.distributed makes of the same variables.
ALL_REDUCE = """
import json, os, socket, time
from qjob.runtime import log_metric, save_job_result

rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])

def connected():
    for _ in range(3000):
        try:
            return socket.create_connection(place, timeout=30)
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise TimeoutError(f"nobody listens at {place}")

def reduced(number):
    if rank == 0:
        with socket.create_server(place) as server:
            server.settimeout(30)
            others = [server.accept()[0] for _ in range(size - 1)]
        total = number + sum(int(other.recv(100)) for other in others)
        for other in others:
            other.sendall(b"%d" % total)
            other.close()
        return total
    with connected() as link:
        link.sendall(b"%d" % number)
        return int(link.recv(100))

total = reduced(10 ** rank)
print("rank", rank, "of", size, "has", total)
for step in range(2):
    log_metric("loss/local", rank + step / 2, timestamp=step + 1, iteration_number=step)
if rank == 0:
    save_job_result({"total": total, "local": [os.environ["LOCAL_RANK"], os.environ["LOCAL_WORLD_SIZE"]]})
"""


def test_instances_talk_to_each_other_and_their_metrics_are_told_apart(
    submit: Submit, capfd: pytest.CaptureFixture[str]
) -> None:
    job = submit(ALL_REDUCE, instance_config=InstanceConfig(instanceCount=2))
    job.logs(wait=True)
    assert sorted(line for line in capfd.readouterr().out.splitlines() if line.startswith("rank")) == [
        "rank 0 of 2 has 11",
        "rank 1 of 2 has 11",
    ]
    assert job.result() == {"total": 11, "local": ["0", "2"]}
    columns = job.metrics(metric_type=MetricType.ITERATION_NUMBER)
    rows = zip(columns["node_id"], columns["iteration_number"], columns["loss/local"], strict=True)
    assert sorted(rows) == [("0", 0.0, 0.0), ("0", 1.0, 0.5), ("1", 0.0, 1.0), ("1", 1.0, 1.5)]
    assert set(job.metrics(statistic=MetricStatistic.COUNT)["loss/local"]) == {1.0}


def test_the_tag_of_a_launcher_stays(submit: Submit) -> None:
    job = submit("print('[1,mpirank:4,algo-1]<stdout>:Metrics - timestamp=1; x=2;')", instance_config=TWO)
    assert job.wait() == "COMPLETED"
    assert job.metrics() == {"timestamp": [1.0], "x": [2.0], "node_id": ["1,mpirank:4,algo-1"]}


def test_one_instance_has_no_tag(submit: Submit) -> None:
    job = submit("print('Metrics - timestamp=1; x=2;')")
    assert job.wait() == "COMPLETED"
    assert job.metrics() == {"timestamp": [1.0], "x": [2.0]}


def test_what_a_user_has_set_for_one_instance_is_left_alone(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    # The submitter's environment is what is tested.
    monkeypatch.setenv("RANK", "3")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    job = submit(
        "import os\nfrom qjob.runtime import save_job_result\n"
        "save_job_result([os.environ['RANK'], os.environ.get('WORLD_SIZE')])"
    )
    assert job.result() == {"result": ["3", None]}


def test_the_failure_of_one_is_the_jobs_and_ends_those_that_wait_for_it(submit: Submit) -> None:
    """A collective would wait for ever for the one that is gone."""
    job = submit(
        """
import os, socket
server = socket.create_server(("127.0.0.1", 0))
if os.environ["RANK"] == "1":
    raise RuntimeError("diverged")
server.accept()
""",
        instance_config=TWO,
    )
    assert job.wait() == "FAILED"
    assert job.metadata()["failureReason"] == "Instance 1: AlgorithmError: RuntimeError: diverged, exit code: 1"
    assert job.metadata()["qjob"]["exitCodes"] == [-signal.SIGTERM, 1]


def test_each_job_has_a_port_of_its_own(submit: Submit) -> None:
    text = (
        "import os\nfrom qjob.runtime import save_job_result\n"
        "if os.environ['RANK'] == '0': save_job_result(os.environ['MASTER_PORT'])"
    )
    ports = [submit(text, instance_config=TWO).result()["result"] for _ in range(3)]
    assert len(set(ports)) > 1
