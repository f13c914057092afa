"""The git repository that holds a path, read from its files: nothing is started, git need not be there.

Layout: gitrepository-layout(5). A repository that keeps its refs in a ``reftable`` says no commit here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # SHA-1 or SHA-256
_MAX_SYMBOLIC_REFS = 5  # git's own limit


def commit_of(path: Path) -> str | None:
    """Return the commit that is checked out in the repository that holds ``path``.

    None when no repository holds it, when there is no commit yet and when git's files cannot be read.
    """
    root = repository_root(path)
    if root is None:
        return None
    try:
        return _head_commit(_git_directory(str(root)))
    except (OSError, ValueError):
        return None


def repository_root(path: Path) -> Path | None:
    """Return the top folder of the repository that holds ``path``, links resolved; None when none does."""
    folder = os.path.realpath(path)
    while not _is_root(folder):
        folder, inner = os.path.dirname(folder), folder
        if folder == inner:
            return None
    return Path(folder)


def _is_root(folder: str) -> bool:
    try:
        return os.path.exists(_git_directory(folder) + "/HEAD")
    except (OSError, ValueError):
        return False


def _git_directory(folder: str) -> str:
    """Return where git keeps its files: ``.git``, or what the file of that name in a worktree names."""
    path = folder + "/.git"
    if not os.path.isfile(path):
        return path
    named = _read(path).removeprefix("gitdir:").strip()
    return os.path.join(folder, named)


def _head_commit(git_directory: str) -> str | None:
    value = _read(git_directory + "/HEAD").strip()
    for _ in range(_MAX_SYMBOLIC_REFS):
        if not value.startswith("ref:"):
            break
        value = _ref(git_directory, value.removeprefix("ref:").strip())
    return value if _COMMIT.fullmatch(value) else None


def _ref(git_directory: str, name: str) -> str:
    """Return what a ref holds; empty when it does not exist, as on a branch without a commit."""
    common = _common_directory(git_directory)
    for directory in (git_directory, common):
        try:
            return _read(f"{directory}/{name}").strip()
        except (FileNotFoundError, IsADirectoryError):
            continue
    return _packed_ref(common, name)


def _common_directory(git_directory: str) -> str:
    """Return the folder that a worktree shares with its repository; a repository's own is itself."""
    try:
        named = _read(git_directory + "/commondir").strip()
    except FileNotFoundError:
        return git_directory
    return os.path.join(git_directory, named)


def _packed_ref(directory: str, name: str) -> str:
    try:
        text = _read(directory + "/packed-refs")
    except FileNotFoundError:
        return ""
    found = re.search(rf"^(\w+) {re.escape(name)}$", text, re.MULTILINE)
    return found[1] if found else ""


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
