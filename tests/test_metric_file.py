"""What is kept of a log's metrics is what the log says, whatever happened to either in the meantime."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.atomic import write_whole
from qjob.folder import JobFolder
from qjob.metric_file import MetricFeed
from qjob.model.config import MetricType
from qjob.model.metric_line import metric_line
from qjob.model.metrics import MetricsParser
from test_metrics import LOG, START, parsed

Table = dict[str, list[Any]]


class Log:
    """A log, its index with an entry for every byte, and what is kept of its metrics."""

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder
        self.path = folder.log(0)
        self.kept = self.path.with_suffix(".metrics")
        folder.logs.mkdir()
        self.path.touch()

    def write(self, data: bytes) -> None:
        start = self.path.stat().st_size
        with self.path.open("ab") as log, self.folder.log_index(0).open("ab") as index:
            log.write(data)
            index.write(b"".join(b"%015d %016d\n" % (at, (START + at) * 1e6) for at in range(start, start + len(data))))

    def feed(self) -> MetricFeed:
        return MetricFeed(self.folder, 0, least_bytes=1)

    def table(
        self, feed: MetricFeed | None = None, *, final: bool = True, by: MetricType = MetricType.TIMESTAMP
    ) -> Table:
        parser = MetricsParser(by)
        for lines in (feed or self.feed()).read(final=final):
            parser.add(lines)
        return parser.columns()

    def truth(self, by: MetricType = MetricType.TIMESTAMP) -> Table:
        return parsed(self.path.read_bytes(), metric_type=by)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(JobFolder(tmp_path))


@contextlib.contextmanager
def new_log() -> Iterator[Log]:
    with tempfile.TemporaryDirectory() as directory:
        yield Log(JobFolder(Path(directory)))


def some_lines(count: int, name: str = "loss") -> bytes:
    dice = random.Random(name)
    lines = (metric_line(name, dice.random(), timestamp=1e9 + each, iteration_number=each) for each in range(count))
    return "".join(line + "\n" for line in lines).encode()


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(LOG, min_size=1, max_size=4), by=st.sampled_from(MetricType), reader=st.sampled_from("onm"))
def test_any_log_is_told_as_it_is_by_whoever_reads_it(parts: Sequence[bytes], by: MetricType, reader: str) -> None:
    """One reader that goes on, a new one each time, or a mixture of both."""
    with new_log() as log:
        one, parser = log.feed(), MetricsParser(by)
        for part in parts:
            log.write(part)
            if reader in "nm":
                log.table(final=False)
            if reader in "om":
                for lines in one.read(final=False):
                    parser.add(lines)
        for lines in one.read(final=True):
            parser.add(lines)
        assert repr(parser.columns()) == repr(log.truth(by))
        assert repr(log.table(by=by)) == repr(log.truth(by))
        assert repr(log.table(by=by)) == repr(log.truth(by))


@settings(max_examples=150, deadline=None)
@given(
    at=st.floats(0, 1, exclude_max=True),
    byte=st.integers(0, 255),
    how=st.sampled_from(["change", "cut", "zero", "more"]),
)
def test_a_damaged_file_costs_time_and_nothing_else(at: float, byte: int, how: str) -> None:
    with new_log() as log:
        for part in (some_lines(30), b"[a]Metrics - x=1;\n", some_lines(3, "b/c d")):
            log.write(part)
            log.table(final=False)
        data = bytearray(log.kept.read_bytes())
        place = int(at * len(data))
        changes: dict[str, Callable[[], bytes]] = {
            "change": lambda: bytes([*data[:place], byte, *data[place + 1 :]]),
            "cut": lambda: bytes(data[:place]),
            "zero": lambda: bytes([*data[:place], *bytes(len(data) - place)]),
            "more": lambda: bytes(data + data[place:]),
        }
        log.kept.write_bytes(changes[how]())
        assert log.table() == log.truth()
        log.write(some_lines(2, "later"))
        assert log.table() == log.truth()  # what was kept behind the damage is good again
        assert log.table() == log.truth()


@pytest.mark.parametrize("final", [True, False])
def test_nothing_is_parsed_twice(log: Log, final: bool) -> None:
    log.write(b"Metrics - x=1;\n" + some_lines(50))
    expected = log.truth()
    assert log.table(final=final) == expected
    inode, size = log.path.stat().st_ino, log.path.stat().st_size
    with log.path.open("r+b") as file:  # a change that no sample shows: who does not parse does not see it
        file.seek(size // 2)
        file.write(b"x" * 300)
    assert log.path.stat().st_ino == inode
    assert log.table(final=final) == expected


CHANGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, 40),
    "emptied": lambda path: os.truncate(path, 0),
    "begun anew": lambda path: path.write_bytes(some_lines(300, "other")),
    "replaced": lambda path: write_whole(path, some_lines(99) + some_lines(1, "LOSS")),
    "its last line changed": lambda path: path.write_bytes(path.read_bytes()[:-3] + b"7;\n"),
    "removed": lambda path: path.unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_kept_of_another_log_does_not_count(log: Log, change: str) -> None:
    log.write(some_lines(100))
    feed = log.feed()
    log.table(feed)
    assert feed.goes_on()
    CHANGES[change](log.path)
    assert not feed.goes_on()
    truth = log.truth() if log.path.exists() else {}
    assert [log.table(), log.table()] == [truth, truth]
    log.write(some_lines(5, "more")) if log.path.exists() else None
    assert log.table() == (log.truth() if log.path.exists() else {})


def test_a_feed_goes_on_as_long_as_the_log_only_grows(log: Log) -> None:
    feed = log.feed()
    assert feed.goes_on()
    log.write(some_lines(10))
    log.table(feed, final=False)
    log.write(some_lines(1, "b"))
    assert feed.goes_on()
    log.table(feed, final=True)
    log.write(b"x")
    assert feed.goes_on()
    log.table(feed, final=True)
    assert feed.goes_on()
    log.write(b"y")
    assert not feed.goes_on()  # the last words were taken for a line


def test_several_readers_do_not_disturb_each_other(log: Log) -> None:
    feeds, parsers = [log.feed() for _ in range(3)], [MetricsParser() for _ in range(3)]
    for step in range(6):
        log.write(some_lines(20, f"m{step}"))
        for number, (feed, parser) in enumerate(zip(feeds, parsers, strict=True)):
            if step % (number + 1) == 0:
                for lines in feed.read(final=False):
                    parser.add(lines)
    for feed, parser in zip(feeds, parsers, strict=True):
        for lines in feed.read(final=True):
            parser.add(lines)
        assert parser.columns() == log.truth()
    assert log.table() == log.truth()


def test_while_somebody_writes_nobody_else_does(log: Log) -> None:
    log.write(some_lines(20))
    log.kept.touch()
    with log.kept.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert log.table() == log.truth()
        assert log.kept.read_bytes() == b""
    assert log.table() == log.truth()
    assert log.kept.stat().st_size > 0


def test_a_file_that_cannot_be_written_is_no_error(log: Log) -> None:
    log.write(some_lines(20))
    log.kept.mkdir()
    assert [log.table(), log.table()] == [log.truth()] * 2


def test_little_is_not_worth_a_file(log: Log) -> None:
    log.write(some_lines(20))
    assert log.table(MetricFeed(log.folder, 0)) == log.truth()
    assert not log.kept.exists()


def test_a_time_that_is_not_yet_known_is_not_kept(log: Log) -> None:
    log.write(some_lines(20))
    with log.path.open("ab") as file:
        file.write(b"Metrics - x=1;\n")  # the runner has not noted yet when that came
    feed = log.feed()
    assert log.table(feed, final=False)["timestamp"][-1] == log.path.stat().st_size - 16 + START
    assert not feed.certain
    assert not log.kept.exists()
    with log.folder.log_index(0).open("ab") as index:
        index.write(b"%015d %016d\n" % (log.path.stat().st_size - 15, 5e6))
    assert log.table()["timestamp"][-1] == 5.0
    assert log.kept.exists()
