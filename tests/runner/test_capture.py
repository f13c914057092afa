"""The log holds what was written, and the index tells when it came."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from living import wait_until
from qjob.log_index import INDEX_LINE_BYTES, TimeIndex
from qjob.runner.capture import LogCapture


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "0.log"


@pytest.fixture
def capture(log: Path) -> Iterator[LogCapture]:
    """A capture whose clock ticks once a look: 1 s, 2 s, …"""
    made = LogCapture(log, log.with_suffix(".index"), clock=map(float, count(1)).__next__)
    yield made
    os.close(made.write_fd)


def test_each_growth_is_noted_with_its_time(capture: LogCapture, log: Path) -> None:
    for part in (b"one\n", b"two\n", b"three, unfinished"):
        os.write(capture.write_fd, part)
        capture.note()
    capture.close()
    assert log.read_bytes() == b"one\ntwo\nthree, unfinished"
    index = TimeIndex(log.with_suffix(".index"))
    assert list(index.entries()) == [(0, 1.0), (4, 2.0), (8, 3.0)]
    assert [index.time_of(offset) for offset in (0, 3, 4, 7, 8, 20)] == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]


def test_no_growth_is_no_entry(capture: LogCapture, log: Path) -> None:
    for _ in range(3):
        capture.note()
    capture.close()
    assert log.with_suffix(".index").read_bytes() == b""


@settings(max_examples=50, deadline=None)
@given(parts=st.lists(st.binary(max_size=50), max_size=30))
def test_the_index_is_monotonic_and_of_lines_of_one_length(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    log = tmp_path_factory.mktemp("capture") / "0.log"
    capture = LogCapture(log, log.with_suffix(".index"))
    for part in parts:
        os.write(capture.write_fd, part)
        capture.note()
    capture.close()
    os.close(capture.write_fd)
    data = log.with_suffix(".index").read_bytes()
    assert len(data) == INDEX_LINE_BYTES * sum(1 for part in parts if part)
    offsets = [offset for offset, _ in TimeIndex(log.with_suffix(".index")).entries()]
    assert offsets == sorted(set(offsets))
    assert log.read_bytes() == b"".join(parts)


def test_several_writers_append_whole_lines(capture: LogCapture, log: Path) -> None:
    text = "import os\nfor i in range(2000): os.write(1, b'%d\\n' % i)"
    writers = [subprocess.Popen([sys.executable, "-c", text], stdout=capture.write_fd) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    capture.close()
    assert sorted(map(int, log.read_text().split())) == sorted(list(range(2000)) * 3)


def test_a_log_is_gone_on_with(log: Path) -> None:
    log.write_bytes(b"of an earlier attempt\n")
    capture = LogCapture(log, log.with_suffix(".index"), clock=lambda: 5.0)
    os.write(capture.write_fd, b"more\n")
    capture.close()
    os.close(capture.write_fd)
    assert log.read_bytes() == b"of an earlier attempt\nmore\n"
    assert list(TimeIndex(log.with_suffix(".index")).entries()) == [(22, 5.0)]


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_the_alarm_rings_for_a_write_and_again_after_it_was_heeded(capture: LogCapture, log: Path) -> None:
    assert capture.alarm_fd is None
    os.write(capture.write_fd, b"before")
    capture.set_alarm()
    assert list(TimeIndex(log.with_suffix(".index")).entries()) == [(0, 1.0)]
    assert capture.alarm_fd is not None
    poll = select.poll()
    poll.register(capture.alarm_fd, select.POLLIN)
    assert not poll.poll(0)
    for written in (9, 12):
        os.write(capture.write_fd, b"abc")
        assert poll.poll(5000)
        assert capture.heed()
        assert not poll.poll(0)
        assert len(list(TimeIndex(log.with_suffix(".index")).entries())) * 3 == written - 3
    capture.end_alarm()
    capture.close()


def test_a_refused_entry_is_told_and_the_log_goes_on(log: Path) -> None:
    text = (
        "import os, resource, signal, sys\n"
        "from pathlib import Path\n"
        "from qjob.runner.capture import LogCapture\n"
        "log = Path(sys.argv[1])\n"
        "capture = LogCapture(log, log.with_suffix('.index'))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40))\n"
        "for _ in range(3):\n"
        "    os.write(capture.write_fd, b'x')\n"
        "    capture.note()\n"
        "print(capture.error is not None)\n"
    )
    done = subprocess.run([sys.executable, "-c", text, str(log)], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert log.read_bytes() == b"xxx"


def test_descriptors_are_let_go(tmp_path: Path) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc to count descriptors in")
    before = opened()
    for number in range(20):
        capture = LogCapture(tmp_path / f"{number}.log", tmp_path / f"{number}.index")
        capture.set_alarm()
        capture.close()
        capture.end_alarm()
        os.close(capture.write_fd)
    wait_until(lambda: opened() == before)


def test_the_longer_the_index_the_rarer_its_entries(log: Path) -> None:
    index, now = log.with_suffix(".index"), [5.0]
    with index.open("wb") as file:
        file.truncate(1_000_000 * INDEX_LINE_BYTES)  # two doublings: 8 ms
    capture = LogCapture(log, index, clock=lambda: now[0])
    for step_s in (0, 0.005, 0.002, 0.002, -3600, 0.001):
        now[0] += step_s
        os.write(capture.write_fd, b"x")
        capture.note()
    capture.close()
    os.close(capture.write_fd)
    entries = list(TimeIndex(index).entries(1_000_000))
    assert [offset for offset, _ in entries] == [0, 3, 4]  # a clock that is set back is no reason to wait for it
    assert entries[1][1] == pytest.approx(5.009)
