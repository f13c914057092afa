"""Forks: a process closes its databases before it is forked, so that neither side has half of what is the other's.

SQLite knows within a process which files it has open and locked, and a forked child believes the same of itself: it
takes no lock of its own, and what it writes beside others destroys the file (sqlite.org/howtocorrupt.html, 2.6). That
a child leaves the inherited connection alone does not help. So there is none: whoever has a connection holds still
while a thread forks, without it, and both sides open it again when they need it.
"""

from __future__ import annotations

import os
import threading
import weakref

_LONGEST_WAIT_S = 60.0  # for a thread that is in the middle of something
_known: weakref.WeakSet[HoldsStill] = weakref.WeakSet()
_guard = threading.RLock()  # one thread forks at a time
_holding: list[HoldsStill] = []


class HoldsStill:
    """What has a lock, which a thread that forks this process takes first, and what is not to be inherited."""

    def __init__(self) -> None:
        """To be called last: from here on a fork may come."""
        self._lock = threading.RLock()  # a signal handler may come back in the middle of what its thread does
        _known.add(self)

    def let_go(self) -> None:
        """Let go of what is not to be inherited; the lock is held."""

    def before_fork(self) -> bool:
        """Hold still and let go; return False when that takes too long."""
        self._held = self._lock  # a child may have another one by then
        if not self._held.acquire(timeout=_LONGEST_WAIT_S):
            return False
        self.let_go()
        return True

    def after_fork(self) -> None:
        """Go on: called on both sides where `before_fork` returned True."""
        self._held.release()


def _before() -> None:
    _guard.acquire()
    asked: list[HoldsStill] = []
    while new := [each for each in _all_known() if not any(each is other for other in asked)]:
        asked += new  # and look again: what one of them was just making is there now
        _holding.extend([each for each in new if each.before_fork()])


def _after() -> None:
    """Go on, on both sides: in the child it is the thread which holds all that goes on."""
    for each in _holding:
        each.after_fork()
    _holding.clear()
    _guard.release()


def _all_known() -> list[HoldsStill]:
    while True:
        try:
            return list(_known)
        except RuntimeError:  # another thread has just added one
            continue


os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
