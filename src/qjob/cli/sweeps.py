"""Sweeps where a command takes jobs: waiting for one and telling how it stands."""

from __future__ import annotations

import time

from qjob.cli import exit_codes
from qjob.cli.sweep_text import progress_text, sweep_line
from qjob.cli.terminal import Notices, out
from qjob.model.status import JobStatus
from qjob.model.sweep import Counts, SweepRecord
from qjob.service import Service

_SHOW_S = 1.0  # a line about now is not brought up to date more often


def wait_for_sweep(service: Service, sweep_id: str, notices: Notices, *, timeout_s: float | None = None) -> Counts:
    """Wait until all jobs of a sweep have ended; return how many did in which way. Shows meanwhile how far it is.

    Raises ResultTimeout after ``timeout_s`` seconds.
    """
    sweep = service.sweeps.record(sweep_id)
    shown_at = 0.0

    def show(counts: Counts) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at >= _SHOW_S:
            notices.show(progress_text(sweep, counts))
            shown_at = time.monotonic()

    return service.sweeps.wait(sweep_id, timeout_s, show)


def tell_counts(sweep: SweepRecord, counts: Counts, notices: Notices, *, quiet: bool) -> int:
    """Print how a sweep stands; return the exit code that tells how its jobs ended."""
    notices.clear()
    if not quiet:
        out(sweep_line(sweep, counts))
    if counts.get(JobStatus.FAILED):
        return exit_codes.PROBLEM
    return exit_codes.CANCELLED if counts.get(JobStatus.CANCELLED) else exit_codes.DONE
