"""Why an environment could not be made."""

from __future__ import annotations

from qjob.errors import QjobError


class EnvironmentFailed(QjobError):
    """An environment cannot be made; it becomes the job's failure, and is raised to no caller of qjob.

    Attributes:
        reason: in a sentence, with the installer's own words.
        output: the end of what the installer printed, where the reason has not all of what matters.
    """

    def __init__(self, reason: str, output: str = "") -> None:
        self.reason = reason
        self.output = output
        super().__init__(reason)
