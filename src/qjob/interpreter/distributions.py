"""The packages that an interpreter finds, and whether they are what is asked for.

What is installed is read from the names of the ``.dist-info`` folders, as
https://packaging.python.org/en/latest/specifications/recording-installed-packages/ lays down.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qjob.interpreter.lines import Kind, Line


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """An installed package.

    Attributes:
        name: normalised: lower case, with hyphens.
        version: as the folder's name has it; empty where it has none.
        folder: its metadata, ``.dist-info`` or ``.egg-info``.
    """

    name: str
    version: str
    folder: Path


Version = tuple[int, ...]

_PLAIN = re.compile(r"\d+(?:\.\d+)*")
_SPECIFIER = re.compile(r"(==|>=|<=|!=|~=|<|>)\s*(\d+(?:\.\d+)*)")
_REQUIREMENT = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*((?:[=<>!~][^;@\[]*)?)")
_HARMLESS = ("--no-index", "--index-url", "-i", "--extra-index-url", "--trusted-host", "--prefer-binary", "--pre")
_COMPARE: Mapping[str, Callable[[Version, Version], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def distributions(paths: Iterable[str]) -> dict[str, Distribution]:
    """Return what is installed in folders by its normalised name; the first folder that has it counts."""
    found: dict[str, Distribution] = {}
    for path in paths:
        for folder in metadata_folders(path):
            stem, _, kind = folder.rpartition(".")
            name, _, version = stem.rpartition("-") if kind == "dist-info" else (stem.partition("-")[0], "", "")
            each = Distribution(name=normalised(name or stem), version=version, folder=Path(path, folder))
            found.setdefault(each.name, each)
    return found


def metadata_folders(path: str) -> list[str]:
    """Return the names of the metadata folders in a folder, which tell the names and versions, sorted."""
    try:
        names = os.listdir(path)
    except OSError:
        return []  # many of the places where packages may be are not there
    return sorted(name for name in names if name.endswith((".dist-info", ".egg-info")) and not name.startswith("~"))


def normalised(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def all_there(lines: Sequence[Line], installed: Mapping[str, Distribution]) -> bool:
    """Tell whether what is installed surely has all that the lines ask for.

    Only plain requirements (``numpy``, ``scipy>=1.11,<2``) on plain versions are judged; with anything else in
    the lines the answer is no, and an installer decides.
    """
    return all(_is_there(line, installed) for line in lines)


def _is_there(line: Line, installed: Mapping[str, Distribution]) -> bool:
    if line.kind is Kind.OPTION:
        return line.value.split("=")[0].split()[0] in _HARMLESS
    if line.kind is Kind.FIND_LINKS:
        return True
    match = _REQUIREMENT.fullmatch(line.value) if line.kind is Kind.REQUIREMENT and line.path is None else None
    there = installed.get(normalised(match[1])) if match is not None else None
    if match is None or there is None or not (there.folder / "METADATA").is_file():
        return False
    return not match[2] or fits(there.version, match[2])


def fits(version: str, specifiers: str) -> bool:
    """Tell whether a version surely fits ``>=1.2,<2``; False also where it takes more than numbers to say."""
    if not _PLAIN.fullmatch(version):
        return False
    found = [_SPECIFIER.fullmatch(each.strip()) for each in specifiers.split(",")]
    return all(each is not None and _fits_one(_numbers(version), each[1], _numbers(each[2])) for each in found)


def _fits_one(version: Version, comparison: str, wanted: Version) -> bool:
    if comparison == "~=":
        return (
            len(wanted) > 1 and _fits_one(version, ">=", wanted) and _padded(version, len(wanted))[:-1] == wanted[:-1]
        )
    width = max(len(version), len(wanted))
    return _COMPARE[comparison](_padded(version, width), _padded(wanted, width))


def _numbers(version: str) -> Version:
    return tuple(map(int, version.split(".")))


def _padded(version: Version, width: int) -> Version:
    return (version + (0,) * width)[:width]
