"""A watch wakes for what happens in its directories, and never later than it was told to."""

from __future__ import annotations

import contextlib
import os
import queue
import random
import select
import subprocess
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


def inotify_watches() -> list[int]:
    """Return how many directories each inotify descriptor of this process watches."""
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(fd) == "anon_inode:inotify":
                found.append(Path(f"/proc/self/fdinfo/{fd.name}").read_text().count("inotify wd:"))
    return found


only_inotify = pytest.mark.skipif(sys.platform != "linux", reason="only inotify has descriptors and watches")


@only_inotify
def test_all_watches_of_a_process_share_a_descriptor_and_are_given_back(directory: Path) -> None:
    FolderWatch([directory]).close()
    before = inotify_watches()
    for number in range(30):
        (directory / f"{number}").mkdir()
    watches = [FolderWatch([directory, directory / f"{number}"]) for number in range(30)]
    assert len(inotify_watches()) == len(before)
    assert sum(inotify_watches()) == sum(before) + 31
    FolderWatch([directory, directory / "missing"]).wait(0)
    for watch in watches:
        watch.close()
        watch.close()
    assert inotify_watches() == before


def test_of_many_that_wait_at_once_those_wake_that_something_happens_to(tmp_path: Path) -> None:
    """One at a time, so that each time somebody else has to read for the rest."""
    directories = [tmp_path / f"{number}" for number in range(12)]
    for each in directories:
        each.mkdir()
    woken: queue.SimpleQueue[int] = queue.SimpleQueue()

    def wait(number: int, watch: FolderWatch) -> None:
        with watch:
            started = time.monotonic()
            while not list(directories[number].iterdir()) and time.monotonic() - started < LONG_S:
                watch.wait(LONG_S)
            woken.put(number)

    watches = [FolderWatch([each]) for each in directories]
    threads = [threading.Thread(target=wait, args=pair) for pair in enumerate(watches)]
    for thread in threads:
        thread.start()
    for number in random.Random(3).sample(range(12), 12):
        (directories[number] / "new").touch()
        assert woken.get(timeout=LONG_S / 2) == number
    for thread in threads:
        thread.join()


def test_two_watches_of_one_directory_hear_the_same(directory: Path) -> None:
    with FolderWatch([directory]) as one, FolderWatch([directory]) as other:
        for watch in (one, other):
            (directory / "new").touch()
            started = time.monotonic()
            watch.wait(LONG_S)
            assert time.monotonic() - started < LONG_S / 2
            one.close()
            (directory / "new").unlink()


@only_inotify
def test_a_fork_hears_for_itself_and_leaves_its_parent_s_watches_alone(directory: Path) -> None:
    with FolderWatch([directory]) as watch:
        pid = os.fork()
        if pid == 0:
            code = 1
            with contextlib.suppress(BaseException):
                watch.wait(LONG_S)  # not the child's: it looks often
                watch.close()
                with FolderWatch([directory]) as own:
                    (directory / "by the child").touch()
                    own.wait(LONG_S)
                code = 0
            os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        started = time.monotonic()
        watch.wait(LONG_S)
        assert time.monotonic() - started < LONG_S / 2


@only_inotify
def test_ctrl_c_while_one_reads_for_all_leaves_the_others_awake(directory: Path) -> None:
    other = directory / "other"
    other.mkdir()
    script = (
        "import os, signal, sys, threading\n"
        "from pathlib import Path\n"
        "from qjob.watch import FolderWatch\n"
        "mine, theirs = map(Path, sys.argv[1:])\n"
        "watch, woken = FolderWatch([theirs]), threading.Event()\n"
        "follower = threading.Thread(target=lambda: (watch.wait(60), woken.set()))\n"
        "threading.Timer(0.2, follower.start).start()\n"
        "threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    FolderWatch([mine]).wait(60)\n"
        "except KeyboardInterrupt:\n"
        "    (theirs / 'new').touch()\n"
        "    sys.exit(0 if woken.wait(20) else 1)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, directory, other], check=False).returncode == 0


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
