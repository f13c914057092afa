"""Waiting for a job and showing what is waited for: its place in the queue, its state, its output."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from qjob.cli import exit_codes
from qjob.cli.render import detached_text, ended_text, now_text, waiting_text
from qjob.cli.terminal import Notices, say
from qjob.errors import ResultTimeout
from qjob.logs import LogPiece
from qjob.model.record import JobRecord, QueueInfo
from qjob.model.status import JobStatus
from qjob.service import Service

_SHOW_S = 1.0  # how often the line about now is brought up to date while nothing wakes us


def wait_for_end(
    service: Service, job_id: str, notices: Notices, *, timeout_s: float | None = None, about: str = ""
) -> JobRecord:
    """Return the record of a job when it has ended; show meanwhile how it stands, after the words ``about``.

    Raises ResultTimeout after ``timeout_s`` seconds.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left_s = _SHOW_S if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            return service.wait(job_id, min(left_s, _SHOW_S))
        except ResultTimeout:
            record = service.record(job_id)
            if deadline is not None and time.monotonic() >= deadline and not record.status.ended:
                raise ResultTimeout(_too_long(record)) from None
        notices.show(about + now_text(record, _queue_of(service, record)))


def follow(
    service: Service, job_id: str, read: Callable[[bool], Iterator[LogPiece]], notices: Notices
) -> Iterator[LogPiece]:
    """Yield a job's output as it comes until it has ended; tell meanwhile what it waits for, and its start."""
    start = _Start(service, job_id, notices)

    def read_on(final: bool) -> Iterator[LogPiece]:
        start.look()
        yield from read(final)

    return service.follow(job_id, read_on, waiting=start.waits)


def write_all(pieces: Iterator[LogPiece], write: Callable[[LogPiece], None]) -> bool:
    """Write a job's output as it comes, to its end; return False when Ctrl-C put an end to that."""
    try:
        for piece in pieces:
            write(piece)
    except KeyboardInterrupt:
        return False
    return True


def tell_end(service: Service, job_id: str, notices: Notices, *, to_its_end: bool) -> int:
    """Say how a followed job ended, or that it goes on; return the exit code that tells it.

    To be detached by Ctrl-C is no failure: its exit code is 0.
    """
    if not to_its_end:
        notices.clear()
        say(detached_text(job_id))
        return exit_codes.DONE
    record = service.record(job_id)
    notices.say(ended_text(record))
    return exit_codes.of_job(record)


def worst(codes: Sequence[int]) -> int:
    """Return the exit code for several jobs: that of the first that did not go well."""
    return next((code for code in codes if code), exit_codes.DONE)


class _Start:
    """Tells of a job that it waits, and then once that it runs."""

    def __init__(self, service: Service, job_id: str, notices: Notices) -> None:
        self._service = service
        self._job_id = job_id
        self._notices = notices
        self._started = False

    def waits(self, queue: QueueInfo) -> None:
        self._notices.show(waiting_text(queue))

    def look(self) -> None:
        """See whether the job has started, until it has: output may come sooner than the service's next look."""
        if self._started:
            return
        record = self._service.look([self._job_id]).get(self._job_id)
        if record is None or record.status is JobStatus.QUEUED:
            return
        self._started = True
        self._notices.clear()
        if not record.status.ended:
            self._notices.say(str(record.status))


def _queue_of(service: Service, record: JobRecord) -> QueueInfo:
    return service.queue_info(record.id) if record.status is JobStatus.QUEUED else QueueInfo()


def _too_long(record: JobRecord) -> str:
    return f"{record.spec.name} ({record.id}) is {record.status}, and goes on: the time to wait for it is over."
