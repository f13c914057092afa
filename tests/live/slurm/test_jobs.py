"""Jobs on a real Slurm, as a user sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from living import wait_until
from qjob import InvalidInput, JobCancelled, JobFailed, JobStateError, SubmitError
from qjob.config import Device
from qjob.file_lock import file_lock
from qjob.job import Job
from qjob.model.config import InstanceConfig, MetricType, StoppingCondition
from qjob.request import Request, prepare
from qjob.sweep_handle import Sweep
from qjob.sweep_request import prepare_sweep
from slurm_lab import FAR_S, Lab, ended

pytestmark = pytest.mark.live

QPU = "arn:aws:braket:us-east-1::device/qpu/acme/one"
SLEEPER = "import time\nprint('started', flush=True)\ntime.sleep(600)\n"


def test_a_job_has_its_log_metrics_and_result(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    job = lab.submit(
        "from qjob.runtime import *\n"
        "print('theta', get_hyperparameters()['theta'])\n"
        "for i in range(3): log_metric('energy', -i, iteration_number=i)\n"
        "save_job_result({'energy': -2})\n",
        hyperparameters={"theta": 0.5},
    )
    job.logs(wait=True)
    assert "theta 0.5\nMetrics - " in capfd.readouterr().out
    assert job.result() == {"energy": -2}
    assert job.metrics(MetricType.ITERATION_NUMBER)["energy"] == [0.0, -1.0, -2.0]
    kinds = [event["eventType"] for event in job.metadata()["events"]]
    assert kinds == ["QUEUED_FOR_EXECUTION", "STARTING_INSTANCE", "RUNNING", "COMPLETED"]


def test_the_job_sees_what_slurm_gave_it_and_what_its_user_had(lab: Lab) -> None:
    job = lab.submit(
        "import os\n"
        "from qjob.runtime import save_job_result\n"
        "names = ['SLURM_JOB_ID', 'SLURM_CPUS_PER_TASK', 'USERS_OWN', 'PYTHONPATH']\n"
        "save_job_result({name: os.environ.get(name) for name in names})\n",
        options={"cpus_per_task": 2},
        environment={"PATH": os.environ["PATH"], "USERS_OWN": "a b", "SLURM_JOB_ID": "of the job that submits"},
    )
    row = lab.row(job)
    assert job.result() == {
        "SLURM_JOB_ID": str(row.slurm_id),
        "SLURM_CPUS_PER_TASK": "2",
        "USERS_OWN": "a b",
        "PYTHONPATH": None,
    }


def test_the_command_line_follows_it_live(lab: Lab) -> None:
    script = lab.scripts / "vqe.py"
    script.write_text("import sys\nprint('E = -1.1')\nsys.exit('no convergence')\n")
    environment = os.environ | {"QJOB_HOME": str(lab.home)}
    command = [sys.executable, "-m", "qjob.cli", "run", str(script), "--engine", "slurm", "--option", "mem=100M"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=FAR_S)
    assert (done.returncode, done.stdout) == (1, "E = -1.1\nno convergence\n")
    assert "to the engine slurm" in done.stderr
    assert "SystemExit: no convergence" in done.stderr


def test_a_failure_has_the_users_own_traceback(lab: Lab) -> None:
    job = lab.submit("def f():\n    raise ValueError('no such molecule')\nf()\n")
    with pytest.raises(JobFailed, match="no such molecule") as failure:
        job.result()
    assert "in f" in str(failure.value)


def test_a_running_job_that_is_cancelled_keeps_what_it_saved(lab: Lab) -> None:
    job = lab.submit("from qjob.runtime import save_job_result\nsave_job_result({'step': 7})\n" + SLEEPER)
    lab.until_printed(job, "started")
    assert job.cancel() in ("CANCELLING", "CANCELLED")
    assert ended(job) == "CANCELLED"
    with pytest.raises(JobCancelled):
        job.result()
    assert job.result(partial=True) == {"step": 7}
    assert lab.folder(job).outcome.exists()


def test_a_waiting_job_that_is_cancelled_never_starts(lab: Lab) -> None:
    job = lab.submit(SLEEPER, options={"hold": True})
    wait_until(lambda: "scontrol release" in job.metadata()["queueInfo"].get("message", ""))
    job.cancel()
    assert ended(job) == "CANCELLED"
    assert not lab.folder(job).events.exists()


def test_who_goes_to_slurm_to_cancel_is_believed(lab: Lab) -> None:
    job = lab.submit(SLEEPER)
    lab.until_printed(job, "started")
    lab.cluster.run("scancel", f"--name=qjob-{job.id}")
    assert ended(job) == "CANCELLED"
    assert "not by qjob" in job.metadata()["failureReason"]


def test_the_time_limit_is_exact_and_checkpoints_stay(lab: Lab) -> None:
    job = lab.submit(
        "from qjob.runtime import save_job_checkpoint\nsave_job_checkpoint({'step': 3})\n" + SLEEPER,
        stopping_condition=StoppingCondition(maxRuntimeInSeconds=2),
    )
    assert ended(job) == "FAILED"
    data = job.metadata()
    assert "maxRuntimeInSeconds of 2 s" in data["failureReason"]
    assert 2.0 <= data["billableDuration"] / 1000 < 6.0
    assert list(lab.folder(job).checkpoints.glob("*.json"))


def test_a_job_that_wants_more_time_than_its_partition_allows_is_refused(lab: Lab) -> None:
    with pytest.raises(InvalidInput, match="partition short ends jobs after 120 s"):
        lab.submit(
            SLEEPER, options={"partition": "short"}, stopping_condition=StoppingCondition(maxRuntimeInSeconds=600)
        )


def test_what_slurm_refuses_leaves_nothing(lab: Lab) -> None:
    first = lab.submit("pass")
    assert ended(first) == "COMPLETED"
    with pytest.raises(SubmitError, match="nvalid partition"):
        lab.submit(SLEEPER, options={"partition": "none-such"})
    with pytest.raises(InvalidInput, match="did you mean 'partition'"):
        lab.submit(SLEEPER, options={"partiton": "main"})
    assert [path.name for path in (lab.home / "jobs").iterdir()] == [first.id]
    assert not any(row.name.removeprefix("qjob-") > first.id for row in lab.rows())


def test_values_of_options_reach_slurm_as_they_are(lab: Lab) -> None:
    comment = """it's "so" \\ $HOME; `ls` #1"""
    job = lab.submit("pass", options={"comment": comment})
    assert comment in lab.cluster.run("squeue", "-h", "-t", "all", "-O", "comment:200")
    assert ended(job) == "COMPLETED"


def test_instances_run_on_several_nodes_and_meet(lab: Lab) -> None:
    job = lab.submit(
        "import json, os, pathlib\n"
        "from qjob.runtime import save_job_result\n"
        "names = ['RANK', 'WORLD_SIZE', 'NODE_RANK', 'LOCAL_RANK', 'MASTER_PORT', 'SLURMD_NODENAME']\n"
        "save_job_result({os.environ['RANK']: {name: os.environ[name] for name in names}})\n"
        "print('rank', os.environ['RANK'])\n",
        instance_config=InstanceConfig(instanceCount=3),
        options={"nodes": 3},
    )
    result = job.result()
    assert sorted(result) == ["0", "1", "2"]
    assert {each["SLURMD_NODENAME"] for each in result.values()} == {"n1", "n2", "n3"}
    assert len({each["MASTER_PORT"] for each in result.values()}) == 1
    assert lab.folder(job).instances() == [0, 1, 2]
    assert job.metadata()["qjob"]["exitCodes"] == [0, 0, 0]


def test_one_instance_that_fails_ends_the_others(lab: Lab) -> None:
    job = lab.submit(
        "import os, time\nif os.environ['RANK'] == '1': raise ValueError('rank one')\ntime.sleep(600)\n",
        instance_config=InstanceConfig(instanceCount=2),
    )
    assert ended(job) == "FAILED"
    assert job.metadata()["failureReason"].startswith("Instance 1: AlgorithmError: ValueError: rank one")


def test_a_device_is_taken_by_one_job_at_a_time_and_the_next_says_what_it_waits_for(lab: Lab) -> None:
    devices = {QPU: Device(slurm="--licenses=qpu1:1")}
    first, second = (replace(lab, devices=devices).submit(SLEEPER, device=QPU) for _ in range(2))
    lab.until_printed(first, "started")
    wait_until(lambda: "its device" in second.metadata()["queueInfo"].get("message", ""), FAR_S)
    assert "(Slurm: Licenses)" in second.metadata()["queueInfo"]["message"]
    first.cancel()
    lab.until_printed(second, "started")
    second.cancel()
    assert ended(first) == ended(second) == "CANCELLED"


def test_a_device_that_slurm_does_not_know_is_refused(lab: Lab) -> None:
    with pytest.raises(InvalidInput, match=r'\[devices."arn:aws:braket:us-east-1::device/qpu/acme/one"\] slurm'):
        lab.submit(SLEEPER, device=QPU)


def test_a_sweep_is_one_array(lab: Lab) -> None:
    script = lab.scripts / "point.py"
    script.write_text(
        "from qjob.runtime import *\nx = float(get_hyperparameters()['x'])\nsave_job_result({'y': x * x})\n"
    )
    service = lab.service()
    request = Request(source=script, engine="slurm", name="squares", grace_s=1.0)
    submission = prepare_sweep(request, {"x": [3, -1, 2, 0.5]}, concurrency=2)
    sweep = Sweep(service.sweeps.submit(submission).id, service=service)
    assert sweep.wait() == {"COMPLETED": 4}
    assert sweep.best("y").results["y"] == 0.25
    rows = [row for row in lab.rows() if row.name == f"qjob-{sweep.id}.0"]
    assert len({row.slurm_id for row in rows}) == 1
    assert sorted(row.index for row in rows if row.index is not None) == [0, 1, 2, 3]


def test_cancelling_a_sweep_ends_what_runs_and_what_waits(lab: Lab) -> None:
    script = lab.scripts / "point.py"
    script.write_text(SLEEPER)
    service = lab.service()
    submission = prepare_sweep(Request(source=script, engine="slurm", grace_s=1.0), {"x": range(6)}, concurrency=2)
    sweep = Sweep(service.sweeps.submit(submission).id, service=service)
    wait_until(lambda: sweep.counts().get("RUNNING") == 2, FAR_S)
    sweep.cancel()
    assert sweep.wait() == {"CANCELLED": 6}


def test_a_job_goes_on_here_that_began_on_this_machine(lab: Lab) -> None:
    local = lab.submit(
        "import time\n"
        "from qjob.runtime import *\n"
        "try: start = load_job_checkpoint()['step']\n"
        "except FileNotFoundError: start = 0\n"
        "print('from', start, flush=True)\n"
        "save_job_checkpoint({'step': start + 5})\n"
        "if start: save_job_result({'step': start + 5})\n"
        "else: print('saved', flush=True); time.sleep(600)\n",
        engine="local",
    )
    lab.until_printed(local, "saved")
    moved = local.move("slurm", options={"mem": "100M"})
    assert moved.result() == {"step": 10}
    assert local.state() == "CANCELLED"
    assert "moved to the engine slurm" in local.metadata()["failureReason"]


def test_a_job_is_moved_by_one_at_a_time(lab: Lab) -> None:
    """Else two would submit it, and its device would be paid for twice."""
    job = lab.submit(SLEEPER, engine="local")
    lab.until_printed(job, "started")
    with (
        file_lock(lab.folder(job).moving, wait=True),
        pytest.raises(JobStateError, match="is being moved by another process"),
    ):
        job.move("slurm")
    assert job.state() == "RUNNING"
    job.cancel()


def test_a_move_that_the_other_engine_refuses_ends_nothing(lab: Lab) -> None:
    job = lab.submit(SLEEPER, engine="local")
    lab.until_printed(job, "started")
    with pytest.raises(InvalidInput, match="sbatch knows no such option"):
        job.move("slurm", options={"none-such": 1})
    assert job.state() == "RUNNING"
    job.cancel()


def test_the_doctor_says_what_the_cluster_offers(lab: Lab) -> None:
    facts = {fact.what: fact.text for fact in lab.service().describe_engine("slurm")}
    assert "22.05" in facts["Slurm"] or int(facts["Slurm"].split(".")[0]) > 22
    assert facts["partition short"] == "up, 2 min at most; nodes: 3 idle; qpu:1"
    assert facts["license qpu1"] == "1 of 1 free"


@pytest.mark.examples
def test_the_energy_of_h2_is_the_same_as_on_this_machine(lab: Lab) -> None:
    pytest.importorskip("braket.devices")
    service = lab.service()
    source = Path(__file__).parents[3] / "examples" / "h2_vqe"

    def submitted(engine: str, options: dict[str, str]) -> Job:
        hyperparameters = {"max_iterations": 60, "seed": 3}
        request = Request(source=source, engine=engine, options=options, name="h2", hyperparameters=hyperparameters)
        return Job(service.submit(prepare(request)).id, service=service)

    there, here = submitted("slurm", {"mem": "2G"}), submitted("local", {})
    assert json.dumps(there.result()["energy"]) == json.dumps(here.result()["energy"])


@pytest.mark.examples
def test_a_sweep_of_h2_has_the_same_numbers_as_on_this_machine(lab: Lab) -> None:
    pytest.importorskip("braket.devices")
    service = lab.service()
    source = Path(__file__).parents[3] / "examples" / "h2_vqe"

    def swept(engine: str, options: dict[str, str]) -> Sweep:
        request = Request(
            source=source, engine=engine, options=options, name="h2", hyperparameters={"max_iterations": 40}
        )
        submission = prepare_sweep(request, {"seed": [1, 2]}, concurrency=2)
        return Sweep(service.sweeps.submit(submission).id, service=service)

    there, here = swept("slurm", {"mem": "2G"}), swept("local", {})
    assert there.wait(FAR_S) == here.wait(FAR_S) == {"COMPLETED": 2}
    assert [job.result()["energy"] for job in there] == [job.result()["energy"] for job in here]
