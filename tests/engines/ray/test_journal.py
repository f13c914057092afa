"""What a job has written on a node, told piece by piece and put together again."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fake_ray import FakeRay
from qjob.engines.ray.journal import ADDED, GONE, WHOLE, Entry, Journal, read_index
from qjob.engines.ray.receive import Receiver, Source
from qjob.errors import EngineUnavailable
from qjob.folder import CancelMark, JobFolder
from qjob.model.outcome import Outcome
from qjob.model.status import JobStatus

SOURCE = Source(node_id="n", directory="qjob/a")
QUIET = 100.0  # seconds after a file was written, by the journal's clock


class Pair:
    """A folder on a node with its journal, and the folder here that is to become like it."""

    def __init__(self, directory: Path) -> None:
        self.there = JobFolder(directory / "there")
        self.here = JobFolder(directory / "here")
        for path in (self.there.logs, self.there.results, self.there.checkpoints, self.here.path):
            path.mkdir(parents=True)
        self.journal_directory = directory / "logs" / SOURCE.directory
        self.later_s = QUIET
        self.cluster = FakeRay()
        self.cluster.node_logs["n"] = directory / "logs"
        self.state = directory / "state"
        self.journal = self.new_journal()
        self.receiver = Receiver(self.state, self.cluster, 0.0)

    def new_journal(self) -> Journal:
        return Journal(self.there, self.journal_directory, lambda: datetime.now().timestamp() + self.later_s)

    def tell(self) -> None:
        self.journal.tell()
        self.receive()

    def receive(self, *, at_once: bool = True) -> None:
        self.receiver.receive(SOURCE, self.here, at_once=at_once)

    def pieces(self) -> list[str]:
        return sorted(set(os.listdir(self.journal_directory)) - {"index"}, key=int)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def files(folder: JobFolder) -> dict[str, bytes]:
    found = (path for path in folder.path.rglob("*") if path.is_file())
    return {str(path.relative_to(folder.path)): path.read_bytes() for path in found}


def test_a_log_comes_byte_by_byte(pair: Pair) -> None:
    with pair.there.log(0).open("ab", buffering=0) as log:
        for part in (b"one\n", b"tw", b"o\n\x00\xff", b""):
            log.write(part)
            pair.tell()
            assert files(pair.here).get("logs/0.log") == pair.there.log(0).read_bytes()
    assert len(pair.pieces()) == 3


def test_all_that_a_job_leaves_comes(pair: Pair) -> None:
    pair.there.events.write_text("{}\n")
    pair.there.log_index(0).write_text("0 0\n")
    pair.there.runner_log.write_text("said\n")
    (pair.there.results / "plots").mkdir()
    (pair.there.results / "plots" / "a b.png").write_bytes(b"png")
    (pair.there.checkpoints / "c.json").write_text("{}")
    pair.tell()
    assert files(pair.here) == files(pair.there)
    pair.there.write_outcome(Outcome(status=JobStatus.COMPLETED, ended_at=datetime.now(UTC)))
    pair.tell()
    assert not pair.here.outcome.exists()
    pair.journal.finish()
    pair.receive()
    assert files(pair.here) == files(pair.there)
    assert read_index((pair.journal_directory / "index").read_bytes())[-1].path == "outcome.json"
    assert os.listdir(pair.state) == []  # nothing more will come


def test_secrets_inputs_and_what_can_be_made_again_stay_there(pair: Pair) -> None:
    pair.there.write_environment({"AWS_SECRET_ACCESS_KEY": "s3cret"})
    pair.there.source.mkdir()
    (pair.there.source / "job.py").touch()
    (pair.there.logs / "0.metrics").touch()
    (pair.there.results / ".results.json.abc.qjob-tmp").write_text("half")
    (pair.there.results / "link").symlink_to(pair.there.environment)
    pair.journal.finish()
    pair.receive()
    assert files(pair.here) == {}
    assert b"s3cret" not in b"".join(path.read_bytes() for path in pair.journal_directory.iterdir())


def test_a_file_that_is_being_written_is_left_alone_for_a_moment(pair: Pair) -> None:
    pair.later_s = 0.0
    (pair.there.results / "r").write_text("half")
    pair.tell()
    assert files(pair.here) == {}
    pair.later_s = QUIET
    pair.tell()
    assert files(pair.here) == {"results/r": b"half"}


def test_at_the_end_nothing_is_left_alone(pair: Pair) -> None:
    pair.later_s = 0.0
    (pair.there.results / "r").write_text("whole")
    pair.journal.finish()
    pair.receive()
    assert files(pair.here) == {"results/r": b"whole"}


def test_of_a_file_there_is_only_the_newest_piece(pair: Pair) -> None:
    for number in range(5):
        (pair.there.checkpoints / "c").write_text(f"{number}")
        os.utime(pair.there.checkpoints / "c", (number, number))
        pair.journal.tell()
    assert pair.pieces() == ["5"]
    pair.receive()
    assert files(pair.here) == {"checkpoints/c": b"4"}


def test_large_files_are_not_told_again_at_every_turn(pair: Pair) -> None:
    large = pair.there.checkpoints / "large"
    for number in range(3):
        large.write_bytes(bytes([number]) * ((8 << 20) + 1))
        pair.journal.tell()
    assert pair.pieces() == ["1"]
    pair.journal.finish()
    assert pair.pieces() == ["2"]
    assert (pair.journal_directory / "2").stat().st_ino == large.stat().st_ino  # no copy of what nobody writes to


def test_what_the_job_removes_goes(pair: Pair) -> None:
    (pair.there.checkpoints / "c").write_text("x")
    pair.tell()
    (pair.there.checkpoints / "c").unlink()
    pair.tell()
    assert files(pair.here) == {}
    assert pair.pieces() == []


def test_what_came_with_the_job_is_not_sent_back_but_missed_when_it_goes(pair: Pair) -> None:
    for folder in (pair.there, pair.here):
        folder.checkpoints.mkdir(exist_ok=True)
        (folder.checkpoints / "old").write_text("x")
    journal = pair.new_journal()
    journal.tell()
    assert pair.pieces() == []
    (pair.there.checkpoints / "old").unlink()
    journal.tell()
    pair.receive()
    assert files(pair.here) == {}


def test_a_line_of_the_index_that_a_full_disk_has_cut_short_is_written_again(pair: Pair) -> None:
    pair.there.log(0).write_text("one\n")
    pair.tell()
    index = pair.journal_directory / "index"
    most = index.stat().st_size + 10
    pair.there.log(0).write_text("one\ntwo\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))  # plays the full disk
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            pair.journal.tell()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert index.stat().st_size == most
    pair.receive()
    assert pair.here.log(0).read_text() == "one\n"
    pair.tell()
    assert pair.here.log(0).read_text() == "one\ntwo\n"


def test_a_file_may_become_a_directory_and_a_directory_a_file(pair: Pair) -> None:
    latest, best = pair.there.results / "latest", pair.there.results / "best"
    (latest / "deep").mkdir(parents=True)
    (latest / "deep" / "a").write_text("a")
    best.write_text("b")
    pair.tell()
    shutil.rmtree(latest)
    latest.write_text("file")
    best.unlink()
    best.mkdir()
    (best / "a").write_text("a")
    pair.tell()
    assert files(pair.here) == {"results/latest": b"file", "results/best/a": b"a"}
    for mark in pair.state.glob("*.json"):  # as if a process had been killed before it noted that
        mark.write_text("0")
    pair.tell()
    assert files(pair.here) == {"results/latest": b"file", "results/best/a": b"a"}


def test_a_name_may_be_as_long_as_the_disk_takes_it(pair: Pair) -> None:
    name = "é" * 127 + "x"
    (pair.there.results / name).write_text("kept")
    pair.tell()
    assert files(pair.here) == {f"results/{name}": b"kept"}


def test_an_empty_file_needs_no_question(pair: Pair) -> None:
    (pair.there.results / "done").touch()
    pair.journal.tell()
    (pair.journal_directory / "1").unlink()  # some Rays fail at one
    pair.receive()
    assert files(pair.here) == {"results/done": b""}


def test_an_index_that_nobody_can_read_is_no_news(pair: Pair) -> None:
    (pair.journal_directory / "index").write_text('1{"number": 1}\n')
    with pytest.raises(EngineUnavailable, match="nobody can read"):
        pair.receive()
    (pair.journal_directory / "index").write_text('{"number": 1}\n')
    with pytest.raises(EngineUnavailable, match="nobody can read"):
        pair.receive()


def test_results_and_outcome_are_told_where_the_log_finds_no_room(pair: Pair) -> None:
    pair.there.log(0).write_text("x" * 10_000)
    (pair.there.results / "energy").write_text("y" * 10_000)
    pair.there.write_outcome(Outcome(status=JobStatus.COMPLETED, ended_at=datetime.now(UTC)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))  # plays the full disk
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            pair.journal.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    pair.receive()
    assert files(pair.here)["results/energy"] == b"y" * 10_000
    assert pair.here.read_outcome() is not None


def test_a_script_may_empty_its_log(pair: Pair) -> None:
    pair.there.log(0).write_text("a long line\n")
    pair.tell()
    pair.there.log(0).write_text("new\n")
    pair.tell()
    assert files(pair.here) == {"logs/0.log": b"new\n"}


def test_a_long_index_is_read_back_as_far_as_it_takes(pair: Pair) -> None:
    with pair.there.log(0).open("ab", buffering=0) as log:
        for number in range(300):
            log.write(b"%d\n" % number)
            pair.journal.tell()
    pair.receive()
    assert files(pair.here)["logs/0.log"] == pair.there.log(0).read_bytes()


def test_receiving_is_harmless_to_repeat(pair: Pair) -> None:
    pair.there.log(0).write_text("one\n")
    pair.tell()
    for mark in pair.state.glob("*.json"):  # as if a process had been killed before it noted that
        mark.write_text("0")
    pair.there.log(0).write_text("one\ntwo\n")
    pair.tell()
    assert files(pair.here) == {"logs/0.log": b"one\ntwo\n"}


def test_nothing_is_fetched_twice_within_the_interval(pair: Pair) -> None:
    receiver = Receiver(pair.state, pair.cluster, 60.0)
    pair.there.log(0).write_text("one\n")
    pair.journal.tell()
    receiver.receive(SOURCE, pair.here, at_once=False)
    pair.there.log(0).write_text("one\ntwo\n")
    pair.journal.tell()
    receiver.receive(SOURCE, pair.here, at_once=False)
    assert files(pair.here) == {"logs/0.log": b"one\n"}
    receiver.receive(SOURCE, pair.here, at_once=True)
    assert files(pair.here) == {"logs/0.log": b"one\ntwo\n"}


def test_before_the_job_has_told_anything_there_is_nothing(pair: Pair) -> None:
    pair.receive()
    assert files(pair.here) == {}


def test_a_node_that_is_away_is_for_later(pair: Pair) -> None:
    pair.cluster.node_logs.clear()
    with pytest.raises(EngineUnavailable):
        pair.receive()


@pytest.mark.parametrize(
    "name", ["../spec.json", "/etc/passwd", "record.json", "spec.json", "logs/../../x", "source/x"]
)
def test_a_node_writes_into_no_other_files(pair: Pair, name: str) -> None:
    (pair.journal_directory / "1").write_text("x")
    entry = {"number": 1, "path": name, "kind": WHOLE, "offset": 0, "size": 1}
    (pair.journal_directory / "index").write_text(json.dumps(entry) + "\n")
    with pytest.raises(EngineUnavailable, match="tells of a file"):
        pair.receive()
    assert files(pair.here) == {}


@pytest.mark.parametrize(
    ("status", "mark_after_s", "expected"),
    [
        (JobStatus.FAILED, -1.0, JobStatus.CANCELLED),
        (JobStatus.FAILED, 1.0, JobStatus.FAILED),  # it had failed by itself before
        (JobStatus.COMPLETED, -1.0, JobStatus.COMPLETED),
    ],
)
def test_a_runner_that_ray_has_told_to_end_was_cancelled(
    pair: Pair, status: JobStatus, mark_after_s: float, expected: JobStatus
) -> None:
    ended_at = datetime.now(UTC)
    pair.here.write_cancel_mark(CancelMark(time=ended_at + timedelta(seconds=mark_after_s)))
    pair.there.write_outcome(
        Outcome(status=status, ended_at=ended_at, reason="The runner was told to end.", exit_codes=(-15,))
    )
    pair.journal.finish()
    pair.receive()
    outcome = pair.here.read_outcome()
    assert outcome is not None
    assert (outcome.status, outcome.exit_codes) == (expected, (-15,))


def test_an_unfinished_line_of_the_index_does_not_count() -> None:
    line = b'{"number": 1, "path": "logs/0.log", "kind": "added", "offset": 0, "size": 3}\n'
    assert read_index(line + line[:-5]) == [Entry(number=1, path="logs/0.log", kind=ADDED, size=3)]
    assert read_index(b"") == []
    assert {ADDED, WHOLE, GONE} == {"added", "whole", "gone"}
