"""Supervised: a runner that the dispatcher looks after, its own child or one that it found running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from qjob.engines.local.processes import is_alive, start_time
from qjob.folder import JobFolder, locked
from qjob.runner.run import EXIT_FOLDER, EXIT_TAKEN

_FIRST_WORDS_S = 5.0
_FIRST_WORDS_POLL_S = 0.005


@dataclass(kw_only=True)
class Supervised:
    """One runner.

    Attributes:
        job_id: the job that it runs.
        pid: its process.
        started: the start time that belongs to the pid; None when it had ended before that could be read.
        process: the handle of our own child; None for a runner that an earlier dispatcher started.
        pid_fd: becomes readable when it ends, where the system has such a thing.
    """

    job_id: str
    pid: int
    started: str | None
    process: subprocess.Popen[bytes] | None = None
    pid_fd: int | None = None

    def __post_init__(self) -> None:
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(ProcessLookupError):
                self.pid_fd = os.pidfd_open(self.pid)

    def has_ended(self) -> bool:
        """Return whether the runner is gone."""
        if self.process is not None:
            return self.process.poll() is not None
        return self.started is None or not is_alive(self.pid, self.started)

    def lost_to_another(self) -> bool:
        """Return whether it ended because another runner has the job."""
        return self.process is not None and self.process.returncode == EXIT_TAKEN

    def was_killed(self) -> bool:
        """Return whether it was ended by a signal, as far as that can be known."""
        return self.process is None or self.process.returncode < 0

    def how_it_ended(self) -> str:
        """Return how the runner ended without an outcome, a sentence without its full stop."""
        if self.process is None:
            return "its runner was killed while nobody watched"
        code = self.process.returncode
        if code == EXIT_FOLDER:
            return "its folder could not be written to (is the disk full?); dispatcher.log has the error"
        if code >= 0:
            return f"its runner ended with exit code {code}; dispatcher.log has the error"
        return f"its runner was killed by signal {-code} ({signal.Signals(-code).name})"

    def close(self) -> None:
        """Let go of the descriptor."""
        if self.pid_fd is not None:
            os.close(self.pid_fd)


def start_runner(folder: JobFolder, log: IO[bytes]) -> Supervised:
    """Start a runner for the job in a session of its own, so that it outlives the dispatcher."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "qjob.runner", str(folder.path)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    return Supervised(job_id=folder.id, pid=process.pid, started=start_time(process.pid), process=process)


def find_runner(folder: JobFolder) -> Supervised | None:
    """Return the runner that is at work in the folder, by the lock that it holds there.

    One that has the lock says who it is within moments; that is waited for.
    """
    deadline = time.monotonic() + _FIRST_WORDS_S
    while _is_locked(folder.events) and time.monotonic() < deadline:
        for event in folder.read_events():
            pid = event.detail["pid"]
            return Supervised(job_id=folder.id, pid=pid, started=start_time(pid))
        time.sleep(_FIRST_WORDS_POLL_S)
    return None


def _is_locked(path: Path) -> bool:
    try:
        with locked(path) as fd:
            return fd is None
    except FileNotFoundError:
        return False
