"""The environment of an instance: the submitter's variables, and the published ``AMZN_BRAKET_*`` ones.

The names and meanings are those of Braket's job container; variables that only make sense with S3 or AWS
credentials of the service (the job token) are not set, as nothing here could honour them.
"""

from __future__ import annotations

from collections.abc import Mapping

from qjob.folder import JobFolder
from qjob.model.spec import JobSpec

JOB_ID = "QJOB_JOB_ID"
"""Marks every process of a job, so that none is overlooked when the job is ended."""
_OF_A_JOB = ("AMZN_BRAKET_", "QJOB_JOB_", "QJOB_INSTANCE")


def instance_environment(
    submitter: Mapping[str, str], folder: JobFolder, spec: JobSpec, instance: int
) -> dict[str, str]:
    """Return the variables of one instance; those that the submitter had from a job are not passed on."""
    inherited = {key: value for key, value in submitter.items() if not key.startswith(_OF_A_JOB)}
    return inherited | _published(folder, spec) | _ours(folder, spec, instance)


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
    return {
        JOB_ID: folder.id,
        "QJOB_INSTANCE": str(instance),
        "QJOB_INSTANCE_COUNT": str(spec.instance_count),
    }
