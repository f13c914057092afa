"""Whether what a zygote has imported is still what lies on the disk."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable

Stamp = tuple[int, int, int]
_ABSENT = (0, 0, 0)
_GOOD_FOR_NS = 250_000_000
_CLOCK_TICK_NS = 20_000_000
"""What the time of a file may be behind the clock."""


def imported_paths() -> set[str]:
    """Return the files of all modules, and the folders in which modules are looked for.

    A folder counts because a package that was installed since may be one that an import has tried in vain.
    """
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {file for file in files if isinstance(file, str)} | set(sys.path)


class Freshness:
    """Files and folders as they are now."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._stamps = {path: _stamp(path) for path in paths}
        self._looked_ns = 0

    def is_lost(self, asked_ns: int) -> bool:
        """Return whether anything has changed since, for a job that was submitted at a time since 1970.

        A look takes 2 µs for each file. One that is younger than the job, and than a quarter of a second, is good
        enough: what was installed before the submit is seen.
        """
        now = time.time_ns()
        if asked_ns + _CLOCK_TICK_NS < self._looked_ns <= now < self._looked_ns + _GOOD_FOR_NS:
            return False
        self._looked_ns = now
        return any(_stamp(path) != stamp for path, stamp in self._stamps.items())


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return _ABSENT
    return status.st_mtime_ns, status.st_size, status.st_ino
