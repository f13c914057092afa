"""LocalQuantumJob: create, and the handle."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qjob.braket import (
    CheckpointConfig,
    InstanceConfig,
    LocalQuantumJob,
    OutputDataConfig,
    StoppingCondition,
)
from qjob.errors import InvalidInput, JobFailed, JobNotFound
from qjob.job import Job

pytestmark = pytest.mark.live

SCRIPT = """\
import json, os
from qjob.braket import get_hyperparameters, get_input_data_dir, log_metric, save_job_result
log_metric("energy", -1.5, iteration_number=0)
data = {channel: sorted(os.listdir(get_input_data_dir(channel))) for channel in ("input", "more")
        if get_input_data_dir(channel) != "."}
save_job_result({"hyperparameters": get_hyperparameters(), "data": data})
"""


@pytest.fixture
def script(here: Path) -> Path:
    path = here / "script.py"
    path.write_text(SCRIPT)
    return path


def test_a_script_becomes_a_job_at_once_and_has_its_result(script: Path, here: Path) -> None:
    """Weaknesses 5 and 6: Braket's blocks, is always COMPLETED and has no metadata; and it fills the directory."""
    go = here.parent / "go"
    script.write_text(f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n{SCRIPT}")
    job = LocalQuantumJob.create("local:none/none", "script.py", hyperparameters={"theta": 0.5, "n": 3})
    assert job.state() in ("QUEUED", "RUNNING")
    go.touch()
    assert job.result() == {"hyperparameters": {"theta": "0.5", "n": "3"}, "data": {}}
    assert job.state() == "COMPLETED"
    assert job.metrics()["energy"] == [-1.5]
    data = job.metadata()
    assert job.name.startswith("braket-job-default-")
    assert data["algorithmSpecification"]["scriptModeConfig"]["entryPoint"] == "script"
    assert os.listdir(here) == ["script.py"]


def test_a_failed_job_is_failed(script: Path) -> None:
    script.write_text("raise ValueError('no luck')")
    job = LocalQuantumJob.create(device="local:none/none", source_module=str(script), job_name="fails")
    with pytest.raises(JobFailed, match="ValueError: no luck"):
        job.result()
    assert job.state() == "FAILED"


def test_waiting_follows_the_log(
    script: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    script.write_text("print('one')\nraise SystemExit(3)\n")
    job = LocalQuantumJob.create("local:none/none", script, wait_until_complete=True)
    said = capfd.readouterr().out.splitlines()
    assert (said[0], said[-1]) == (f"Initializing Braket Job: {job.arn}", "one")
    (message,) = caplog.records
    assert message.name == "qjob.braket"
    assert "exit code 3" in message.getMessage()
    assert job.state() == "FAILED"


def test_what_is_passed_is_not_changed_and_serves_twice(script: Path, here: Path) -> None:
    """Defects 4 and 5: Braket writes S3 paths into the configurations, and replaces "data" in "data/data.csv"."""
    (here / "data").mkdir()
    (here / "data" / "data.csv").write_text("1")
    (here / "data_backup.bin").write_text("2")
    given: dict[str, Any] = {
        "hyperparameters": {"a": 1},
        "input_data": {"input": "data", "more": "data/data.csv"},
        "checkpoint_config": CheckpointConfig(),
        "instance_config": InstanceConfig(),
        "stopping_condition": StoppingCondition(maxRuntimeInSeconds=60),
        "tags": {"a": "b"},
    }
    before = copy.deepcopy(given)
    jobs = [LocalQuantumJob.create("local:none/none", script, **given) for _ in range(2)]
    assert given == before
    for job in jobs:
        assert job.result()["data"] == {"input": ["data.csv"], "more": ["data.csv"]}


def test_what_means_nothing_here_is_said_once(script: Path) -> None:
    output = OutputDataConfig(s3Path="s3://b/c")
    with pytest.warns(UserWarning, match="ignored") as warned:
        job = LocalQuantumJob.create(
            device="local:none/none",
            source_module=str(script),
            image_uri="x/amazon-braket-pytorch-jobs:latest",
            code_location="s3://b/c",
            role_arn="arn:aws:iam::1:role/x",
            output_data_config=output,
            aws_session=object(),
            local_container_update=False,
            reservation_arn="arn:aws:x",
            instance_config=InstanceConfig("ml.p3.2xlarge"),
        )
    (warning,) = warned
    assert str(warning.message) == (
        "image_uri, code_location, role_arn, output_data_config, aws_session, local_container_update, "
        "reservation_arn, instance_config.instanceType: without meaning for a job that runs here, and ignored."
    )
    assert warning.filename == __file__
    assert output == OutputDataConfig(s3Path="s3://b/c")
    assert job.name.startswith("braket-job-pytorch-")
    assert job.metadata()["instanceConfig"]["instanceType"] == "ml.p3.2xlarge"


def test_a_link_goes_by_the_name_of_what_it_leads_to(script: Path, here: Path) -> None:
    (here / "link.py").symlink_to(script)
    job = LocalQuantumJob.create("local:none/none", "link.py")
    assert job.metadata()["algorithmSpecification"]["scriptModeConfig"]["entryPoint"] == "script"
    job.wait()


@pytest.mark.parametrize("entry_point", [".", ".:f", ".sub:f", "script.", ":f"])
def test_an_entry_point_that_cannot_run_is_refused_before_anything_starts(
    script: Path, home: Path, entry_point: str
) -> None:
    """Defect 7: Braket takes relative ones, and they fail in the container."""
    with pytest.raises(InvalidInput, match="entry point"):
        LocalQuantumJob.create("local:none/none", script, entry_point)
    assert not (home / "jobs").exists() or os.listdir(home / "jobs") == []


def test_checking_an_entry_point_imports_nothing_of_the_users(here: Path) -> None:
    """Defect 12: Braket imports the packages around it, in the process that submits."""
    (here / "pack").mkdir()
    (here / "pack" / "__init__.py").write_text("import sys; sys.exit('imported where it was submitted')\n")
    (here / "pack" / "main.py").write_text("def start(): ...\n")
    modules = set(sys.modules)
    job = LocalQuantumJob.create("local:none/none", "pack", "pack.main:start")
    assert {name for name in set(sys.modules) - modules if name.startswith("pack")} == set()
    with pytest.raises(JobFailed, match="imported where it was submitted"):
        job.result()


def test_all_problems_are_told_at_once(here: Path) -> None:
    with pytest.raises(InvalidInput) as refusal:
        LocalQuantumJob.create("nowhere", "no_such.py", job_name="-", input_data="no/such")
    assert len(refusal.value.problems) == 4


def test_a_job_is_taken_up_again_by_any_name(script: Path) -> None:
    job = LocalQuantumJob.create("local:none/none", script, job_name="again")
    for name in (job.arn, job.id, "again", "local:job/again"):
        assert LocalQuantumJob(name) == job
    assert LocalQuantumJob(job.arn, object(), True) == Job(job.id)
    assert pickle.loads(pickle.dumps(job)) == job
    assert repr(job) == f"LocalQuantumJob('arn':'{job.arn}')"
    job.wait()
    assert job.run_log.startswith("Metrics - ")
    with pytest.raises(JobNotFound):
        LocalQuantumJob("local:job/nothing")


@pytest.mark.parametrize("given", [5, ["first"], b"first"])
def test_what_is_no_job_has_no_checkpoints(script: Path, given: Any) -> None:
    with pytest.raises(InvalidInput, match=r"copy_checkpoints_from_job=.*: a job is expected, by its handle"):
        LocalQuantumJob.create("local:none/none", script, copy_checkpoints_from_job=given)


def test_checkpoints_by_an_arn_of_brakets_own_local_jobs(script: Path) -> None:
    script.write_text("from qjob.braket import *\nsave_job_checkpoint({'step': 7})\n")
    LocalQuantumJob.create("local:none/none", script, job_name="earlier").wait()
    job = LocalQuantumJob.create("local:none/none", script, copy_checkpoints_from_job="local:job/earlier")
    assert job.wait() == "COMPLETED"


def test_checkpoints_of_another_job(script: Path) -> None:
    script.write_text(
        "from qjob.braket import *\n"
        "try: print(load_job_checkpoint())\n"
        "except FileNotFoundError: save_job_checkpoint({'step': 7})\n"
    )
    first = LocalQuantumJob.create("local:none/none", script, job_name="first")
    first.wait()
    second = LocalQuantumJob.create("local:none/none", script, job_name="other", copy_checkpoints_from_job=first.arn)
    second.wait()
    assert second.run_log == "{'step': 7}\n"


UNTIL_THE_NEXT_IS_SEEN = """\
import os, sys, time
jobs = os.path.dirname(os.path.dirname(os.getcwd()))
here = os.path.basename(os.path.dirname(os.getcwd()))
while max(name for name in os.listdir(jobs) if name[0] != ".") == here:  # ids sort by time
    time.sleep(0.01)
time.sleep(0.5)  # more than enough for a look at it
"""


@pytest.mark.parametrize("quiet", [False, True])
def test_a_quiet_job_does_not_say_what_it_waits_for(
    script: Path, capfd: pytest.CaptureFixture[str], quiet: bool
) -> None:
    device = "arn:aws:braket:::device/qpu/x/y"  # held by one job at a time
    script.write_text(UNTIL_THE_NEXT_IS_SEEN)
    first = LocalQuantumJob.create(device, script)
    script.write_text("print('mine')")
    LocalQuantumJob.create(device, script, wait_until_complete=True, quiet=quiet)
    said = capfd.readouterr().out
    assert ("Job queue position: 1" in said) is not quiet
    assert said.endswith("mine\n")
    first.wait()


def test_nothing_of_amazons_is_needed_nor_imported(environment: dict[str, str], script: Path) -> None:
    """Weakness 13: Braket's decorator wants a region and a container registry at the import of the user's module."""
    program = (
        "import sys\n"
        "for name in ('boto3', 'botocore', 'braket', 'docker'): sys.modules[name] = None\n"
        "from qjob.braket import LocalQuantumJob, hybrid_job\n"
        "print(LocalQuantumJob.create('local:none/none', sys.argv[1]).result()['data'])\n"
        "print(hybrid_job(device=None, local=True)(lambda: 7)().result())\n"
    )
    variables = {key: value for key, value in environment.items() if not key.startswith("AWS_")}
    command = [sys.executable, "-c", program, str(script)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert done.stdout == "{}\n{'result': 7}\n"
