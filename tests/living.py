"""What tests of real processes need: a deadline instead of a sleep, and an end to all that was started."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
DEADLINE_S = 30.0


def wait_until(look: Callable[[], T], deadline_s: float = DEADLINE_S) -> T:
    """Return what ``look`` returns as soon as that is true; fail after the deadline."""
    end = time.monotonic() + deadline_s
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"still {found!r} after {deadline_s} s: {look}")
        time.sleep(0.005)
    return found


def processes_naming(text: str) -> list[int]:
    """Return the pids of the processes that have a text in their command line or environment."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _names(pid, text)]


def dispatcher_pid(home: Path) -> int | None:
    """Return the pid of the dispatcher that works on a state directory, dead or alive."""
    try:
        return int((home / "local" / "dispatcher.lock").read_text())
    except (FileNotFoundError, ValueError):
        return None


def end_all(home: Path) -> list[int]:
    """Kill the dispatcher of a state directory and whatever else names it; return what was left of jobs."""
    pid = dispatcher_pid(home)
    if pid is not None and pid in processes_naming(str(home)):
        _kill(pid)
    left = [pid for pid in processes_naming(str(home)) if pid != os.getpid()]
    for pid in left:
        _kill(pid)
    wait_until(lambda: not [pid for pid in processes_naming(str(home)) if pid != os.getpid()])
    return left


def _names(pid: int, text: str) -> bool:
    needle = os.fsencode(text)
    for kind in ("cmdline", "environ"):
        try:
            if needle in Path(f"/proc/{pid}/{kind}").read_bytes():
                return True
        except OSError:
            continue
    return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


class Interrupted(Exception):
    """What a signal handler raises."""


@contextmanager
def interrupted_while_another_writes(path: Path) -> Iterator[None]:
    """Have a signal come while the block waits for another's write, as Ctrl-C does; it is heard when that ends."""

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    end = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    end.start()
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        yield
    finally:
        end.join()
        other.close()
        signal.signal(signal.SIGALRM, before)
