"""How many jobs of a sweep the local engine starts, and what it costs that thousands of them wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qjob.engines.local.queue import Queue, QueuedJob
from qjob.engines.local.schedule import may_start

LIMITS: dict[str | None, int | None] = {None: None, "free": None, "one": 1, "two": 2}
WAITING = st.lists(st.tuples(st.sampled_from(list(LIMITS)), st.integers(-1, 1)), max_size=20)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    opened = Queue(tmp_path / "queue.db", durable=False)
    yield opened
    opened.close()


def point(name: str, sweep: str | None, concurrency: int | None, priority: int = 0) -> QueuedJob:
    return QueuedJob(id=name, folder=f"/jobs/{name}", priority=priority, slots=1, sweep=sweep, concurrency=concurrency)


# Hypothesis keeps the fixture for all examples, which is as good: each empties the queue.
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WAITING, WAITING, st.integers(1, 6))
def test_the_queue_offers_all_that_may_start_in_order(
    queue: Queue, waiting: list[tuple[str | None, int]], running: list[tuple[str | None, int]], slots: int
) -> None:
    jobs = [point(f"w{n:02}", sweep, LIMITS[sweep], priority) for n, (sweep, priority) in enumerate(waiting)]
    busy = [point(f"r{n:02}", sweep, LIMITS[sweep], priority) for n, (sweep, priority) in enumerate(running)]
    queue.add([*jobs, *busy], slots)
    for each in busy:
        queue.claim(each.id)
    at_work = list(queue.in_state("running"))
    room = slots + len(at_work)
    offered = list(may_start(queue.startable(), at_work, room))
    assert offered == list(may_start(queue.in_state("waiting"), at_work, room))
    together = Counter(job.sweep for job in [*offered, *at_work])
    begun = Counter(job.sweep for job in at_work)
    for sweep, limit in LIMITS.items():
        assert limit is None or together[sweep] <= max(limit, begun[sweep])
    for each in [*jobs, *busy]:
        queue.remove(each.id)


def test_the_points_behind_those_that_may_start_are_not_even_read(queue: Queue) -> None:
    queue.add([point(f"a{n:03}", "a", 2) for n in range(300)], 8)
    queue.add([point("high", "a", 2, priority=1), point("x", None, None)], 8)
    queue.add([point(f"b{n:03}", "b", 1) for n in range(300)], 8)
    queue.add([point("y", None, None)], 8)
    assert [job.id for job in queue.startable()] == ["high", "a000", "x", "b000", "y"]
    queue.claim("high")
    assert [job.id for job in queue.startable()] == ["a000", "a001", "x", "b000", "y"]
    queue.claim("a000")
    assert [job.id for job in queue.startable()] == ["x", "b000", "y"]


def test_hundreds_of_sweeps_have_their_turns(queue: Queue) -> None:
    queue.add([point(f"s{s:03}-{n}", f"s{s}", 1) for s in range(600) for n in range(2)], 1000)
    offered = list(may_start(queue.startable(), [], 1000))
    assert [job.id for job in offered] == [f"s{s:03}-0" for s in range(600)]
