"""Supervised: a runner that the dispatcher looks after, its own child or one that it found running."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from qjob.engines.local.limits import Limits
from qjob.engines.local.processes import collected, is_alive, start_time
from qjob.errors import FolderError
from qjob.folder import JobFolder, locked
from qjob.model.event import JobEvent
from qjob.runner.run import EXIT_FOLDER, EXIT_TAKEN, run_job

EXIT_CRASHED = 70
_FIRST_FD = 3  # after stdio
_FIRST_WORDS_S = 5.0
_FIRST_WORDS_POLL_S = 0.005


@dataclass(kw_only=True)
class Supervised:
    """One runner.

    Attributes:
        job_id: the job that it runs.
        pid: its process.
        started: the start time that belongs to the pid; None when it had ended before that could be read.
        is_child: whether it is our own child, whose exit code we get.
        exit_code: of our own child, when it has ended; minus the signal's number if one killed it.
        pid_fd: becomes readable when it ends, where the system has such a thing.
    """

    job_id: str
    pid: int
    started: str | None
    is_child: bool = False
    exit_code: int | None = None
    pid_fd: int | None = None

    def __post_init__(self) -> None:
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # it is gone, or a sandbox does not know the call
                self.pid_fd = os.pidfd_open(self.pid)

    def has_ended(self) -> bool:
        """Return whether the runner is gone."""
        if not self.is_child:
            return self.started is None or not is_alive(self.pid, self.started)
        if self.exit_code is None:
            self.exit_code = collected(self.pid)
        return self.exit_code is not None

    def lost_to_another(self) -> bool:
        """Return whether it ended because another runner has the job."""
        return self.exit_code == EXIT_TAKEN

    def was_killed(self) -> bool:
        """Return whether it was ended by a signal, as far as that can be known."""
        return self.exit_code is None or self.exit_code < 0

    def how_it_ended(self) -> str:
        """Return how the runner ended without an outcome, a sentence without its full stop."""
        code = self.exit_code
        if code is None:
            return "its runner was killed while nobody watched"
        if code == EXIT_FOLDER:
            return "its folder could not be written to (is the disk full?); dispatcher.log has the error"
        if code >= 0:
            return f"its runner ended with exit code {code}; dispatcher.log has the error"
        name = next((known.name for known in signal.Signals if known == -code), "a real-time signal")
        return f"its runner was killed by signal {-code} ({name})"

    def close(self) -> None:
        """Let go of the descriptor."""
        if self.pid_fd is not None:
            os.close(self.pid_fd)


def start_runner(folder: JobFolder, limits: str | None = None) -> Supervised:
    """Start a runner for the job in a session of its own, so that it outlives the dispatcher.

    It is a fork of this process, which has the runner's code in memory: that is 50 ms sooner at work than a
    new interpreter. It takes along nothing but stdio, where its log is. ``limits``: as `Limits.to_text` writes them.
    """
    pid = os.fork()
    if pid == 0:
        _become_runner(folder, limits)
    return Supervised(job_id=folder.id, pid=pid, started=start_time(pid), is_child=True)


def runner_at(folder: JobFolder, pid: int) -> Supervised:
    """Return the runner that a zygote has forked, which knows how it ends."""
    return Supervised(job_id=folder.id, pid=pid, started=start_time(pid))


def _become_runner(folder: JobFolder, limits: str | None) -> NoReturn:
    code = EXIT_CRASHED
    try:
        os.setsid()
        _close_inherited()
        if limits is not None:
            Limits.from_text(limits).apply()
        code = run_job(folder)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        # Without the interpreter's farewell: objects inherited from the dispatcher must not be closed here.
        os._exit(code)


def _close_inherited() -> None:
    """Close the queue, the lock and the doorbell. Only what is open: the limit of descriptors may be 10^9."""
    for name in os.listdir("/dev/fd"):
        if int(name) >= _FIRST_FD:
            with contextlib.suppress(OSError):  # the listing's own is closed by now
                os.close(int(name))


def find_runner(folder: JobFolder) -> Supervised | None:
    """Return the runner that is at work in the folder, by the lock that it holds there.

    One that has the lock says who it is within moments; that is waited for.
    """
    deadline = time.monotonic() + _FIRST_WORDS_S
    while _is_locked(folder.events) and time.monotonic() < deadline:
        for event in _first_words(folder):
            pid = event.detail["pid"]
            return Supervised(job_id=folder.id, pid=pid, started=start_time(pid))
        time.sleep(_FIRST_WORDS_POLL_S)
    return None


def _first_words(folder: JobFolder) -> list[JobEvent]:
    try:
        return folder.read_events()
    except FolderError:
        return []  # one job's damaged file must not stop all the others


def _is_locked(path: Path) -> bool:
    try:
        with locked(path) as fd:
            return fd is None
    except FileNotFoundError:
        return False
