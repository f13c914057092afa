"""The name of an environment: a digest of all that decides what is in it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from qjob.interpreter.content import left_out
from qjob.interpreter.distributions import metadata_folders
from qjob.interpreter.lines import Kind, Line, read_constraints
from qjob.interpreter.probe import Probe

FORMAT = 1
"""Counts up when environments are built in another way, so that old ones are not taken for new ones."""

_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


def environment_key(lines: Sequence[Line], probe: Probe, source: Path, environ: Mapping[str, str]) -> str:
    """Return the key of the environment for requirements on top of an interpreter; raises OSError.

    Two jobs have the same key when an installer would have to do the same: the same requirements in any
    order, the same content of the files and folders they name, the same interpreter and packages below. Which
    index they come from, and what it offers that day, is not looked at.
    """
    content = {
        "format": FORMAT,
        "requirements": sorted(_content(line, source, environ) for line in lines if line.kind is not Kind.OPTION),
        "options": [_content(line, source, environ) for line in lines if line.kind is Kind.OPTION],
        "version": probe.version,
        "abi": probe.abi,
        "paths": probe.paths,
        "hooks": probe.hooks,
        "installed": [metadata_folders(path) for path in probe.paths],
    }
    return _digest(json.dumps(content).encode())


def tree_digest(path: Path) -> str:
    """Return a digest of a file or of a folder's files, their names and content; raises OSError."""
    if path.is_file():
        return _file_digest(path)
    found = []
    for directory, folders, files in os.walk(path):
        not_content = left_out(directory, [*folders, *files])
        folders[:] = [name for name in folders if name not in not_content]
        for name in (name for name in files if name not in not_content):
            file = Path(directory, name)
            found.append([str(file.relative_to(path)), _file_digest(file) if file.is_file() else ""])
    return _digest(json.dumps(sorted(found)).encode())


def _content(line: Line, source: Path, environ: Mapping[str, str]) -> str:
    """Return what a line comes to; of what it names, the content counts and not the place."""
    values = [environ.get(name) for name in _VARIABLE.findall(line.value)]
    if line.path is None:
        said = line.value
    elif line.kind is Kind.CONSTRAINTS:
        said = _constraints(line.path, source, environ)
    elif line.kind is Kind.FIND_LINKS and not line.path.is_relative_to(source):
        said = str(line.path)  # a place to look in, like an index; may be large
    else:
        said = tree_digest(line.path)
    return json.dumps([line.kind, said, line.extras, values])


def _constraints(path: Path, source: Path, environ: Mapping[str, str]) -> str:
    return json.dumps(sorted(_content(line, source, environ) for line in read_constraints(path, source)))


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
