"""`qjob wait`, `qjob cancel` and `qjob rm`, of jobs that have ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from qjob.model.status import JobStatus
from recorded import put_on_record, record_of

Invoke = Callable[..., Result]

JOBS = {
    "well": record_of(JobStatus.COMPLETED, number=0, name="well"),
    "bad": record_of(JobStatus.FAILED, number=1, name="bad", reason="it is so"),
    "long": record_of(JobStatus.FAILED, number=2, name="long", too_long=True),
    "away": record_of(JobStatus.CANCELLED, number=3, name="away", reason="enough"),
}


@pytest.fixture
def folders(home: Path) -> dict[str, Path]:
    return {name: put_on_record(home, record).path for name, record in JOBS.items()}


def left(folders: dict[str, Path]) -> list[str]:
    return [name for name, path in folders.items() if path.exists()]


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["well"], 0),
        (["bad"], 1),
        (["long"], 124),
        (["away"], 130),
        (["well", "away", "bad"], 130),
        (["well", "well"], 0),
    ],
)
def test_the_exit_code_of_wait_tells_how_the_first_that_did_not_complete_ended(
    invoke: Invoke, names: list[str], code: int
) -> None:
    result = invoke("wait", *names)
    assert result.exit_code == code
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [[JOBS[name].id, name] for name in names]
    assert invoke("wait", "-q", *names).stdout == ""


@pytest.mark.usefixtures("folders")
def test_wait_says_how_it_ended(invoke: Invoke) -> None:
    assert invoke("wait", "bad").stdout == f"{JOBS['bad'].id}  bad  FAILED after 1 min 24 s: it is so\n"


@pytest.mark.usefixtures("folders")
def test_what_has_ended_cannot_be_cancelled(invoke: Invoke) -> None:
    result = invoke("cancel", "well", "bad")
    assert (result.exit_code, result.stdout, result.stderr.count("cannot be cancelled")) == (1, "", 2)


def test_jobs_are_removed(invoke: Invoke, folders: dict[str, Path]) -> None:
    result = invoke("rm", "bad", "away", "bad", "-y")
    assert (result.exit_code, result.stderr, left(folders)) == (0, "Removed 2 jobs.\n", ["well", "long"])
    assert invoke("ls", "-o", "name").stdout == "long\nwell\n"


@pytest.mark.parametrize(("answer", "code", "stays"), [("y\n", 0, False), ("n\n", 1, True), ("", 1, True)])
def test_it_is_asked_before_a_job_is_removed(
    invoke: Invoke, folders: dict[str, Path], answer: str, code: int, stays: bool
) -> None:
    result = invoke("rm", "bad", input=answer)
    assert f"Remove 1 job, folders and all: bad ({JOBS['bad'].id})?" in result.stderr
    assert (result.exit_code, result.stdout, folders["bad"].exists()) == (code, "", stays)


@pytest.mark.parametrize(
    ("moment", "names"),
    [("2026-03-31T14:03Z", ["long", "away"]), ("2026-03-31T14:00Z", list(JOBS)), ("1d", [])],
)
def test_jobs_that_ended_before_are_removed(
    invoke: Invoke, folders: dict[str, Path], moment: str, names: list[str]
) -> None:
    assert invoke("rm", "--ended-before", moment, "-y").exit_code == 0
    assert left(folders) == names


def test_nothing_is_removed_when_one_job_is_unknown_or_has_not_ended(
    invoke: Invoke, home: Path, folders: dict[str, Path]
) -> None:
    assert invoke("rm", "bad", "nope", "-y").exit_code == 2
    running = put_on_record(home, record_of(JobStatus.RUNNING, number=9, name="busy"))
    result = invoke("rm", "bad", "busy", "-y")
    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: busy ({running.id}) is RUNNING: cancel it first, then remove it.\n",
    )
    assert left(folders) == list(JOBS)


@pytest.mark.parametrize("arguments", [[], ["bad", "--ended-before", "1d"]])
@pytest.mark.usefixtures("folders")
def test_either_jobs_or_a_moment(invoke: Invoke, arguments: list[str]) -> None:
    result = invoke("rm", "-y", *arguments)
    assert (result.exit_code, "one of the two" in result.stderr) == (2, True)
