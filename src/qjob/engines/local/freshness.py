"""Whether what a zygote has imported is still what lies on the disk."""

from __future__ import annotations

import os
import sys

Stamp = tuple[int, int, int]
_ABSENT = (0, 0, 0)


class Freshness:
    """The files of all modules and the folders in which modules are looked for, as they are now.

    A folder counts because a package that was installed since may be one that an import has tried in vain.
    """

    def __init__(self) -> None:
        self._stamps = {path: _stamp(path) for path in {*_files(), *sys.path}}

    def is_lost(self) -> bool:
        """Return whether anything has changed since; takes 2 µs for each file."""
        return any(_stamp(path) != stamp for path, stamp in self._stamps.items())


def _files() -> set[str]:
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {file for file in files if isinstance(file, str)}


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return _ABSENT
    return status.st_mtime_ns, status.st_size, status.st_ino
