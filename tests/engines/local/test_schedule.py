"""Which jobs start: first in, first out within a priority, and never more than there is room for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qjob.engines.local.queue import QueuedJob
from qjob.engines.local.schedule import guests, may_start, waits_for

QPU = "arn:aws:braket:::device/qpu/acme/one"
OTHER = "arn:aws:braket:::device/qpu/acme/two"


def job(name: str, slots: int = 1, device: str | None = None, capacity: int = 1, priority: int = 0) -> QueuedJob:
    return QueuedJob(id=name, folder=f"/jobs/{name}", priority=priority, slots=slots, device=device, capacity=capacity)


def started(waiting: list[QueuedJob], running: list[QueuedJob], slots: int) -> str:
    return "".join(job.id for job in may_start(waiting, running, slots))


@pytest.mark.parametrize(
    ("waiting", "running", "slots", "names"),
    [
        ([], [], 2, ""),
        ([job("a"), job("b"), job("c")], [], 2, "ab"),
        ([job("a"), job("b")], [job("r")], 2, "a"),
        ([job("a")], [job("r", slots=2)], 2, ""),
        ([job("a", slots=2), job("b")], [job("r")], 2, ""),  # b must not pass, or a would wait for ever
        ([job("a"), job("b", slots=2), job("c")], [], 2, "a"),
        ([job("a", slots=9)], [], 2, "a"),  # wider than the machine: alone
        ([job("a", slots=9), job("b")], [], 2, "a"),
        ([job("a", slots=9)], [job("r")], 2, ""),
        ([job("b")], [job("r", slots=9)], 2, ""),
        ([job("a", device=QPU), job("b", device=QPU), job("c")], [], 4, "ac"),
        ([job("a", device=QPU), job("b", device=OTHER)], [], 4, "ab"),
        ([job("a", device=QPU)], [job("r", device=QPU)], 4, ""),
        ([job("a", device=QPU, capacity=2), job("b", device=QPU, capacity=2)], [job("r", device=QPU)], 4, "a"),
        ([job(n, device=QPU, capacity=3) for n in "abcd"], [], 8, "abc"),
        ([job("a", device=QPU), job("b", slots=2), job("c")], [job("r", device=QPU)], 2, ""),
        ([job("a", device=QPU), job("b"), job("c")], [job("r", device=QPU)], 2, "b"),
    ],
)
def test_what_may_start(waiting: list[QueuedJob], running: list[QueuedJob], slots: int, names: str) -> None:
    assert started(waiting, running, slots) == names


def child(name: str, parent: str, device: str | None = None) -> QueuedJob:
    return replace(job(name, device=device), parent=parent)


@pytest.mark.parametrize(
    ("children", "running", "names"),
    [
        ([child("a", "p"), child("b", "p")], [job("p")], "a"),
        ([child("a", "p"), child("b", "q")], [job("p"), job("q")], "ab"),
        ([child("b", "p")], [job("p"), child("a", "p")], ""),
        ([child("b", "a")], [job("p"), child("a", "p")], "b"),
        ([child("a", "p", device=QPU), child("b", "p")], [job("p", device=QPU)], "b"),
        ([], [job("p")], ""),
    ],
)
def test_one_child_of_each_running_job_is_its_guest(
    children: list[QueuedJob], running: list[QueuedJob], names: str
) -> None:
    assert "".join(job.id for job in guests(children, running)) == names


@pytest.mark.parametrize(
    ("waiting", "running", "slots", "said"),
    [
        (job("a"), [job("r"), job("s")], 2, "2 of this machine's 2 slots are in use, and the job takes 1"),
        (job("a", slots=9), [job("r")], 2, "1 of this machine's 2 slots are in use, and the job takes 2"),
        (job("a", device=QPU), [job("r", device=QPU)], 2, f"device {QPU} is held by job r"),
        (replace(job("a"), sweep="s", concurrency=1), [replace(job("r"), sweep="s")], 2, "its sweep runs at most 1"),
        (job("a"), [job("r")], 2, "jobs before it in the queue"),
        (job("a"), [], 2, "its turn comes next"),
    ],
)
def test_what_a_job_waits_for(waiting: QueuedJob, running: list[QueuedJob], slots: int, said: str) -> None:
    assert waits_for(waiting, running, slots).startswith(said)


def test_no_more_jobs_of_a_sweep_run_than_may_and_others_pass() -> None:
    points = [replace(job(name), sweep="s", concurrency=2) for name in "abcd"]
    assert [each.id for each in may_start([*points, job("x")], [], 8)] == ["a", "b", "x"]
    assert [each.id for each in may_start([*points[1:], job("x")], points[:1], 8)] == ["b", "x"]
    children = [replace(point, parent="p") for point in points]
    assert list(guests(children, [job("p"), *points[:2]])) == []


devices = st.sampled_from([None, None, QPU, OTHER])
jobs = st.builds(
    lambda slots, device, priority: job("", slots=slots, device=device, priority=priority),
    st.integers(1, 6),
    devices,
    st.integers(-1, 1),
)


def named(jobs: list[QueuedJob]) -> list[QueuedJob]:
    """Give each job a name, and the device's capacity, which is the same for all of its jobs."""
    capacity = {QPU: 1, OTHER: 2}
    return [
        replace(job, id=f"j{number:03}", capacity=capacity.get(job.device or "", 1)) for number, job in enumerate(jobs)
    ]


def in_order(jobs: list[QueuedJob]) -> list[QueuedJob]:
    return sorted(jobs, key=lambda job: (-job.priority, job.id))


@dataclass
class Machine:
    """A machine without clock: starts what may start, and ends what it is told to."""

    slots: int
    waiting: list[QueuedJob]
    running: list[QueuedJob] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)

    def start(self) -> list[QueuedJob]:
        chosen = list(may_start(in_order(self.waiting), list(self.running), self.slots))
        self.waiting = [job for job in self.waiting if job not in chosen]
        self.running += chosen
        return chosen

    def check(self) -> None:
        used = sum(job.slots for job in self.running)
        assert used <= self.slots or len(self.running) == 1
        for device, capacity in ((QPU, 1), (OTHER, 2)):
            assert sum(job.device == device for job in self.running) <= capacity


@given(st.lists(jobs, max_size=12), st.integers(1, 4), st.data())
def test_whatever_comes_there_is_room_for_what_runs_and_all_is_run(
    some: list[QueuedJob], slots: int, data: st.DataObject
) -> None:
    machine = Machine(slots, named(some))
    for _ in range(len(some) + 1):
        machine.start()
        machine.check()
        if not machine.running:
            break
        machine.running.remove(data.draw(st.sampled_from(machine.running)))
    assert machine.waiting == [] or machine.running != []
    while machine.running:
        machine.running.pop()
        machine.start()
        machine.check()
    assert machine.waiting == []


@given(st.lists(jobs, min_size=1, max_size=12), st.integers(1, 4))
def test_jobs_without_a_device_start_in_their_order(some: list[QueuedJob], slots: int) -> None:
    waiting = in_order([replace(job, device=None) for job in named(some)])
    chosen = list(may_start(waiting, [], slots))
    assert chosen == waiting[: len(chosen)]
    assert chosen


@given(st.lists(jobs, min_size=1, max_size=12), st.integers(1, 4))
def test_jobs_of_one_device_start_in_their_order(some: list[QueuedJob], slots: int) -> None:
    waiting = in_order(named(some))
    chosen = list(may_start(waiting, [], slots))
    for device in (QPU, OTHER):
        of_device = [job for job in waiting if job.device == device]
        chosen_of_device = [job for job in chosen if job.device == device]
        assert chosen_of_device == of_device[: len(chosen_of_device)]


@given(st.integers(2, 4), st.lists(st.integers(1, 6), max_size=20))
def test_a_wide_job_does_not_starve(slots: int, later: list[int]) -> None:
    """However many narrow jobs come after it, it starts when what ran before it has ended."""
    wide = job("w", slots=slots)
    machine = Machine(slots, [wide], [job("r")])
    for number, width in enumerate(later):
        machine.waiting.append(job(f"x{number}", slots=width))
        machine.start()
    assert machine.running == [job("r")]
    machine.running.clear()
    assert machine.start()[0] == wide


@given(st.lists(jobs, min_size=1, max_size=8), st.lists(jobs, max_size=4), st.integers(1, 4))
def test_what_does_not_start_is_told_why(some: list[QueuedJob], before: list[QueuedJob], slots: int) -> None:
    machine = Machine(slots, named([*before, *some]))
    machine.start()
    for waiting in machine.waiting:
        assert waits_for(waiting, machine.running, slots) != "its turn comes next"
