"""The output of all instances: every byte once, in the order of time, however it came and was asked for."""

from __future__ import annotations

import random
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.folder import JobFolder
from qjob.log_index import INDEX_LINE_BYTES, TimeIndex
from qjob.logs import LogPiece, LogReader


class Output:
    """What instances wrote, into the files that a runner keeps; one second passes before each write."""

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder
        self.written: dict[int, bytes] = defaultdict(bytes)
        self.came: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self.now = 1_790_000_000
        folder.logs.mkdir()

    def write(self, instance: int, data: bytes, *, indexed: bool = True, wait_s: int = 1) -> None:
        self.now += wait_s
        offset = len(self.written[instance])
        with self.folder.log(instance).open("ab") as log:
            log.write(data)
        if indexed:
            with self.folder.log_index(instance).open("ab") as index:
                index.write(b"%015d %016d\n" % (offset, self.now * 1_000_000))
            self.came[instance].append((offset, float(self.now)))
        self.written[instance] += data

    def time_of(self, instance: int, offset: int) -> float:
        return max((entry for entry in self.came[instance] if entry[0] <= offset), default=(0, 0.0))[1]


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(JobFolder(tmp_path))


@contextmanager
def new_output() -> Iterator[Output]:
    """Make an output of their own for tests that run many times over."""
    with tempfile.TemporaryDirectory() as directory:
        yield Output(JobFolder(Path(directory)))


scraps = st.lists(st.sampled_from([b"a", b"bb", b"\n", b"\n", b"\r", b"\xff", b"\xc3", b"\xbc", b"\0"]), max_size=8)
Step = tuple[int, bytes, bool, int, bool]
steps = st.lists(
    st.tuples(st.integers(0, 2), scraps.map(b"".join), st.booleans(), st.integers(0, 2), st.booleans()), max_size=15
)
"""Which instance writes what, whether the index gets a line, the seconds before it, and whether to read then."""


def play(output: Output, steps: list[Step], read: Callable[[], None] = lambda: None) -> None:
    for instance, data, indexed, wait_s, reads in steps:
        output.write(instance, data, indexed=indexed, wait_s=wait_s)
        if reads:
            read()


def by_instance(pieces: Iterable[LogPiece]) -> dict[int, bytes]:
    found: dict[int, list[bytes]] = defaultdict(list)
    for piece in pieces:
        found[piece.instance].append(piece.data)
    return {instance: b"".join(data) for instance, data in found.items()}


# Every byte once


@settings(max_examples=40, deadline=None)
@given(steps=steps)
def test_of_one_instance_every_byte_comes_once(steps: list[Step]) -> None:
    with new_output() as output:
        reader, found = LogReader(output.folder, [1]), list[LogPiece]()
        play(output, steps, lambda: found.extend(reader.pieces(final=False)))
        found.extend(reader.pieces(final=True))
        assert b"".join(piece.data for piece in found) == output.written[1]
        assert list(reader.pieces(final=True)) == []


@settings(max_examples=40, deadline=None)
@given(steps=steps)
def test_of_several_instances_every_byte_comes_once_in_whole_lines(steps: list[Step]) -> None:
    with new_output() as output:
        reader, found = LogReader(output.folder, [0, 1, 2]), list[LogPiece]()
        play(output, steps, lambda: found.extend(reader.pieces(final=False)))
        assert all(piece.data.endswith(b"\n") and piece.data.count(b"\n") == 1 for piece in found)
        rest = list(reader.pieces(final=True))
        assert by_instance(found + rest) == {number: data for number, data in output.written.items() if data}
        unfinished = [piece.instance for piece in rest if not piece.data.endswith(b"\n")]
        assert len(unfinished) == len(set(unfinished))
        assert list(reader.pieces(final=True)) == []


@settings(max_examples=40, deadline=None)
@given(steps=steps)
def test_lines_come_in_the_order_of_time(steps: list[Step]) -> None:
    with new_output() as output:
        play(output, steps)
        expected = []
        for instance in range(3):
            start = 0
            for line in lines_of(output.written[instance]):
                expected.append(LogPiece(instance=instance, data=line, time=output.time_of(instance, start)))
                start += len(line)
        found = list(LogReader(output.folder, [0, 1, 2]).lines(final=True))
        assert found == sorted(expected, key=lambda piece: piece.time)


def lines_of(data: bytes) -> list[bytes]:
    *whole, rest = data.split(b"\n")
    return [line + b"\n" for line in whole] + [rest] * bool(rest)


@settings(max_examples=40, deadline=None)
@given(steps=steps)
def test_lines_read_as_they_come_have_the_times_of_those_read_later(steps: list[Step]) -> None:
    with new_output() as output:
        reader, found = LogReader(output.folder, [0, 1, 2]), list[LogPiece]()
        play(output, steps, lambda: found.extend(reader.lines(final=False)))
        found.extend(reader.lines(final=True))
        later = list(LogReader(output.folder, [0, 1, 2]).lines(final=True))
        for instance in range(3):
            assert [line for line in found if line.instance == instance] == [
                line for line in later if line.instance == instance
            ]


@settings(max_examples=40, deadline=None)
@given(steps=steps)
def test_blocks_of_one_instance_are_whole_lines_with_their_times(steps: list[Step]) -> None:
    with new_output() as output:
        reader, found = LogReader(output.folder, [1]), list[bytes]()
        times = list[float]()

        def read(final: bool = False) -> None:
            for data, time_of in reader.blocks(final=final):
                assert final or data.endswith(b"\n")
                found.append(data)
                times.extend(time_of(offset) for offset in range(len(data)))

        play(output, steps, read)
        read(final=True)
        assert b"".join(found) == output.written[1]
        assert times == [output.time_of(1, offset) for offset in range(len(times))]


@settings(max_examples=40, deadline=None)
@given(steps=steps)
def test_blocks_of_several_instances_are_their_lines_each_with_a_tag(steps: list[Step]) -> None:
    with new_output() as output:
        play(output, steps)
        lines = list(LogReader(output.folder, [0, 1, 2]).lines(final=True))
        blocks = list(LogReader(output.folder, [0, 1, 2]).blocks(final=True))
        tagged = [b"[%d]%b\n" % (line.instance, line.data.removesuffix(b"\n")) for line in lines]
        assert b"".join(data for data, _ in blocks) == b"".join(tagged)
        times = [time_of(offset) for data, time_of in blocks for offset in range(len(data))]
        assert times == [line.time for line, text in zip(lines, tagged, strict=True) for _ in text]


@pytest.mark.parametrize(
    ("line", "tagged"),
    [
        (b"x\n", b"[1]x\n"),
        (b"x", b"[1]x\n"),
        (b"[1,mpirank:4,algo-1]<stdout>:x\n", b"[1,mpirank:4,algo-1]<stdout>:x\n"),
        (b"[] x\n", b"[] x\n"),
        (b"[####   \n", b"[1][####   \n"),
        (b" [a] x\n", b"[1] [a] x\n"),
        (b"\n", b"[1]\n"),
    ],
)
def test_a_tag_of_its_own_stays(output: Output, line: bytes, tagged: bytes) -> None:
    output.write(0, b"y\n")
    output.write(1, line)
    [(data, _)] = LogReader(output.folder, [0, 1]).blocks(final=True)
    assert data == b"[0]y\n" + tagged


@pytest.mark.parametrize("instances", [[0], [0, 1]])
def test_long_logs_and_long_lines_are_whole(output: Output, instances: list[int]) -> None:
    chance = random.Random(7)
    for _ in range(6):
        output.write(0, chance.randbytes(600_000) + b"\n")
        output.write(0, b"x" * 1_500_000)
    for read in (LogReader.pieces, LogReader.lines):
        assert by_instance(read(LogReader(output.folder, instances), final=True))[0] == output.written[0]
    blocks = LogReader(output.folder, instances).blocks(final=True)
    data = b"".join(data for data, _ in blocks)
    if len(instances) > 1:
        data = re.sub(rb"^\[0\]", b"", data, flags=re.MULTILINE).removesuffix(b"\n")
    assert data == output.written[0]


def test_merged_blocks_are_of_bounded_size(output: Output) -> None:
    output.write(0, b"x\n" * 50_000)
    output.write(1, b"y\n")
    sizes = [len(data) for data, _ in LogReader(output.folder, [0, 1]).blocks(final=True)]
    assert sum(sizes) == 250_005  # each line of two bytes has a tag of three
    assert max(sizes) <= 100_000


# Order and times


def test_the_lines_of_instances_are_woven_together(output: Output) -> None:
    output.write(0, b"one\n")
    output.write(1, b"two\n")
    output.write(0, b"three\nth")
    output.write(1, b"four\n")
    output.write(0, b"ird\n")
    pieces = list(LogReader(output.folder, [0, 1]).pieces(final=True))
    assert b"".join(piece.data for piece in pieces) == b"one\ntwo\nthree\nthird\nfour\n"
    assert [later.time - earlier.time for earlier, later in pairwise(pieces)] == [1, 1, 0, 1]


def test_lines_of_the_same_time_come_by_instance(output: Output) -> None:
    for instance in (2, 0, 1):
        output.write(instance, b"%d\n" % instance, wait_s=0)
    pieces = LogReader(output.folder, [0, 1, 2]).pieces(final=True)
    assert [piece.instance for piece in pieces] == [0, 1, 2]


def test_a_clock_that_was_set_back_loses_nothing(output: Output) -> None:
    output.write(0, b"late\n", wait_s=100)
    output.write(0, b"early\n", wait_s=-100)
    output.write(1, b"other\n", wait_s=50)
    pieces = list(LogReader(output.folder, [0, 1]).pieces(final=True))
    assert by_instance(pieces) == output.written


def test_the_end_of_a_line_is_waited_for_and_shown_at_the_last_call(output: Output) -> None:
    reader = LogReader(output.folder, [0, 1])
    output.write(0, b"whole\nunfin")
    assert [piece.data for piece in reader.pieces(final=False)] == [b"whole\n"]
    output.write(0, b"ished\nrest")
    assert [piece.data for piece in reader.pieces(final=False)] == [b"unfinished\n"]
    [last] = reader.pieces(final=True)
    assert (last.data, last.time) == (b"rest", output.time_of(0, 6 + len(b"unfinished\n")))


def test_a_line_has_the_time_of_its_beginning(output: Output) -> None:
    output.write(0, b"be")
    output.write(0, b"gun\n", wait_s=10)
    [line] = LogReader(output.folder, [0, 1]).lines(final=True)
    assert line.time == output.now - 10


def test_without_logs_there_is_nothing(output: Output) -> None:
    for instances in ([0], [0, 1], []):
        reader = LogReader(output.folder, instances)
        assert list(reader.pieces(final=True)) == []
        assert list(reader.blocks(final=True)) == []


def test_a_log_that_appears_later_is_read_from_its_beginning(output: Output) -> None:
    reader = LogReader(output.folder, [0, 1])
    output.write(0, b"a\n")
    assert by_instance(reader.pieces(final=False)) == {0: b"a\n"}
    output.write(1, b"b\n")
    assert by_instance(reader.pieces(final=False)) == {1: b"b\n"}


# The index


def test_a_time_is_looked_up_by_offset(output: Output) -> None:
    for _ in range(100):
        output.write(0, b"1234567\n")
    index = TimeIndex(output.folder.log_index(0))
    assert [index.time_of(offset) for offset in range(801)] == [output.time_of(0, offset) for offset in range(801)]
    assert list(index.entries()) == output.came[0]


def test_the_first_byte_since_a_time_is_found(output: Output) -> None:
    for _ in range(3):
        output.write(0, b"1234567\n", wait_s=10)
    index, first = TimeIndex(output.folder.log_index(0)), output.now - 20
    assert [index.offset_at(first + seconds) for seconds in (-99, 0, 1, 10, 20, 20.5)] == [0, 0, 8, 8, 16, -1]


def test_bytes_before_the_first_entry_have_no_time(output: Output) -> None:
    output.write(0, b"early", indexed=False)
    output.write(0, b"late\n")
    index = TimeIndex(output.folder.log_index(0))
    assert index.time_of(0) == 0.0
    assert index.time_of(5) == output.now


@pytest.mark.parametrize("rest", [b"", b"0000", b"x" * (INDEX_LINE_BYTES - 1)])
def test_a_last_entry_that_was_cut_does_not_count(output: Output, rest: bytes) -> None:
    output.write(0, b"a\n")
    with output.folder.log_index(0).open("ab") as file:
        file.write(rest)
    index = TimeIndex(output.folder.log_index(0))
    assert list(index.entries()) == output.came[0]
    assert index.time_of(99) == output.now


def test_without_an_index_there_are_no_times(tmp_path: Path) -> None:
    index = TimeIndex(tmp_path / "missing")
    assert (index.time_of(0), list(index.entries()), index.offset_at(0.0)) == (0.0, [], -1)


@pytest.mark.parametrize("junk", [b"\0" * INDEX_LINE_BYTES, b"x" * (INDEX_LINE_BYTES - 1) + b"\n"])
def test_a_damaged_index_costs_times_and_no_bytes(output: Output, junk: bytes) -> None:
    output.write(0, b"a\n")
    with output.folder.log_index(0).open("ab") as file:
        file.write(junk)
    output.write(0, b"b\n")
    for instances in ([0], [0, 1]):
        pieces = list(LogReader(output.folder, instances).pieces(final=True))
        assert b"".join(piece.data for piece in pieces) == b"a\nb\n"
        for data, time_of in LogReader(output.folder, instances).blocks(final=True):
            assert all(isinstance(time_of(offset), float) for offset in range(len(data)))


# From the middle


@settings(max_examples=60, deadline=None)
@given(steps=steps, count=st.integers(1, 12), instances=st.sampled_from([[1], [0, 1, 2], [2, 0]]))
def test_the_last_lines_are_those_that_come_last(steps: list[Step], count: int, instances: list[int]) -> None:
    with new_output() as output:
        play(output, steps)
        reader = LogReader(output.folder, instances)
        reader.skip_to_last(count)
        assert list(reader.lines(final=True)) == list(LogReader(output.folder, instances).lines(final=True))[-count:]


@settings(max_examples=60, deadline=None)
@given(steps=steps, since_s=st.floats(-1, 20), instances=st.sampled_from([[1], [0, 1, 2]]))
def test_the_lines_since_a_time_are_those_that_came_then_or_later(
    steps: list[Step], since_s: float, instances: list[int]
) -> None:
    with new_output() as output:
        since = output.now + since_s
        play(output, steps)
        reader = LogReader(output.folder, instances)
        reader.skip_to_time(since)
        expected = [line for line in LogReader(output.folder, instances).lines(final=True) if line.time >= since]
        assert [line for line in reader.lines(final=True) if line.time >= since] == expected


def test_what_comes_after_the_last_lines_is_read_too(output: Output) -> None:
    output.write(0, b"a\nb\nc")
    reader = LogReader(output.folder, [0])
    reader.skip_to_last(2)
    assert [piece.data for piece in reader.pieces(final=False)] == [b"b\nc"]
    output.write(0, b"d\ne\n")
    assert [piece.data for piece in reader.pieces(final=False)] == [b"d\ne\n"]


def test_since_begins_with_a_whole_line(output: Output) -> None:
    output.write(0, b"one\ntw")
    output.write(0, b"o\nthree\n")
    reader = LogReader(output.folder, [0])
    reader.skip_to_time(output.now)
    assert [piece.data for piece in reader.lines(final=True)] == [b"two\n", b"three\n"]
    reader.skip_to_time(output.now + 1)
    assert list(reader.lines(final=True)) == []


def test_last_lines_longer_than_a_block_are_whole(output: Output) -> None:
    output.write(0, b"first\n" + b"x" * 200_000 + b"\nlast\n")
    for count, begin in ((1, b"last"), (2, b"xxxx"), (3, b"firs"), (9, b"firs")):
        reader = LogReader(output.folder, [0])
        reader.skip_to_last(count)
        assert b"".join(piece.data for piece in reader.pieces(final=True)).startswith(begin)


def bytes_read() -> int:
    """Return how many bytes this process has asked the kernel for in all its reads."""
    return int(re.findall(r"rchar: (\d+)", Path("/proc/self/io").read_text())[0])


@pytest.mark.skipif(sys.platform != "linux", reason="nothing else tells how much a process reads")
@pytest.mark.parametrize("instances", [[0], [0, 1]])
@pytest.mark.parametrize(
    "skip",
    [lambda reader, now: reader.skip_to_last(2), lambda reader, now: reader.skip_to_time(now)],
    ids=["tail", "since"],
)
def test_of_ten_gigabytes_only_the_lines_that_are_wanted_are_read(
    output: Output, instances: list[int], skip: Callable[[LogReader, float], None]
) -> None:
    size, entries = 10_000_000_000, 100_000
    for instance in instances:
        with output.folder.log(instance).open("wb") as log:
            log.truncate(size)  # a hole: no block of the disk is taken
            log.seek(size - 20)
            log.write(b"\nthe last\nlines of it")
        with output.folder.log_index(instance).open("wb") as index:
            index.writelines(b"%015d %016d\n" % (at * (size // entries), at * 10**6) for at in range(entries))
            index.write(b"%015d %016d\n" % (size - 19, entries * 10**6))
    before = bytes_read()
    reader = LogReader(output.folder, instances)
    skip(reader, float(entries))
    lines = [line.data for line in reader.lines(final=True)]
    assert bytes_read() - before < 1_000_000
    assert set(lines) <= {b"the last\n", b"lines of it"}
    assert len(lines) >= 2
