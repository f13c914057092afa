"""The life of one job: start its instances, keep their output, end them in time, leave an outcome."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from qjob.atomic import TEMPORARY_SUFFIX, sync_below
from qjob.errors import FolderError
from qjob.folder import JobFolder, locked, remove_temporaries
from qjob.model.event import JobEvent
from qjob.model.outcome import Outcome
from qjob.model.spec import JobSpec
from qjob.model.status import EventType, JobStatus
from qjob.runner.capture import LOOK_S
from qjob.runner.environment import instance_environment
from qjob.runner.free_port import free_port
from qjob.runner.instance import Instance, start_instance
from qjob.runner.metrics_ahead import MetricsAhead
from qjob.runner.process_tree import become_subreaper, descendants, signal_all
from qjob.runner.reasons import (
    disk_reason,
    failure_reason,
    first_failure,
    kernel_oom_kills,
    time_limit_reason,
)
from qjob.runner.script import Begin, execute
from qjob.runner.sweep_share import take_share, tell_sweep

EXIT_OUTCOME = 0
EXIT_FOLDER = 74
"""The folder cannot be written or read: there is no outcome, the reason is on stderr."""
EXIT_TAKEN = 75
"""Another runner has this job."""

_LOOK_S = 1.0  # how often the cancel mark is looked for, in case the signal never came
_LOOK_WITHOUT_ALARM_S = 0.02  # how often the logs are looked at where nothing tells that they grew
_ALARMS_AFTER_S = 0.05  # many a script has ended by then; until then the logs are looked at
_KILL_AGAIN_S = 0.05
_STRAGGLERS_GRACE_S = 2.0  # for processes that the script left behind when it ended
_RESERVE = bytes(1 << 16)  # kept free for the outcome, should the disk fill up
_MAX_TURN_S = 3600.0
_CRASH_BYTES = 1 << 20  # faulthandler tells of at most 100 threads and of 100 frames of each
_MAX_STACK_CHARS = 16_000
_FOR_EVER_S = 1e10  # a limit beyond that is none, and need not fit into a float


def run_job(folder: JobFolder, begin: Begin = execute) -> int:
    """Run the job in ``folder`` to its end; return an exit code, see the constants of this module.

    ``begin`` has the script begin, in a new interpreter unless something else is given. A job is begun once: with
    another runner at work, or an outcome there, nothing happens; and where an earlier runner began and vanished, the
    outcome says so. The runner's lock on ``events.jsonl`` ends with its process, however that ends.
    """
    try:
        os.close(os.open(folder.events, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with locked(folder.events) as fd:
            if fd is None:
                return EXIT_TAKEN
            if not folder.outcome.exists():
                _run_locked(folder, begin)
    except OSError as error:
        with contextlib.suppress(OSError):  # the same disk, and the exit code tells of it too
            os.write(2, os.fsencode(f"{folder.path}: {error}\n"))  # unbuffered, or Python tries it again at its end
        return EXIT_FOLDER
    return EXIT_OUTCOME


def _run_locked(folder: JobFolder, begin: Begin) -> None:
    run: Run | None = None
    try:
        outcome = _known_outcome(folder)
        if outcome is None:
            run = Run(folder, folder.read_spec(), folder.read_environment(), begin)
            outcome = run.execute()
            sync_below(folder.results, "*.arrays/*.npy")  # a save of large arrays does not wait for the disk
    except FolderError as error:
        outcome = _without_a_run(JobStatus.FAILED, str(error))
    folder.write_outcome(outcome)
    if run is not None:
        run.close()
        tell_sweep(folder, run.spec)
        run.finish_metrics()


def _known_outcome(folder: JobFolder) -> Outcome | None:
    """Return the outcome of a job that must not be begun."""
    if folder.read_events():
        return _without_a_run(JobStatus.FAILED, "An earlier runner of this job was killed.")
    if folder.cancel_mark.exists():
        return _without_a_run(JobStatus.CANCELLED, "Cancelled before it started.")
    return None


def _without_a_run(status: JobStatus, reason: str) -> Outcome:
    return Outcome(status=status, ended_at=_now(), reason=reason)


class Run:
    """One run of a job, in a process that does nothing else."""

    def __init__(self, folder: JobFolder, spec: JobSpec, submitter: Mapping[str, str], begin: Begin = execute) -> None:
        self._folder = folder
        self.spec = spec
        self._submitter = submitter
        self._begin_script = begin
        self._instances: list[Instance] = []
        self._reserve = folder.path / f".reserve{TEMPORARY_SUFFIX}"
        self._cancel_mark = folder.cancel_mark
        self._poll = select.poll()
        self._on_readable: dict[int, Callable[[], bool]] = {}
        self._ending: tuple[JobStatus, str] | None = None  # why we end it; None: it ends by itself
        self._kill_at: float | None = None
        self._terminated = False
        self._deadline = 0.0
        self._metrics = MetricsAhead(folder) if spec.instance_count == 1 else None
        self._alarms_at: float | None = None  # when alarms are set on the logs; None: that is done
        self._failed: Instance | None = None  # the one that explains why the others were ended
        self._oom_kills = kernel_oom_kills()

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
        while self._reap():
            self._enforce()
            self._wait()
        return self._finish()

    def close(self) -> None:
        """Let go of what the kernel takes its time to take away; the outcome need not wait for that."""
        for instance in self._instances:
            instance.capture.end_alarm()

    def finish_metrics(self) -> None:
        """Parse the metrics that are not yet, for whoever asks; a job with fewer than thousands of lines has none."""
        if self._metrics is not None:
            self._metrics.finish()

    def _begin(self) -> None:
        become_subreaper()
        self._listen_for_signals()
        self._reserve.write_bytes(_RESERVE)  # first of all: without room the job is not begun
        self._event(EventType.STARTING_INSTANCE, "", host=os.uname().nodename, pid=os.getpid())
        for directory in (self._folder.logs, self._folder.results, self._folder.checkpoints):
            if not os.access(directory, os.F_OK):
                directory.mkdir(mode=0o700)
        self._deadline = time.monotonic() + min(self.spec.stopping_condition.maxRuntimeInSeconds, _FOR_EVER_S)

    def _start_instances(self) -> None:
        self._alarms_at = time.monotonic() + _ALARMS_AFTER_S
        master_port = free_port() if self.spec.instance_count > 1 else None
        for number in range(self.spec.instance_count):
            environment = instance_environment(self._submitter, self._folder, self.spec, number, master_port)
            instance = start_instance(self._folder, self.spec, number, environment, self._begin_script)
            self._instances.append(instance)
            self._listen(instance.report_fd, instance.hear)

    def _set_alarms(self) -> None:
        for instance in self._instances:
            instance.capture.set_alarm()
            if instance.capture.alarm_fd is not None:
                self._listen(instance.capture.alarm_fd, instance.capture.heed)
        self._alarms_at = None

    def _python(self) -> dict[str, str]:
        """Return the version of the script's interpreter, which is known when it is the runner's own."""
        if self.spec.python != sys.executable:
            return {}
        return {"python": ".".join(str(part) for part in sys.version_info[:3])}

    def _listen_for_signals(self) -> None:
        """Turn signals into bytes on a pipe, which the wait of each turn sees."""
        read_fd, write_fd = os.pipe()
        for fd in (read_fd, write_fd):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whatever the submitter's thread had blocked
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._terminate())
        self._listen(read_fd, lambda: bool(os.read(read_fd, 4096)))

    def _listen(self, fd: int, on_readable: Callable[[], bool]) -> None:
        self._on_readable[fd] = on_readable
        self._poll.register(fd, select.POLLIN)

    def _terminate(self) -> None:
        self._terminated = True

    def _wait(self) -> None:
        """Sleep until there is output, a signal or a deadline, and note the output."""
        ready = self._poll.poll(self._next_turn_s() * 1000)
        while not ready and self._alarms_at is not None and self._next_turn_s() >= LOOK_S:
            self._look_at_logs()
            ready = self._poll.poll(LOOK_S * 1000)
        for fd, _ in ready:
            if not self._on_readable[fd]():
                self._poll.unregister(fd)
        self._look_at_logs()
        if self._metrics is not None:
            self._metrics.go_on()

    def _look_at_logs(self) -> None:
        for instance in self._instances:
            if instance.capture.alarm_fd is None:
                instance.capture.note()
        if self._alarms_at is not None and time.monotonic() >= self._alarms_at:
            self._set_alarms()

    def _next_turn_s(self) -> float:
        now = time.monotonic()
        until_limit = self._deadline - now if self._ending is None else _MAX_TURN_S
        until_kill = self._kill_at - now if self._kill_at is not None else _MAX_TURN_S
        return max(0.0, min(self._until_look_s(), until_limit, until_kill))

    def _until_look_s(self) -> float:
        if self._alarms_at is not None:
            return LOOK_S
        without_alarm = any(instance.capture.alarm_fd is None for instance in self._instances)
        return _LOOK_WITHOUT_ALARM_S if without_alarm else _LOOK_S

    def _reap(self) -> bool:
        """Take note of the processes that ended; return whether any of the job's is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            for instance in self._instances:
                if instance.pid == pid:
                    instance.ended(status)

    def _enforce(self) -> None:
        """End what has to be ended, and kill what does not end."""
        if self._ending is None:
            self._end_if_due()
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            signal_all(descendants(os.getpid()), signal.SIGKILL)
            self._kill_at = time.monotonic() + _KILL_AGAIN_S

    def _end_if_due(self) -> None:
        refused = self._refused_by_disk()
        self._failed = self._failed or first_failure(self._instances)
        if os.access(self._cancel_mark, os.F_OK):
            self._end(JobStatus.CANCELLED, "")
        elif self._terminated:
            self._end(JobStatus.FAILED, "The runner was told to end (SIGTERM) by somebody other than qjob.")
        elif time.monotonic() >= self._deadline:
            reason = time_limit_reason(self.spec.stopping_condition.maxRuntimeInSeconds)
            self._end(JobStatus.FAILED, reason)
            self._event(EventType.MAX_RUNTIME_EXCEEDED, reason)
        elif refused is not None:
            self._end(JobStatus.FAILED, disk_reason(refused))
        elif self._failed is not None or all(i.exit_code is not None for i in self._instances):
            self._end_stragglers()

    def _end(self, status: JobStatus, reason: str) -> None:
        self._ending = (status, reason)
        self._kill_after(self.spec.grace_s)

    def _end_stragglers(self) -> None:
        """The script has ended; what it started must not go on without it."""
        if self._kill_at is None:
            several = any(instance.exit_code is None for instance in self._instances)
            self._kill_after(self.spec.grace_s if several else min(self.spec.grace_s, _STRAGGLERS_GRACE_S))

    def _kill_after(self, grace_s: float) -> None:
        pids = descendants(os.getpid())
        signal_all(pids, signal.SIGTERM)
        signal_all(pids, signal.SIGCONT)  # those that were stopped would not hear of it
        if self._kill_at is None:
            self._kill_at = time.monotonic() + grace_s

    def _finish(self) -> Outcome:
        """All processes are gone: keep the rest of their output and say how it ended."""
        for instance in self._instances:
            instance.capture.close()
        for directory in (self._folder.results, self._folder.checkpoints):
            remove_temporaries(directory)
        self._reserve.unlink(missing_ok=True)
        return self._outcome()

    def _outcome(self) -> Outcome:
        status, reason, traceback = self._verdict()
        return Outcome(
            status=status,
            ended_at=_now(),
            reason=reason or None,
            traceback=traceback or None,
            exit_codes=tuple(instance.exit_code for instance in self._instances),
        )

    def _verdict(self) -> tuple[JobStatus, str, str]:
        failed = self._failed or first_failure(self._instances)
        traceback = failed.traceback if failed is not None else ""
        if self._ending is not None:
            return (*self._ending, traceback)
        if failed is None:
            return JobStatus.COMPLETED, "", ""
        memory_ran_out = kernel_oom_kills() > self._oom_kills
        reason = failure_reason(failed, len(self._instances), memory_ran_out)
        return JobStatus.FAILED, reason, traceback or self._native_stack(failed)

    def _refused_by_disk(self) -> OSError | None:
        return next((i.capture.error for i in self._instances if i.capture.error), None)

    def _native_stack(self, failed: Instance) -> str:
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
            if not self._instances:
                raise


def _tail(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read()


def _now() -> datetime:
    return datetime.now(UTC)
