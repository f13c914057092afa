"""Environments are found when they are finished, held while they are used, and removed when they are old."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from living import wait_until
from qjob.interpreter.cache import building, describe, finish, prune, use

DAY = timedelta(days=1)


def made(directory: Path, key: str, used: datetime | None = None, python: str = sys.executable) -> Path:
    """Make an environment that is finished."""
    folder = directory / key
    folder.mkdir(parents=True)
    (folder / "content").write_text("x" * 10_000)
    finish(folder, python, {"requirements": ["numpy"], "installed": True})
    if used is not None:
        os.utime(folder / "environment.json", (used.timestamp(), used.timestamp()))
    return folder


def nobody_waits() -> None:
    raise AssertionError("the lock was taken")


def test_a_finished_one_is_found_and_held(tmp_path: Path) -> None:
    folder = made(tmp_path, "k", used=datetime.now(UTC) - 9 * DAY)
    ready = use(tmp_path, "k")
    assert ready is not None
    assert (ready.python, ready.folder) == (sys.executable, folder)
    [described] = describe(tmp_path)
    assert described.in_use
    assert datetime.now(UTC) - described.last_used < DAY
    os.close(ready.fd)
    assert [each.in_use for each in describe(tmp_path)] == [False]


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"{}", b'{"python": "/gone/python"}'])
def test_what_is_not_finished_is_not_found(tmp_path: Path, content: bytes | None) -> None:
    (tmp_path / "k").mkdir()
    if content is not None:
        (tmp_path / "k" / "environment.json").write_bytes(content)
    before = len(os.listdir("/dev/fd"))
    assert use(tmp_path, "k") is None
    assert len(os.listdir("/dev/fd")) == before


def test_nobody_builds_while_another_does(tmp_path: Path) -> None:
    waits, order = threading.Event(), []

    def second() -> None:
        with building(tmp_path, "k", waits.set):
            order.append("second")

    with building(tmp_path, "k", nobody_waits):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_lock_goes_with_what_could_not_be_made(tmp_path: Path) -> None:
    with building(tmp_path, "k", nobody_waits):
        assert os.listdir(tmp_path) == ["k.lock"]
    assert os.listdir(tmp_path) == []


def test_one_who_waited_for_a_lock_that_was_removed_takes_the_new_one(tmp_path: Path) -> None:
    waits, held = threading.Event(), []

    def second() -> None:
        with building(tmp_path, "k", waits.set) as fd:
            held.append(os.path.samestat(os.fstat(fd), os.stat(tmp_path / "k.lock")))

    with building(tmp_path, "k", nobody_waits):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        (tmp_path / "k.lock").unlink()
    thread.join(10)
    assert held == [True]


def test_one_that_is_removed_while_it_is_waited_for_is_not_found(tmp_path: Path) -> None:
    marker = made(tmp_path, "k") / "environment.json"
    found: list[object] = []
    with marker.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        thread = threading.Thread(target=lambda: found.append(use(tmp_path, "k")))
        thread.start()
        wait_until(lambda: waiters(marker))
        marker.unlink()
    thread.join(10)
    assert found == [None]


def waiters(path: Path) -> int:
    """Return how many wait for a lock on a file, by proc(5)."""
    inode = f":{path.stat().st_ino} "
    return sum("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_the_environments_are_described(tmp_path: Path) -> None:
    assert describe(tmp_path / "none") == []
    now = datetime.now(UTC)
    old, new = made(tmp_path, "old", now - 5 * DAY), made(tmp_path, "new", now - DAY)
    (tmp_path / "interpreters").mkdir()
    (tmp_path / "new.lock").touch()
    found = describe(tmp_path)
    assert [each.folder for each in found] == [new, old]
    assert [each.finished for each in found] == [True, True]
    assert found[0].requirements == ("numpy",)
    assert 10_000 <= found[0].size_bytes < 100_000
    assert (now - found[1].last_used).days == 5


def test_old_and_unfinished_ones_are_removed(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    made(tmp_path, "old", now - 31 * DAY)
    made(tmp_path, "new", now - 29 * DAY)
    (tmp_path / "unfinished" / "lib").mkdir(parents=True)
    (tmp_path / "interpreters").mkdir()
    (tmp_path / "interpreters" / "1.json").touch()
    assert {each.folder.name for each in prune(tmp_path, 30, now)} == {"old", "unfinished"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["interpreters", "new"]
    assert prune(tmp_path, 30, now) == []
    prune(tmp_path, 30, now + 40 * DAY)
    assert list((tmp_path / "interpreters").iterdir()) == []


def test_one_that_is_used_or_being_made_is_not_removed(tmp_path: Path) -> None:
    made(tmp_path, "used", datetime.now(UTC))
    (tmp_path / "made").mkdir()
    ready = use(tmp_path, "used")
    assert ready is not None
    with building(tmp_path, "made", nobody_waits):
        assert prune(tmp_path, keep_days=-1) == []
    os.close(ready.fd)
    assert {each.folder.name for each in prune(tmp_path, keep_days=-1)} == {"made", "used"}
