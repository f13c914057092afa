"""From the path that a user names to a `PackedSource`: what goes into a job's ``source/``."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from qjob.errors import InvalidInput
from qjob.source.git import commit_of, repository_root
from qjob.source.location import Location, locate
from qjob.source.tree import SourceFile, Tree, copy_files, read_file, read_tree

SUFFIX = ".py"
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip", ".whl")


@dataclass(frozen=True, kw_only=True)
class PackedSource:
    """A source that can be copied into a job's folder: where its files lie, not their contents.

    Attributes:
        name: the one entry below the job's ``source/``: the name of the file or folder.
        uri: the ``file://`` URI of the original.
        is_directory: whether it is a folder.
        files: the files to take along.
        directories: the folders below it to take along, relative; each after the one that holds it.
        left_out: what is not taken along, relative to the folder; a folder ends in ``/``, and what is
            below it is not listed.
        git_commit: the commit of the repository that holds it, if one does.
    """

    name: str
    uri: str
    is_directory: bool
    files: tuple[SourceFile, ...]
    directories: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    git_commit: str | None = None

    def write_to(self, directory: Path) -> None:
        """Copy the source to ``directory/<name>``; the directory is made if need be.

        Raises OSError: FileExistsError when the name is taken there, FileNotFoundError when a file has
        gone since it was packed; what was copied until then stays. Nothing is synced to the disk.
        """
        directory.mkdir(parents=True, exist_ok=True)
        target = directory
        if self.is_directory:
            target = directory / self.name
            target.mkdir()
        copy_files(self.files, self.directories, str(target))


def pack_source(source: str | os.PathLike[str]) -> PackedSource:
    """Return the Python file or folder at ``source``, ready to be copied; no file's content is read.

    A link is followed and keeps its own name. Of a folder is left out what `qjob.source.ignore` names:
    version control, virtual environments, caches, folders of jobs, and what .gitignore files say, those in the
    folder and those above it up to the root of its git repository. The folder itself is never left out.

    Raises InvalidInput with every problem: missing, no Python file, unreadable, named pipes, sockets and
    devices, links that lead nowhere or round in circles.
    """
    location = locate("source", source)
    tree = _folder_tree(location) if location.is_directory else _file_tree(location)
    if tree.problems:
        raise InvalidInput(f"source {location.name!r}: {problem}" for problem in tree.problems)
    return PackedSource(
        name=location.name,
        uri=location.uri,
        is_directory=location.is_directory,
        files=tree.files,
        directories=tree.directories,
        left_out=tree.left_out,
        git_commit=commit_of(Path(location.path)),
    )


def _folder_tree(location: Location) -> Tree:
    from qjob.source.ignore import Ignore, ignore_above  # takes 5 ms, and a single file needs none of it

    root = repository_root(Path(location.path))
    try:
        ignore = Ignore() if root is None else ignore_above(location.path, str(root))
    except OSError as error:
        raise InvalidInput(
            f"source {location.name!r}: {error.filename!r} cannot be read ({error.strerror}), and it may say "
            "what is to be left out; change its permissions (chmod)."
        ) from error
    return read_tree(location.path, ignore)


def _file_tree(location: Location) -> Tree:
    tree = read_file(location.path, location.name)
    problem = _suffix_problem(location.name)
    return tree if problem is None else replace(tree, problems=(problem, *tree.problems))


def _suffix_problem(name: str) -> str | None:
    if name.endswith(SUFFIX) and name != SUFFIX:
        return None
    if name.endswith(_ARCHIVES):
        return "it is an archive, and only a Python file or a folder runs: unpack it and name the folder."
    if name.endswith(".ipynb"):
        return (
            "it is a notebook, and only a Python file or a folder runs: "
            "export it with 'jupyter nbconvert --to script' and name the file."
        )
    return f"only a Python file or a folder runs: name a file that ends in {SUFFIX!r}, or a folder."
