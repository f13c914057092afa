"""SharedDisk: the route to a cluster whose nodes have the state directory at the same path."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from qjob.engines.ray.begin import begin_arguments
from qjob.engines.ray.ray_job import RayJob
from qjob.engines.ray.resources import Take
from qjob.engines.ray.submission import Submission, begin_command
from qjob.folder import JobFolder
from qjob.model.spec import JobSpec
from qjob.runner_copy import runner_copy
from qjob.sweep_folder import sweep_folder


class SharedDisk:
    """Jobs run in their folders; see `qjob.engines.ray.route.Route`."""

    is_shared = True

    def __init__(self, runners: Path, leases: Mapping[str, Path], *, python: str | None) -> None:
        """Take the route.

        Args:
            runners: where copies of qjob for the nodes lie.
            leases: by ARN, the directory in which the holders of a device are numbered.
            python: the interpreter of the runner; None: this one.
        """
        self._runners = runners
        self._leases = dict(leases)
        self._python = python or sys.executable

    def problems(self, spec: JobSpec) -> list[str]:
        """Return nothing: every job can go this way."""
        return []

    def submission(self, folder: JobFolder, spec: JobSpec, submission_id: str, take: Take) -> Submission:
        """Return what is sent to Ray. Raises OSError when the copy of qjob cannot be made."""
        arguments = begin_arguments(folder.path, _turn(folder, spec), self._runner_options(spec, take))
        command = begin_command(self._python, runner_copy(self._runners), arguments)
        return Submission(id=submission_id, command=command, spec=spec, take=take)

    def receive(self, job: RayJob, folder: JobFolder) -> None:
        """Do nothing: it is all there."""

    def _runner_options(self, spec: JobSpec, take: Take) -> list[str]:
        options = ["--watch-parent"]
        if spec.device in self._leases:
            options += ["--lease", str(self._leases[spec.device])]
        if take.instances:
            launcher = [self._python, "-P", "-m", "qjob.engines.ray.spread"]  # the runner adds the folder
            options += ["--launcher", shlex.join(launcher)]
        return options


def _turn(folder: JobFolder, spec: JobSpec) -> tuple[Path, int] | None:
    point = spec.sweep_point
    if point is None or point.concurrency is None:
        return None
    return sweep_folder(folder.path.parent, point.sweep).path / "slots", point.concurrency
