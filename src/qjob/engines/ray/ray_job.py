"""RayJob: what Ray says of one submission; and the names by which we know ours. Pure.

A job's ref is ``qjob-`` and its id, and so is the submission id of its first attempt at Ray; later ones, after Ray has
dropped a job that never started, end in ``-2``, ``-3``, …: Ray takes no submission id twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

PREFIX = "qjob-"
WAITING = ("PENDING",)
RUNNING = ("RUNNING",)
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
STOPPED = "STOPPED"
NEVER_STARTED = ("JOB_SUPERVISOR_ACTOR_START_TIMEOUT",)
"""Ray's word for a job that waited 15 minutes (``RAY_JOB_START_TIMEOUT_SECONDS``): it is dropped, and has not run."""


@dataclass(frozen=True, kw_only=True)
class RayJob:
    """What Ray says of a submission.

    Attributes:
        submission_id: our own id of it.
        status: Ray's word: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        message: Ray's sentences about it.
        error_type: Ray's word for the kind of failure; empty when there is none.
        node_id: the node of the runner, once it runs; empty until then.
    """

    submission_id: str
    status: str
    message: str = ""
    error_type: str = ""
    node_id: str = ""


def ref_of(job_id: str) -> str:
    """Return the ref of a job."""
    return PREFIX + job_id


def job_id_of(ref: str) -> str:
    """Return the id of the job that has a ref."""
    return ref.removeprefix(PREFIX).partition("-")[0]


def submission_id(ref: str, attempt: int) -> str:
    """Return the submission id of an attempt, from 1."""
    return ref if attempt <= 1 else f"{ref}-{attempt}"


def attempt_of(submission: str) -> int:
    """Return the number of the attempt that a submission is."""
    number = submission.removeprefix(PREFIX).partition("-")[2]
    return int(number) if number.isdecimal() else 1


def read_jobs(answer: Iterable[Mapping[str, Any]]) -> list[RayJob]:
    """Return our submissions in the answer of ``GET /api/jobs/``."""
    return [
        RayJob(
            submission_id=job["submission_id"],
            status=str(job["status"]),
            message=job.get("message") or "",
            error_type=str(job.get("error_type") or ""),
            node_id=job.get("driver_node_id") or "",
        )
        for job in answer
        if (job.get("submission_id") or "").startswith(PREFIX)
    ]


def newest(jobs: Iterable[RayJob]) -> dict[str, RayJob]:
    """Return the last attempt of each job, by ref."""
    found: dict[str, RayJob] = {}
    for job in sorted(jobs, key=lambda job: attempt_of(job.submission_id)):
        found[ref_of(job_id_of(job.submission_id))] = job
    return found


def to_json(job: RayJob) -> dict[str, str]:
    """Return it as a JSON object."""
    return asdict(job)
