"""Route: how jobs get to the nodes of a cluster, and what they write there back into their folders."""

from __future__ import annotations

from typing import Protocol

from qjob.engines.ray.ray_job import RayJob
from qjob.engines.ray.resources import Take
from qjob.engines.ray.submission import Submission
from qjob.folder import JobFolder
from qjob.model.spec import JobSpec


class Route(Protocol):
    """A way to the nodes and back."""

    @property
    def is_shared(self) -> bool:
        """Whether the folder here is where the job writes: what it shows is true at every moment."""

    def problems(self, spec: JobSpec) -> list[str]:
        """Return why a job cannot go this way, a sentence each, with a remedy."""

    def submission(self, folder: JobFolder, spec: JobSpec, submission_id: str, take: Take) -> Submission:
        """Return what is sent to Ray, with all that it needs in place. Raises SubmitError or EngineUnavailable."""

    def receive(self, job: RayJob, folder: JobFolder) -> None:
        """Make the folder here hold what the job has written by now. Raises EngineUnavailable."""
