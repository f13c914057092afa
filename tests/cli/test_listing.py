"""`qjob ls` and `qjob show`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result

from qjob.cli.render import sweep_state_text
from qjob.model.naming import job_id
from qjob.model.record import iso_times
from qjob.model.spec import SweepPoint
from qjob.model.status import JobStatus
from qjob.model.sweep import SweepRecord
from qjob.service import Service
from qjob.store.store import Store
from recorded import BEGIN, put_on_record, record_of

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


# Sweeps

SWEPT_AT = BEGIN + timedelta(minutes=1, seconds=30)
SWEEP = SweepRecord(
    id=job_id(int(SWEPT_AT.timestamp() * 1e6), 9), name="scan", created_at=SWEPT_AT, points=3, varied=("theta",)
)
POINTS = [
    record_of(
        status,
        number=10 + number,
        name=f"scan-{number}",
        reason="too hot" if status is JobStatus.FAILED else "",
        tags={"of": "scan"},
        device="local:braket/sv",
        sweep_point=SweepPoint(sweep=SWEEP.id, number=number),
    )
    for number, status in enumerate((JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED))
]


@pytest.fixture
def swept(ended: None, home: Path) -> None:
    """The jobs above, and a sweep between the second and the third of them."""
    store = Store(home / "index.db", home / "nothing")
    assert store.insert_many(POINTS, SWEEP)
    store.close()


def first_words(result: Result) -> list[str]:
    return [line.split()[0] for line in result.stdout.splitlines()[1:]]


@pytest.mark.usefixtures("swept")
@pytest.mark.parametrize(
    ("arguments", "listed"),
    [
        ([], [IDS[2], SWEEP.id, IDS[1], IDS[0]]),
        (["-n", "2"], [IDS[2], SWEEP.id]),
        (["--status", "FAILED"], [SWEEP.id, IDS[1]]),
        (["--status", "CANCELLED"], [IDS[2]]),
        (["--tag", "of=scan"], [SWEEP.id]),
        (["--name", "scan"], [SWEEP.id]),
        (["--name", "scan-1"], [SWEEP.id]),
        (["--device", "local:braket/sv"], [SWEEP.id, IDS[1]]),
        (["--sweep", "scan"], [point.id for point in POINTS[::-1]]),
        (["--sweep", SWEEP.id[:9], "--status", "FAILED"], [POINTS[1].id]),
        (["--sweep", "scan", "-n", "1"], [POINTS[2].id]),
    ],
)
def test_a_sweep_is_one_line(invoke: Invoke, arguments: list[str], listed: list[str]) -> None:
    for output in ("table", "wide"):
        assert first_words(invoke("ls", "-o", output, *arguments)) == listed


@pytest.mark.usefixtures("swept")
def test_a_sweep_is_listed_with_what_its_jobs_have_in_common(invoke: Invoke) -> None:
    line, wide = (invoke("ls", "-o", output, "--name", "scan").stdout.splitlines()[1] for output in ("table", "wide"))
    assert line.split() == [
        SWEEP.id,
        "scan",
        "2/3",
        "COMPLETED,",
        "1",
        "FAILED",
        *line.split()[6:-1],
        "local:braket/sv",
    ]
    assert wide.split()[-4:] == ["local", "1", "local:braket/sv", "of=scan"]


@pytest.mark.usefixtures("swept")
@pytest.mark.parametrize(
    ("arguments", "numbers"), [([], [2, 1, 0]), (["--status", "FAILED"], [1]), (["--sweep", "scan"], [2, 1, 0])]
)
def test_a_line_for_the_next_command_is_always_a_job(invoke: Invoke, arguments: list[str], numbers: list[int]) -> None:
    lines = invoke("ls", "-o", "id", *arguments).stdout.split()
    assert SWEEP.id not in lines
    assert [line for line in lines if line not in IDS] == [POINTS[number].id for number in numbers]
    names = invoke("ls", "-o", "name", *arguments).stdout.split()
    assert [name for name in names if name not in ("a", "b")] == [f"scan-{number}" for number in numbers]


@pytest.mark.usefixtures("swept")
def test_a_sweep_as_data_is_what_show_has_of_it(invoke: Invoke) -> None:
    listed = json.loads(invoke("ls", "-o", "json").stdout)
    assert [each.get("sweepId") for each in listed] == [None, SWEEP.id, None, None]
    assert (listed[1]["counts"], listed[1]["points"]) == ({"COMPLETED": 2, "FAILED": 1}, 3)
    of_jobs = json.loads(invoke("ls", "--sweep", "scan", "-o", "json").stdout)
    assert [each["jobName"] for each in of_jobs] == ["scan-2", "scan-1", "scan-0"]


@pytest.mark.usefixtures("swept")
def test_an_unknown_sweep(invoke: Invoke) -> None:
    result = invoke("ls", "--sweep", "none")
    assert (result.exit_code, "No sweep" in result.stderr) == (2, True)


def test_a_sweep_without_jobs_is_listed_too(invoke: Invoke, home: Path) -> None:
    (home / "jobs").mkdir(parents=True)
    store = Store(home / "index.db", home / "nothing")
    store.insert_many([], SWEEP)
    store.close()
    assert invoke("ls").stdout.splitlines()[1].split()[:4] == [SWEEP.id, "scan", "0/0", "COMPLETED"]
    assert first_words(invoke("ls", "-o", "wide")) == [SWEEP.id]


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({JobStatus.COMPLETED: 812, JobStatus.FAILED: 3, JobStatus.QUEUED: 185}, "812/1000 COMPLETED, 3 FAILED"),
        ({JobStatus.QUEUED: 7, JobStatus.RUNNING: 2}, "0/9 COMPLETED, 2 RUNNING"),
        ({JobStatus.COMPLETED: 4}, "4/4 COMPLETED"),
        (
            {JobStatus.CANCELLED: 1, JobStatus.CANCELLING: 2, JobStatus.RUNNING: 3, JobStatus.FAILED: 4},
            "0/10 COMPLETED, 3 RUNNING, 4 FAILED, 2 CANCELLING, 1 CANCELLED",
        ),
    ],
)
def test_how_a_sweep_stands(counts: dict[JobStatus, int], text: str) -> None:
    assert sweep_state_text(counts) == text
