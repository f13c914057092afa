"""What of a local package's folder an installer is given: the key of an environment and the copy agree on it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

_NAMES = frozenset({".git", ".hg", ".svn", "__pycache__"})
_ENVIRONMENT_MARK = "pyvenv.cfg"
_HOME_MARKS = ("jobs", os.path.join("environments", "interpreters"))
"""What each ``$QJOB_HOME`` has in which an environment was ever made; with it, a copy would hold itself."""


def left_out(folder: str, names: Iterable[str]) -> set[str]:
    """Return which entries of a folder are no part of a package; fit to be ``ignore`` of `shutil.copytree`.

    These are version control, caches, virtual environments, qjob's own files, and what is neither a file nor a
    folder nor a link.
    """
    return {name for name in names if name in _NAMES or _is_left_out(os.path.join(folder, name))}


def _is_left_out(path: str) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False  # whoever reads it meets the error
    if stat.S_ISDIR(mode):
        return os.path.exists(os.path.join(path, _ENVIRONMENT_MARK)) or _is_home(path)
    return not (stat.S_ISREG(mode) or stat.S_ISLNK(mode))


def _is_home(path: str) -> bool:
    return all(os.path.isdir(os.path.join(path, mark)) for mark in _HOME_MARKS)
