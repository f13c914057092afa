"""What is sent to Ray to have a job run: the body of ``POST /api/jobs/``. Pure.

The fields are those of Ray's Jobs API,
https://docs.ray.io/en/latest/cluster/running-applications/job-submission/api.html.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qjob.engines.ray.resources import Take
from qjob.model.spec import JobSpec

_STOP_WAIT = "RAY_JOB_STOP_WAIT_TIME_S"
"""Ray kills what a stopped job leaves after 3 s, or after what this variable says: a whole number of seconds."""
_TO_LEAVE_AN_OUTCOME_S = 15
_BUILT_IN = {"CPU": "entrypoint_num_cpus", "GPU": "entrypoint_num_gpus", "memory": "entrypoint_memory"}


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One attempt at Ray.

    Attributes:
        id: the submission id.
        command: the command line of the entrypoint.
        spec: the job.
        take: what it takes of the cluster.
        runtime_env: Ray's runtime environment, but for what we add.
    """

    id: str
    command: Sequence[str]
    spec: JobSpec
    take: Take
    runtime_env: Mapping[str, Any] = field(default_factory=dict)


def begin_command(python: str, package: Path, arguments: Sequence[str]) -> list[str]:
    """Return the command line that begins a job on a node; ``package`` is the directory in which qjob lies there.

    ``exec`` makes the runner a child of Ray's supervisor, with no shell in between; ``-P`` keeps the working directory
    out of the modules; the path is the runner's alone, as jobs get their submitter's environment.
    """
    return ["exec", "env", f"PYTHONPATH={package}", python, "-P", "-m", "qjob.engines.ray.begin", *arguments]


def request(submission: Submission) -> dict[str, Any]:
    """Return the body of the request."""
    body: dict[str, Any] = {
        "submission_id": submission.id,
        "entrypoint": shlex.join(submission.command),
        "metadata": {"job_name": submission.spec.name, "qjob": "1"},
        "runtime_env": _runtime_env(submission),
    }
    custom = {}
    for name, amount in submission.take.entrypoint.items():
        if name in _BUILT_IN:
            body[_BUILT_IN[name]] = int(amount) if name == "memory" else amount
        else:
            custom[name] = amount
    return body | ({"entrypoint_resources": custom} if custom else {})


def _runtime_env(submission: Submission) -> dict[str, Any]:
    wait_s = math.ceil(submission.spec.grace_s) + _TO_LEAVE_AN_OUTCOME_S
    variables = {**submission.runtime_env.get("env_vars", {}), _STOP_WAIT: str(wait_s)}
    return {**submission.runtime_env, "env_vars": variables}
