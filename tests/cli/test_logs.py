"""`qjob logs`, of jobs that have ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result

from qjob.model.config import InstanceConfig
from qjob.model.status import JobStatus
from recorded import put_on_record, record_of, write_log

Invoke = Callable[..., Result]

BEGIN_S = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC).timestamp()  # 1e9
ODD = b"\x00\xff\x1b[31mred\x1b[0m\r\nenergy=1\n\xe9nergy=2\nlast"


@pytest.fixture
def odd(home: Path) -> None:
    put_on_record(home, record_of(), log=ODD)


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], ODD),
        (["-f"], ODD),
        (["--instance", "0"], ODD),
        (["--grep", "energy"], b"energy=1\n"),
        (["--grep", "=2$"], b"\xe9nergy=2\n"),
        (["--grep", "red.*0m$"], b"\x00\xff\x1b[31mred\x1b[0m\r\n"),
        (["--grep", "last"], b"last"),
        (["--grep", "nothing"], b""),
        (["--since", "2001-09-09T01:46:42Z"], b"\xe9nergy=2\nlast"),
        (["--since", "1d"], b""),
        (["--grep", "n", "--since", "2001-09-09T01:46:41Z"], b"energy=1\n\xe9nergy=2\n"),
        (
            ["--timestamps", "--grep", "energy|last"],
            b"2001-09-09T01:46:41.000Z energy=1\n2001-09-09T01:46:43.000Z last",
        ),
        (["-f", "--grep", "energy"], b"energy=1\n"),
        (["--tail", "1"], b"last"),
        (["-n", "2"], b"\xe9nergy=2\nlast"),
        (["-f", "--tail", "3"], b"energy=1\n\xe9nergy=2\nlast"),
        (["--tail", "99"], ODD),
        (["--tail", "3", "--since", "2001-09-09T01:46:42Z", "--grep", "n"], b"\xe9nergy=2\n"),
    ],
)
def test_what_is_printed(invoke: Invoke, arguments: list[str], printed: bytes) -> None:
    result = invoke("logs", "vqe", *arguments)
    assert (result.stdout_bytes, result.exit_code) == (printed, 0)


@pytest.fixture
def several(home: Path) -> None:
    folder = put_on_record(home, record_of(instance_config=InstanceConfig(instanceCount=2)))
    write_log(folder, b"a\nc\n", 0, BEGIN_S, 2)
    write_log(folder, b"b\nd\n", 1, BEGIN_S + 1, 2)


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], "a\nb\nc\nd\n"),
        (["--instance", "1"], "b\nd\n"),
        (["--tail", "3"], "b\nc\nd\n"),
        (
            ["--timestamps", "--since", "2001-09-09T01:46:42Z"],
            "2001-09-09T01:46:42.000Z [0] c\n2001-09-09T01:46:43.000Z [1] d\n",
        ),
        (["--timestamps", "--instance", "1", "--grep", "b"], "2001-09-09T01:46:41.000Z b\n"),
    ],
)
def test_several_instances_are_printed_by_time(invoke: Invoke, arguments: list[str], printed: str) -> None:
    assert invoke("logs", "vqe", *arguments).stdout == printed


@pytest.mark.usefixtures("several")
def test_an_instance_that_there_is_not(invoke: Invoke) -> None:
    result = invoke("logs", "vqe", "--instance", "2")
    assert (result.exit_code, result.stderr) == (2, "Error: instance 2: the job has instances 0 to 1.\n")


def test_following_tells_how_the_job_ended(invoke: Invoke, home: Path) -> None:
    put_on_record(home, record_of(JobStatus.FAILED, reason="it is so"), log=b"x\n")
    plain, following, quiet = invoke("logs", "vqe"), invoke("logs", "vqe", "-f"), invoke("logs", "vqe", "-f", "-q")
    assert (plain.exit_code, plain.stderr) == (0, "")
    assert (following.exit_code, following.stderr) == (1, "FAILED after 1 min 24 s: it is so\n")
    assert (quiet.exit_code, quiet.stderr) == (1, "")
