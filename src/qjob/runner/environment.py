"""The environment of an instance: the submitter's variables, and the published ``AMZN_BRAKET_*`` ones.

The names and meanings are those of Braket's job container; variables that only make sense with S3 or AWS
credentials of the service (the job token) are not set, as nothing here could honour them.

The instances of a job with several get the variables by which ``torch.distributed`` and its like find each
other (https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables). A job with one instance keeps
what the submitter has set of them. On a cluster, what the scheduler has set goes before what the submitter had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qjob.device_lease import VARIABLE as DEVICE_LEASE
from qjob.folder import JobFolder
from qjob.model.spec import JobSpec
from qjob.runner.place import is_of_a_scheduler

JOB_ID = "QJOB_JOB_ID"
"""Marks every process of a job, so that none is overlooked when the job is ended."""
SWEEP = "QJOB_SWEEP"
"""The sweep that the job is a point of; not set in a job that stands alone."""
POINT = "QJOB_SWEEP_POINT"
"""Which point, from 0."""
_COUNT = "QJOB_INSTANCE_COUNT"
_OF_A_JOB = ("AMZN_BRAKET_", "QJOB_JOB_", "QJOB_INSTANCE", SWEEP, DEVICE_LEASE)
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """Where the instances of a job meet.

    Attributes:
        host: the machine of instance 0.
        port: a port that is free there.
        node: of this instance's machine among those of the job, from 0.
        local_rank: of this instance among those on its machine, from 0; None when all are on one machine.
        local_size: how many those are.
    """

    port: int
    host: str = _LOOPBACK
    node: int = 0
    local_rank: int | None = None
    local_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class InstancePlace:
    """Where an instance runs.

    Attributes:
        meeting: where it meets the others; None for the one of a job that has only one.
        given: what the scheduler, or the runner for it, has set.
    """

    meeting: Meeting | None = None
    given: Mapping[str, str] = field(default_factory=dict)


def instance_environment(
    submitter: Mapping[str, str],
    folder: JobFolder,
    spec: JobSpec,
    instance: int,
    place: InstancePlace = InstancePlace(),
) -> dict[str, str]:
    """Return the variables of one instance; those that the submitter had from a job are not passed on."""
    inherited = {key: value for key, value in submitter.items() if not _is_of_a_job(key, submitter)}
    if place.given:
        inherited = {key: value for key, value in inherited.items() if not is_of_a_scheduler(key)}
    meeting = {} if place.meeting is None else _meeting(spec.instance_count, instance, place.meeting)
    return inherited | dict(place.given) | _published(folder, spec) | _ours(folder, spec, instance) | meeting


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


def _meeting(count: int, instance: int, meeting: Meeting) -> dict[str, str]:
    return {
        "MASTER_ADDR": meeting.host,
        "MASTER_PORT": str(meeting.port),
        "WORLD_SIZE": str(count),
        "RANK": str(instance),
        "LOCAL_WORLD_SIZE": str(meeting.local_size or count),
        "LOCAL_RANK": str(instance if meeting.local_rank is None else meeting.local_rank),
        "NODE_RANK": str(meeting.node),
    }


_MEETING = frozenset(_meeting(2, 0, Meeting(port=0)))
