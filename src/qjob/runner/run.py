"""The life of one job: start its instances, keep their output, end them in time, leave an outcome."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from qjob.atomic import TEMPORARY_SUFFIX, sync_below
from qjob.errors import FolderError
from qjob.folder import JobFolder, look_anew, remove_temporaries
from qjob.model.event import JobEvent
from qjob.model.outcome import Outcome
from qjob.model.spec import JobSpec
from qjob.model.status import EventType, JobStatus
from qjob.runner.attempts import holding, is_superseded, last_attempt, numbered, set_logs_aside
from qjob.runner.environment import InstancePlace, Meeting, instance_environment
from qjob.runner.free_port import free_port
from qjob.runner.instance import Instance, start_instance
from qjob.runner.instances import Ended, Instances, LocalInstances
from qjob.runner.lease import Lease
from qjob.runner.metrics_ahead import MetricsAhead
from qjob.runner.place import HERE, MEETING, Place
from qjob.runner.reasons import (
    SCHEDULER_LIMIT_REASON,
    disk_reason,
    failure_reason,
    first_failure,
    kernel_oom_kills,
    time_limit_reason,
)
from qjob.runner.script import Begin, execute
from qjob.runner.spread import SpreadInstances
from qjob.runner.sweep_share import take_share, tell_sweep
from qjob.runner.turns import Turns

EXIT_OUTCOME = 0
EXIT_FOLDER = 74
"""The folder cannot be written or read: there is no outcome, the reason is on stderr."""
EXIT_TAKEN = 75
"""Another runner has this job."""
EXIT_INTERRUPTED = 76
"""The scheduler ended this attempt, or began another one: there is no outcome, as the job may go on."""

_STRAGGLERS_GRACE_S = 2.0  # for processes that the script left behind when it ended
_RESERVE = bytes(1 << 16)  # kept free for the outcome, should the disk fill up
_CRASH_BYTES = 1 << 20  # faulthandler tells of at most 100 threads and of 100 frames of each
_MAX_STACK_CHARS = 16_000
_FOR_EVER_S = 1e10  # a limit beyond that is none, and need not fit into a float
_OWN_SIGNAL_S = 1.0  # a scheduler signals all processes of a job, the script perhaps before the runner
_LOOK_S = 1.0
_KEEPERS_GRACE_S = 5.0  # for keepers to see the end mark, besides the script's own grace period


def run_job(folder: JobFolder, begin: Begin = execute, place: Place = HERE) -> int:
    """Run the job in ``folder`` to its end; return an exit code, see the constants of this module.

    ``begin`` has the script begin, in a new interpreter unless something else is given. A job is begun once, or
    once for each attempt of its scheduler: with another runner at work, or an outcome there, nothing happens; and
    where an earlier runner began and vanished, the outcome says so. The runner's lock on ``events.jsonl`` ends
    with its process, however that ends.
    """
    try:
        os.close(os.open(folder.events, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with holding(folder, place) as is_mine:
            if not is_mine:
                return EXIT_TAKEN
            if not folder.outcome.exists():
                return _run_locked(folder, begin, place)
    except OSError as error:
        with contextlib.suppress(OSError):  # the same disk, and the exit code tells of it too
            os.write(2, os.fsencode(f"{folder.path}: {error}\n"))  # unbuffered, or Python tries it again at its end
        return EXIT_FOLDER
    return EXIT_OUTCOME


def _run_locked(folder: JobFolder, begin: Begin, place: Place) -> int:
    run: Run | None = None
    try:
        place = numbered(folder, place)
        outcome = _known_outcome(folder, place)
        if outcome is None:
            run = Run(folder, folder.read_spec(), folder.read_environment(), begin, place)
            outcome = run.execute()
            if run.is_superseded:
                return EXIT_INTERRUPTED
            sync_below(folder.results, "*.arrays/*.npy")  # a save of large arrays does not wait for the disk
    except FolderError as error:
        outcome = _without_a_run(JobStatus.FAILED, str(error))
    if run is not None and run.is_interrupted:
        folder.write_interruption(place.attempt or 1, outcome)
        return EXIT_INTERRUPTED
    folder.write_outcome(outcome)
    if run is not None:
        run.close()
        tell_sweep(folder, run.spec)
        run.finish_metrics()
    return EXIT_OUTCOME


def _known_outcome(folder: JobFolder, place: Place) -> Outcome | None:
    """Return the outcome of a job that must not be begun."""
    if place.attempt is None and folder.read_events():
        return _without_a_run(JobStatus.FAILED, "An earlier runner of this job was killed.")
    if folder.cancel_mark.exists():
        return _without_a_run(JobStatus.CANCELLED, "Cancelled before it started.")
    return None


def _without_a_run(status: JobStatus, reason: str) -> Outcome:
    return Outcome(status=status, ended_at=_now(), reason=reason)


class Run:
    """One run of a job, in a process that does nothing else.

    Attributes:
        spec: what was asked.
        is_interrupted: whether the scheduler ended it, so that it may be started again.
        is_superseded: whether it has been started again already: nothing may be written any more.
    """

    def __init__(
        self,
        folder: JobFolder,
        spec: JobSpec,
        submitter: Mapping[str, str],
        begin: Begin = execute,
        place: Place = HERE,
    ) -> None:
        self._folder = folder
        self.spec = spec
        self._submitter = submitter
        self._begin_script = begin
        self._place = place
        self._reserve = folder.path / f".reserve{TEMPORARY_SUFFIX}"
        self._cancel_mark = folder.cancel_mark
        self._ending: tuple[JobStatus, str] | None = None  # why we end it; None: it ends by itself
        self._deadline = 0.0
        self._metrics = MetricsAhead(folder) if spec.instance_count == 1 else None
        self._failed: Ended | None = None  # the one that explains why the others were ended
        self._oom_kills = kernel_oom_kills()
        self._parent = os.getppid()
        self._next_look = 0.0
        self._lease: Lease | None = None
        self._master_port: int | None = None
        self._instances = self._make_instances()
        self._turns = Turns(self._instances, self._go_on_with_metrics)
        self.is_interrupted = False
        self.is_superseded = False

    def execute(self) -> Outcome:
        """Run the job; return how it ended.

        Raises OSError when the folder cannot be written to before anything was started.
        """
        self._begin()
        try:
            take_share(self._folder, self.spec)
            self._start_instances()
            self._event(EventType.RUNNING, "", **self._python())
        except OSError as error:
            self._end(JobStatus.FAILED, f"The job's processes cannot be started: {error}")
        while self._turns.reap():
            self._enforce()
            self._turns.wait(self._deadline - time.monotonic() if self._ending is None else _FOR_EVER_S)
        return self._finish()

    def close(self) -> None:
        """Let go of what the kernel takes its time to take away; the outcome need not wait for that."""
        self._instances.let_go()

    def finish_metrics(self) -> None:
        """Parse the metrics that are not yet, for whoever asks; a job with fewer than thousands of lines has none."""
        if self._metrics is not None:
            self._metrics.finish()

    def _make_instances(self) -> Instances:
        if not self._place.launcher:
            return LocalInstances(self._start_instance, range(self.spec.instance_count))
        return SpreadInstances(self._folder, self._place, self.spec.instance_count, self._launchers_environment)

    def _begin(self) -> None:
        self._turns.begin(is_warned=self._place.attempt is not None)
        self._reserve.write_bytes(_RESERVE)  # first of all: without room the job is not begun
        self._begin_attempt()
        self._event(EventType.STARTING_INSTANCE, "", host=os.uname().nodename, pid=os.getpid(), **self._attempt())
        for directory in (self._folder.logs, self._folder.results, self._folder.checkpoints):
            if not os.access(directory, os.F_OK):
                directory.mkdir(mode=0o700)
        self._deadline = time.monotonic() + min(self.spec.stopping_condition.maxRuntimeInSeconds, _FOR_EVER_S)

    def _begin_attempt(self) -> None:
        """Where the job has begun before, say so, and keep the logs of the last attempt as they are."""
        earlier = last_attempt(self._folder.read_events()) if self._place.attempt is not None else 0
        if earlier:
            message = f"Attempt {self._place.attempt}: attempt {earlier} was interrupted; its log is kept."
            self._event(EventType.QUEUED_FOR_EXECUTION, message)
            set_logs_aside(self._folder, earlier)

    def _attempt(self) -> dict[str, int]:
        return {} if self._place.attempt is None else {"attempt": self._place.attempt}

    def _start_instances(self) -> None:
        if self._place.lease is not None:
            self._lease = Lease.take(self._place.lease, self._folder.id)
        if self.spec.instance_count > 1:
            self._master_port = free_port()
        self._instances.start(self._turns.listen)

    def _start_instance(self, number: int) -> Instance:
        meeting = None if self._master_port is None else Meeting(port=self._master_port)
        place = InstancePlace(meeting=meeting, given={**self._place.variables, **self._leased()})
        environment = instance_environment(self._submitter, self._folder, self.spec, number, place)
        return start_instance(self._folder, self.spec, number, environment, self._begin_script)

    def _leased(self) -> dict[str, str]:
        return {} if self._lease is None else self._lease.variables()

    def _launchers_environment(self) -> dict[str, str]:
        """Return the environment of the launcher: the scheduler's own, and what the keepers have to know."""
        meeting = {} if self._master_port is None else {MEETING: f"{os.uname().nodename} {self._master_port}"}
        return {**os.environ, **self._leased(), **meeting}

    def _python(self) -> dict[str, str]:
        """Return the version of the script's interpreter, which is known when it is the runner's own."""
        if self.spec.python != sys.executable:
            return {}
        return {"python": ".".join(str(part) for part in sys.version_info[:3])}

    def _go_on_with_metrics(self) -> None:
        if self._metrics is not None:
            self._metrics.go_on()

    def _enforce(self) -> None:
        """End what has to be ended, and kill what does not end."""
        if self._ending is None:
            self._end_if_due()
        self._turns.kill_if_due()

    def _end_if_due(self) -> None:
        refused = self._instances.disk_error()
        if self._turns.terminated:
            look_anew(self._folder.path)  # for the cancel mark
        self._failed = self._failed or first_failure(self._instances.all)
        if self._is_time_to_look() and is_superseded(self._folder, self._place):
            self._give_way()
        elif os.access(self._cancel_mark, os.F_OK):
            self._end(JobStatus.CANCELLED, "")
        elif self._turns.terminated:
            self._end_as_told()
        elif self._place.watches_parent and os.getppid() != self._parent:
            self._end(JobStatus.FAILED, "The process that had started the runner is gone: its node has lost the job.")
        elif time.monotonic() >= self._deadline:
            self._end_at_limit(time_limit_reason(self.spec.stopping_condition.maxRuntimeInSeconds))
        elif self._turns.warned:
            self._end_at_limit(SCHEDULER_LIMIT_REASON)
        elif refused is not None:
            self._end(JobStatus.FAILED, disk_reason(refused))
        elif self._failed is not None or all(each.exit_code is not None for each in self._instances.all):
            self._end_stragglers()

    def _is_time_to_look(self) -> bool:
        """Return once a second that it is time to look for another attempt: that opens a file on a shared disk."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + _LOOK_S
        return True

    def _end(self, status: JobStatus, reason: str) -> None:
        self._ending = (status, reason)
        self._end_all(self.spec.grace_s)

    def _end_at_limit(self, reason: str) -> None:
        self._end(JobStatus.FAILED, reason)
        self._event(EventType.MAX_RUNTIME_EXCEEDED, reason)

    def _end_as_told(self) -> None:
        """End the job as somebody else wants it: a scheduler may start it again."""
        self.is_interrupted = self._place.attempt is not None
        self._end(JobStatus.FAILED, "The runner was told to end (SIGTERM) by somebody other than qjob.")

    def _give_way(self) -> None:
        """Another attempt waits for this one to be gone."""
        self.is_superseded = True
        self._ending = (JobStatus.FAILED, "")
        self._turns.end_all(0.0)

    def _end_stragglers(self) -> None:
        """The script has ended; what it started must not go on without it."""
        if not self._turns.is_ending:
            several = any(each.exit_code is None for each in self._instances.all)
            self._end_all(self.spec.grace_s if several else min(self.spec.grace_s, _STRAGGLERS_GRACE_S))

    def _end_all(self, grace_s: float) -> None:
        self._turns.end_all(grace_s + (_KEEPERS_GRACE_S if self._place.launcher else 0.0))

    def _finish(self) -> Outcome:
        """All processes are gone: keep the rest of their output and say how it ended."""
        self._instances.close()
        if self.is_superseded:
            return self._outcome()
        self._explain_signal()
        for directory in (self._folder.results, self._folder.checkpoints):
            remove_temporaries(directory)
        self._reserve.unlink(missing_ok=True)
        return self._outcome()

    def _explain_signal(self) -> None:
        """Where the script died of a SIGTERM, learn whether it came by a cancellation or from the scheduler."""
        codes = [each.exit_code for each in self._instances.all]
        if self._ending is not None or -signal.SIGTERM not in codes:
            return
        if os.access(self._cancel_mark, os.F_OK):
            self._end(JobStatus.CANCELLED, "")
        elif self._place.attempt is not None:
            self._await_schedulers_signal()

    def _await_schedulers_signal(self) -> None:
        deadline = time.monotonic() + _OWN_SIGNAL_S
        while not self._turns.terminated and time.monotonic() < deadline:
            self._turns.pause(max(0.0, deadline - time.monotonic()))
        if self._turns.terminated:
            self._end_as_told()

    def _outcome(self) -> Outcome:
        status, reason, traceback = self._verdict()
        return Outcome(
            status=status,
            ended_at=_now(),
            reason=reason or None,
            traceback=traceback or None,
            exit_codes=tuple(each.exit_code for each in self._instances.all),
        )

    def _verdict(self) -> tuple[JobStatus, str, str]:
        failed = self._failed or first_failure(self._instances.all)
        traceback = failed.traceback if failed is not None else ""
        if self._ending is not None:
            return (*self._ending, traceback)
        if failed is None:
            return JobStatus.COMPLETED, "", ""
        memory_ran_out = kernel_oom_kills() > self._oom_kills
        reason = failure_reason(failed, len(self._instances.all), memory_ran_out)
        return JobStatus.FAILED, reason, traceback or self._native_stack(failed)

    def _native_stack(self, failed: Ended) -> str:
        """Return what faulthandler wrote at the end of the log when native code crashed."""
        tail = _tail(self._folder.log(failed.number), _CRASH_BYTES).decode("utf-8", "backslashreplace")
        start = tail.rfind("Fatal Python error")
        if start < 0 or (failed.exit_code or 0) >= 0:
            return ""
        error, _, stacks = tail[start:].partition("\n")
        crashed = max(0, stacks.find("Current thread"))
        lines = [error, *stacks[crashed : crashed + _MAX_STACK_CHARS].splitlines()]
        ours = f'File "{Path(__file__).parents[1]}{os.sep}'
        return "\n".join(line for line in lines if ours not in line)

    def _event(self, kind: EventType, message: str, **detail: str | int) -> None:
        event = JobEvent(type=kind, time=_now(), message=message, detail=detail)
        try:
            self._folder.append_event(event)
        except OSError:
            # A full disk: the event is told by the outcome too, for which there is a reserve.
            if not self._instances.all:
                raise


def _tail(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read()
    except FileNotFoundError:
        return b""  # of an instance that never came to be


def _now() -> datetime:
    return datetime.now(UTC)
