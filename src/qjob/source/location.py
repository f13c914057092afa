"""Location: where something lies that a user has named."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from urllib.parse import quote

from qjob.errors import InvalidInput
from qjob.source.tree import kind_problem


@dataclass(frozen=True, kw_only=True)
class Location:
    """A file or a folder that is there.

    Attributes:
        name: the last part of the path as it was named, a link's own name included; the real name
            where the path ends in ``.`` or ``..``.
        path: the absolute path with every link resolved.
        uri: the ``file://`` URI of the path as it was named.
        is_directory: whether it is a folder.
    """

    name: str
    path: str
    uri: str
    is_directory: bool


def locate(what: str, named: object) -> Location:
    """Return where the file or folder lies that ``named``, a str or PathLike, names.

    ``what`` says in messages what it is for. A leading ``~`` is not expanded: the shell has done that, and
    a folder may be called so. Raises InvalidInput.
    """
    text = _text(what, named)
    try:
        path = os.path.realpath(text, strict=True)
        mode = os.stat(path).st_mode
    except OSError as error:
        raise InvalidInput(_problem(what, text, error)) from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InvalidInput(f"{what} {kind_problem(text, mode)}")
    if path == "/":
        raise InvalidInput(f"{what} {text!r} is the root of the file system, which has no name: name a folder in it.")
    named_path = _named_path(text, path)
    return Location(
        name=os.path.basename(named_path),
        path=path,
        uri="file://" + quote(os.fsencode(named_path)),
        is_directory=stat.S_ISDIR(mode),
    )


def _text(what: str, named: object) -> str:
    try:
        text = os.fspath(named)  # type: ignore[call-overload]
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise InvalidInput(f"{what} {named!r} is of type {type(named).__name__}: give a path as str or pathlib.Path.")
    if not text or "\0" in text:
        raise InvalidInput(f"{what} {text!r} is no path: it must not be empty nor hold a null character.")
    return text


def _problem(what: str, text: str, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return f"{what} {text!r} is a link that leads round in circles: name a file or a folder."
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return f"{what} {text!r} cannot be reached: {error.strerror}; name a file or a folder that you may read."
    if os.path.islink(text):
        target = os.readlink(text)
        return f"{what} {text!r} is a link to {target!r}, which does not exist: name something that does."
    where = os.path.abspath(text)
    return f"{what} {text!r} does not exist, it was looked for at {where!r}: {_remedy(text)}."


def _remedy(text: str) -> str:
    if text.startswith("s3://"):
        return "it is read from this machine only; download it, unpack it and name the file or folder"
    if text.startswith("~"):
        return "'~' is expanded by a shell only; give the path from os.path.expanduser"
    return "name a file or a folder that is there"


def _named_path(text: str, real: str) -> str:
    """Return the absolute path of what was named, with the name's own link left as it is."""
    folder, name = os.path.split(text.rstrip("/"))
    if name in ("", os.curdir, os.pardir):
        return real
    return os.path.join(os.path.realpath(folder or os.curdir), name)
