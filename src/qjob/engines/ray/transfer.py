"""Transfer: how jobs get to a cluster that does not see the state directory, and what they write back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qjob.engines.ray.carry import DIRECTORY
from qjob.engines.ray.client import Cluster
from qjob.engines.ray.packages import LONGEST_BYTES, Package, job_package, runner_package, share_package
from qjob.engines.ray.ray_job import ENDED, RayJob
from qjob.engines.ray.receive import Receiver, Source
from qjob.engines.ray.resources import Take
from qjob.engines.ray.submission import Submission
from qjob.errors import EngineUnavailable, SubmitError
from qjob.folder import JobFolder
from qjob.model.spec import JobSpec
from qjob.runner_copy import runner_copy
from qjob.sweep_folder import sweep_folder

_PYTHON = "python3"
_MIB = 1 << 20


class Transfer:
    """Jobs go there in packages, and what they write is fetched; see `qjob.engines.ray.route.Route`."""

    is_shared = False

    def __init__(self, cluster: Cluster, state: Path, runners: Path, *, python: str | None, interval_s: float) -> None:
        """Use a cluster.

        Args:
            cluster: the cluster.
            state: the directory for what is known of its jobs.
            runners: where copies of qjob lie, one of which is sent.
            python: the interpreter on the nodes; None: ``python3``.
            interval_s: how often a job's news are fetched at most, in seconds.
        """
        self._cluster = cluster
        self._runners = runners
        self._python = python
        self._receiver = Receiver(state, cluster, interval_s)
        self._made: dict[str, Package] = {}

    def problems(self, spec: JobSpec) -> list[str]:
        """Return what takes a disk that all nodes share."""
        point = spec.sweep_point
        if point is None or point.concurrency is None:
            return []
        return [
            f"concurrency={point.concurrency}: on a Ray cluster that does not share the state directory nobody counts "
            "the jobs of a sweep that run; leave it out, or have each job take a piece of a custom resource, as in "
            "options={'resources': 'licence=1'}, of which there are as many."
        ]

    def submission(self, folder: JobFolder, spec: JobSpec, submission_id: str, take: Take) -> Submission:
        """Send what the job needs; return what is sent to Ray then. Raises SubmitError or EngineUnavailable."""
        carry = [self._python or _PYTHON, "-P", "-m", "qjob.engines.ray.carry"]
        return Submission(
            id=submission_id,
            command=["exec", *carry, submission_id, folder.id, "--watch-parent"],
            spec=spec,
            take=take,
            runtime_env=self._runtime_env(folder, spec),
        )

    def receive(self, job: RayJob, folder: JobFolder) -> None:
        """Write into the folder what the job has written on its node by now. Raises EngineUnavailable."""
        if not job.node_id:
            return
        source = Source(node_id=job.node_id, directory=f"{DIRECTORY}/{job.submission_id}")
        try:
            self._receiver.receive(source, folder, at_once=job.status in ENDED)
        except EngineUnavailable:
            if job.status in ENDED and job.node_id not in {node.id for node in self._cluster.nodes()}:
                return  # the node is gone, and with it what was not fetched
            raise

    def _runtime_env(self, folder: JobFolder, spec: JobSpec) -> dict[str, Any]:
        """Return the runtime environment that unpacks what the job needs, and puts qjob onto Python's path."""
        modules = [self._shared("runner", lambda: runner_package(runner_copy(self._runners)))]
        if spec.sweep_point is not None:
            sweep = sweep_folder(folder.path.parent, spec.sweep_point.sweep)
            modules.append(self._shared(sweep.id, lambda: share_package([sweep.source, sweep.input])))
        own = self._send(job_package(folder, self._python))
        return {"working_dir": own.uri, "py_modules": [self._send(module).uri for module in modules]}

    def _shared(self, name: str, make: Callable[[], Package]) -> Package:
        """Return a package that is the same for many jobs; of the last sweep, none is kept of the others."""
        if name not in self._made:
            self._made = {"runner": self._made["runner"]} if "runner" in self._made else {}
            self._made[name] = make()
        return self._made[name]

    def _send(self, package: Package) -> Package:
        """Send a package that the cluster has not; the question keeps it there for ten minutes if it has."""
        size = len(package.data)
        if size > LONGEST_BYTES:
            raise SubmitError(
                f"Code, input data and checkpoints of the job are {size / _MIB:.0f} MiB in a package, and Ray takes "
                f"{LONGEST_BYTES / _MIB:.0f}: leave files out, have the job fetch its data, or share a disk with the "
                "cluster (shared = true in [engines.ray])."
            )
        if not self._cluster.has_package(package.name):
            self._cluster.put_package(package.name, package.data)
        return package
