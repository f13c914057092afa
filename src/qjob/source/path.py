"""From what a user names to a `PackedSource`: what goes into a job's ``source/``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qjob.errors import InvalidInput
from qjob.source.git import commit_of, repository_root
from qjob.source.location import Location, locate
from qjob.source.packed import SUFFIX
from qjob.source.packed import PackedSource as PackedSource  # for those who pack
from qjob.source.tree import Tree, read_file, read_tree

if TYPE_CHECKING:
    from qjob.source.installed import Installed

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ARCHIVES = (*_TARS, ".zip", ".whl")


def pack_source(source: str | os.PathLike[str]) -> PackedSource:
    """Return the Python file, folder, archive or installed package that is named, ready to be copied.

    A link is followed and keeps its own name. Of a folder is left out what `qjob.source.ignore` names:
    version control, virtual environments, caches, folders of jobs, and what .gitignore files say, those in the
    folder and those above it up to the root of its git repository. The folder itself is never left out. Nothing
    is left out of an archive. No file's content is read, but that of an archive.

    A name such as ``pkg`` or ``pkg.module``, where no such path exists, is that of an installed package or
    module; see `qjob.source.installed`.

    Raises InvalidInput with every problem: missing, no Python file, unreadable, named pipes, sockets and
    devices, links that lead nowhere or round in circles, an archive with any of these or leading outside.
    """
    try:
        location = locate("source", source)
    except InvalidInput as problem:
        return _pack_installed(source, problem)
    if not location.is_directory and location.name.lower().endswith(ARCHIVES):
        from qjob.source.archive import pack_archive  # takes 15 ms, and nothing else needs it

        return pack_archive(location)
    path = Path(location.path)
    tree = _folder_tree(location, repository_root(path)) if location.is_directory else _file_tree(location)
    return replace(_pack(location, tree), git_commit=commit_of(path))


def _pack(location: Location, tree: Tree) -> PackedSource:
    if tree.problems:
        raise InvalidInput(f"source {location.name!r}: {problem}" for problem in tree.problems)
    return PackedSource(
        name=location.name,
        uri=location.uri,
        is_directory=location.is_directory,
        place=location.name if location.is_directory else "",
        files=tree.files,
        directories=tree.directories,
        left_out=tree.left_out,
    )


def _pack_installed(source: object, problem: InvalidInput) -> PackedSource:
    """Return the installed package or module that was named; raises ``problem`` when nobody can have meant one."""
    if not isinstance(source, str) or source.endswith((SUFFIX, *ARCHIVES)) or os.path.lexists(source):
        raise problem
    if not all(part.isidentifier() for part in source.split(".")):
        raise problem
    from qjob.source.installed import find_installed

    installed = find_installed(source)
    if installed is None:
        raise InvalidInput(f"{problem} Nor is there an installed module of that name.")
    return _pack_found(installed, locate("source", installed.path))


def _pack_found(installed: Installed, location: Location) -> PackedSource:
    path = Path(location.path)
    root = None if installed.in_site else repository_root(path)
    tree = _folder_tree(location, root) if location.is_directory else read_file(location.path, location.name)
    packed = _pack(location, tree)
    place = "/".join(part for part in (installed.around, packed.place) if part)
    return replace(
        packed,
        name=place.partition("/")[0] or packed.name,
        is_directory=bool(place),
        place=place,
        module=installed.module,
        git_commit=None if root is None else commit_of(path),
    )


def _folder_tree(location: Location, root: Path | None) -> Tree:
    """Return what is taken along of a folder that lies in the repository at ``root``, if in one."""
    from qjob.source.ignore import Ignore, ignore_above  # takes 5 ms, and a single file needs none of it

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
    if name.endswith(".ipynb"):
        return (
            "it is a notebook, and only a Python file, a folder or an archive runs: "
            "export it with 'jupyter nbconvert --to script' and name the file."
        )
    return f"only a Python file, a folder or an archive runs: name a file that ends in {SUFFIX!r}, or a folder."
