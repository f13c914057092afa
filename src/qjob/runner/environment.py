"""The environment of an instance: the submitter's variables, and the published ``AMZN_BRAKET_*`` ones.

The names and meanings are those of Braket's job container; variables that only make sense with S3 or AWS
credentials of the service (the job token) are not set, as nothing here could honour them.

The instances of a job with several get the variables by which ``torch.distributed`` and its like find each
other (https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables). Each instance is one process
on this machine. A job with one instance keeps what the submitter has set of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from qjob.folder import JobFolder
from qjob.model.spec import JobSpec

JOB_ID = "QJOB_JOB_ID"
"""Marks every process of a job, so that none is overlooked when the job is ended."""
SWEEP = "QJOB_SWEEP"
"""The sweep that the job is a point of; not set in a job that stands alone."""
POINT = "QJOB_SWEEP_POINT"
"""Which point, from 0."""
_COUNT = "QJOB_INSTANCE_COUNT"
_OF_A_JOB = ("AMZN_BRAKET_", "QJOB_JOB_", "QJOB_INSTANCE", SWEEP)
_LOOPBACK = "127.0.0.1"


def instance_environment(
    submitter: Mapping[str, str], folder: JobFolder, spec: JobSpec, instance: int, master_port: int | None
) -> dict[str, str]:
    """Return the variables of one instance; those that the submitter had from a job are not passed on.

    ``master_port`` is the same for all instances of a job, and None for the one of a job that has only one.
    """
    inherited = {key: value for key, value in submitter.items() if not _is_of_a_job(key, submitter)}
    meeting = {} if master_port is None else _meeting(spec.instance_count, instance, master_port)
    return inherited | _published(folder, spec) | _ours(folder, spec, instance) | meeting


def _is_of_a_job(key: str, submitter: Mapping[str, str]) -> bool:
    """Return whether a variable tells of the job that submits this one, rather than being the user's own."""
    return key.startswith(_OF_A_JOB) or (key in _MEETING and submitter.get(_COUNT, "1") != "1")


def _published(folder: JobFolder, spec: JobSpec) -> dict[str, str]:
    variables = {
        "AMZN_BRAKET_JOB_NAME": spec.name,
        "AMZN_BRAKET_DEVICE_ARN": spec.device,
        "AMZN_BRAKET_JOB_RESULTS_DIR": str(folder.results),
        "AMZN_BRAKET_CHECKPOINT_DIR": str(folder.checkpoints),
        "AMZN_BRAKET_HP_FILE": str(folder.hyperparameters),
        "AMZN_BRAKET_SCRIPT_ENTRY_POINT": spec.entry_point,
        "AMZN_BRAKET_SCRIPT_S3_URI": spec.source_uri,
        "AMZN_BRAKET_SCRIPT_COMPRESSION_TYPE": "NONE",
    }
    if spec.inputs:
        variables["AMZN_BRAKET_INPUT_DIR"] = str(folder.input)
    return variables


def _ours(folder: JobFolder, spec: JobSpec, instance: int) -> dict[str, str]:
    variables = {
        JOB_ID: folder.id,
        "QJOB_INSTANCE": str(instance),
        _COUNT: str(spec.instance_count),
    }
    if spec.sweep_point is not None:
        variables |= {SWEEP: spec.sweep_point.sweep, POINT: str(spec.sweep_point.number)}
    return variables


def _meeting(count: int, instance: int, port: int) -> dict[str, str]:
    return {
        "MASTER_ADDR": _LOOPBACK,
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "RANK": str(instance),
        "LOCAL_WORLD_SIZE": str(count),
        "LOCAL_RANK": str(instance),
        "NODE_RANK": "0",
    }


_MEETING = frozenset(_meeting(2, 0, 0))
