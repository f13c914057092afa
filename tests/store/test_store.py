"""The index: what it keeps and finds, from several threads and processes, and what it says when it cannot."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, given, settings

from living import Interrupted, interrupted_while_another_writes, wait_until
from qjob.errors import InvalidInput, StoreCorrupt, StoreError, StoreMissing, StoreTooNew
from qjob.model.naming import job_id
from qjob.model.record import JobRecord
from qjob.model.spec import SweepPoint
from qjob.model.status import JobStatus
from qjob.model.sweep import SweepRecord
from qjob.store.store import SCHEMA_VERSION, Query, Store
from qjob.testing import make_spec
from strategies import records

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
QPU = "arn:aws:braket:us-east-1::device/qpu/acme/one"


def record_of(number: int, status: JobStatus = JobStatus.QUEUED, **fields: Any) -> JobRecord:
    """Return the record of a job; a higher number is a newer job."""
    created_at = START + timedelta(seconds=number)
    spec = make_spec(**{"name": f"job-{number}", **fields})
    return JobRecord(id=id_of(number), spec=spec, created_at=created_at, status=status)


def id_of(number: int) -> str:
    return job_id(int(START.timestamp() * 1e6) + number * 1_000_000, 0)


def moved(record: JobRecord, status: JobStatus) -> JobRecord:
    return replace(record, status=status, version=record.version + 1)


def keep(record: JobRecord) -> None:
    """Write nothing into the folder: there is none here."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / 'a\'; echo "foo" ü'
    (path / "jobs").mkdir(parents=True)
    return path


@pytest.fixture
def make_store(directory: Path) -> Iterator[Callable[[], Store]]:
    """Open stores over one index, each as another process would."""
    opened: list[Store] = []

    def make() -> Store:
        opened.append(Store(directory / "index.db", directory / "jobs"))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(make_store: Callable[[], Store]) -> Store:
    return make_store()


@pytest.fixture
def index(directory: Path) -> Path:
    """A healthy index of three jobs, closed, with their folders."""
    store = Store(directory / "index.db", directory / "jobs")
    for number in range(3):
        store.insert(record_of(number))
        (directory / "jobs" / id_of(number)).mkdir()
    store.close()
    return directory / "index.db"


# One row


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=records)
def test_what_is_put_in_comes_out(store: Store, record: JobRecord) -> None:
    store.delete(record.id)
    assert store.insert(record)
    assert store.get([record.id]) == {record.id: record}


def test_an_id_is_taken_once(store: Store) -> None:
    assert store.insert(record_of(1))
    assert not store.insert(record_of(1, name="other"))
    assert store.get([id_of(1)]) == {id_of(1): record_of(1)}


def test_a_change_is_made_by_whoever_knows_the_version(make_store: Callable[[], Store]) -> None:
    one, other = make_store(), make_store()
    first = record_of(1)
    one.insert(first)
    running = moved(first, JobStatus.RUNNING)
    assert one.change(running, first.version, keep)
    assert not other.change(moved(first, JobStatus.CANCELLED), first.version, keep)
    assert other.get([first.id])[first.id] == running
    assert other.change(moved(running, JobStatus.CANCELLED), running.version, keep)


def test_a_job_that_is_not_there_is_not_changed(store: Store) -> None:
    written: list[JobRecord] = []
    assert not store.change(moved(record_of(1), JobStatus.RUNNING), 1, written.append)
    assert written == []
    assert store.get([id_of(1)]) == {}


def test_the_folder_is_written_before_the_row(make_store: Callable[[], Store]) -> None:
    store, reader = make_store(), make_store()
    store.insert(record_of(1))
    running = moved(record_of(1), JobStatus.RUNNING)
    seen: list[tuple[JobRecord, JobStatus]] = []

    def write(record: JobRecord) -> None:
        seen.append((record, reader.get([id_of(1)])[id_of(1)].status))

    assert store.change(running, 1, write)
    assert seen == [(running, JobStatus.QUEUED)]


def test_a_row_is_not_changed_when_the_folder_cannot_be_written(store: Store) -> None:
    store.insert(record_of(1))

    def refuse(record: JobRecord) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        store.change(moved(record_of(1), JobStatus.RUNNING), 1, refuse)
    assert store.get([id_of(1)])[id_of(1)] == record_of(1)
    assert store.change(moved(record_of(1), JobStatus.RUNNING), 1, keep)


def test_deleting_is_harmless_to_repeat(store: Store) -> None:
    store.insert(record_of(1, tags={"sweep": "h2"}))
    store.delete(id_of(1))
    store.delete(id_of(1))
    assert store.get([id_of(1)]) == {}
    store.insert(record_of(1))
    assert store.find(Query(tags={"sweep": "h2"})) == []


def test_many_changes_are_made_at_once_each_by_its_version(store: Store) -> None:
    for number in range(3):
        store.insert(record_of(number))
    store.change(moved(record_of(1), JobStatus.RUNNING), 1, keep)
    written: list[JobRecord] = []
    changes = [(moved(record_of(number), JobStatus.CANCELLED), 1) for number in (0, 1, 2, 3)]
    assert store.change_many(changes, written.append) == {id_of(0), id_of(2)}
    assert [record.id for record in written] == [id_of(0), id_of(2)]
    statuses = [record.status for record in store.find(Query())]
    assert statuses == [JobStatus.CANCELLED, JobStatus.RUNNING, JobStatus.CANCELLED]


def test_of_many_changes_none_is_made_when_a_folder_cannot_be_written(store: Store) -> None:
    for number in range(2):
        store.insert(record_of(number))

    def refuse_the_second(record: JobRecord) -> None:
        if record.id == id_of(1):
            raise OSError(28, "No space left on device")

    changes = [(moved(record_of(number), JobStatus.RUNNING), 1) for number in range(2)]
    with pytest.raises(OSError, match="No space left"):
        store.change_many(changes, refuse_the_second)
    assert store.find(Query()) == [record_of(1), record_of(0)]


def test_deleting_a_damaged_row_takes_its_tags_too(index: Path, make_store: Callable[[], Store]) -> None:
    store = make_store()
    store.insert(record_of(7, tags={"sweep": "h2"}))
    _execute(index, f"UPDATE job SET record = '{{' WHERE id = '{id_of(7)}'")
    store.delete(id_of(7))
    assert store.insert(record_of(7))
    assert store.find(Query(tags={"sweep": "h2"})) == []


# Sweeps


def sweep_of(number: int, **fields: Any) -> SweepRecord:
    """Return a sweep; its id is one that no job of the tests has."""
    created_at = START + timedelta(seconds=number, milliseconds=500)
    sweep_id = job_id(int(created_at.timestamp() * 1e6), 0)
    return SweepRecord(**{"id": sweep_id, "name": "scan", "created_at": created_at, "points": 2, **fields})


def points_of(sweep: SweepRecord, numbers: Sequence[int], status: JobStatus = JobStatus.QUEUED) -> list[JobRecord]:
    return [
        record_of(number, status, sweep_point=SweepPoint(sweep=sweep.id, number=point))
        for point, number in enumerate(numbers)
    ]


def test_a_sweep_is_put_on_record_with_its_jobs(make_store: Callable[[], Store]) -> None:
    store, other = make_store(), make_store()
    sweep = sweep_of(0, varied=("theta",), concurrency=3, resumed_from="x")
    points = points_of(sweep, [1, 2])
    assert store.insert_many(points, sweep)
    assert other.sweep(sweep.id) == sweep
    assert other.sweep_jobs(sweep.id) == [id_of(1), id_of(2)]
    assert other.get([id_of(2)]) == {id_of(2): points[1]}
    assert other.find(Query(sweep=sweep.id)) == points[::-1]
    assert other.find(Query(alone=True)) == []
    assert (store.sweep("none"), store.sweep_jobs("none")) == (None, [])


@pytest.mark.parametrize("taken", ["job", "sweep", "the sweep's by a job", "a job's by a sweep"])
def test_a_sweep_with_an_id_that_is_taken_is_not_put_on_record(store: Store, taken: str) -> None:
    there = sweep_of(0)
    assert store.insert_many([], there)
    assert store.insert(record_of(5))
    sweep, numbers = sweep_of(1), [1, 2]
    if taken == "job":
        numbers = [1, 5]
    elif taken == "sweep":
        sweep = there
    elif taken == "the sweep's by a job":
        sweep = replace(sweep, id=id_of(5))
    points = points_of(sweep, numbers)
    if taken == "a job's by a sweep":
        points = [points[0], replace(points[1], id=there.id)]
    assert not store.insert_many(points, sweep)
    assert store.find(Query()) == [record_of(5)]
    assert store.find_sweeps(Query()) == [there]


def test_a_job_gets_no_id_of_a_sweep(store: Store) -> None:
    sweep = sweep_of(0)
    store.insert_many([], sweep)
    assert not store.insert(replace(record_of(1), id=sweep.id))


def test_sweeps_are_found_by_name_and_by_the_beginning_of_their_id(store: Store) -> None:
    sweeps = [sweep_of(number, name=name) for number, name in enumerate(("a", "b", "a", "b"))]
    for sweep in sweeps:
        store.insert_many([], sweep)
    assert store.newest_sweep_by_name("a") == sweeps[2].id
    assert store.newest_sweep_by_name("c") is None
    assert store.sweep_ids_by_prefix(sweeps[1].id, limit=2) == [sweeps[1].id]
    assert store.sweep_ids_by_prefix("", limit=3) == [sweep.id for sweep in sweeps[:3]]
    assert store.find_sweeps(Query(limit=2)) == [sweeps[3], sweeps[2]]


def test_the_jobs_of_sweeps_are_counted_by_their_state(store: Store) -> None:
    one, other, empty = (sweep_of(number) for number in range(3))
    store.insert_many(points_of(one, [10, 11], JobStatus.RUNNING), one)
    store.insert_many(points_of(other, [20, 21, 22]), other)
    store.change(moved(store.get([id_of(21)])[id_of(21)], JobStatus.FAILED), 1, keep)
    store.insert(record_of(30, JobStatus.RUNNING))
    assert store.sweep_counts([one.id, other.id, empty.id]) == {
        one.id: {JobStatus.RUNNING: 2},
        other.id: {JobStatus.QUEUED: 2, JobStatus.FAILED: 1},
        empty.id: {},
    }


def test_the_active_jobs_are_known_with_their_engines(store: Store) -> None:
    sweep = sweep_of(0)
    store.insert_many([replace(point, ref=f"host/{point.id}") for point in points_of(sweep, [1, 2])], sweep)
    store.insert(record_of(3))
    store.insert(replace(record_of(4, JobStatus.COMPLETED), ref="host/4"))
    store.change(replace(moved(record_of(3), JobStatus.RUNNING), ref="host/3"), 1, keep)
    active = store.active()
    assert [(job.id, job.ref, job.status) for job in active] == [
        (id_of(1), f"host/{id_of(1)}", JobStatus.QUEUED),
        (id_of(2), f"host/{id_of(2)}", JobStatus.QUEUED),
        (id_of(3), "host/3", JobStatus.RUNNING),
    ]
    assert {job.engine for job in active} == {record_of(3).spec.engine}
    assert store.active_ids() == [id_of(1), id_of(2), id_of(3)]
    assert store.active_ids(sweep.id) == [id_of(1), id_of(2)]


def test_a_sweep_is_deleted_with_its_jobs(store: Store) -> None:
    sweep, other = sweep_of(0), sweep_of(1)
    store.insert_many(
        [replace(point, spec=replace(point.spec, tags={"a": "b"})) for point in points_of(sweep, [1])], sweep
    )
    store.insert_many(points_of(other, [2]), other)
    for _ in range(2):
        store.delete_sweep(sweep.id)
        assert store.find_sweeps(Query()) == [other]
        assert numbers(store.find(Query())) == [2]
    store.insert(record_of(1))
    assert store.find(Query(tags={"a": "b"})) == []


# Finding


def numbers(records: list[JobRecord]) -> list[int]:
    """Return the numbers of jobs, in order."""
    return [int((record.created_at - START).total_seconds()) for record in records]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), [5, 4, 3, 2, 1]),
        (Query(limit=2), [5, 4]),
        (Query(limit=0), []),
        (Query(limit=99), [5, 4, 3, 2, 1]),
        (Query(statuses=frozenset({JobStatus.QUEUED})), [2, 1]),
        (Query(statuses=frozenset({JobStatus.RUNNING, JobStatus.FAILED})), [4, 3]),
        (Query(statuses=frozenset({JobStatus.CANCELLED})), []),
        (Query(name="vqe"), [5, 3, 1]),
        (Query(name="vq"), []),
        (Query(name="vqe%"), []),
        (Query(name=""), []),
        (Query(device=QPU), [3, 2]),
        (Query(tags={"sweep": "h2"}), [4, 1]),
        (Query(tags={"sweep": "h2", "seed": "1"}), [1]),
        (Query(tags={"sweep": "lih", "seed": "1"}), []),
        (Query(tags={"seed": "h2"}), []),
        (Query(tags={"ü'; --": '"'}), [5]),
        (Query(created_after=START + timedelta(seconds=3)), [5, 4, 3]),
        (Query(created_after=START + timedelta(seconds=3, microseconds=1)), [5, 4]),
        (Query(name="vqe", device=QPU), [3]),
        (Query(name="vqe", statuses=frozenset({JobStatus.QUEUED}), tags={"sweep": "h2"}), [1]),
        (Query(name="vqe", created_after=START + timedelta(seconds=2), limit=1), [5]),
        (
            Query(
                name="vqe",
                device="local:none/none",
                statuses=frozenset({JobStatus.QUEUED, JobStatus.COMPLETED}),
                tags={"seed": "1"},
                created_after=START,
                limit=5,
            ),
            [1],
        ),
    ],
)
def test_a_query_finds_what_matches_all_of_it_newest_first(store: Store, query: Query, found: list[int]) -> None:
    store.insert(record_of(4, JobStatus.FAILED, tags={"sweep": "h2", "seed": "2"}))
    store.insert(record_of(1, name="vqe", tags={"sweep": "h2", "seed": "1"}))
    store.insert(record_of(5, JobStatus.COMPLETED, name="vqe", tags={"ü'; --": '"'}))
    store.insert(record_of(2, device=QPU))
    store.insert(record_of(3, JobStatus.RUNNING, name="vqe", device=QPU))
    assert numbers(store.find(query)) == found


def test_a_change_is_found_and_keeps_its_tags(store: Store) -> None:
    store.insert(record_of(1, tags={"sweep": "h2"}))
    store.change(moved(record_of(1, tags={"sweep": "h2"}), JobStatus.RUNNING), 1, keep)
    query = Query(tags={"sweep": "h2"}, statuses=frozenset({JobStatus.RUNNING}))
    assert numbers(store.find(query)) == [1]


def test_ids_are_found_by_their_beginning(store: Store) -> None:
    for number in range(3):
        store.insert(record_of(number))
    ids = [id_of(number) for number in range(3)]
    assert store.ids_by_prefix(ids[0][:5], limit=9) == ids
    assert store.ids_by_prefix(ids[0][:5], limit=2) == ids[:2]
    assert store.ids_by_prefix(ids[1], limit=2) == [ids[1]]
    assert store.ids_by_prefix("", limit=9) == ids
    for stranger in ("zz", "%", "_", ids[0] + "0", ids[0].upper()[:5]):
        assert store.ids_by_prefix(stranger, limit=9) == []


def test_the_newest_of_a_name_is_found(store: Store) -> None:
    for number, name in enumerate(("vqe", "qaoa", "vqe", "qaoa")):
        store.insert(record_of(number, name=name))
    assert store.newest_by_name("vqe") == id_of(2)
    assert store.newest_by_name("vq") is None


def test_active_jobs_are_those_that_have_not_ended(store: Store) -> None:
    for number, status in enumerate(JobStatus):
        store.insert(record_of(number, status))
    active = [status for status in JobStatus if not status.ended]
    assert [store.get([each])[each].status for each in store.active_ids()] == active


def test_a_text_that_no_row_can_hold_is_refused(store: Store) -> None:
    not_utf_8 = b"\xff".decode(errors="surrogateescape")
    uses: list[Callable[[], object]] = [
        lambda: store.newest_by_name(not_utf_8),
        lambda: store.find(Query(tags={"sweep": not_utf_8})),
        lambda: store.insert(record_of(1, tags={not_utf_8: "x"})),
    ]
    for use in uses:
        with pytest.raises(InvalidInput, match=r"'\\udcff' holds bytes that are no character"):
            use()
    assert store.find(Query()) == []


@pytest.mark.parametrize("text", ["\0", "a\0b"])
def test_a_text_that_no_row_has_finds_nothing(store: Store, text: str) -> None:
    store.insert(record_of(1))
    assert store.newest_by_name(text) is None
    assert store.ids_by_prefix(text, limit=1) == []
    assert store.get([text]) == {}
    assert store.find(Query(name=text)) == store.find(Query(device=text)) == store.find(Query(tags={text: text})) == []


def test_ten_thousand_jobs_are_found_quickly(directory: Path, store: Store) -> None:
    many = [record_of(number, JobStatus.COMPLETED, tags={"n": str(number % 10)}) for number in range(10_000)]
    store.rebuild(lambda known: many)
    started = time.monotonic()
    assert len(store.find(Query(limit=100))) == 100
    assert len(store.find(Query(tags={"n": "3"}, limit=10))) == 10
    assert store.newest_by_name("job-77") == id_of(77)
    assert store.active_ids() == []
    assert len(store.get([record.id for record in many[:1200]])) == 1200
    assert time.monotonic() - started < 2.0


# Building it anew


def test_a_rebuilt_index_has_what_was_read_and_nothing_else(store: Store) -> None:
    store.insert(record_of(1, tags={"old": "1"}))
    store.insert(record_of(2, tags={"old": "1"}))
    asked: list[set[str]] = []

    def read(known: set[str]) -> list[JobRecord]:
        asked.append(known)
        return [record_of(2, name="new", tags={"new": "1"}), record_of(3)]

    assert store.rebuild(read) == 2
    assert asked == [{id_of(1), id_of(2)}]
    assert numbers(store.find(Query())) == [3, 2]
    assert numbers(store.find(Query(name="new", tags={"new": "1"}))) == [2]
    assert store.find(Query(tags={"old": "1"})) == []


def test_a_rebuilt_index_has_the_sweeps_that_were_read(store: Store) -> None:
    gone, sweep = sweep_of(0), sweep_of(1)
    store.insert_many(points_of(gone, [1]), gone)
    assert store.rebuild(lambda known: [*points_of(sweep, [5, 6]), sweep]) == 2
    assert store.find_sweeps(Query()) == [sweep]
    assert store.sweep_counts([sweep.id]) == {sweep.id: {JobStatus.QUEUED: 2}}


def test_a_rebuild_that_fails_changes_nothing(store: Store) -> None:
    store.insert(record_of(1))

    def fail(known: set[str]) -> Iterator[JobRecord]:
        yield record_of(2)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        store.rebuild(fail)
    assert numbers(store.find(Query())) == [1]


# Damage

DAMAGES: dict[str, Callable[[Path], object]] = {
    "no database": lambda index: index.write_bytes(b"not a database" * 100),
    "truncated": lambda index: os.truncate(index, 5000),
    "truncated within the header": lambda index: os.truncate(index, 50),
    "overwritten": lambda index: _overwrite(index.open("r+b")),
    "a row that is no JSON": lambda index: _execute(index, "UPDATE job SET record = '{'"),
    "a packed row that is cut": lambda index: _execute(index, "UPDATE job SET record = substr(record, 1, 40)"),
    "a row packed otherwise": lambda index: _execute(index, "UPDATE job SET record = x'ff00'"),
    "an empty row": lambda index: _execute(index, "UPDATE job SET record = x''"),
    "a row that is no record": lambda index: _execute(index, "UPDATE job SET record = '{}'"),
    "a row that is no object": lambda index: _execute(index, "UPDATE job SET record = '[]'"),
}


def _overwrite(index: IO[bytes]) -> None:
    with index:
        index.seek(100)
        index.write(os.urandom(os.fstat(index.fileno()).st_size - 100))


def _execute(index: Path, statement: str) -> None:
    db = sqlite3.connect(index)
    with db:
        db.execute(statement)
    db.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_says_so_and_is_built_anew(index: Path, make_store: Callable[[], Store], damage: str) -> None:
    DAMAGES[damage](index)
    damaged = index.read_bytes()
    store = make_store()
    with pytest.raises(StoreCorrupt, match="'qjob reindex'"):
        store.find(Query())
    assert store.rebuild(lambda known: [record_of(number) for number in range(3)]) == 3
    assert numbers(make_store().find(Query())) == [2, 1, 0]
    aside = index.with_name("index.db.set-aside-1")
    assert not aside.exists() or aside.read_bytes() == damaged


@pytest.mark.parametrize("damage", ["removed", "emptied"])
def test_an_index_that_is_gone_is_not_taken_for_an_empty_one(
    index: Path, make_store: Callable[[], Store], damage: str
) -> None:
    if damage == "removed":
        index.unlink()
    else:
        index.write_bytes(b"")
    for _ in range(2):
        store = make_store()
        with pytest.raises(StoreMissing, match="'qjob reindex'"):
            store.find(Query())
        with pytest.raises(StoreMissing):
            store.insert(record_of(7))
    assert make_store().rebuild(lambda known: [record_of(1)]) == 1
    assert numbers(make_store().find(Query())) == [1]


def test_without_jobs_a_new_index_is_made(directory: Path, store: Store) -> None:
    (directory / "jobs" / ".abc.staging").mkdir()
    assert store.find(Query()) == []
    assert (directory / "index.db").exists()


def test_without_the_directory_of_jobs_a_new_index_is_made(directory: Path, store: Store) -> None:
    (directory / "jobs").rmdir()
    store.check()


def test_an_index_that_is_removed_while_open_is_missed(index: Path, make_store: Callable[[], Store]) -> None:
    store = make_store()
    assert len(store.find(Query())) == 3
    for part in index.parent.glob("index.db*"):
        part.unlink()
    with pytest.raises(StoreMissing):
        store.find(Query())


def test_an_index_that_is_replaced_while_open_is_used(index: Path, make_store: Callable[[], Store]) -> None:
    store = make_store()
    assert len(store.find(Query())) == 3
    index.write_bytes(b"damaged")
    assert make_store().rebuild(lambda known: [record_of(1)]) == 1
    assert numbers(store.find(Query())) == [1]


def test_a_newer_index_is_left_alone(index: Path, make_store: Callable[[], Store]) -> None:
    _execute(index, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = index.read_bytes()
    store = make_store()
    for use in (store.check, lambda: store.find(Query()), lambda: store.insert(record_of(7))):
        with pytest.raises(StoreTooNew, match="update qjob"):
            use()
    assert index.read_bytes() == before
    assert store.rebuild(lambda known: [record_of(1)]) == 1
    assert index.with_name("index.db.set-aside-1").read_bytes() == before


def test_each_index_is_set_aside_under_a_name_of_its_own(index: Path, make_store: Callable[[], Store]) -> None:
    for content in (b"first", b"second"):
        index.write_bytes(content)
        store = make_store()
        store.rebuild(lambda known: [])
        store.close()
    aside = [index.with_name(f"index.db.set-aside-{number}") for number in (1, 2)]
    assert [path.read_bytes() for path in aside] == [b"first", b"second"]


def test_a_directory_in_place_of_the_index_is_an_error(directory: Path, store: Store) -> None:
    (directory / "index.db").mkdir()
    for use in (store.check, lambda: store.rebuild(lambda known: [])):
        with pytest.raises(StoreError, match="cannot be used: unable to open database file"):
            use()


def test_an_index_in_no_directory_is_an_error(directory: Path) -> None:
    with pytest.raises(StoreError, match="unable to open database file"):
        Store(directory / "missing" / "index.db", directory / "jobs").check()


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A directory of somebody's who is not root, with a healthy index; root is that somebody meanwhile."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else; and nothing is read-only to root")
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    path.chmod(0o755)
    (path / "jobs").mkdir()
    store = Store(path / "index.db", path / "jobs")
    store.insert(record_of(1))
    store.close()
    os.seteuid(65534)
    yield path
    os.seteuid(0)
    shutil.rmtree(path)


def test_a_read_only_index_is_an_error_and_not_damage(nobody: Path) -> None:
    store = Store(nobody / "index.db", nobody / "jobs")
    with pytest.raises(StoreError, match="cannot be used") as error:
        store.insert(record_of(2))
    assert not isinstance(error.value, StoreCorrupt | StoreMissing)
    store.close()


# Several at once


def test_threads_share_a_store(store: Store) -> None:
    store.insert(record_of(0))

    def work(number: int) -> None:
        for step in range(10):
            assert store.insert(record_of(1 + number * 10 + step))
            _count_up(store)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.find(Query())) == 41
    assert store.get([id_of(0)])[id_of(0)].version == 41


def _count_up(store: Store) -> None:
    while True:
        record = store.get([id_of(0)])[id_of(0)]
        if store.change(replace(record, version=record.version + 1), record.version, keep):
            return


COUNT_UP = """\
import sys
from dataclasses import replace
from pathlib import Path
from qjob.store.store import Store

directory, job, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = Store(directory / "index.db", directory / "jobs")
print("ready", flush=True)
sys.stdin.readline()
done = 0
while done < times:
    record = store.get([job])[job]
    done += store.change(replace(record, version=record.version + 1), record.version, lambda record: None)
"""


def test_processes_lose_no_change(directory: Path, store: Store) -> None:
    store.insert(record_of(0))
    command = [sys.executable, "-c", COUNT_UP, str(directory), id_of(0), "25"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    others = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
    for other in others:
        other.communicate("go\n", timeout=60)
    assert [other.returncode for other in others] == [0, 0]
    assert store.get([id_of(0)])[id_of(0)].version == 51


def test_many_make_the_index_at_once(make_store: Callable[[], Store]) -> None:
    stores = [make_store() for _ in range(8)]
    barrier = threading.Barrier(len(stores))
    results: list[bool] = []

    def work(number: int) -> None:
        barrier.wait()
        results.append(stores[number].insert(record_of(number)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * len(stores)
    assert len(stores[0].find(Query())) == len(stores)


def in_a_fork(work: Callable[[], bool]) -> bool:
    """Return what a forked child makes of it; False when it raised or took more than ten seconds."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status == 0
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


def test_a_forked_child_has_a_connection_of_its_own(store: Store) -> None:
    store.insert(record_of(0))
    for number in range(1, 4):
        assert in_a_fork(lambda number=number: store.insert(record_of(number)))  # type: ignore[misc]
        assert numbers(store.find(Query())) == list(range(number, -1, -1))


def test_a_fork_waits_for_another_threads_change_and_the_child_can_write(store: Store) -> None:
    """SQLite would have the child believe that it holds the lock of that thread, or that it waits for it."""
    store.insert(record_of(0))
    held, let_go = threading.Event(), threading.Event()

    def hold(record: JobRecord) -> None:
        held.set()
        assert let_go.wait(20)

    thread = threading.Thread(target=store.change, args=(moved(record_of(0), JobStatus.RUNNING), 1, hold))
    thread.start()
    assert held.wait(20)
    soon = threading.Timer(0.2, let_go.set)
    soon.start()
    assert in_a_fork(lambda: store.insert(record_of(1)) and len(store.find(Query())) == 2)
    assert let_go.is_set()
    thread.join()
    soon.join()
    assert store.get([id_of(0)])[id_of(0)].status is JobStatus.RUNNING


def test_a_grandchild_writes_whose_parent_never_used_the_store(store: Store) -> None:
    store.insert(record_of(0))
    assert in_a_fork(lambda: in_a_fork(lambda: store.insert(record_of(1))) and store.insert(record_of(2)))
    assert store.insert(record_of(3))
    assert numbers(store.find(Query())) == [3, 2, 1, 0]


DAEMON = """
import os, sys, time
from pathlib import Path
sys.path[:0] = [sys.argv[1], os.path.dirname(sys.argv[1])]
from test_store import record_of
from qjob.store.store import Query, Store

path = Path(sys.argv[2])
store = Store(path, path.parent / "jobs")
store.insert(record_of(0))
ready, go = os.pipe()
if os.fork():
    store.find(Query())
    sys.exit()
os.close(go)
while os.read(ready, 1):  # until the parent is gone, as that of a daemon
    pass
for number in range(1, 30):
    assert store.insert(record_of(number))
os.rename(path.parent / "open", path.parent / "done")
"""


def test_a_child_whose_parent_is_gone_writes_beside_other_processes(tmp_path: Path) -> None:
    """A connection that a child inherits, and only leaves alone, has SQLite write without a lock: the file is lost."""
    path = tmp_path / "index.db"
    (tmp_path / "open").touch()
    subprocess.run([sys.executable, "-c", DAEMON, str(Path(__file__).parent), str(path)], check=True, timeout=60)
    others = Store(path, tmp_path / "jobs")
    for number in range(100, 130):
        assert others.insert(record_of(number))
    wait_until((tmp_path / "done").exists)
    assert len(others.find(Query(limit=100))) == 60
    others.check()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_ctrl_c_in_a_wait_leaves_no_transaction_open(store: Store, tmp_path: Path) -> None:
    store.insert(record_of(0))
    with pytest.raises(Interrupted), interrupted_while_another_writes(store._path):
        store.insert(record_of(1))
    other = Store(store._path, store._jobs)
    assert other.insert(record_of(2))
    assert store.insert(record_of(3))
    assert numbers(store.find(Query())) == [3, 2, 0]


def test_what_a_signal_handler_does_in_the_middle_of_a_change_is_a_part_of_it(store: Store) -> None:
    def handle(record: JobRecord) -> None:
        assert store.insert(record_of(1))
        assert len(store.find(Query())) == 2

    store.insert(record_of(0))
    assert store.change(moved(record_of(0), JobStatus.RUNNING), 1, handle)
    other = Store(store._path, store._jobs)
    assert numbers(other.find(Query())) == [1, 0]
    assert other.get([id_of(0)])[id_of(0)].status is JobStatus.RUNNING
