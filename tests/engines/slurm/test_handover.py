"""What was handed over: the refs, the arrays, and the note beside the job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.engines.slurm.handover import (
    Handover,
    Key,
    Ref,
    arrays,
    parse_ref,
    read_handover,
    single,
    write_handover,
)
from qjob.errors import FolderError

JOB = "1k0w965g5r0sc7b"
SWEEP = "1k0w965g5r0swee"
ARRAY = Handover(name=f"qjob-{SWEEP}.0", at=1700, slurm_id=4712, jobs={0: "job0", 3: "job3"})


@pytest.mark.parametrize(
    ("handover", "refs"),
    [
        (single(JOB, 1700.9).with_number(4711), {JOB: f"4711@1700/qjob-{JOB}"}),
        (single(JOB, 1700.9), {JOB: f"0@1700/qjob-{JOB}"}),
        (single(JOB, 1700.9).with_number(0), {JOB: f"0@1700/qjob-{JOB}"}),
        (
            ARRAY,
            {"job0": f"4712_0@1700/qjob-{SWEEP}.0/job0", "job3": f"4712_3@1700/qjob-{SWEEP}.0/job3"},
        ),
    ],
)
def test_each_job_has_a_ref(handover: Handover, refs: dict[str, str]) -> None:
    assert handover.refs() == refs


def test_a_ref_taken_apart() -> None:
    assert parse_ref(f"4711@1700/qjob-{JOB}") == Ref(key=Key(f"qjob-{JOB}"), job=JOB, task="4711", submitted_at=1700)
    assert parse_ref(f"4712_3@1700/qjob-{SWEEP}.0/job3") == Ref(
        key=Key(f"qjob-{SWEEP}.0", 3), job="job3", task="4712_3", submitted_at=1700
    )


@pytest.mark.parametrize("text", ["", "4711", f"qjob-{JOB}", f"x@1700/qjob-{JOB}", "host/0123", "4711@/qjob-a", "1@2/"])
def test_what_is_no_ref(text: str) -> None:
    assert parse_ref(text) is None


names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=15)
singles = st.builds(
    Handover,
    name=names.map("qjob-{}".format),
    at=st.integers(0, 2**33),
    slurm_id=st.none() | st.integers(0, 2**26),
    again_at=st.none() | st.integers(0, 2**33),
)
many = st.builds(
    Handover,
    name=st.builds("qjob-{}.{}".format, names, st.integers(0, 40)),
    at=st.integers(0, 2**33),
    slurm_id=st.none() | st.integers(0, 2**26),
    again_at=st.none() | st.integers(0, 2**33),
    jobs=st.dictionaries(st.integers(0, 10_000), names, min_size=1, max_size=5).filter(
        lambda jobs: len(set(jobs.values())) == len(jobs)
    ),
)


@given(handover=singles | many)
def test_every_ref_leads_back(handover: Handover) -> None:
    for job, text in handover.refs().items():
        ref = parse_ref(text)
        assert ref is not None
        assert (ref.job, ref.key.name, ref.submitted_at) == (job, handover.name, handover.at)
        assert ref.key.index is None if not handover.jobs else handover.jobs[ref.key.index or 0] == job


@settings(max_examples=15, deadline=None)  # each waits for the disk
@given(handover=singles | many)
def test_what_is_written_down_is_read(handover: Handover, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / 'a\'; echo "foo" ü.json'
    write_handover(path, handover)
    assert read_handover(path) == handover


def test_what_was_never_written_down_is_none(tmp_path: Path) -> None:
    assert read_handover(tmp_path / "submitted.json") is None


def test_a_note_that_a_lost_power_supply_left_empty_is_none(tmp_path: Path) -> None:
    (tmp_path / "submitted.json").touch()
    assert read_handover(tmp_path / "submitted.json") is None


@pytest.mark.parametrize(
    "damage",
    [
        "{",
        "[]",
        "{}",
        "null",
        '"a"',
        '{"name": "qjob-a", "at": 1, "slurmId": 1, "againAt": null}',
        '{"name": "qjob-a", "at": 1, "slurmId": 1, "jobs": null, "againAt": null}',
        '{"name": "qjob-a", "at": 1, "slurmId": 1, "jobs": {"a": "b"}, "againAt": null}',
        '{"name": "qjob-\udcff',
    ],
)
def test_a_damaged_note_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "submitted.json"
    path.write_bytes(damage.encode("utf-8", "surrogateescape"))
    with pytest.raises(FolderError, match=r"submitted\.json cannot be read .*: move it away when Slurm does not have"):
        read_handover(path)


def test_the_note_is_one_that_a_person_can_read(tmp_path: Path) -> None:
    write_handover(tmp_path / "note", ARRAY)
    assert json.loads((tmp_path / "note").read_text()) == {
        "name": f"qjob-{SWEEP}.0",
        "at": 1700,
        "slurmId": 4712,
        "jobs": {"0": "job0", "3": "job3"},
        "againAt": None,
        "lostAt": None,
    }


def test_what_was_handed_over_again_keeps_its_refs() -> None:
    again = ARRAY.handed_over_again(1800.9)
    assert (again.at, again.again_at) == (1700, 1800)
    assert again.refs() == ARRAY.refs()


def points(*numbers: int) -> dict[int, str]:
    return {number: f"job{number}" for number in numbers}


@pytest.mark.parametrize(
    ("numbers", "size", "chunks"),
    [
        ([], 1001, []),
        ([0, 1, 2], 1001, [{0: "job0", 1: "job1", 2: "job2"}]),
        ([0, 1, 2, 3, 4], 2, [{0: "job0", 1: "job1"}, {0: "job2", 1: "job3"}, {0: "job4"}]),
        ([1, 5, 6], 3, [{1: "job1"}, {2: "job5"}, {0: "job6"}]),
        ([7], 3, [{1: "job7"}]),
        ([2000, 1], 1001, [{1: "job1"}, {999: "job2000"}]),
        ([0, 1], 1, [{0: "job0"}, {0: "job1"}]),
    ],
)
def test_a_sweep_in_arrays(numbers: list[int], size: int, chunks: list[dict[int, str]]) -> None:
    made = list(arrays(SWEEP, points(*numbers), 4, size, 1700.5))
    assert [dict(each.jobs) for each in made] == chunks
    assert [each.name for each in made] == [f"qjob-{SWEEP}.{part}" for part in range(4, 4 + len(chunks))]
    assert all((each.at, each.slurm_id) == (1700, None) for each in made)


@given(numbers=st.sets(st.integers(0, 50)), size=st.integers(1, 12))
def test_every_point_is_in_one_array_within_slurms_limit(numbers: set[int], size: int) -> None:
    made = list(arrays(SWEEP, points(*numbers), 0, size, 0))
    jobs = [job for each in made for job in each.jobs.values()]
    assert sorted(jobs) == sorted(points(*numbers).values())
    assert all(0 <= index < size for each in made for index in each.jobs)
    refs = [ref for each in made for ref in each.refs().values()]
    assert len(set(refs)) == len(numbers)
