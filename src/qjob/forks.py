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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class LetsGo(Protocol):
        """What has to hold still, and let go of its files, while this process is forked."""

        def before_fork(self) -> bool:
            """Hold still and let go; return False when that takes too long."""

        def after_fork(self) -> None:
            """Go on: called on both sides where `before_fork` returned True."""


LONGEST_WAIT_S = 60.0
"""How long a fork waits for a thread that is in the middle of something, in seconds."""
_known: weakref.WeakSet[LetsGo] = weakref.WeakSet()
_guard = threading.RLock()  # one thread forks at a time
_holding: list[LetsGo] = []


def let_go_before_forks(each: LetsGo) -> None:
    """Ask for `LetsGo.before_fork` to be called before each fork, as long as ``each`` is there."""
    _known.add(each)


def _before() -> None:
    _guard.acquire()
    asked: list[LetsGo] = []
    while new := [each for each in _all_known() if not any(each is other for other in asked)]:
        asked += new  # and look again: what one of them was just making is there now
        _holding.extend([each for each in new if each.before_fork()])


def _after() -> None:
    """Go on, on both sides: in the child it is the thread which holds all that goes on."""
    for each in _holding:
        each.after_fork()
    _holding.clear()
    _guard.release()


def _all_known() -> list[LetsGo]:
    while True:
        try:
            return list(_known)
        except RuntimeError:  # another thread has just added one
            continue


os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
