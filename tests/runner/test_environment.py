"""What an instance sees: the submitter's variables and the published ones, and nothing of another job."""

from __future__ import annotations

from pathlib import Path

from qjob.folder import JobFolder
from qjob.model.config import InstanceConfig
from qjob.model.spec import InputChannel
from qjob.runner.environment import instance_environment
from qjob.testing import make_spec

FOLDER = JobFolder(Path("/jobs/a b/0123"))


def test_the_published_variables_and_ours() -> None:
    spec = make_spec(
        device="arn:aws:braket:::device/qpu/acme/one",
        instance_config=InstanceConfig(instanceCount=4),
        inputs=(InputChannel(name="input", uri="file:///x"),),
    )
    assert instance_environment({}, FOLDER, spec, 2) == {
        "AMZN_BRAKET_JOB_NAME": "contract-finish",
        "AMZN_BRAKET_DEVICE_ARN": "arn:aws:braket:::device/qpu/acme/one",
        "AMZN_BRAKET_JOB_RESULTS_DIR": "/jobs/a b/0123/results",
        "AMZN_BRAKET_CHECKPOINT_DIR": "/jobs/a b/0123/checkpoints",
        "AMZN_BRAKET_INPUT_DIR": "/jobs/a b/0123/input",
        "AMZN_BRAKET_HP_FILE": "/jobs/a b/0123/hyperparameters.json",
        "AMZN_BRAKET_SCRIPT_ENTRY_POINT": "job",
        "AMZN_BRAKET_SCRIPT_S3_URI": "file:///job.py",
        "AMZN_BRAKET_SCRIPT_COMPRESSION_TYPE": "NONE",
        "QJOB_JOB_ID": "0123",
        "QJOB_INSTANCE": "2",
        "QJOB_INSTANCE_COUNT": "4",
    }


def test_the_submitters_variables_but_those_of_the_job_it_may_be() -> None:
    submitter = {
        "PATH": "/bin",
        "QJOB_HOME": "/elsewhere",
        "AMZN_BRAKET_INPUT_DIR": "/other/input",
        "AMZN_BRAKET_JOB_TOKEN": "secret",
        "AMZN_BRAKET_JOB_NAME": "outer",
        "QJOB_JOB_ID": "outer",
        "QJOB_INSTANCE": "7",
    }
    found = instance_environment(submitter, FOLDER, make_spec(), 0)
    assert found["PATH"] == "/bin"
    assert found["QJOB_HOME"] == "/elsewhere"
    assert (found["QJOB_JOB_ID"], found["QJOB_INSTANCE"]) == ("0123", "0")
    assert found["AMZN_BRAKET_JOB_NAME"] == "contract-finish"
    assert not {"AMZN_BRAKET_INPUT_DIR", "AMZN_BRAKET_JOB_TOKEN"} & set(found)
