"""Turns: how a process that looks after a job spends its time: it waits for output, signals, ends and deadlines."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Sequence

from qjob.runner.capture import LOOK_S
from qjob.runner.instances import Instances
from qjob.runner.process_tree import become_subreaper, descendants, signal_all

_KILL_AGAIN_S = 0.05
_MAX_TURN_S = 3600.0


class Turns:
    """Looks after instances until all processes of this process's tree are gone.

    Attributes:
        terminated: whether somebody has told this process to end.
        warned: whether a scheduler has warned of its time limit (SIGUSR1).
        is_ending: whether what runs has been told to end.
    """

    def __init__(self, instances: Instances, on_output: Callable[[], None] = lambda: None) -> None:
        """Look after instances; ``on_output`` is called after each look at their output."""
        self._instances = instances
        self._on_output = on_output
        self._poll = select.poll()
        self._on_readable: dict[int, Callable[[], bool]] = {}
        self._kill_at: float | None = None
        self.terminated = False
        self.warned = False

    @property
    def is_ending(self) -> bool:
        return self._kill_at is not None

    def begin(self, *, is_warned: bool) -> None:
        """Become the parent of all orphans below, and hear signals; the warning too where there may be one.

        They become bytes on a pipe, which the wait of each turn sees.
        """
        become_subreaper()
        read_fd, write_fd = os.pipe()
        for fd in (read_fd, write_fd):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whatever the submitter's thread had blocked
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._terminate())
        if is_warned:
            signal.signal(signal.SIGUSR1, lambda *_: self._warn())
        self.listen(read_fd, lambda: bool(os.read(read_fd, 4096)))

    def listen(self, fd: int, on_readable: Callable[[], bool]) -> None:
        """Call a function whenever a descriptor is readable, until it returns False."""
        self._on_readable[fd] = on_readable
        self._poll.register(fd, select.POLLIN)

    def reap(self) -> bool:
        """Take note of the processes that ended; return whether any is left below this one."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self._instances.take_end(pid, status)

    def end_all(self, grace_s: float) -> None:
        """Ask all that runs to end, and kill it after so many seconds; the first call's time counts."""
        self._instances.tell_to_end(descendants(os.getpid()))
        if self._kill_at is None:
            self._kill_at = time.monotonic() + grace_s

    def kill_if_due(self) -> None:
        """Kill what was asked to end and has not, again and again until nothing is left."""
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            signal_all(descendants(os.getpid()), signal.SIGKILL)
            self._kill_at = time.monotonic() + _KILL_AGAIN_S

    def wait(self, within_s: float = _MAX_TURN_S) -> None:
        """Sleep until there is output, a signal or a deadline, the next one in so many seconds; note the output."""
        ready = self._poll.poll(self._next_turn_s(within_s) * 1000)
        while not ready and self._instances.polls and self._next_turn_s(within_s) >= LOOK_S:
            self._instances.look()
            ready = self._poll.poll(LOOK_S * 1000)
        self._heed(ready)
        self._instances.look()
        self._on_output()

    def pause(self, within_s: float) -> None:
        """Wait for a signal or a descriptor alone."""
        self._heed(self._poll.poll(within_s * 1000))

    def _heed(self, ready: Sequence[tuple[int, int]]) -> None:
        for fd, _ in ready:
            if not self._on_readable[fd]():
                self._poll.unregister(fd)

    def _next_turn_s(self, within_s: float) -> float:
        until_kill = self._kill_at - time.monotonic() if self._kill_at is not None else _MAX_TURN_S
        return max(0.0, min(self._instances.look_within_s(), within_s, until_kill))

    def _terminate(self) -> None:
        self.terminated = True

    def _warn(self) -> None:
        self.warned = True
