"""Tree: the files at or below a path, found without reading them, and copied later.

Links are followed, as Braket's archive of the source does: a job gets what a link points to.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Protocol

from qjob.copying import copy_content

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One file to copy.

    Attributes:
        relative: its path below the folder that was named; its own name when a file was named.
        absolute: where it lies now.
    """

    relative: str
    absolute: str


@dataclass(frozen=True, kw_only=True)
class Tree:
    """What lies at or below a path.

    Attributes:
        files: the files to take along, in an order that is always the same.
        directories: the folders to take along, relative; each after the one that holds it.
        left_out: what is not taken along, relative; a folder ends in ``/`` and stands for all below it.
        problems: why the tree cannot be taken along, one sentence each.
    """

    files: tuple[SourceFile, ...] = ()
    directories: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Choice(Protocol):
    """What is taken along of a folder's entries."""

    def takes(self, path: str, name: str, is_directory: bool) -> bool:
        """Say whether the entry ``name`` at ``path`` is taken along."""

    def takes_folder_with(self, names: Set[str]) -> bool:
        """Say whether a folder that has entries of these names is taken along."""

    def below(self, folder: str, names: Set[str]) -> Choice:
        """Return the choice for the entries of ``folder``, which are ``names``. Raises OSError."""


class TakeAll:
    """The choice that leaves nothing out."""

    def takes(self, path: str, name: str, is_directory: bool) -> bool:
        return True

    def takes_folder_with(self, names: Set[str]) -> bool:
        return True

    def below(self, folder: str, names: Set[str]) -> Choice:
        return self


def read_tree(root: str, choice: Choice) -> Tree:
    """Return what lies in the folder ``root``, an absolute path; the choice does not judge the root itself.

    No file is opened. Never hangs: a link back to a folder that holds it is a problem and not followed.
    """
    walk = _Walk(root, choice)
    walk.run()
    return Tree(
        files=tuple(walk.files),
        directories=tuple(walk.directories),
        left_out=tuple(sorted(walk.left_out)),
        problems=tuple(walk.problems),
    )


def read_file(path: str, name: str) -> Tree:
    """Return the tree that is the one file at ``path``, to be called ``name``."""
    problem = _unreadable(path, os.R_OK)
    return Tree(
        files=(SourceFile(relative=name, absolute=path),),
        problems=() if problem is None else (problem,),
    )


def kind_problem(path: str, mode: int) -> str:
    """Say why what lies at ``path``, which is neither a file nor a folder, cannot be taken along."""
    kind = _KINDS.get(stat.S_IFMT(mode), "of an unknown kind")
    return f"{path!r} is {kind}: only files and folders can be taken along; move it elsewhere."


def copy_files(files: Iterable[SourceFile], directories: Iterable[str], target: str) -> None:
    """Copy the files to their relative paths below the folder ``target``, and make the folders.

    What can be executed stays so, and the owner may always read and write the copy. Nothing that is
    there already is overwritten. Raises OSError; what was copied until then stays. Nothing is synced.
    """
    for directory in directories:
        os.mkdir(f"{target}/{directory}")
    for file in files:
        _copy(file.absolute, f"{target}/{file.relative}")


@dataclass(frozen=True, kw_only=True)
class _Folder:
    """A folder still to be looked into.

    Attributes:
        path: where it lies.
        relative: its path below the root; empty for the root.
        choice: what is taken along of the folder that holds it.
        is_link: whether a link leads here.
    """

    path: str
    relative: str
    choice: Choice
    is_link: bool = False


class _Walk:
    """One walk through a tree; a stack and no recursion, as a path may be longer than Python's stack."""

    def __init__(self, root: str, choice: Choice) -> None:
        self.files: list[SourceFile] = []
        self.directories: list[str] = []
        self.left_out: list[str] = []
        self.problems: list[str] = []
        self._root = root
        self._stack = [_Folder(path=root, relative="", choice=choice)]
        self._found_loop = False

    def run(self) -> None:
        while self._stack:
            folder = self._stack.pop()
            # Folders that link to each other have a factorial number of paths. The answer is known
            # after the first loop, so that no further link is followed.
            if not (folder.is_link and self._found_loop):
                self._enter(folder)

    def _enter(self, folder: _Folder) -> None:
        try:
            self._list(folder)
        except OSError as error:
            self.problems.append(_os_problem(error.filename or folder.path, error))

    def _list(self, folder: _Folder) -> None:
        if problem := _unreadable(folder.path, os.R_OK | os.X_OK):
            self.problems.append(problem)
            return
        with os.scandir(folder.path) as found:
            entries = sorted(found, key=_name)
        names = {entry.name for entry in entries}
        if folder.relative and not folder.choice.takes_folder_with(names):
            self.left_out.append(folder.relative + "/")
            return
        if folder.relative:
            self.directories.append(folder.relative)
        choice = folder.choice.below(folder.path, names)
        below = [self._take(entry, folder, choice) for entry in entries]
        self._stack.extend(inner for inner in reversed(below) if inner is not None)

    def _take(self, entry: os.DirEntry[str], folder: _Folder, choice: Choice) -> _Folder | None:
        """Take the entry along, or say why not; return it when it is a folder to look into."""
        relative = f"{folder.relative}/{entry.name}" if folder.relative else entry.name
        is_directory = _is_directory(entry)
        if not choice.takes(entry.path, entry.name, is_directory):
            self.left_out.append(relative + "/" if is_directory else relative)
            return None
        if not is_directory:
            self._take_file(entry, relative)
            return None
        if entry.is_symlink() and self._leads_back(entry):
            return None
        return _Folder(path=entry.path, relative=relative, choice=choice, is_link=entry.is_symlink())

    def _take_file(self, entry: os.DirEntry[str], relative: str) -> None:
        problem = _file_problem(entry)
        if problem is None:
            self.files.append(SourceFile(relative=relative, absolute=entry.path))
        else:
            self.problems.append(problem)

    def _leads_back(self, entry: os.DirEntry[str]) -> bool:
        """Say whether a link leads to a folder that holds it; note the problem when it does."""
        target = entry.stat()
        holder = entry.path
        while holder != self._root:
            holder = os.path.dirname(holder)
            if os.path.samestat(target, os.stat(holder)):
                self._found_loop = True
                self.problems.append(
                    f"{entry.path!r} is a link back to a folder that holds it, {holder!r}: "
                    "a copy would never end; remove the link."
                )
                return True
        return False


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that cannot be followed; _file_problem says why


def _file_problem(entry: os.DirEntry[str]) -> str | None:
    try:
        if entry.is_file():
            return _unreadable(entry.path, os.R_OK)
        return kind_problem(entry.path, entry.stat().st_mode)
    except FileNotFoundError:
        return _dangling(entry)
    except OSError as error:
        return _os_problem(entry.path, error)


def _dangling(entry: os.DirEntry[str]) -> str:
    if not entry.is_symlink():
        return f"{entry.path!r} was there and is gone: something else changes the folder; submit again."
    target = os.readlink(entry.path)
    return (
        f"{entry.path!r} is a link to {target!r}, which does not exist: links are followed and their "
        "targets copied; remove the link or bring the target back."
    )


def _unreadable(path: str, access: int) -> str | None:
    if os.access(path, access):
        return None
    return f"{path!r} cannot be read: everything that is taken along must be; change its permissions (chmod)."


def _os_problem(path: str, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return f"{path!r} is a link that leads round in circles: a link must end somewhere; remove it."
    return f"{path!r} cannot be read: {error.strerror}; everything that is taken along must be, move it elsewhere."


def _copy(source: str, target: str) -> None:
    source_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(source_fd)
        mode = stat.S_IMODE(status.st_mode) & 0o777 | 0o600
        target_fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            copy_content(source_fd, target_fd)
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)
