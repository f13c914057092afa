"""A pid with its start time means one process, for ever."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from living import wait_until
from qjob.engines.local import processes
from qjob.engines.local.processes import collected, is_alive, start_time

pytestmark = pytest.mark.live


@contextmanager
def sleeper(program: str | Path = "sleep") -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps, and is gone after that."""
    with subprocess.Popen([program, "600"]) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_process_lives_from_its_start_to_its_end() -> None:
    with sleeper() as process:
        started = start_time(process.pid)
        assert started is not None
        assert start_time(process.pid) == started
        assert is_alive(process.pid, started)
        assert not is_alive(process.pid, started + "0")
        process.kill()
        wait_until(lambda: start_time(process.pid) is None)  # a zombie, which nobody has waited for
        assert not is_alive(process.pid, started)
    assert start_time(process.pid) is None


def test_a_stopped_process_lives() -> None:
    with sleeper() as process:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        assert start_time(process.pid) is not None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["a) Z 1 (b", "()", " ", "Z"])
def test_a_name_cannot_fool_us(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.symlink_to("/bin/sleep")
    with sleeper(program) as process:
        assert start_time(process.pid) is not None


def test_ps_tells_it_where_there_is_no_proc() -> None:
    with sleeper() as process:
        started = processes._start_time_by_ps(process.pid)
        assert started is not None
        assert processes._start_time_by_ps(process.pid) == started
        process.kill()
        wait_until(lambda: processes._start_time_by_ps(process.pid) is None)
    assert processes._start_time_by_ps(process.pid) is None


@pytest.mark.parametrize(("end", "code"), [("exit 3", 3), ("kill -9 $$", -9)])
def test_a_child_is_collected_once(end: str, code: int) -> None:
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", f"read line; {end}"], {}, file_actions=[(os.POSIX_SPAWN_CLOSE, 0)])
    assert wait_until(lambda: collected(pid)) == code
    assert collected(pid) is None


def test_what_runs_or_is_no_child_is_not_collected() -> None:
    with sleeper() as process:
        assert collected(process.pid) is None
        assert process.poll() is None
    assert collected(os.getppid()) is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ps tells")
def test_who_cannot_look_does_not_take_a_process_for_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a dispatcher without a free descriptor would settle jobs that run, and kill what is left of them."""

    def refuse(path: Path) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    assert start_time(os.getpid()) is not None  # and what it remembers of the machine is known
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        start_time(os.getpid())
