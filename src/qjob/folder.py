"""JobFolder: names, reads and writes every file of a job. The folder is a contract: docs/job-folder.md.

Each file has one writer, and is either replaced whole or appended to; a reader never sees half of one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from qjob.atomic import TEMPORARY_SUFFIX, write_unsynced, write_whole
from qjob.errors import FolderError
from qjob.model.event import JobEvent, event_from_json, event_to_json, parse_time
from qjob.model.outcome import Outcome, outcome_from_json, outcome_to_json
from qjob.model.record import JobRecord, get_job, record_from_json
from qjob.model.spec import JobSpec, spec_from_json, spec_to_json

T = TypeVar("T")
_NOT_READ = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What reading a file may raise that is not there for us, or does not hold what it should."""


@dataclass(frozen=True, kw_only=True)
class CancelMark:
    """Somebody asked for the job's cancellation.

    Attributes:
        time: when, aware UTC.
        reason: why, in a sentence; may be empty.
    """

    time: datetime
    reason: str = ""


@dataclass(frozen=True)
class JobFolder:
    """The files of one job.

    Attributes:
        path: the job's directory, absolute; its name is the job's id.
    """

    path: Path

    @property
    def id(self) -> str:
        """The job's id."""
        return self.path.name

    @property
    def spec(self) -> Path:
        """What was asked; written once, by the service, before anything starts."""
        return self.path / "spec.json"

    @property
    def record(self) -> Path:
        """What GetJob would say; replaced by the service with every event."""
        return self.path / "record.json"

    @property
    def environment(self) -> Path:
        """The submitter's environment variables; removed by the service when the job has ended."""
        return self.path / "environment.json"

    @property
    def hyperparameters(self) -> Path:
        """Braket's hyperparameter file, ``AMZN_BRAKET_HP_FILE``; written once, by the service."""
        return self.path / "hyperparameters.json"

    @property
    def requirements(self) -> Path:
        """What the script needs installed, in pip's format; written once, by the service, if there is any."""
        return self.path / "requirements.txt"

    @property
    def cancel_mark(self) -> Path:
        """Exists when the cancellation was asked for; written once, by the service."""
        return self.path / "cancel.json"

    @property
    def source(self) -> Path:
        """The code as it was at submit, and the job's working directory."""
        return self.path / "source"

    @property
    def input(self) -> Path:
        """The input channels, ``AMZN_BRAKET_INPUT_DIR``."""
        return self.path / "input"

    @property
    def events(self) -> Path:
        """What happened, one JSON object a line; appended to by the runner, which holds its lock."""
        return self.path / "events.jsonl"

    @property
    def logs(self) -> Path:
        """The output of the instances, and beside it the runner's index of when it came."""
        return self.path / "logs"

    @property
    def results(self) -> Path:
        """What the job leaves, ``AMZN_BRAKET_JOB_RESULTS_DIR``; written by the job."""
        return self.path / "results"

    @property
    def checkpoints(self) -> Path:
        """``AMZN_BRAKET_CHECKPOINT_DIR``; written by the job."""
        return self.path / "checkpoints"

    @property
    def outcome(self) -> Path:
        """How it ended; written by the runner as its last act. Exists = ended."""
        return self.path / "outcome.json"

    @property
    def late_imports(self) -> Path:
        """The modules that the script imported late; written by the job's process, if at all, when it ends."""
        return self.path / "imports.txt"

    @property
    def environments(self) -> Path:
        """The environments of Python that jobs share, beside the directory of all job folders."""
        return self.path.parent.with_name("environments")

    @property
    def submit_script(self) -> Path:
        """What was handed to a scheduler, word for word; written by the engine, if it has one."""
        return self.path / "submit.sh"

    @property
    def handed_over(self) -> Path:
        """What the scheduler answered; written by the engine as soon as it knows."""
        return self.path / "submitted.json"

    @property
    def runner_log(self) -> Path:
        """What the runner and the scheduler's launcher had to say, on a cluster."""
        return self.path / "runner.log"

    @property
    def attempt_mark(self) -> Path:
        """The number of the newest attempt, from the second on; written by its runner before anything else."""
        return self.path / "attempt.json"

    @property
    def moving(self) -> Path:
        """The lock of whoever moves the job to another engine."""
        return self.path / "moving.lock"

    @property
    def instances_state(self) -> Path:
        """How the instances ended that run on other machines than the runner; written by their keepers."""
        return self.path / "instances"

    @property
    def end_mark(self) -> Path:
        """Exists when the runner wants all instances ended that run on other machines."""
        return self.instances_state / "end"

    def attempt(self, number: int) -> Path:
        """What is kept of an attempt that did not end the job: its logs, and what its runner knew of its end."""
        return self.path / "attempts" / str(number)

    def interruption(self, attempt: int) -> Path:
        """How an attempt ended that the scheduler ended; in the form of an outcome."""
        return self.attempt(attempt) / "outcome.json"

    def instance_state(self, instance: int) -> Path:
        """How one instance ended; see `instances_state`."""
        return self.instances_state / f"{instance}.json"

    def log(self, instance: int) -> Path:
        """The output of one instance, written by itself: its standard output and error."""
        return self.logs / f"{instance}.log"

    def log_index(self, instance: int) -> Path:
        """When those bytes came; see `qjob.logs`."""
        return self.logs / f"{instance}.index"

    def has_runner(self) -> bool:
        """Return whether a runner is at work in the folder: by its lock, whatever an engine knows of it."""
        with contextlib.suppress(FileNotFoundError), locked(self.events) as fd:
            return fd is None
        return False

    def instances(self) -> list[int]:
        """Return the numbers of the instances that have a log."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(int(log.stem) for log in self.logs.glob("*.log") if log.stem.isdecimal())
        return []

    def read_spec(self) -> JobSpec:
        """Return what was asked; raises FolderError."""
        return self._read(self.spec, spec_from_json)

    def read_record(self) -> JobRecord:
        """Return what the service last wrote; raises FolderError."""
        return self._read(self.record, record_from_json)

    def read_outcome(self) -> Outcome | None:
        """Return how the job ended, or None when no runner has said so; raises FolderError."""
        return self._read_if_there(self.outcome, outcome_from_json)

    def read_cancel_mark(self) -> CancelMark | None:
        """Return who asked for the cancellation, or None; raises FolderError."""
        return self._read_if_there(self.cancel_mark, _cancel_mark_from_json)

    def read_attempt(self) -> int:
        """Return the number of the newest attempt; 0 or 1 while there was none but the first."""
        with contextlib.suppress(*_NOT_READ):
            return int(json.loads(self.attempt_mark.read_bytes())["number"])
        return 0

    def read_interruption(self) -> Outcome | None:
        """Return how the last attempt ended that the scheduler ended, None when that is not known."""
        attempts = [int(path.name) for path in self.attempt(0).parent.glob("*") if path.name.isdecimal()]
        return self._read_if_there(self.interruption(max(attempts)), outcome_from_json) if attempts else None

    def read_environment(self) -> dict[str, str]:
        """Return the submitter's environment variables; raises FolderError."""
        return self._read(self.environment, dict)

    def read_events(self) -> list[JobEvent]:
        """Return what the runner reported so far, oldest first.

        A last line without its end is one that is being written, or that a killed runner or a full
        disk cut short: it is left out. Raises FolderError.
        """
        try:
            lines = self.events.read_bytes().split(b"\n")[:-1]
            return [event_from_json(json.loads(line)) for line in lines]
        except FileNotFoundError:
            return []
        except _NOT_READ as error:
            raise FolderError(_damage(self.events, error)) from error

    def write_spec(self, spec: JobSpec) -> None:
        """Write what was asked, of a new job; see `sync_new_folder`."""
        _write_new(self.spec, _to_bytes(spec_to_json(spec)))

    def write_record(self, record: JobRecord, home: Path | None = None) -> None:
        """Write what is known; ``home`` names the folder when it is still being staged elsewhere.

        It does not wait for the disk: what a power cut takes follows again from spec, events and outcome.
        """
        write_unsynced(self.record, _to_bytes(get_job(record, str(home or self.path))))

    def write_new(self, record: JobRecord, home: Path) -> None:
        """Write spec and record of a job that has none yet; ``home`` is the folder's name to be.

        Nothing is synced to the disk, and each is one line: there may be thousands.
        """
        for path, data in ((self.spec, spec_to_json(record.spec)), (self.record, get_job(record, str(home)))):
            _write_new(path, _ENCODER.encode(data).encode() + b"\n")

    def write_environment(self, variables: Mapping[str, str]) -> None:
        """Write the submitter's environment, readable by its owner alone, of a new job; see `sync_new_folder`."""
        _write_new(self.environment, _to_bytes(dict(variables)), mode=0o600)

    def write_hyperparameters(self, hyperparameters: Mapping[str, str]) -> None:
        """Write Braket's hyperparameter file, one JSON object of strings, of a new job; see `sync_new_folder`."""
        _write_new(self.hyperparameters, _to_bytes(dict(hyperparameters)))

    def write_cancel_mark(self, mark: CancelMark) -> None:
        """Ask for the cancellation; from here on no runner starts anything for this job."""
        write_whole(self.cancel_mark, _to_bytes(_cancel_mark_to_json(mark)))

    def write_unsynced_cancel_mark(self, mark: CancelMark) -> None:
        """Ask for the cancellation, as one of many: whoever writes them syncs them to the disk together."""
        write_unsynced(self.cancel_mark, _to_bytes(_cancel_mark_to_json(mark)))

    def append_event(self, event: JobEvent) -> None:
        """Add to what happened, in one write. Raises OSError, with nothing added, when the disk is full.

        Half a line that a killed runner left goes away, lest this one become a part of it.
        """
        line = json.dumps(event_to_json(event)).encode() + b"\n"
        fd = os.open(self.events, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(fd).st_size
            whole = os.pread(fd, size, 0).rfind(b"\n") + 1
            if whole < size:
                os.ftruncate(fd, whole)
            if os.write(fd, line) < len(line):
                os.ftruncate(fd, whole)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.events))
        finally:
            os.close(fd)

    def write_attempt(self, number: int) -> None:
        """Say that there is a later attempt; the runner of an earlier one ends."""
        write_whole(self.attempt_mark, _to_bytes({"number": number}))

    def write_interruption(self, attempt: int, outcome: Outcome) -> None:
        """Say how an attempt ended that the scheduler ended, and which therefore is not the job's outcome."""
        self.attempt(attempt).mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self.interruption(attempt), _to_bytes(outcome_to_json(outcome)))

    def write_outcome(self, outcome: Outcome) -> None:
        """Say how the job ended. Nothing is written into the folder after that by the runner."""
        write_whole(self.outcome, _to_bytes(outcome_to_json(outcome)))

    def remove_environment(self) -> None:
        """Take the submitter's variables off the disk; harmless to repeat."""
        self.environment.unlink(missing_ok=True)

    @contextlib.contextmanager
    def submitting(self) -> Iterator[bool]:
        """Hold the right to hand this job to its engine; yield False when another process has it.

        The right is a lock that ends with its process, so a killed submitter leaves none behind.
        """
        with locked(self.spec) as fd:
            yield fd is not None

    def _read(self, path: Path, parse: Callable[[Any], T]) -> T:
        found = self._read_if_there(path, parse)
        if found is None:
            raise FolderError(
                f"{path} is missing: the job's folder was removed or moved; 'qjob rm {self.id}' removes "
                "what the index still has of it."
            )
        return found

    def _read_if_there(self, path: Path, parse: Callable[[Any], T]) -> T | None:
        try:
            return parse(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except _NOT_READ as error:
            raise FolderError(_damage(path, error)) from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int | None]:
    """Hold an exclusive lock on an existing file; yield its descriptor, or None when it is taken."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield fd
    finally:
        os.close(fd)


def look_anew(directory: Path) -> None:
    """Have a network disk say what there is in a directory now; without effect elsewhere, or where there is none.

    NFS remembers for up to a minute that a name was not there, as long as it takes the directory for unchanged
    (nfs(5), lookupcache, acdirmax). To open the directory asks the server whether it is (close-to-open consistency).
    """
    with contextlib.suppress(OSError):
        os.close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))


def remove_temporaries(directory: Path) -> None:
    """Remove the unfinished files that killed processes left in a directory."""
    for name in os.listdir(directory) if directory.is_dir() else ():
        if name.startswith(".") and name.endswith(TEMPORARY_SUFFIX):
            (directory / name).unlink(missing_ok=True)


def _damage(path: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{path} cannot be read: {error.strerror or error}; see to its permissions and its disk."
    return (
        f"{path} is damaged ({type(error).__name__}: {error}): move it away, and qjob goes by what else is in "
        "the folder."
    )


def _cancel_mark_to_json(mark: CancelMark) -> dict[str, Any]:
    return {"requestedAt": mark.time, "reason": mark.reason}


def _cancel_mark_from_json(data: Mapping[str, Any]) -> CancelMark:
    return CancelMark(time=parse_time(data["requestedAt"]), reason=data["reason"])


def _time_to_json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no JSON form")


_ENCODER = json.JSONEncoder(default=_time_to_json)


def _write_new(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file of a folder that nobody reads yet: it need not be whole at every moment."""
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)


def _to_bytes(data: Mapping[str, Any]) -> bytes:
    """Return JSON with a line for each key: as good to read as more lines, and written in a quarter of the time."""
    lines = [f"  {_ENCODER.encode(key)}: {_ENCODER.encode(value)}" for key, value in data.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()
