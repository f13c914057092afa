"""A watch wakes for what happens in its directories, and never later than it was told to."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qjob.atomic import write_whole
from qjob.watch import FolderWatch, WriteAlarm

LONG_S = 30.0
"""What nothing here may take: a watch that sleeps it out has missed what happened."""

CHANGES: dict[str, Callable[[Path], object]] = {
    "a new file": lambda path: (path / "new").touch(),
    "a new directory": lambda path: (path / "new").mkdir(),
    "a file replaced": lambda path: write_whole(path / "old", b"new"),
    "a file appended to": lambda path: _append(path / "old"),
}


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / 'a\'; echo "foo" ü'
    path.mkdir()
    (path / "old").write_bytes(b"old")
    return path


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_since_the_watch_was_made_is_not_slept_over(directory: Path, change: str) -> None:
    with FolderWatch([directory]) as watch:
        CHANGES[change](directory)
        started = time.monotonic()
        watch.wait(LONG_S)
        assert time.monotonic() - started < LONG_S / 2


def test_a_change_wakes_whoever_waits(directory: Path) -> None:
    other = directory / "other"
    other.mkdir()
    with FolderWatch([directory, other]) as watch:
        changed, woken = threading.Event(), threading.Event()

        def wait() -> None:
            while not changed.is_set():
                watch.wait(LONG_S)
            woken.set()

        thread = threading.Thread(target=wait)
        thread.start()
        changed.set()
        (other / "new").touch()
        assert woken.wait(LONG_S / 2)
        thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a watch looks often and wakes for nothing")
def test_nothing_new_is_waited_out_and_what_was_seen_is_not_seen_again(directory: Path) -> None:
    with FolderWatch([directory]) as watch:
        (directory / "new").touch()
        watch.wait(LONG_S)
        started = time.monotonic()
        watch.wait(0.05)
        assert time.monotonic() - started >= 0.05


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_no_time_is_no_wait(directory: Path, timeout_s: float) -> None:
    for watched in ([directory], [directory / "missing"]):
        with FolderWatch(watched) as watch:
            started = time.monotonic()
            watch.wait(timeout_s)
            assert time.monotonic() - started < LONG_S / 2


def test_a_directory_that_is_not_there_is_looked_at_often(directory: Path) -> None:
    with FolderWatch([directory, directory / "missing"]) as watch:
        started = time.monotonic()
        watch.wait(LONG_S)
        assert time.monotonic() - started < LONG_S / 2


def test_a_directory_that_goes_does_no_harm(directory: Path) -> None:
    (directory / "gone").mkdir()
    with FolderWatch([directory / "gone"]) as watch:
        (directory / "gone").rmdir()
        for _ in range(3):
            watch.wait(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="only inotify has a descriptor")
def test_watches_are_given_back(directory: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for watched in ([directory], [directory / "missing"]):
        watch = FolderWatch(watched)
        watch.close()
        watch.close()
    assert len(os.listdir("/proc/self/fd")) == before


# The alarm


@pytest.fixture
def alarm(directory: Path) -> Iterator[WriteAlarm]:
    made = WriteAlarm(directory / "old")
    if made.fd is None:
        pytest.skip("only inotify tells of a write to a file")
    yield made
    made.close()


def rings(alarm: WriteAlarm) -> bool:
    assert alarm.fd is not None
    return bool(select.select([alarm.fd], [], [], 0)[0])


def test_an_alarm_rings_once_for_any_number_of_writes(directory: Path, alarm: WriteAlarm) -> None:
    _append(directory / "old")
    assert not rings(alarm)  # it was not set yet
    for _ in range(2):
        alarm.set()
        alarm.set()
        assert not rings(alarm)
        for _ in range(3):
            _append(directory / "old")
        assert rings(alarm)
    alarm.set()
    assert not rings(alarm)


def test_an_alarm_hears_nothing_of_other_files(directory: Path, alarm: WriteAlarm) -> None:
    alarm.set()
    _append(directory / "other")
    assert not rings(alarm)


def test_an_alarm_can_be_closed_twice_and_set_after_that(alarm: WriteAlarm) -> None:
    alarm.close()
    alarm.close()
    alarm.set()
    assert alarm.fd is None
