"""The queue: one truth for submitters and dispatchers, whoever comes at the same time."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from living import Interrupted, interrupted_while_another_writes, wait_until
from qjob.engines.local.queue import Queue, QueuedJob


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    opened = Queue(tmp_path / "queue.db", durable=True)
    yield opened
    opened.close()


def job(name: str, priority: int = 0) -> QueuedJob:
    return QueuedJob(id=name, folder=f"/jobs/{name}", priority=priority, slots=1)


def waiting(queue: Queue) -> list[str]:
    return [job.id for job in queue.in_state("waiting")]


def test_a_job_goes_its_way(queue: Queue) -> None:
    assert queue.is_empty()
    queue.add([job("a")], 4)
    assert (waiting(queue), queue.machine_slots(), queue.is_empty()) == (["a"], 4, False)
    assert queue.claim("a")
    assert not queue.claim("a")
    queue.set_process("a", 42, "then")
    [running] = queue.in_state("running")
    assert (running.pid, running.started) == (42, "then")
    queue.remove_waiting(["a"])
    assert list(queue.jobs(["a"])) == ["a"]
    queue.set_gone("a", "it vanished")
    assert queue.is_empty()
    assert queue.jobs(["a"])["a"].detail == "it vanished"
    queue.remove("a")
    queue.remove("a")
    assert queue.jobs(["a"]) == {}


def test_a_higher_priority_comes_first_and_equal_ones_in_order(queue: Queue) -> None:
    for name, priority in (("a", 0), ("b", 2), ("c", -1), ("d", 2), ("e", 0)):
        queue.add([job(name, priority)], 1)
    assert waiting(queue) == ["b", "d", "a", "e", "c"]


def test_what_is_put_back_waits_in_its_old_place(queue: Queue) -> None:
    for name in "abc":
        queue.add([job(name)], 1)
    queue.claim("a")
    queue.set_process("a", 42, "then")
    queue.put_back("a")
    assert waiting(queue) == ["a", "b", "c"]
    assert queue.claim("a")
    assert queue.jobs(["a"])["a"].pid is None, "the pid of the first attempt"


def test_adding_twice_changes_nothing_but_the_slots(queue: Queue) -> None:
    queue.add([job("a")], 1)
    queue.claim("a")
    queue.add([job("a", priority=5)], 3)
    assert [(j.id, j.priority) for j in queue.in_state("running")] == [("a", 0)]
    assert queue.machine_slots() == 3


def test_waiting_children_are_those_of_the_jobs_asked_for(queue: Queue) -> None:
    for name, parent in {"a": "p", "b": "p", "c": "q", "d": None, "e": "p"}.items():
        queue.add([replace(job(name), parent=parent, warm=name == "b")], 4)
    assert [(each.id, each.parent, each.warm) for each in queue.waiting_children(["p", "x"])] == [
        ("a", "p", False),
        ("b", "p", True),
        ("e", "p", False),
    ]
    queue.claim("a")
    assert list(queue.waiting_children(["p", "x"])) == [], "of p one runs"
    assert len(list(queue.waiting_children([str(number) for number in range(2000)] + ["q"]))) == 1


def test_jobs_without_room_on_their_device_or_in_their_sweep_are_passed_over(queue: Queue) -> None:
    queue.add([replace(job(name), device="qpu", capacity=2) for name in "abc"], 4)
    queue.add([replace(job(name), sweep="s", concurrency=1) for name in "de"], 4)
    queue.add([replace(job("f"), sweep="free"), job("g")], 4)
    assert [each.id for each in queue.startable()] == list("abcdfg")
    for name in "ad":
        queue.claim(name)
    assert [each.id for each in queue.startable()] == list("bcfg")
    queue.claim("b")
    assert [each.id for each in queue.startable()] == list("fg")
    queue.remove("d")
    assert [each.id for each in queue.startable()] == list("efg")
    assert queue.places() == {"c": 1, "e": 2, "f": 3, "g": 4}


def test_many_jobs_are_added_with_one_call_and_taken_out_with_one(queue: Queue) -> None:
    names = [f"j{number}" for number in range(1200)]
    queue.add([job("j7", priority=1)], 1)
    queue.add(map(job, names), 1)
    assert waiting(queue) == ["j7", *(name for name in names if name != "j7")]
    queue.claim("j7")
    queue.remove_waiting([*names, "stranger"])
    assert (waiting(queue), [each.id for each in queue.in_state("running")]) == ([], ["j7"])


def test_a_queue_of_an_earlier_version_gets_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(
            "CREATE TABLE job (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, folder TEXT NOT NULL, "
            "state TEXT NOT NULL DEFAULT 'waiting', priority INTEGER NOT NULL, slots INTEGER NOT NULL, device TEXT, "
            "capacity INTEGER NOT NULL, pid INTEGER, started TEXT, detail TEXT NOT NULL DEFAULT '');"
            "CREATE TABLE machine (id INTEGER PRIMARY KEY CHECK (id = 1), slots INTEGER NOT NULL);"
            "INSERT INTO job (id, folder, priority, slots, capacity) VALUES ('a', '/jobs/a', 0, 1, 1);"
        )
    for _ in range(2):
        queue = Queue(path, durable=True)
        queue.add([job("b")], 2)
        assert [(each.id, each.warm, each.parent) for each in queue.in_state("waiting")] == [
            ("a", True, None),
            ("b", True, None),
        ]
        queue.close()


def test_many_ids_are_asked_for_at_once(queue: Queue) -> None:
    names = [f"j{number}" for number in range(1200)]
    for name in names:
        queue.add([job(name)], 1)
    assert set(queue.jobs([*names, "stranger"])) == set(names)
    assert queue.jobs([]) == {}


def test_nothing_is_lost_when_it_is_opened_again(tmp_path: Path) -> None:
    first = Queue(tmp_path / "queue.db", durable=True)
    first.add([job("a' ; ü")], 2)
    first.close()
    second = Queue(tmp_path / "queue.db", durable=False)
    assert (waiting(second), second.machine_slots()) == (["a' ; ü"], 2)
    second.close()


@pytest.mark.parametrize(
    "damage", [b"no database at all, but long enough to be one" * 100, b"SQLite format 3\0" + b"\1" * 4000]
)
def test_a_damaged_file_is_an_error_and_not_touched(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "queue.db"
    path.write_bytes(damage)
    with pytest.raises(sqlite3.DatabaseError):
        Queue(path, durable=True)
    assert path.read_bytes() == damage


def _add_many(path: Path, barrier: Barrier, number: int) -> None:
    barrier.wait()
    queue = Queue(path, durable=False)
    for count in range(20):
        queue.add([job(f"{number}-{count}")], 1)
    queue.close()


def _claim_all(path: Path, barrier: Barrier, file: Path) -> None:
    barrier.wait()
    queue = Queue(path, durable=False)
    with file.open("w") as claimed:
        while names := waiting(queue):
            for name in names:
                if queue.claim(name):
                    claimed.write(name + "\n")
    queue.close()


def _all_at_once(target: object, arguments: list[tuple[object, ...]]) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(arguments))
    processes = [
        context.Process(target=target, args=(first, barrier, *rest))  # type: ignore[arg-type]
        for first, *rest in arguments
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


@pytest.mark.live
def test_processes_that_come_at_once_each_add_all_and_claim_each_once(tmp_path: Path) -> None:
    """The file is new: its first openers make the tables, together."""
    path = tmp_path / "queue.db"
    _all_at_once(_add_many, [(path, number) for number in range(12)])
    files = [tmp_path / f"claimed{number}" for number in range(4)]
    _all_at_once(_claim_all, [(path, file) for file in files])
    claimed = [name for file in files for name in file.read_text().split()]
    assert sorted(claimed) == sorted(f"{number}-{count}" for number in range(12) for count in range(20))


@pytest.mark.live
def test_a_new_file_is_opened_by_many_at_once_over_and_over(tmp_path: Path) -> None:
    for attempt in range(5):
        path = tmp_path / f"queue{attempt}.db"
        _all_at_once(_add_many, [(path, number) for number in range(8)])
        queue = Queue(path, durable=False)
        assert len(waiting(queue)) == 160
        queue.close()


def test_a_queue_is_current_for_its_process_and_as_long_as_its_file_is_there(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.db", durable=False)
    assert queue.is_current()
    child = os.fork()
    if child == 0:
        os._exit(7 if queue.is_current() else 0)
    assert os.waitpid(child, 0)[1] == 0
    (tmp_path / "queue.db").rename(tmp_path / "away")
    assert not queue.is_current()
    Queue(tmp_path / "queue.db", durable=False).close()
    assert not queue.is_current()
    queue.close()


def test_a_writer_ends_while_another_thread_reads_in_a_connection_that_waits_for_it(
    queue: Queue, tmp_path: Path
) -> None:
    """Two threads in one connection, one of which waits there for a third's write, stopped each other for 30 s."""
    second = Queue(tmp_path / "queue.db", durable=True)
    with ThreadPoolExecutor(2) as pool, closing(second):
        for number in range(20):
            with queue._transaction():
                adding = pool.submit(second.add, [job(f"j{number}")], 1)
                wait_until(lambda: not _is_free(second))
                reading = pool.submit(second.jobs, ["j0"])
                wait([reading], timeout=0.01)  # it may well be still at it: then it must not hinder the writer
            adding.result()
            assert set(reading.result()) <= {"j0"}
    assert len(waiting(queue)) == 20


def test_ctrl_c_in_a_wait_leaves_no_transaction_open(queue: Queue, tmp_path: Path) -> None:
    with pytest.raises(Interrupted), interrupted_while_another_writes(tmp_path / "queue.db"):
        queue.add([job("a")], 1)
    with closing(sqlite3.connect(tmp_path / "queue.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    queue.add([job("b")], 1)
    assert waiting(queue) == ["b"]


def test_what_a_signal_handler_does_in_the_middle_of_a_change_is_a_part_of_it(queue: Queue, tmp_path: Path) -> None:
    with queue._transaction():
        queue.add([job("a")], 1)
        assert waiting(queue) == ["a"]
        queue.add([job("b")], 1)
    with closing(Queue(tmp_path / "queue.db", durable=False)) as other:
        assert waiting(other) == ["a", "b"]


def test_a_fork_has_the_parent_open_it_anew(queue: Queue) -> None:
    queue.add([job("a")], 1)
    child = os.fork()
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert queue.is_current()
    queue.add([job("b")], 1)
    assert waiting(queue) == ["a", "b"]


def _is_free(queue: Queue) -> bool:
    """Return whether no other thread is in the connection."""
    if not queue._lock.acquire(blocking=False):
        return False
    queue._lock.release()
    return True


def test_threads_share_a_queue(queue: Queue) -> None:
    names = [f"j{number}" for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: queue.add([job(name)], 1), names))
        claimed = list(pool.map(queue.claim, names * 2))
    assert claimed.count(True) == 200
    assert waiting(queue) == []
