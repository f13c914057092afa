"""`qjob ls` and `qjob show`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from qjob.model.record import iso_times
from qjob.model.status import JobStatus
from qjob.service import Service
from recorded import put_on_record, record_of

Invoke = Callable[..., Result]

ENDED = [
    record_of(JobStatus.COMPLETED, number=0, name="a", tags={"sweep": "h2"}),
    record_of(JobStatus.FAILED, number=1, name="b", reason="it is so", device="local:braket/sv"),
    record_of(JobStatus.CANCELLED, number=2, name="a", tags={"sweep": "h2", "n": "2"}),
]
IDS = [record.id for record in ENDED]


@pytest.fixture
def ended(home: Path) -> None:
    for record in ENDED:
        put_on_record(home, record)


def ids(result: Result) -> list[int]:
    return [IDS.index(line) for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("ended")
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], [2, 1, 0]),
        (["--status", "failed"], [1]),
        (["--status", "FAILED", "--status", "COMPLETED"], [1, 0]),
        (["--name", "a"], [2, 0]),
        (["--tag", "sweep=h2"], [2, 0]),
        (["--tag", "sweep=h2", "--tag", "n=2"], [2]),
        (["--device", "local:braket/sv"], [1]),
        (["--since", "2026-03-31T14:01:07Z"], [2, 1]),
        (["--since", "1s"], []),
        (["-n", "1"], [2]),
        (["-n", "1", "--all"], [2, 1, 0]),
    ],
)
def test_jobs_are_found(invoke: Invoke, arguments: list[str], found: list[int]) -> None:
    assert ids(invoke("ls", "-o", "id", *arguments)) == found


@pytest.mark.usefixtures("ended")
def test_a_list_that_was_cut_says_so(invoke: Invoke) -> None:
    cut, whole = invoke("ls", "-n", "2"), invoke("ls", "-n", "3")
    assert (len(cut.stdout.splitlines()), cut.stderr.startswith("These are the newest 2; there are more")) == (3, True)
    assert (len(whole.stdout.splitlines()), whole.stderr) == (4, "")


@pytest.mark.usefixtures("ended")
def test_the_forms_of_a_list(invoke: Invoke) -> None:
    assert invoke("ls", "-o", "name").stdout == "a\nb\na\n"
    assert invoke("ls").stdout.splitlines()[2].split()[:3] == [IDS[1], "b", "FAILED"]
    assert "it is so" in invoke("ls", "-o", "wide").stdout
    listed = json.loads(invoke("ls", "-o", "json").stdout)
    shown = [json.loads(invoke("show", job_id, "-o", "json").stdout) for job_id in reversed(IDS)]
    assert listed == shown


def test_a_list_of_nothing(invoke: Invoke) -> None:
    assert invoke("ls").stdout.split() == ["ID", "NAME", "STATE", "CREATED", "TOOK", "DEVICE"]
    assert invoke("ls", "-o", "id").stdout == ""
    assert json.loads(invoke("ls", "-o", "json").stdout) == []


@pytest.mark.usefixtures("ended")
def test_all_doors_agree(invoke: Invoke, service: Service) -> None:
    """`qjob show`, `Service.metadata` and record.json are the same dict."""
    for record in ENDED:
        shown = json.loads(invoke("show", record.id, "-o", "json").stdout)
        assert shown == iso_times(service.metadata(record.id))
        assert shown == json.loads(service.folder(record.id).record.read_text())


@pytest.mark.usefixtures("ended")
@pytest.mark.parametrize("selector", [IDS[1], IDS[1][:-4], "b", f"arn:qjob:braket:local:000000000000:job/{IDS[1]}"])
def test_a_job_goes_by_id_prefix_name_and_arn(invoke: Invoke, selector: str) -> None:
    text = invoke("show", selector).stdout
    assert text.startswith("Name ")
    assert IDS[1] in text


@pytest.mark.usefixtures("ended")
def test_several_jobs_are_shown(invoke: Invoke) -> None:
    assert invoke("show", *IDS).stdout.count("\nState ") == 3
    assert [data["qjob"]["id"] for data in json.loads(invoke("show", *IDS, "-o", "json").stdout)] == IDS


def test_a_failure_is_shown_with_its_traceback(invoke: Invoke, home: Path) -> None:
    put_on_record(home, ENDED[1], traceback="Traceback (most recent call last):\nValueError: it is so\n")
    lines = invoke("show", "b").stdout.splitlines()
    assert lines[-3:] == ["Traceback:", "  Traceback (most recent call last):", "  ValueError: it is so"]


@pytest.mark.usefixtures("ended")
def test_an_unknown_and_an_ambiguous_job(invoke: Invoke) -> None:
    assert invoke("show", "nope").exit_code == 2
    prefix = IDS[0][:2]
    result = invoke("show", prefix)
    assert result.exit_code == 2
    assert IDS[0] in result.stderr
