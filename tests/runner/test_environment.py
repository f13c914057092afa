"""What an instance sees: the submitter's variables and the published ones, and nothing of another job."""

from __future__ import annotations

import socket
from pathlib import Path

from qjob.folder import JobFolder
from qjob.model.config import InstanceConfig
from qjob.model.spec import InputChannel
from qjob.runner.environment import InstancePlace, Meeting, instance_environment
from qjob.runner.free_port import HIGHEST, LOWEST, free_port
from qjob.testing import make_spec

FOLDER = JobFolder(Path("/jobs/a b/0123"))
MET = InstancePlace(meeting=Meeting(port=29500))


def test_the_published_variables_and_ours() -> None:
    spec = make_spec(
        device="arn:aws:braket:::device/qpu/acme/one",
        instance_config=InstanceConfig(instanceCount=4),
        inputs=(InputChannel(name="input", uri="file:///x"),),
    )
    assert instance_environment({}, FOLDER, spec, 2, MET) == {
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
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29500",
        "RANK": "2",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "2",
        "LOCAL_WORLD_SIZE": "4",
        "NODE_RANK": "0",
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


OF_TORCH = {"MASTER_ADDR": "login1", "MASTER_PORT": "1", "RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "3"}
SEVERAL = make_spec(instance_config=InstanceConfig(instanceCount=2))


def test_one_instance_keeps_what_its_user_has_set_for_meeting() -> None:
    found = instance_environment(OF_TORCH | {"QJOB_INSTANCE_COUNT": "1"}, FOLDER, make_spec(), 0)
    assert found | OF_TORCH == found


def test_without_a_user_who_set_them_one_instance_has_no_variables_for_meeting() -> None:
    assert not set(OF_TORCH) & set(instance_environment({}, FOLDER, make_spec(), 0))


def test_several_instances_meet_at_the_jobs_own_port_whatever_the_user_has_set() -> None:
    first, second = (instance_environment(OF_TORCH, FOLDER, SEVERAL, number, MET) for number in (0, 1))
    assert {name for name in first if first[name] != second[name]} == {"QJOB_INSTANCE", "RANK", "LOCAL_RANK"}
    assert (first["MASTER_ADDR"], first["MASTER_PORT"], first["WORLD_SIZE"]) == ("127.0.0.1", "29500", "2")


def test_a_job_that_an_instance_of_several_submits_does_not_meet_with_those() -> None:
    outer = instance_environment({"PATH": "/bin"}, FOLDER, SEVERAL, 1, MET)
    assert not set(OF_TORCH) & set(instance_environment(outer, FOLDER, make_spec(), 0))


def test_a_free_port_can_be_listened_on() -> None:
    port = free_port()
    assert LOWEST <= port <= HIGHEST
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_ports_differ_so_that_two_jobs_do_not_meet() -> None:
    assert len({free_port() for _ in range(20)}) > 15
