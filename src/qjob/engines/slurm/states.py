"""States: from Slurm's words to what they mean for a job, as tables. docs/clusters.md shows them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from qjob.engine import Observation, Presence
from qjob.engines.slurm.rows import Row
from qjob.model.status import JobStatus
from qjob.runner.run import EXIT_FOLDER

EXIT_NO_FOLDER = 66
"""Of the batch script: the node cannot write to the job's folder."""
EXIT_NO_PYTHON = 67
"""Of the batch script: the node has no such interpreter."""

PRESENCES: dict[str, Presence] = {
    "PENDING": Presence.WAITING,
    "REQUEUED": Presence.WAITING,
    "REQUEUE_FED": Presence.WAITING,
    "REQUEUE_HOLD": Presence.WAITING,
    "RESV_DEL_HOLD": Presence.WAITING,
    "SPECIAL_EXIT": Presence.WAITING,
    "CONFIGURING": Presence.RUNNING,
    "RUNNING": Presence.RUNNING,
    "COMPLETING": Presence.RUNNING,
    "RESIZING": Presence.RUNNING,
    "SIGNALING": Presence.RUNNING,
    "STAGE_OUT": Presence.RUNNING,
    "STOPPED": Presence.RUNNING,
    "SUSPENDED": Presence.RUNNING,
    "BOOT_FAIL": Presence.GONE,
    "CANCELLED": Presence.GONE,
    "COMPLETED": Presence.GONE,
    "DEADLINE": Presence.GONE,
    "FAILED": Presence.GONE,
    "LAUNCH_FAILED": Presence.GONE,
    "NODE_FAIL": Presence.GONE,
    "OUT_OF_MEMORY": Presence.GONE,
    "PREEMPTED": Presence.GONE,
    "RECONFIG_FAIL": Presence.GONE,
    "TIMEOUT": Presence.GONE,
}
"""Where each of Slurm's states sees a job; a word that is not here is UNKNOWN, and nothing follows from it."""

ENDINGS: dict[str, str] = {
    "BOOT_FAIL": "its node could not be booted",
    "CANCELLED": "it was cancelled in Slurm and not by qjob (scancel, or an administrator)",
    "COMPLETED": "Slurm says that it has completed; is its folder on a disk that all nodes share?",
    "DEADLINE": "its deadline in Slurm passed",
    "LAUNCH_FAILED": "its node could not launch it",
    "NODE_FAIL": "its node failed, and Slurm did not start it again",
    "OUT_OF_MEMORY": "it needed more memory than it had asked Slurm for; ask for more, as in options={'mem': '8G'}",
    "PREEMPTED": "a job of higher priority took its place, and Slurm did not start it again",
    "RECONFIG_FAIL": "its node could not be set up",
    "TIMEOUT": "it reached its time limit in Slurm",
}
"""What each of Slurm's final states means, where the exit code has no more to say."""

REASONS: dict[str, str] = {
    "": "Slurm to look at it",
    "None": "Slurm to look at it",
    "AssociationJobLimit": "other jobs of its account: the account's limit of jobs is reached",
    "BadConstraints": "a node with these constraints, and there is none: it will not start",
    "BeginTime": "the time at which it may begin; after a node was lost that is some minutes",
    "Cleaning": "its last attempt to be cleaned up",
    "Dependency": "another job to end first",
    "DependencyNeverSatisfied": "a job that did not end as it should have: it will not start",
    "InactiveLimit": "the system's inactivity limit",
    "InvalidAccount": "an account that is valid: it will not start",
    "InvalidQOS": "a quality of service that is valid: it will not start",
    "JobArrayTaskLimit": "other jobs of its sweep: as many run as its concurrency allows",
    "JobHeldAdmin": "an administrator, who holds it back",
    "JobHeldUser": "'scontrol release': it is held back",
    "JobHoldMaxRequeue": "'scontrol release': it was put back into the queue too often",
    "JobLaunchFailure": "'scontrol release': it could not be launched",
    "Licenses": "its device, or another licence, to be free",
    "MaxJobCount": "room in Slurm's list of jobs",
    "NodeDown": "a node that is down",
    "PartitionConfig": "more than its partition has or allows: it will not start",
    "PartitionDown": "its partition, which is down",
    "PartitionInactive": "its partition, which starts nothing now",
    "PartitionNodeLimit": "more nodes than its partition has or allows: it will not start",
    "PartitionTimeLimit": "nothing that can come: it asks for more time than its partition allows",
    "Priority": "jobs of higher priority",
    "Prolog": "its node to be prepared",
    "ReqNodeNotAvail": "a node that it asks for and that is not available",
    "Reservation": "its reservation to begin",
    "ReservationDeleted": "its reservation, which was deleted",
    "Resources": "free nodes, cores or memory",
    "SystemFailure": "Slurm, which has failed on it",
    "launch failed requeued held": "'scontrol release': it could not be launched",
}
"""What a waiting job waits for, by Slurm's reason."""
_WITHIN_SECOND_S = 0.999
"""Slurm's times are whole seconds: a job that began and was put back within one did so in that order. It does not
begin again within the same second, as Slurm waits before it starts a job that it has put back."""
_LIMITS = ("Assoc", "QOS", "MaxCpuPerAccount", "MaxMemPerLimit")


def observation_of(row: Row, *, now: float, settle_s: float) -> Observation:
    """Return what a row says of a job.

    Args:
        row: Slurm's word.
        now: in seconds since 1970.
        settle_s: how long after a job's end the shared disk may still hide its outcome, in seconds.
    """
    presence = PRESENCES.get(row.state, Presence.UNKNOWN)
    if presence is Presence.WAITING:
        return _waiting(row)
    if presence is not Presence.GONE:
        return Observation(presence=presence, message=f"Slurm: {row.state}")
    ended_as = JobStatus.CANCELLED if row.state == "CANCELLED" else JobStatus.FAILED
    never_ran = not row.nodes and not row.restarts  # there is no outcome that could come late
    certain = never_ran or (row.ended_at is not None and now - row.ended_at >= settle_s)
    ended_at = None if row.ended_at is None else datetime.fromtimestamp(row.ended_at + _WITHIN_SECOND_S, UTC)
    message = ending_text(row)
    return Observation(presence=presence, message=message, certain=certain, ended_as=ended_as, ended_at=ended_at)


def is_start_refused(row: Row) -> bool:
    """Return whether a job may have ended so because its node would not start it, and not by what it did.

    A controller that was killed may remember a job that runs as one that waits. The node then ends it, and refuses to
    start it again, which Slurm takes for an exit code of 1 ("Killing non-startable batch job: Job credential revoked").
    """
    return row.state == "FAILED" and row.exit_code == 1 and not row.signal


def ending_text(row: Row) -> str:
    """Return how a job ended, a sentence without its full stop."""
    where = f" on {row.nodes}" if row.nodes else ""
    if row.state == "FAILED":
        return f"{_failure(row)} (Slurm: FAILED {row.exit_code}:{row.signal}{where})"
    text = ENDINGS.get(row.state, "Slurm ended it")
    reason = f", {row.reason}" if row.reason and row.reason.upper() != row.state else ""
    return f"{text} (Slurm: {row.state}{reason}{where})"


def waiting_text(reason: str) -> str:
    """Return what a job waits for, from Slurm's reason: words, and Slurm's own in brackets."""
    word = reason.partition(",")[0].strip("()")
    text = REASONS.get(word)
    if text is None:
        text = "a limit of its account or quality of service" if word.startswith(_LIMITS) else "Slurm"
    return f"{text} (Slurm: {reason})" if reason else text


def _waiting(row: Row) -> Observation:
    message = waiting_text(row.reason)
    if not row.restarts:
        return Observation(presence=Presence.WAITING, message=message)
    since = datetime.fromtimestamp(row.submitted_at + _WITHIN_SECOND_S, UTC)
    return Observation(presence=Presence.WAITING, message=message, waits_since=since)


def _failure(row: Row) -> str:
    if row.exit_code == EXIT_NO_FOLDER:
        return "its node cannot write to its folder: QJOB_HOME has to be on a disk that all nodes share"
    if row.exit_code == EXIT_NO_PYTHON:
        return "its node does not have the interpreter: see runner.log, and python in [engines.slurm]"
    if row.exit_code == EXIT_FOLDER:
        return "its folder could not be written to; it was removed, or the disk is full"
    if row.signal == 9:
        return (
            "it was killed; Slurm does that when a job needs more memory than it asked for, "
            "and options={'mem': '8G'} asks for more"
        )
    if row.signal:
        return f"it was ended by signal {row.signal}"
    return f"its runner ended with exit code {row.exit_code}; runner.log in its folder may say why"
