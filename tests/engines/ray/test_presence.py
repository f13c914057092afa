"""Where a job is, from Ray's word and its folder's."""

from __future__ import annotations

from pathlib import Path

import pytest

from qjob.engine import Presence
from qjob.engines.ray.presence import Trace, has_runner, is_dropped, presence, trace_of
from qjob.engines.ray.ray_job import RayJob
from qjob.folder import JobFolder, locked
from qjob.model.status import JobStatus

NEW = Trace(exists=True, cancelled=False, begun=False, ended=False)
CANCELLED = Trace(exists=True, cancelled=True, begun=False, ended=False)
BEGUN = Trace(exists=True, cancelled=False, begun=True, ended=False)
ENDED = Trace(exists=True, cancelled=False, begun=True, ended=True)
NOT_THERE = Trace(exists=False, cancelled=False, begun=False, ended=False)
TOO_LATE = "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"


def job(status: str, error_type: str = "", message: str = "words of Ray.") -> RayJob:
    return RayJob(submission_id="qjob-a", status=status, error_type=error_type, message=message)


@pytest.mark.parametrize(
    ("seen", "trace", "runner", "expected"),
    [
        (job("PENDING"), NEW, False, Presence.WAITING),
        (job("PENDING"), BEGUN, False, Presence.RUNNING),  # the answer is older than its start
        (job("PENDING"), CANCELLED, False, Presence.GONE),
        (job("RUNNING"), BEGUN, False, Presence.RUNNING),
        (job("RUNNING"), CANCELLED, False, Presence.RUNNING),  # its runner is about to see the mark
        (job("SUCCEEDED"), BEGUN, False, Presence.GONE),
        (job("FAILED"), BEGUN, False, Presence.GONE),
        (job("FAILED"), BEGUN, True, Presence.RUNNING),  # Ray has lost its node, and the job goes on there
        (job("PAUSED"), BEGUN, False, Presence.UNKNOWN),
        (None, BEGUN, True, Presence.RUNNING),
        (None, BEGUN, False, Presence.GONE),
        (None, CANCELLED, False, Presence.GONE),
        (None, NOT_THERE, False, Presence.GONE),
        (job("RUNNING"), ENDED, False, Presence.GONE),
    ],
)
def test_presence(seen: RayJob | None, trace: Trace, runner: bool, expected: Presence) -> None:
    assert presence(seen, trace, has_runner=runner).presence is expected


def test_an_end_without_an_outcome_may_still_be_hidden_by_the_disk() -> None:
    gone = presence(job("FAILED"), BEGUN, has_runner=False)
    assert (gone.certain, gone.message, gone.ended_as) == (False, "Ray says FAILED: words of Ray", JobStatus.FAILED)
    assert not presence(None, BEGUN, has_runner=False).certain
    assert presence(job("STOPPED"), BEGUN, has_runner=False).ended_as is JobStatus.CANCELLED
    assert presence(job("PENDING"), CANCELLED, has_runner=False).certain


def test_the_end_of_a_log_in_rays_message_is_no_novel() -> None:
    message = presence(job("FAILED", message="first\n" + "x" * 20_000 + "\nlast"), BEGUN, has_runner=False).message
    assert len(message) < 600
    assert message.startswith("Ray says FAILED: first x")
    assert message.endswith("x last")


@pytest.mark.parametrize(
    ("seen", "trace", "expected"),
    [
        (None, NEW, True),
        (job("FAILED", TOO_LATE), NEW, True),
        (job("FAILED"), NEW, False),  # its entrypoint could not be started: that would not change
        (job("PENDING"), NEW, False),
        (None, BEGUN, False),
        (None, CANCELLED, False),
        (None, NOT_THERE, False),
        (job("FAILED", TOO_LATE), ENDED, False),
    ],
)
def test_what_is_dropped_before_it_began(seen: RayJob | None, trace: Trace, expected: bool) -> None:
    assert is_dropped(seen, trace) is expected


def test_a_folder_shows_its_trace(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    assert trace_of(folder) == NOT_THERE
    assert not has_runner(folder)
    for file in (folder.spec, folder.events, folder.cancel_mark, folder.outcome):
        file.touch()
    assert trace_of(folder) == Trace(exists=True, cancelled=True, begun=True, ended=True)
    with locked(folder.events):
        assert has_runner(folder)
    assert not has_runner(folder)
