"""What is asked of a sweep, and what is not taken; nothing is written for that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.errors import InvalidInput, JobStateError
from qjob.folder import JobFolder
from qjob.model.points import MAX_POINTS
from qjob.model.record import JobRecord
from qjob.model.spec import SweepPoint
from qjob.model.status import JobStatus
from qjob.model.sweep import SweepRecord
from qjob.request import Request
from qjob.resume import Changes
from qjob.sweep_folder import SweepFolder
from qjob.sweep_request import prepare_sweep, prepare_sweep_resumption
from qjob.sweep_staging import SweepSubmission
from qjob.testing import make_spec

NOW = datetime(2026, 11, 22, tzinfo=UTC)
Ask = Callable[..., SweepSubmission]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Prepare a sweep over a script; keyword arguments are fields of `Request`."""
    script = tmp_path / "script.py"
    script.write_text("pass")

    def prepared(
        grid: object, concurrency: Any = None, default_name: str | None = None, **asked: Any
    ) -> SweepSubmission:
        return prepare_sweep(Request(source=script, **asked), grid, concurrency, default_name)

    return prepared


def test_each_point_has_all_hyperparameters_as_texts(ask: Ask) -> None:
    submission = ask({"x": [1, 0.5, None], "y": [True]}, 2, hyperparameters={"z": 3, 4: "four"}, name="h2")
    assert [point.number for point in submission.points] == [0, 1, 2]
    assert [point.hyperparameters for point in submission.points] == [
        {"z": "3", "4": "four", "x": text, "y": "True"} for text in ("1", "0.5", "None")
    ]
    assert (submission.spec.name, submission.concurrency, submission.varied) == ("h2", 2, ("x",))
    assert submission.resumed_from is None


@pytest.mark.parametrize(
    ("grid", "varied"),
    [
        ({"a": [1], "b": [2]}, ("a", "b")),  # of one point all that it sets is of interest
        ({"a": [1, 2], "b": [3]}, ("a",)),
        ({"b": [1, 2], "a": [3, 4]}, ("b", "a")),
        ([{"a": 1}, {"a": 1}], ()),
        ([{"a": 1}, {"b": 1}], ("a", "b")),
        ([{}, {"a": 1}], ("a",)),
        ({"a": [1, "1", 1.0]}, ("a",)),
        ({"a": [1, "1"]}, ()),
        ([{}, {}], ()),
    ],
)
def test_what_is_not_the_same_in_all_points_is_varied(ask: Ask, grid: object, varied: tuple[str, ...]) -> None:
    assert ask(grid).varied == varied


def test_numpy_scalars_are_plain_numbers_as_texts(ask: Ask) -> None:
    submission = ask({"a": np.array([0.5, 1e-9]), "n": [np.int64(3)], "b": [np.bool_(True)]})
    assert [point.hyperparameters for point in submission.points] == [
        {"a": "0.5", "n": "3", "b": "True"},
        {"a": "1e-09", "n": "3", "b": "True"},
    ]


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50), min_size=1, max_size=10))
def test_any_text_is_a_value(texts: list[str]) -> None:
    submission = prepare_sweep(Request(source=Path(__file__)), {"a": texts})
    assert [point.hyperparameters["a"] for point in submission.points] == texts


# Names


@pytest.mark.parametrize(
    ("points", "longest"), [(1, 48), (10, 48), (11, 47), (100, 47), (101, 46), (1001, 45), (10_001, 44)]
)
def test_a_name_leaves_room_for_the_numbers(ask: Ask, points: int, longest: int) -> None:
    grid = {"n": range(points)}
    assert ask(grid, name="x" * longest).spec.name == "x" * longest
    with pytest.raises(InvalidInput, match=f"named xxxxxxxx…-{points - 1}, .* use at most {longest} characters"):
        ask(grid, name="x" * (longest + 1))


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "ü", "a_b", "x" * 51, 3, "a\n"])
def test_what_is_no_name_of_a_job_is_none_of_a_sweep(ask: Ask, name: object) -> None:
    with pytest.raises(InvalidInput, match="letters, digits and hyphens"):
        ask({"a": [1]}, name=name)


@pytest.mark.parametrize("points", [1, 1000, 10_000])
@pytest.mark.parametrize("stem", ["s", "a-name-that-is-longer-than-any-name-of-a-job-may-be-at-all"])
def test_a_name_that_nobody_gave_is_short_enough(tmp_path: Path, points: int, stem: str) -> None:
    script = tmp_path / f"{stem}.py"
    script.write_text("pass")
    name = prepare_sweep(Request(source=script), {"n": range(points)}).spec.name
    assert name.startswith(stem[:20])
    assert len(f"{name}-{points - 1}") <= 50
    assert "--" not in name


def test_the_name_of_a_function_is_used_when_nobody_gave_one(ask: Ask) -> None:
    assert ask({"a": [1]}, default_name="energy-1795394850418").spec.name == "energy-1795394850418"
    assert ask({"a": [1]}, default_name="energy-1795394850418", name="mine").spec.name == "mine"


# What is refused


@pytest.mark.parametrize(
    ("grid", "asked", "words"),
    [
        ({"a": [1]}, {"concurrency": 0}, "concurrency=0: a whole number from 1"),
        ({"a": [1]}, {"concurrency": -1}, "concurrency=-1"),
        ({"a": [1]}, {"concurrency": True}, "concurrency=True"),
        ({"a": [1]}, {"concurrency": 2.0}, "concurrency=2.0"),
        ({"a": [1]}, {"concurrency": "2"}, "concurrency='2'"),
        ({"a": [1]}, {"concurrency": 10**30}, f"from 1 to {MAX_POINTS}"),
        ({"a": [1]}, {"hyperparameters": {"a": 2}}, "'a' is varied by the grid and given for all jobs"),
        ({1: [1]}, {"hyperparameters": {"1": 2}}, "'1' is varied by the grid and given for all jobs"),
        ({"a": [1]}, {"hyperparameters": 3}, "hyperparameters=3: a dict is expected"),
        ({"a": [""]}, {}, "point 0: hyperparameter 'a': a value has 1 to 2500 characters, this has 0"),
        ({"a": [1, "x" * 10_000]}, {}, "point 1: hyperparameter 'a': a value has 1 to 2500 characters, this has 10000"),
        ({"": [1]}, {}, "point 0: hyperparameter ''…: a key has 1 to 256"),
        ({"k" * 300: [1]}, {}, "a key has 1 to 256 characters"),
        ([{str(n): n for n in range(101)}], {}, "point 0: hyperparameters: 101 were given, at most 100"),
        (
            [{"x": 0}, {str(n): n for n in range(60)}],
            {"hyperparameters": {f"s{n}": n for n in range(60)}},
            "point 1: hyperparameters: 120 were given",
        ),
        ({"a": []}, {}, "there are no values"),
        ([], {}, "there is no point"),
        ({"a": [1]}, {"device": "no-such"}, "device 'no-such'"),
        ({"a": [1]}, {"tags": {1: 2}}, "tag 1=2"),
    ],
)
def test_what_cannot_be_is_refused(ask: Ask, grid: object, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput) as told:
        ask(grid, **asked)
    assert words in str(told.value)


def test_all_that_is_wrong_is_told_at_once(ask: Ask) -> None:
    with pytest.raises(InvalidInput) as told:
        ask({"a": 1}, 0, name="-", device="no-such", hyperparameters={"b": ""})
    problems = told.value.problems
    assert len(problems) == 5
    for words in ("grid 'a'=1", "concurrency=0", "name '-'", "device 'no-such'", "hyperparameter 'b'"):
        assert sum(words in problem for problem in problems) == 1, words


def test_of_thousands_of_bad_points_some_are_told(ask: Ask) -> None:
    with pytest.raises(InvalidInput) as told:
        ask({"a": [""] * 5000})
    assert 20 <= len(told.value.problems) <= 25


def test_a_long_name_and_no_points_are_told_in_whole_words(ask: Ask) -> None:
    with pytest.raises(InvalidInput) as told:
        ask({"a": []}, name="x" * 50)
    assert "named xxxxxxxx…-0, " in str(told.value)


# Resuming


@dataclasses.dataclass(frozen=True)
class Old:
    """A sweep of three points that is not all completed."""

    sweep: SweepRecord
    records: list[JobRecord]
    jobs: Path

    def resumed(self, **changes: Any) -> SweepSubmission:
        return prepare_sweep_resumption(
            self.sweep, self.records, lambda job_id: JobFolder(self.jobs / job_id), self.folder, Changes(**changes)
        )

    @property
    def folder(self) -> SweepFolder:
        return SweepFolder(self.jobs.with_name("sweeps") / self.sweep.id)


def old(tmp_path: Path, states: dict[int, JobStatus], **fields: Any) -> Old:
    sweep = SweepRecord(id="s", name="h2", created_at=NOW, points=len(states), varied=("x",), concurrency=3, **fields)
    records = [
        JobRecord(
            id=f"j{number}",
            spec=make_spec(
                name=f"h2-{number}",
                hyperparameters={"x": str(number), "y": "0"},
                sweep_point=SweepPoint(sweep="s", number=number, concurrency=3),
                copied_from="another",
            ),
            created_at=NOW,
            status=status,
        )
        for number, status in states.items()
    ]
    made = Old(sweep=sweep, records=records, jobs=tmp_path / "jobs")
    made.folder.source.mkdir(parents=True)
    (made.folder.source / "job.py").write_text("pass")
    for record in records:
        (made.jobs / record.id / "checkpoints").mkdir(parents=True)
    return made


STATES = {0: JobStatus.FAILED, 1: JobStatus.COMPLETED, 2: JobStatus.CANCELLED}


def test_the_points_that_did_not_complete_go_on_as_they_were(tmp_path: Path) -> None:
    before = old(tmp_path, STATES)
    (before.jobs / "j2" / "checkpoints" / "h2-2.json").write_text("{}")
    submission = before.resumed(hyperparameters={"y": 5, "new": 1})
    assert [point.number for point in submission.points] == [0, 2]
    assert [point.hyperparameters for point in submission.points] == [
        {"x": number, "y": "5", "new": "1"} for number in ("0", "2")
    ]
    assert submission.points[0].checkpoints is None
    assert submission.points[1].checkpoints is not None
    assert submission.points[1].checkpoints.job_id == "j2"
    assert submission.points[1].checkpoints.job_name == "h2-2"
    assert (submission.spec.name, submission.varied, submission.concurrency) == ("h2", ("x",), 3)
    assert (submission.spec.sweep_point, submission.spec.copied_from, submission.resumed_from) == (None, None, "s")


def test_a_new_name_leaves_room_for_the_numbers_that_the_points_had(tmp_path: Path) -> None:
    before = old(tmp_path, {7: JobStatus.COMPLETED, 12_345: JobStatus.FAILED})
    assert before.resumed(name="x" * 44).spec.name == "x" * 44
    with pytest.raises(InvalidInput, match=r"named xxxxxxxx…-12345, .* use at most 44 characters"):
        before.resumed(name="x" * 45)


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLING])
def test_a_sweep_that_has_not_ended_is_not_resumed(tmp_path: Path, status: JobStatus) -> None:
    with pytest.raises(JobStateError, match=r"sweep h2 \(s\): 1 of its jobs have not ended; cancel it first"):
        old(tmp_path, STATES | {1: status}).resumed()


def test_a_sweep_that_has_completed_is_not_resumed(tmp_path: Path) -> None:
    with pytest.raises(JobStateError, match="all of its jobs have completed"):
        old(tmp_path, dict.fromkeys(range(3), JobStatus.COMPLETED)).resumed()
    with pytest.raises(JobStateError, match="all of its jobs have completed"):
        old(tmp_path / "none left", {}).resumed()


def test_changes_that_cannot_be_and_a_source_that_is_gone_are_told_at_once(tmp_path: Path) -> None:
    before = old(tmp_path, STATES)
    (before.folder.source / "job.py").unlink()
    with pytest.raises(InvalidInput) as told:
        before.resumed(name="-", engine="", hyperparameters={"x": ""})
    for words in ("name '-'", "engine=''", "hyperparameter 'x'", f"{before.folder.source} is missing or empty"):
        assert sum(words in problem for problem in told.value.problems) >= 1, words
