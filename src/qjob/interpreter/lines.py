"""The requirements format, as far as we must understand it: what names a file or folder, and what a comment is.

The format is pip's: https://pip.pypa.io/en/stable/reference/requirements-file-format/. Everything else in a line
is left to the installer, which knows better, and whose words the user gets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Kind(StrEnum):
    """What a line says."""

    REQUIREMENT = "requirement"
    EDITABLE = "-e"
    FILE = "-r"
    CONSTRAINTS = "-c"
    FIND_LINKS = "-f"
    OPTION = "option"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a requirements file, without its comment.

    Attributes:
        kind: what it says.
        value: what it says it of: what follows the option's name, or the whole line.
        path: the file or folder on this machine that it names, absolute, if that is there.
        extras: of a path, ``[extras]`` and the rest that followed it.
    """

    kind: Kind
    value: str
    path: Path | None = None
    extras: str = ""

    def __str__(self) -> str:
        value = self.value if self.path is None else f"{self.path}{self.extras}"
        return value if self.kind in (Kind.REQUIREMENT, Kind.OPTION) else f"{self.kind} {value}"


_LONG = {
    "--requirement": Kind.FILE,
    "--constraint": Kind.CONSTRAINTS,
    "--editable": Kind.EDITABLE,
    "--find-links": Kind.FIND_LINKS,
}
_COMMENT = re.compile(r"(^|\s+)#.*$")
_LONG_OPTION = re.compile(r"(--[a-z-]+)(?:\s*=\s*|\s+)(.+)")
_SHORT_OPTION = re.compile(r"(-[rcef])\s*(.+)")
_AT_FILE = re.compile(r"[\w.-]+\s*(\[[^\]]*\])?\s*@\s*(file:\S+)(.*)")
_PATH = re.compile(r"([^;\[]+?)(\[[^\]]*\])?(\s+(?:;|--).*)?")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz")


def read_lines(text: str, *directories: Path) -> list[Line]:
    """Return the lines of a requirements text, those of files that it refers to (``-r``) in their place.

    Relative paths are looked for in the directories, in that order, those of a file beside it first; without
    directories they are left alone. A file that is not there stays as a line, so that the installer will say so; one
    that leads round to itself is read once.
    """
    return list(_read(text, directories, frozenset(), (Kind.FILE,)))


def read_constraints(path: Path, *directories: Path) -> list[Line]:
    """Return the lines of a constraints file and of all that it refers to; raises OSError and UnicodeDecodeError."""
    text = read_text(path.read_bytes())
    follow = (Kind.FILE, Kind.CONSTRAINTS)
    lines = _read(text, (path.parent, *directories), frozenset({path}), follow)
    return [line for line in lines if line.path is None or line.kind not in follow]


def joined_text(lines: Iterable[Line]) -> str:
    """Return lines as a requirements text again; empty when there are none."""
    return "".join(f"{line}\n" for line in lines)


def asks_for_packages(lines: Iterable[Line]) -> bool:
    """Tell whether there is anything to install; options and constraints alone ask for nothing."""
    return any(line.kind in (Kind.REQUIREMENT, Kind.EDITABLE, Kind.FILE) for line in lines)


def read_text(data: bytes) -> str:
    """Return a requirements file's text, by its byte order mark or as UTF-8; raises UnicodeDecodeError."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")  # what PowerShell writes for `pip freeze > requirements.txt`
    return data.decode("utf-8-sig")


def _read(text: str, directories: tuple[Path, ...], above: frozenset[Path], follow: tuple[Kind, ...]) -> Iterator[Line]:
    for logical in _logical_lines(text):
        line = _located(_parsed(logical), directories)
        if line.path in above and line.kind in follow:
            continue  # it refers to itself, and all that it says is said
        if line.kind not in follow or line.path is None:
            yield line
            continue
        try:
            inner = read_text(line.path.read_bytes())
        except (OSError, UnicodeDecodeError):
            yield line
            continue
        yield from _read(inner, (line.path.parent, *directories), above | {line.path}, follow)


def _logical_lines(text: str) -> Iterator[str]:
    pending = ""
    for line in [*text.splitlines(), ""]:
        if line.endswith("\\") and not _COMMENT.search(line):
            pending += line[:-1]
            continue
        whole = _COMMENT.sub("", pending + line).strip()
        pending = ""
        if whole:
            yield whole


def _parsed(line: str) -> Line:
    long = _LONG_OPTION.fullmatch(line)
    if long is not None and long[1] in _LONG:
        return Line(kind=_LONG[long[1]], value=_unquoted(long[2]))
    short = _SHORT_OPTION.fullmatch(line)
    if short is not None and not line.startswith("--"):
        return Line(kind=Kind(short[1]), value=_unquoted(short[2]))
    return Line(kind=Kind.OPTION if line.startswith("-") else Kind.REQUIREMENT, value=line)


def _unquoted(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _located(line: Line, directories: tuple[Path, ...]) -> Line:
    path, extras = _named_path(line)
    if not path:
        return line
    for directory in directories or ((Path("/"),) if os.path.isabs(path) else ()):
        there = directory / os.path.expanduser(path)
        if os.path.exists(there):  # unlike the method, no error for what can be no path
            return replace(line, path=Path(os.path.abspath(there)), extras=extras)
    return line


def _named_path(line: Line) -> tuple[str, str]:
    """Return the path that a line names, and the extras after it; empty where it names none."""
    if line.kind is Kind.OPTION:
        return "", ""
    at_file = _AT_FILE.fullmatch(line.value)
    if at_file is not None:
        return _path_of_url(at_file[2]), (at_file[1] or "") + at_file[3]
    if line.value.startswith("file:"):
        return _path_of_url(line.value), ""
    if "://" in line.value:
        return "", ""
    if line.kind in (Kind.FILE, Kind.CONSTRAINTS, Kind.FIND_LINKS):
        return line.value, ""
    match = _PATH.fullmatch(line.value)
    if match is None or not _looks_like_a_path(match[1], line.kind):
        return "", ""
    return match[1], (match[2] or "") + (match[3] or "")


def _looks_like_a_path(text: str, kind: Kind) -> bool:
    return (
        kind is Kind.EDITABLE
        or text.startswith(".")
        or text.endswith(_ARCHIVES)
        or (os.sep in text and "@" not in text)
    )


def _path_of_url(url: str) -> str:
    return unquote(urlsplit(url).path)
