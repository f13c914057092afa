"""Output reaches the log byte by byte, whatever the file system and however it comes."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.logs import INDEX_LINE_BYTES, TimeIndex
from qjob.runner.capture import LogCapture, Move, copy_chunk, splice_chunk

MOVES = [pytest.param(splice_chunk, id="splice"), pytest.param(copy_chunk, id="copy")]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "0.log"


def open_capture(log: Path, move: Move = splice_chunk) -> LogCapture:
    return LogCapture(log, log.with_suffix(".index"), move=move)


def written(capture: LogCapture, *parts: bytes) -> LogCapture:
    """Write each part and take it; then close the writer's end."""
    for part in parts:
        writer = threading.Thread(target=_write_all, args=(capture.write_fd, part))
        writer.start()
        while writer.is_alive():
            capture.take()
        capture.drain()
    os.close(capture.write_fd)
    return capture


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"no line end", bytes(range(256)) * 10, b"\0" * 5000, b"\r\x1b[31m\xff\xfe\n", b"y" * 3_500_000],
    ids=["nothing", "one", "no-end", "all", "nul", "ansi", "long"],
)
def test_every_byte_is_kept(log: Path, data: bytes, move: Move) -> None:
    written(open_capture(log, move), data).close()
    assert log.read_bytes() == data


@pytest.mark.parametrize("move", MOVES)
def test_a_log_is_added_to(log: Path, move: Move) -> None:
    written(open_capture(log, move), b"one").close()
    written(open_capture(log, move), b"two").close()
    assert log.read_bytes() == b"onetwo"
    assert TimeIndex(log.with_suffix(".index")).times()[-1][0] == 3


@settings(max_examples=20, deadline=None)
@given(parts=st.lists(st.binary(min_size=1, max_size=200), max_size=10))
def test_both_ways_give_the_same(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    directory = tmp_path_factory.mktemp("both")
    for name, move in (("splice", splice_chunk), ("copy", copy_chunk)):
        written(open_capture(directory / name, move), *parts).close()
    assert (directory / "splice").read_bytes() == (directory / "copy").read_bytes() == b"".join(parts)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP])
def test_a_system_that_cannot_splice_gets_a_copy(log: Path, number: int) -> None:
    def refuse(_source: int, _target: int) -> int:
        raise OSError(number, os.strerror(number))

    capture = written(open_capture(log, refuse), b"one", b"two")
    capture.close()
    assert capture.error is None
    assert log.read_bytes() == b"onetwo"


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_real_file_that_cannot_be_spliced_to(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        _splice_to(Path("/dev/full"))
    capture = written(LogCapture(Path("/dev/full"), tmp_path / "index"), b"x" * 100_000)
    assert capture.error is not None
    assert capture.error.errno == errno.ENOSPC  # the copy's own
    with contextlib.suppress(OSError):
        capture.close()


def _splice_to(path: Path) -> None:
    read_fd, write_fd = os.pipe()
    os.write(write_fd, b"x")
    with path.open("wb") as file:
        try:
            splice_chunk(read_fd, file.fileno())
        finally:
            os.close(read_fd)
            os.close(write_fd)


def test_the_index_has_lines_of_one_length_in_order(log: Path) -> None:
    before = time.time()
    capture = open_capture(log)
    for number in range(20):
        _write_all(capture.write_fd, b"%06d\n" % number)
        capture.take()
        _until_the_clock_moves()
    os.close(capture.write_fd)
    capture.close()
    lines = log.with_suffix(".index").read_bytes().splitlines(keepends=True)
    assert {len(line) for line in lines} == {INDEX_LINE_BYTES}
    offsets, times = zip(*(map(int, line.split()) for line in lines), strict=True)
    assert list(offsets) == [7 * number for number in range(20)]
    assert list(times) == sorted(times)
    assert before <= times[0] / 1e6 <= times[-1] / 1e6 <= time.time()


def _until_the_clock_moves() -> None:
    start = time.time()
    while time.time() - start < 0.0011:  # an index line a millisecond at most
        pass


def test_many_small_writes_cost_few_index_lines(log: Path) -> None:
    start = time.time()
    capture = open_capture(log)
    for _ in range(2000):
        os.write(capture.write_fd, b"x")
        capture.take()
    written(capture).close()
    took_ms = (time.time() - start) * 1000
    assert log.with_suffix(".index").stat().st_size / INDEX_LINE_BYTES <= took_ms + 1


def test_a_writer_that_dribbles_loses_nothing(log: Path) -> None:
    capture = open_capture(log)
    script = "import os\nfor i in range(3000): os.write(1, b'%d,' % i)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=capture.write_fd) as writer:
        os.close(capture.write_fd)
        while writer.poll() is None:
            capture.take()
    capture.drain()
    capture.close()
    assert log.read_bytes() == b"".join(b"%d," % i for i in range(3000))


def test_take_says_when_nobody_can_write_any_more(log: Path) -> None:
    capture = open_capture(log)
    other = os.dup(capture.write_fd)
    os.close(capture.write_fd)
    assert capture.take()
    os.close(other)
    assert not capture.take()
    capture.close()


def test_one_turn_takes_a_share_so_that_others_get_theirs(log: Path) -> None:
    capture = open_capture(log)
    writer = threading.Thread(target=_write_all, args=(capture.write_fd, b"x" * (40 << 20)))
    writer.start()
    assert capture.take()
    assert log.stat().st_size <= 16 << 20
    while writer.is_alive():
        capture.take()
    os.close(capture.write_fd)
    capture.drain()
    capture.close()
    assert log.stat().st_size == 40 << 20


@pytest.mark.parametrize("move", MOVES)
def test_no_descriptor_is_left_open(log: Path, move: Move) -> None:
    before = sorted(os.listdir("/proc/self/fd") if sys.platform == "linux" else os.listdir("/dev/fd"))
    for _ in range(5):
        written(open_capture(log, move), b"x").close()
    after = sorted(os.listdir("/proc/self/fd") if sys.platform == "linux" else os.listdir("/dev/fd"))
    assert len(after) == len(before)


def test_a_child_of_the_runner_inherits_nothing_but_its_output(log: Path) -> None:
    capture = open_capture(log)
    assert not os.get_inheritable(capture.read_fd)
    assert not os.get_inheritable(capture.write_fd)
    written(capture).close()


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size; Python has SIGXFSZ ignored, so writes fail with EFBIG."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("move", MOVES)
def test_what_the_disk_refuses_is_an_error_and_no_dam(log: Path, move: Move) -> None:
    with file_size_limit(1 << 16):
        capture = written(open_capture(log, move), b"y" * 1000, b"x" * 5_000_000)
    assert capture.error is not None
    assert capture.error.errno == errno.EFBIG
    assert log.read_bytes() == b"y" * 1000 + b"x" * ((1 << 16) - 1000)
    capture.close()


@pytest.mark.parametrize("move", MOVES)
def test_the_index_is_true_whatever_became_of_the_first_try(log: Path, move: Move) -> None:
    """A refused index line must not make later ones lie about where bytes are."""
    index = log.with_suffix(".index")
    capture = LogCapture(log, Path("/dev/full"), move=move)
    written(capture, b"one")
    assert capture.error is not None
    assert capture.error.errno == errno.ENOSPC
    assert log.read_bytes() == b"one"
    assert not index.exists()
    capture.close()


def test_two_hundred_megabytes_pass_quickly(log: Path) -> None:
    capture = open_capture(log)
    script = "import os\npart = b'x' * 99 + b'\\n'\nfor _ in range(200): os.write(1, part * 10_000)"
    start = time.process_time()
    with subprocess.Popen([sys.executable, "-c", script], stdout=capture.write_fd) as writer:
        os.close(capture.write_fd)
        os.set_blocking(capture.read_fd, True)  # instead of the runner's poll
        while capture.take():
            pass
        writer.wait()
    capture.close()
    assert log.stat().st_size == 200_000_000
    assert time.process_time() - start < 5
