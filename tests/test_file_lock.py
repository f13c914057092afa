"""A lock between processes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from living import wait_until
from qjob.file_lock import file_lock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "not there yet" / "lock"


def test_one_has_it_at_a_time(path: Path) -> None:
    with file_lock(path, wait=False) as first, file_lock(path, wait=False) as second:
        assert (first, second) == (True, False)
    with file_lock(path, wait=False) as third:
        assert third


def test_it_is_its_owners_alone(path: Path) -> None:
    with file_lock(path, wait=True):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_who_waits_gets_it_when_it_is_free(path: Path) -> None:
    got: list[bool] = []

    def wait_for_it() -> None:
        with file_lock(path, wait=True) as is_held:
            got.append(is_held)

    thread = threading.Thread(target=wait_for_it)
    with file_lock(path, wait=True):
        thread.start()
        thread.join(0.05)
        assert got == []
    thread.join()
    assert got == [True]


def test_an_error_lets_it_go(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), file_lock(path, wait=True):
        _ = 1 / 0
    with file_lock(path, wait=False) as is_held:
        assert is_held


def test_a_child_that_was_forked_meanwhile_does_not_keep_it(path: Path) -> None:
    with file_lock(path, wait=True):
        child = os.fork()
        if child == 0:
            signal.pause()
    try:
        with file_lock(path, wait=False) as is_held:
            assert is_held
    finally:
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: os.waitpid(child, os.WNOHANG)[0])
