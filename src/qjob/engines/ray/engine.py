"""RayEngine: the engine ``ray``; jobs on a running Ray cluster, through its Job Submission API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from qjob.engine import Fact, Observation, Presence, remote_input_problems
from qjob.engines.ray.capacity import custom, free_of, shortage, totals
from qjob.engines.ray.client import Cluster, RayClient
from qjob.engines.ray.listing import Listing
from qjob.engines.ray.presence import A_PLACE, Trace, has_runner, is_dropped, presence, trace_of
from qjob.engines.ray.ray_job import ENDED, RUNNING, RayJob, attempt_of, job_id_of, ref_of, submission_id
from qjob.engines.ray.resources import Take, amounts_text, problems, take
from qjob.engines.ray.route import Route
from qjob.engines.ray.settings import read_ray_settings
from qjob.engines.ray.shared_disk import SharedDisk
from qjob.engines.ray.submission import request
from qjob.engines.ray.transfer import Transfer
from qjob.errors import EngineUnavailable, FolderError, SubmitError
from qjob.folder import JobFolder
from qjob.model.spec import JobSpec
from qjob.runner.lease import lease_directory

T = TypeVar("T")
R = TypeVar("R")
NAME = "ray"
_AT_A_TIME = 8  # requests; more do not make Ray any faster
_STOP_AGAIN_S = 5.0
_STARTING = Observation(presence=Presence.WAITING, message="its runner to start")


@dataclass(frozen=True, kw_only=True)
class RayDevice:
    """A device that one job may have at a time.

    Attributes:
        asks: the custom resource that stands for it on the cluster, as ``qpu=1``.
        lease: the directory in which its holders are numbered; None for the usual one.
    """

    asks: str
    lease: Path | None = None


class RayEngine:
    """Jobs on a Ray cluster; by default one whose nodes have the state directory, at the same path."""

    name = NAME

    def __init__(
        self,
        state: Path,
        jobs: Path,
        *,
        runners: Path,
        leases: Path,
        words: Mapping[str, Any] | None = None,
        devices: Mapping[str, RayDevice] | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        """Use a cluster.

        Args:
            state: the engine's own directory, on a local disk; made when needed.
            jobs: the directory of all job folders.
            runners: where copies of qjob for the nodes lie.
            leases: where the holders of devices are numbered.
            words: the settings of ``[engines.ray]``, see `RaySettings`.
            devices: those that one job may have at a time, by ARN.
            cluster: the cluster; default: the one at the settings' address.

        Raises SettingsError.
        """
        self._jobs = jobs
        self._settings = read_ray_settings(words or {})
        self._devices = dict(devices or {})
        self._asks = {arn: device.asks for arn, device in self._devices.items()}
        self._cluster: Cluster = cluster or RayClient(self._settings.address, self._settings.token)
        self._listing = Listing(state / "jobs", self._cluster.jobs, self._settings.poll_s)
        self._route = self._shared_disk(runners, leases) if self._settings.shared else self._transfer(runners, state)
        self._stopped_at: dict[str, float] = {}

    def check(self, spec: JobSpec) -> list[str]:
        """Return what this engine does not take: options, devices, data and an order that Ray has no word for."""
        known = problems(spec, self._asks) + _priority_problem(spec) + remote_input_problems(spec)
        return known + self._route.problems(spec)

    def submit(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[str]:
        """Hand the jobs to Ray, which refuses those that it has: they were taken before."""
        refs = [ref_of(folder.id) for folder, _ in jobs]
        spec = jobs[0][1]  # those of a sweep take the same
        self._refuse_for_ever(spec)
        first, *others = jobs
        self._hand_over(*first, 1)
        try:
            _at_once(lambda job: self._hand_over(*job, 1), others)
        except SubmitError as error:
            raise EngineUnavailable(str(error)) from error  # "never" would be wrong: the first was taken
        finally:
            self._listing.note_act()
        return refs

    def observe(self, refs: Sequence[str]) -> dict[str, Observation]:
        """Say where each job is; one that Ray has dropped before it began is handed to it again."""
        traces = {ref: trace_of(self._folder(ref)) for ref in refs}
        open_refs = [ref for ref, trace in traces.items() if not trace.ended]
        known = self._listing.jobs(open_refs) if open_refs else {}
        found = {ref: self._observation(ref, known.get(ref), trace) for ref, trace in traces.items()}
        if len(refs) == 1:  # what each of thousands waits for would take a look at each one's spec
            found = {ref: self._explained(ref, seen) for ref, seen in found.items()}
        return found

    def cancel(self, refs: Sequence[str]) -> None:
        """Tell Ray to end the jobs. One that waits may still be started by it, and its runner sees the cancel mark."""
        due = [ref for ref in refs if self._is_due(ref) and not trace_of(self._folder(ref)).ended]
        if not due:
            return
        known = self._listing.jobs(due)
        alive = [ref for ref in due if ref not in known or known[ref].status not in ENDED]
        _at_once(self._cluster.stop, [known[ref].submission_id if ref in known else ref for ref in alive])
        self._stopped_at.update(dict.fromkeys(due, time.monotonic()))
        self._listing.note_act()

    def sync(self, ref: str, folder: JobFolder) -> None:
        """Fetch what the job has written on its node; nothing to do where the folder is where it writes."""
        if self._route.is_shared or trace_of(folder).ended:
            return
        job = self._listing.jobs([ref]).get(ref)
        if job is not None:
            self._route.receive(job, folder)

    def describe(self) -> list[Fact]:
        """Say what the cluster has, and how much of it is free."""
        nodes = self._cluster.nodes()
        usage = self._cluster.usage()
        there = totals(nodes)
        amounts = {name: there[name] for name in ("CPU", "GPU") if name in there} | custom(there)
        facts = [
            Fact("Ray", f"{self._cluster.version()} at {self._settings.address}"),
            Fact("nodes", f"{len(nodes)}", well=bool(nodes)),
        ]
        return facts + [Fact(name, _free_text(name, amount, usage)) for name, amount in amounts.items()]

    def _shared_disk(self, runners: Path, leases: Path) -> Route:
        directories = {arn: device.lease or lease_directory(leases, arn) for arn, device in self._devices.items()}
        return SharedDisk(runners, directories, python=self._settings.python)

    def _transfer(self, runners: Path, state: Path) -> Route:
        settings = self._settings
        return Transfer(
            self._cluster, state / "received", runners, python=settings.python, interval_s=settings.poll_s / 2
        )

    def _folder(self, ref: str) -> JobFolder:
        return JobFolder(self._jobs / job_id_of(ref))

    def _refuse_for_ever(self, spec: JobSpec) -> None:
        """Raise SubmitError for a job that Ray would take, and never start."""
        if found := self._route.problems(spec):
            raise SubmitError(found[0])
        lacking = "" if self._settings.grows else shortage(self._take(spec), self._cluster.nodes())
        if lacking:
            raise SubmitError(
                f"The Ray cluster would never start it: {lacking}. Ask for less, or add a node that has it; for a "
                "cluster that gets nodes when they are needed, set grows = true in [engines.ray]."
            )

    def _take(self, spec: JobSpec) -> Take:
        return take(spec, self._asks, spreads=self._route.is_shared)

    def _hand_over(self, folder: JobFolder, spec: JobSpec, attempt: int) -> None:
        wanted = submission_id(ref_of(folder.id), attempt)
        self._cluster.submit(request(self._route.submission(folder, spec, wanted, self._take(spec))))

    def _observation(self, ref: str, job: RayJob | None, trace: Trace) -> Observation:
        if is_dropped(job, trace) and (self._route.is_shared or job is not None):
            return self._handed_over_again(ref, job)
        if not self._route.is_shared:  # the folder shows what was fetched last: no word of it is certain
            return replace(presence(job, trace, has_runner=False), certain=trace.ended)
        unknown_to_ray = job is None or job.status in ENDED
        alive = unknown_to_ray and trace.begun and not trace.ended and has_runner(self._folder(ref))
        if job is not None and job.status in RUNNING and not trace.begun and not trace.ended:
            return _STARTING
        return presence(job, trace, has_runner=alive)

    def _handed_over_again(self, ref: str, job: RayJob | None) -> Observation:
        folder = self._folder(ref)
        attempt = 1 if job is None else attempt_of(job.submission_id) + 1
        try:
            spec = folder.read_spec()
        except FolderError as error:
            return Observation(presence=Presence.GONE, message=str(error).rstrip("."))
        try:
            self._refuse_for_ever(spec)
            self._hand_over(folder, spec, attempt)
        except SubmitError as error:  # nodes that are not there yet, say, after the head was started anew
            message = f"a cluster that can run it: {str(error).rstrip('.')}"
            return Observation(presence=Presence.WAITING, message=message)
        self._listing.note_act()
        return Observation(presence=Presence.WAITING, message="a place: the cluster had dropped it, and has it again")

    def _explained(self, ref: str, seen: Observation) -> Observation:
        """Add what a job waits for, where that is not known."""
        if seen.presence is not Presence.WAITING or not (seen is _STARTING or seen.message == A_PLACE):
            return seen
        try:
            spec = self._folder(ref).read_spec()
            return Observation(presence=Presence.WAITING, message=self._waits_for(spec, seen is _STARTING))
        except (FolderError, EngineUnavailable):
            return seen

    def _waits_for(self, spec: JobSpec, has_started: bool) -> str:
        if has_started:
            return _STARTING.message if _turn_count(spec) is None else "its turn in the sweep"
        usage = self._cluster.usage()
        amounts = self._take(spec).entrypoint
        free = [f"{name}: {_free_text(name, None, usage)}" for name in amounts if free_of(name, usage) is not None]
        text = amounts_text(amounts) or "a node"
        return f"{text} ({'; '.join(free)})" if free and amounts_text(amounts) else text

    def _is_due(self, ref: str) -> bool:
        last = self._stopped_at.get(ref)
        return last is None or time.monotonic() - last >= _STOP_AGAIN_S


def _at_once(do: Callable[[T], R], items: Iterable[T]) -> None:
    """Do something for each of many items, several at a time; raises the first error, after all were tried."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        tried = [pool.submit(do, item) for item in items]
    for one in tried:
        one.result()


def _turn_count(spec: JobSpec) -> int | None:
    return None if spec.sweep_point is None else spec.sweep_point.concurrency


def _priority_problem(spec: JobSpec) -> list[str]:
    if not spec.priority:
        return []
    return [f"priority {spec.priority}: Ray starts what there is room for, in no order; leave it out."]


def _free_text(name: str, total: float | None, usage: Mapping[str, tuple[float, float]]) -> str:
    found = free_of(name, usage)
    if found is None:
        return f"{total:g}"
    return f"{found[0]:g} of {found[1]:g} free"
