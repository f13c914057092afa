"""The dispatcher: starts what waits, sees what ends.

``python -m qjob.engines.local.dispatcher STATE IDLE_S`` starts it; see `main`.

One process for each state directory, started on demand and gone when idle. It may be killed at any moment:
what it knows is in the queue and in the folders, the jobs go on, and the next look starts another one.
"""

from __future__ import annotations

import fcntl
import gc
import os
import select
import subprocess
import sys
import time
from pathlib import Path

from qjob.engines.local.doorbell import Doorbell, silence
from qjob.engines.local.learning import LateImports
from qjob.engines.local.queue import Queue, QueuedJob
from qjob.engines.local.schedule import guests, may_start
from qjob.engines.local.state import LocalState
from qjob.engines.local.supervised import Supervised, find_runner, runner_at, start_runner
from qjob.engines.local.warm import WarmPool
from qjob.folder import JobFolder
from qjob.runner.process_tree import become_subreaper, children, descendants, kill_marked, kill_until_gone

PATIENCE = "QJOB_WARM_PATIENCE_S"
"""How long a job waits for its zygote, in seconds: for benchmarks and tests, in which the first job is to be warm."""
_TICK_S = 5.0  # how often everything is looked at without a ring, against a ring that was lost
_TICK_WITHOUT_PIDFD_S = 0.1
_LOCK_WAIT_S = 10.0
_LOCK_POLL_S = 0.02


class Dispatcher:
    """The one process that starts runners on this machine."""

    def __init__(self, state: LocalState, queue: Queue, idle_s: float) -> None:
        self._queue = queue
        self._idle_s = idle_s
        self._doorbell = Doorbell(state.doorbell)
        self._supervised: dict[str, Supervised] = {}
        self._busy_at = time.monotonic()
        self._warm = WarmPool(
            state.warm, LateImports(state.late_imports), patience_s=float(os.environ.get(PATIENCE, "0"))
        )

    def serve(self, bell: int) -> None:
        """Answer the doorbell ``bell`` until there has been nothing to do for the idle time."""
        become_subreaper()
        while True:
            try:
                self._serve_until_idle(bell)
            finally:
                os.close(bell)
                self._warm.close()
            # From here on whoever rings finds nobody and starts another dispatcher; who rang before
            # that has put a job into the queue first, and is not forgotten.
            if not self._queue.is_current() or self._queue.is_empty():
                return
            bell = self._doorbell.answer()

    def _serve_until_idle(self, bell: int) -> None:
        self._adopt()
        while True:
            self._settle_ended()
            self._start_waiting()
            self._warm.tend()
            self._warm.start_wanted()
            if self._is_idle() or not self._queue.is_current():
                return
            self._wait(bell)

    def _adopt(self) -> None:
        """Look after what an earlier dispatcher had claimed or started."""
        for job in self._queue.in_state("running"):
            if job.id not in self._supervised:
                self._adopt_one(job)

    def _adopt_one(self, job: QueuedJob) -> None:
        folder = _folder_of(job)
        runner = find_runner(folder)
        if runner is not None:
            self._supervise(runner)
        elif job.pid is not None and job.started is not None:
            self._supervise(Supervised(job_id=job.id, pid=job.pid, started=job.started))
        else:
            self._queue.put_back(job.id)  # a runner that is just about to lock the folder is no harm: one wins

    def _supervise(self, runner: Supervised) -> None:
        self._supervised[runner.job_id] = runner
        self._queue.set_process(runner.job_id, runner.pid, runner.started)

    def _settle_ended(self) -> None:
        for runner in [runner for runner in self._supervised.values() if runner.has_ended()]:
            runner.close()
            del self._supervised[runner.job_id]
            self._settle(runner)
            self._warm.forget(runner.pid)

    def _settle(self, runner: Supervised) -> None:
        job = self._queue.jobs([runner.job_id]).get(runner.job_id)
        if job is None:
            return  # a new queue knows nothing of it; its folder tells the rest
        folder = _folder_of(job)
        if folder.outcome.exists():
            self._queue.remove(job.id)
            self._warm.learn(folder)
            return
        if runner.exit_code is None:
            runner.exit_code = self._warm.exit_code(runner.pid)
        another = find_runner(folder) if runner.lost_to_another() else None
        if another is not None:
            self._supervise(another)
        else:
            self._end_remains(job.id)
            self._settle_without_outcome(folder, runner)

    def _settle_without_outcome(self, folder: JobFolder, runner: Supervised) -> None:
        if not folder.path.exists():
            self._queue.set_gone(folder.id, "its folder was removed")
        elif runner.was_killed() and folder.spec.exists() and not _has_begun(folder):
            self._queue.put_back(folder.id)  # killed before it did anything: it may as well be started again
        else:
            self._queue.set_gone(folder.id, runner.how_it_ended())

    def _end_remains(self, job_id: str) -> None:
        """Kill what a killed runner left, before its device and its slots are given to the next job.

        Its orphans have become children of this process, unless an earlier dispatcher started it;
        those are found by the mark in their environment.
        """
        ours = {runner.pid for runner in self._supervised.values()} | self._warm.pids
        for orphan in set(children(os.getpid())) - ours:
            kill_until_gone([orphan, *descendants(orphan)])
        kill_marked(job_id)
        _reap_orphans(ours)

    def _start_waiting(self) -> None:
        slots = self._queue.machine_slots()
        running = self._queue.in_state("running")
        if sum(job.slots for job in running) < slots:
            for job in list(may_start(self._queue.startable(), running, slots)):
                self._start(job)
                running.append(job)
        children = self._queue.waiting_children([job.id for job in running])
        for job in list(guests(children, running)):
            self._start(job)

    def _start(self, job: QueuedJob) -> None:
        if not self._queue.claim(job.id):
            return
        folder = _folder_of(job)
        try:
            pid = self._warm.start(folder, job.limits) if job.warm else None
            runner = start_runner(folder, job.limits) if pid is None else runner_at(folder, pid)
        except OSError as error:  # no process to be had now
            print(f"{job.folder}: {error}", file=sys.stderr)
            self._queue.put_back(job.id)
        else:
            self._supervise(runner)

    def _is_idle(self) -> bool:
        now = time.monotonic()
        if self._supervised or not self._queue.is_empty():
            self._busy_at = now
        return now - self._busy_at >= self._idle_s

    def _wait(self, bell: int) -> None:
        """Sleep until the doorbell rings, a runner ends, or it is time for a look at everything."""
        poll = select.poll()
        poll.register(bell, select.POLLIN)
        timeout_s = min(_TICK_S, self._idle_s)
        for fd in self._warm.descriptors:
            poll.register(fd, select.POLLIN)
        for runner in self._supervised.values():
            if runner.pid_fd is not None:
                poll.register(runner.pid_fd, select.POLLIN)
            else:
                timeout_s = _TICK_WITHOUT_PIDFD_S
        poll.poll(timeout_s * 1000)
        silence(bell)


def main(arguments: list[str]) -> int:
    """Become the dispatcher of a state directory; return when it is at work, in a process of its own.

    The first process ends with 0 as soon as there is a dispatcher, this one or another one.
    """
    state, idle_s = LocalState(Path(arguments[0])), float(arguments[1])
    ready_read, ready_write = os.pipe()
    if os.fork():
        os.close(ready_write)
        return 0 if os.read(ready_read, 1) else 1
    os.close(ready_read)
    os.setsid()
    os.chdir("/")
    lock = _take_lock(state)
    if lock is not None:
        _serve(state, idle_s, ready_write)
    else:
        os.write(ready_write, b"+")
    return 0


def _serve(state: LocalState, idle_s: float, ready_write: int) -> None:
    queue = Queue(state.queue, durable=False)
    bell = Doorbell(state.doorbell).answer()
    os.write(ready_write, b"+")
    gc.freeze()  # so that a collection in a forked runner does not copy what it shares with us
    Dispatcher(state, queue, idle_s).serve(bell)
    queue.close()
    if not queue.is_current() and state.path.exists():  # somebody moved a damaged queue away
        subprocess.Popen([sys.executable, "-P", "-m", __spec__.name, str(state.path), str(idle_s)])


def _take_lock(state: LocalState) -> int | None:
    """Return the lock's descriptor, or None when another dispatcher is at work.

    One that is at work answers its doorbell; one that holds the lock and does not is just leaving.
    """
    fd = os.open(state.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_WAIT_S
    while time.monotonic() < deadline:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if Doorbell(state.doorbell).ring():
                return None
            time.sleep(_LOCK_POLL_S)
            continue
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        return fd
    raise TimeoutError(f"{state.lock} is held by a process that does not answer")


def _folder_of(job: QueuedJob) -> JobFolder:
    return JobFolder(Path(job.folder))


def _has_begun(folder: JobFolder) -> bool:
    """Return whether a runner has written anything: also something that cannot be read."""
    return folder.events.exists() and folder.events.stat().st_size > 0


def _reap_orphans(ours: set[int]) -> None:
    """Collect the exit codes of orphans that were killed; those of our runners are not ours to take."""
    for pid in set(children(os.getpid(), zombies=True)) - ours:
        os.waitpid(pid, os.WNOHANG)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
