"""One question for all: how often it is asked, and by whom."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qjob.errors import EngineUnavailable
from qjob.shared_answer import Answer, SharedAnswer

INTERVAL_S = 30.0


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


class Scheduler:
    """Who is asked.

    Attributes:
        asked: how often it was.
        away: whether it cannot be reached.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.away = False

    def __call__(self) -> str:
        self.asked += 1
        if self.away:
            raise EngineUnavailable("The controller is away.")
        return f"answer {self.asked}\nof two lines ü\n"


@pytest.fixture
def clock() -> Clock:
    """The clock of the test."""
    return Clock()


@pytest.fixture
def scheduler() -> Scheduler:
    """The one that is asked."""
    return Scheduler()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the answers lie; not there yet."""
    return tmp_path / 'a\'; echo "foo" ü' / "queue"


@pytest.fixture
def shared(directory: Path, scheduler: Scheduler, clock: Clock) -> SharedAnswer:
    """One process's view of the answers."""
    return SharedAnswer(directory, scheduler, INTERVAL_S, clock)


@pytest.fixture
def other(directory: Path, scheduler: Scheduler, clock: Clock) -> SharedAnswer:
    """Another process's."""
    return SharedAnswer(directory, scheduler, INTERVAL_S, clock)


def test_nothing_is_there_before_the_first_question(shared: SharedAnswer, directory: Path) -> None:
    assert shared.last() is None
    assert shared.before_last() is None
    assert not directory.exists()


def test_an_answer_serves_all_for_an_interval(
    shared: SharedAnswer, other: SharedAnswer, scheduler: Scheduler, clock: Clock
) -> None:
    first = shared.read()
    assert first == Answer("answer 1\nof two lines ü\n", clock.now)
    clock.pass_(INTERVAL_S - 0.1)
    assert other.read() == shared.read() == first
    assert scheduler.asked == 1
    clock.pass_(0.1)
    assert other.read() == shared.read() == Answer("answer 2\nof two lines ü\n", clock.now)
    assert other.before_last() == first
    assert scheduler.asked == 2


def test_who_asks_now_gets_an_answer_of_now(shared: SharedAnswer, other: SharedAnswer, clock: Clock) -> None:
    shared.read()
    clock.pass_(0.001)
    assert other.ask().asked_at == clock.now
    assert shared.read().text.startswith("answer 2")


def asked_at(shared: SharedAnswer, scheduler: Scheduler, clock: Clock, seconds: float) -> list[float]:
    """Read every tenth of a second for some time; return after how many seconds it was asked."""
    start, moments = clock.now, []
    while clock.now - start < seconds:
        before = scheduler.asked
        shared.read()
        if scheduler.asked > before:
            moments.append(round(clock.now - start, 1))
        clock.pass_(0.1)
    return moments


def test_after_an_act_the_questions_come_soon_and_then_more_seldom(
    shared: SharedAnswer, other: SharedAnswer, scheduler: Scheduler, clock: Clock
) -> None:
    shared.read()
    clock.pass_(10.0)
    other.note_act()
    moments = asked_at(shared, scheduler, clock, 150)
    assert moments[0] == 0.0, "the last answer is from before the act"
    gaps = [round(later - earlier, 1) for earlier, later in pairwise(moments)]
    assert gaps[0] == 1.0
    assert gaps == sorted(gaps)
    assert gaps[-1] == INTERVAL_S
    assert len(moments) <= 9


def test_many_acts_are_no_reason_to_ask_more_than_once_a_second(
    shared: SharedAnswer, scheduler: Scheduler, clock: Clock
) -> None:
    for _ in range(100):
        shared.note_act()
        shared.read()
        clock.pass_(0.1)
    assert 10 <= scheduler.asked <= 11


def test_a_clock_that_was_put_back_is_no_reason_to_wait(
    shared: SharedAnswer, scheduler: Scheduler, clock: Clock
) -> None:
    shared.read()
    clock.pass_(-3600.0)
    shared.read()
    assert scheduler.asked == 2


def test_who_is_away_is_left_alone_for_longer_each_time(
    shared: SharedAnswer, other: SharedAnswer, scheduler: Scheduler, clock: Clock
) -> None:
    scheduler.away = True
    with pytest.raises(EngineUnavailable, match=r"^The controller is away\.$"):
        shared.read()
    for look in (other.read, other.ask):
        with pytest.raises(EngineUnavailable, match=r"^The controller is away\. It is asked again in 2 s\.$"):
            look()
    assert scheduler.asked == 1
    moments = _tries(shared, scheduler, clock, 400)
    gaps = [round(later - earlier) for earlier, later in pairwise(moments)]
    assert gaps[:5] == [4, 8, 16, 32, 60]
    assert set(gaps[4:]) == {60}


def test_who_comes_back_is_asked_as_before(shared: SharedAnswer, scheduler: Scheduler, clock: Clock) -> None:
    scheduler.away = True
    _tries(shared, scheduler, clock, 30)
    scheduler.away = False
    clock.pass_(60.0)
    assert shared.read().asked_at == clock.now
    scheduler.away = True
    clock.pass_(INTERVAL_S)
    with pytest.raises(EngineUnavailable):
        shared.read()
    with pytest.raises(EngineUnavailable, match="asked again in 2 s"):
        shared.read()


@pytest.mark.parametrize("times", [7, 1023, 1024, 10**9])
def test_however_long_it_is_away(shared: SharedAnswer, directory: Path, clock: Clock, times: int) -> None:
    """After seventeen hours, a minute each, 2.0**times would be too large for a float."""
    directory.mkdir(parents=True)
    (directory / "trouble").write_text(json.dumps([clock.now, times, "Away."]))
    with pytest.raises(EngineUnavailable, match="asked again in 60 s"):
        shared.read()


def test_the_last_answer_stays_while_it_is_away(shared: SharedAnswer, scheduler: Scheduler, clock: Clock) -> None:
    first = shared.read()
    scheduler.away = True
    clock.pass_(INTERVAL_S)
    with pytest.raises(EngineUnavailable):
        shared.read()
    assert shared.last() == first


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Have another process hold the right to ask."""
    directory.mkdir(parents=True, exist_ok=True)
    code = (
        "import fcntl, os, sys\n"
        "fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)\n"
        "fcntl.flock(fd, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-S", "-c", code, str(directory / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        assert process.stdin is not None
        process.stdin.close()


def test_who_comes_while_another_asks_makes_do_with_the_old_answer(
    shared: SharedAnswer, scheduler: Scheduler, clock: Clock, directory: Path
) -> None:
    first = shared.read()
    clock.pass_(INTERVAL_S)
    with held(directory):
        assert shared.read() == first
        assert scheduler.asked == 1
    assert shared.read() != first


def test_who_has_no_answer_waits_for_the_other_ones(
    shared: SharedAnswer, scheduler: Scheduler, directory: Path, clock: Clock
) -> None:
    got: list[Answer] = []
    reader = threading.Thread(target=lambda: got.append(shared.read()))
    directory.mkdir(parents=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reader.start()
        reader.join(0.1)
        assert reader.is_alive()
        (directory / "answer").write_text(f"{clock.now!r}\nthe other one's")
    reader.join(30)
    assert got == [Answer("the other one's", clock.now)]
    assert scheduler.asked == 0


def test_threads_that_come_at_once_ask_once(directory: Path, scheduler: Scheduler, clock: Clock) -> None:
    start = threading.Barrier(8)
    got: list[Answer] = []

    def look() -> None:
        start.wait()
        got.append(SharedAnswer(directory, scheduler, INTERVAL_S, clock).read())

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scheduler.asked == 1
    assert len(set(got)) == 1


@pytest.mark.parametrize("damage", [b"", b"\n", b"not a number\ntext", b"\xff\xfe\0", b"1.0.0\n"])
@pytest.mark.parametrize("name", ["answer", "answer.before"])
def test_a_damaged_answer_is_asked_for_again(
    shared: SharedAnswer, scheduler: Scheduler, directory: Path, clock: Clock, name: str, damage: bytes
) -> None:
    shared.read()
    clock.pass_(INTERVAL_S)
    shared.read()
    (directory / name).write_bytes(damage)
    assert shared.read().asked_at == clock.now
    assert scheduler.asked == (3 if name == "answer" else 2)
    assert (shared.before_last() is None) == (name == "answer.before")


def test_questions_in_a_row_do_not_push_out_what_was_before_them(shared: SharedAnswer, clock: Clock) -> None:
    first = shared.ask()
    clock.pass_(INTERVAL_S)
    for _ in range(3):
        shared.ask()
        clock.pass_(1.0)
    assert shared.before_last() == first


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"{}", b"[]", b"[1]", b'["a", "b", "c"]', b"[null, null, null]", b"\xff"]
)
def test_a_damaged_note_of_trouble_counts_for_nothing(shared: SharedAnswer, directory: Path, damage: bytes) -> None:
    directory.mkdir(parents=True)
    (directory / "trouble").write_bytes(damage)
    assert shared.read().text.startswith("answer 1")
    assert not (directory / "trouble").exists()


@given(text=st.text(st.characters(blacklist_categories=["Cs"])))
def test_an_answer_is_kept_as_it_is(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.getbasetemp() / "kept"
    shared = SharedAnswer(directory, lambda: text, INTERVAL_S)
    assert shared.ask().text == text
    last = shared.last()
    assert last is not None
    assert last.text == text


def test_the_answers_are_its_owners_alone(shared: SharedAnswer, directory: Path) -> None:
    shared.read()
    assert os.stat(directory).st_mode & 0o777 == 0o700


def _tries(shared: SharedAnswer, scheduler: Scheduler, clock: Clock, seconds: int) -> list[float]:
    """Try once a second; return when the scheduler was asked."""
    moments = []
    for second in range(seconds):
        before = scheduler.asked
        with pytest.raises(EngineUnavailable):
            shared.read()
        if scheduler.asked > before:
            moments.append(float(second))
        clock.pass_(1.0)
    return moments


def test_a_child_that_was_forked_while_it_was_asked_holds_nobody_up(tmp_path: Path) -> None:
    children: list[int] = []

    def ask() -> str:
        if not children:
            children.append(os.fork())
        if children == [0]:
            signal.pause()
        return "text"

    answers = SharedAnswer(tmp_path, ask, 30.0)
    try:
        assert answers.ask().text == "text"
        with (tmp_path / "lock").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(children[0], signal.SIGKILL)
        os.waitpid(children[0], 0)
