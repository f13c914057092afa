"""LocalEngine: the engine ``local``; submitters' side of the queue and the dispatcher."""

from __future__ import annotations

import os
import platform
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from qjob.engine import Fact, Observation, Presence, remote_input_problems
from qjob.engines.local.doorbell import Doorbell
from qjob.engines.local.limits import Limits
from qjob.engines.local.processes import is_alive
from qjob.engines.local.queue import Queue, QueuedJob
from qjob.engines.local.schedule import waits_for
from qjob.engines.local.state import LocalState
from qjob.errors import EngineUnavailable, FolderError, SubmitError
from qjob.file_lock import file_lock
from qjob.folder import JobFolder
from qjob.forks import HoldsStill
from qjob.model.spec import JobSpec
from qjob.runner.environment import JOB_ID

NAME = "local"
OPTIONS = {
    "slots": "how many of the machine's slots the job takes; default: its number of instances",
    "warm": "false: the job starts in a new interpreter, also where one that has its imports is ready",
}
_DEFAULT_IDLE_S = 300.0
_WAITS, _RUNS = Observation(presence=Presence.WAITING), Observation(presence=Presence.RUNNING)
_MAX_SLOTS = 1_000_000_000  # what surely fits into the queue's numbers, also as a sum


class LocalEngine(HoldsStill):
    """Jobs as processes on this machine."""

    name = NAME

    def __init__(
        self,
        state: Path,
        jobs: Path,
        *,
        slots: int,
        device_capacities: Mapping[str, int] | None = None,
        idle_s: float = _DEFAULT_IDLE_S,
        warm: bool = True,
    ) -> None:
        """Use a machine.

        Args:
            state: the engine's own directory, on a local disk; made when needed.
            jobs: the directory of all job folders.
            slots: how many instances may run at a time.
            device_capacities: how many jobs a device takes at a time, where that is not one.
            idle_s: how long the dispatcher stays when there is nothing to do, in seconds.
            warm: whether jobs may start in a process that has their imports already.
        """
        self._state = LocalState(state)
        self._jobs = jobs
        self._slots = slots
        self._capacities = dict(device_capacities or {})
        self._idle_s = idle_s
        self._warm = warm
        self._host = platform.node()
        self._opened: Queue | None = None
        super().__init__()

    def check(self, spec: JobSpec) -> list[str]:
        """Return what this engine does not take: options that it does not know, data that is elsewhere."""
        unknown = [
            f"option {name!r}: the local engine knows {', '.join(OPTIONS)}; leave it out."
            for name in spec.options
            if name not in OPTIONS
        ]
        return unknown + _slots_problem(spec) + _warm_problem(spec) + remote_input_problems(spec)

    def submit(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[str]:
        """Put the jobs into the queue and wake the dispatcher."""
        has_begun = any(folder.events.exists() for folder, _ in jobs)  # in an earlier call: "never" would be wrong then
        with self._translated(EngineUnavailable if has_begun else SubmitError):
            known = self._queue().jobs([folder.id for folder, _ in jobs])
            new = [job for job in jobs if job[0].id not in known]  # what is there needs no room on the disk
            if new:
                self._queue().add(self._queued(new), self._slots)
        self._wake()
        return [f"{self._host}/{folder.id}" for folder, _ in jobs]

    def observe(self, refs: Sequence[str]) -> dict[str, Observation]:
        """Say where each job is; a dispatcher that should be at work and is not is started again."""
        ids = {ref: ref.rpartition("/")[2] for ref in refs}
        with self._translated(EngineUnavailable):
            found = self._queue().states([ids[ref] for ref in refs if self._is_ours(ref)])
            observations = {ref: self._observation(ref, *found.get(ids[ref], ("", ""))) for ref in refs}
            if len(refs) == 1:  # thousands may be asked for, and to tell what they wait for takes long
                observations = {ref: self._explained(ids[ref], seen) for ref, seen in observations.items()}
        if any(o.presence in (Presence.WAITING, Presence.RUNNING) for o in observations.values()):
            self._wake()
        return observations

    def cancel(self, refs: Sequence[str]) -> None:
        """Take jobs out of the queue, or tell their runners to end them."""
        ids = [ref.rpartition("/")[2] for ref in refs if self._is_ours(ref)]
        with self._translated(EngineUnavailable):
            self._queue().remove_waiting(ids)
            running = self._queue().jobs(ids).values()
        for job in running:
            _tell_to_end(job)
        if running:
            self._wake()
        elsewhere = next((ref for ref in refs if not self._is_ours(ref)), None)
        if elsewhere is not None:
            host, _, job_id = elsewhere.partition("/")
            raise EngineUnavailable(f"job {job_id} runs on {host}: cancel it there.")

    def describe(self) -> list[Fact]:
        """Say how many slots there are, which jobs of all state directories on this machine do not share."""
        return [Fact("slots", f"{self._slots}")]

    def sync(self, ref: str, folder: JobFolder) -> None:
        """Do nothing: the folder is where the job writes."""

    def _queue(self) -> Queue:
        with self._lock:
            queue = self._opened
            if queue is None or not queue.is_current():
                self._state.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._opened = queue = Queue(self._state.queue, durable=True)
            return queue

    def _queued(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[QueuedJob]:
        parent, limits = _submitter(jobs[0][0]), Limits.now().to_text()  # all were submitted by one call
        return [self._queued_job(folder, spec, parent, limits) for folder, spec in jobs]

    def _queued_job(self, folder: JobFolder, spec: JobSpec, parent: str | None, limits: str) -> QueuedJob:
        shared = spec.device.startswith("local:")
        return QueuedJob(
            id=folder.id,
            folder=str(folder.path),
            priority=spec.priority,
            slots=spec.options.get("slots", spec.instance_count),
            device=None if shared else spec.device,
            capacity=self._capacities.get(spec.device, 1),
            warm=self._warm and spec.options.get("warm", True),
            parent=parent,
            sweep=None if spec.sweep_point is None else spec.sweep_point.sweep,
            concurrency=None if spec.sweep_point is None else spec.sweep_point.concurrency,
            limits=limits,
        )

    def _is_ours(self, ref: str) -> bool:
        return ref.partition("/")[0] == self._host

    def _observation(self, ref: str, state: str, detail: str) -> Observation:
        if not self._is_ours(ref):
            return Observation(presence=Presence.UNKNOWN, message=f"it runs on {ref.partition('/')[0]}")
        if not state:
            return self._missing(JobFolder(self._jobs / ref.rpartition("/")[2]))
        if state == "gone":
            return Observation(presence=Presence.GONE, message=detail)
        return _WAITS if state == "waiting" else _RUNS

    def _missing(self, folder: JobFolder) -> Observation:
        """Say where a job is that is not in the queue: one that never started is put back there."""
        if folder.has_runner():
            return _RUNS
        if any(path.exists() for path in (folder.cancel_mark, folder.events, folder.outcome)):
            return Observation(presence=Presence.GONE, message="it is not in the local queue any more")
        try:
            spec = folder.read_spec()
        except FolderError as error:
            return Observation(presence=Presence.GONE, message=str(error))
        self._queue().add(self._queued([(folder, spec)]), self._slots)
        return _WAITS

    def _explained(self, job_id: str, seen: Observation) -> Observation:
        """Add its place and what it waits for to a job that waits."""
        place = self._queue().places().get(job_id) if seen.presence is Presence.WAITING else None
        job = self._queue().jobs([job_id]).get(job_id)
        if place is None or job is None:
            return seen
        message = waits_for(job, self._queue().in_state("running"), self._queue().machine_slots())
        return replace(seen, position=place, message=message)

    def _wake(self) -> None:
        """Ring for the dispatcher; when nobody answers, start one and wait until it is there."""
        doorbell = Doorbell(self._state.doorbell)
        try:
            if doorbell.ring():
                return
            with file_lock(self._state.starting, wait=True):
                if not doorbell.ring():
                    self._start_dispatcher()
        except OSError as error:
            raise EngineUnavailable(f"the dispatcher cannot be started: {error}") from error

    @contextmanager
    def _translated(self, kind: type[SubmitError | EngineUnavailable]) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise kind(f"the local queue {self._state.queue} cannot be used: {error}. {_remedy(error)}") from error

    def _start_dispatcher(self) -> None:
        command = [
            sys.executable,
            "-P",
            "-m",
            "qjob.engines.local.dispatcher",
            str(self._state.path),
            str(self._idle_s),
        ]
        with self._state.log.open("ab") as log:
            done = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_dispatcher_environment(),
            )
        if done.returncode:
            raise EngineUnavailable(f"the dispatcher cannot be started; {self._state.log} says why.")


def _tell_to_end(job: QueuedJob) -> None:
    if job.pid is None or not is_alive(job.pid, job.started or ""):
        return
    # Between the look and the signal the pid could only be given out again if the dispatcher, or the zygote that
    # is the runner's parent, had collected it within these microseconds and 2^22 others had started.
    with suppress(ProcessLookupError):
        os.kill(job.pid, signal.SIGTERM)
        os.kill(job.pid, signal.SIGCONT)  # one that was stopped would not hear of it


def _remedy(error: Exception) -> str:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return "Move it away: jobs that wait are put into a new one when they are next looked at."
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "Another process is at it: try again."
    return "Make room on its disk, or make it writable."


def _dispatcher_environment() -> dict[str, str]:
    """Return the environment of the dispatcher and the runners; jobs get their submitter's own.

    It makes this very qjob importable, also one that was never installed, and bears no job's mark.
    """
    package = str(Path(__file__).parents[3])
    variables = {key: value for key, value in os.environ.items() if not key.startswith("QJOB_JOB_")}
    paths = [package, *filter(None, [variables.get("PYTHONPATH")])]
    return variables | {"PYTHONPATH": os.pathsep.join(paths)}


def _submitter(folder: JobFolder) -> str | None:
    """Return the job in which this one was submitted, if it was in one."""
    try:
        return folder.read_environment().get(JOB_ID)
    except FolderError:
        return None


def _warm_problem(spec: JobSpec) -> list[str]:
    warm = spec.options.get("warm", True)
    return [] if isinstance(warm, bool) else [f"option warm={warm!r}: true or false is expected."]


def _slots_problem(spec: JobSpec) -> list[str]:
    slots = spec.options.get("slots", 1)
    if isinstance(slots, int) and not isinstance(slots, bool) and 1 <= slots <= _MAX_SLOTS:
        return []
    return [f"option slots={slots!r}: a whole number from 1 to {_MAX_SLOTS} is expected."]
