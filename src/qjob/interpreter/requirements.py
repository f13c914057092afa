"""What a job asks to have installed: the source's ``requirements.txt`` and ``dependencies=``, as one text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from qjob.errors import InvalidInput
from qjob.interpreter.lines import Kind, asks_for_packages, joined_text, read_lines, read_text

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


def requirements_text(of_source: bytes | None, dependencies: object = None) -> str:
    """Return all that is to be installed, in pip's requirements format; empty when there is nothing.

    ``of_source`` is the ``requirements.txt`` at the source's root; what it refers to lies in the source and is
    looked up there when the job starts. ``dependencies`` is the path of a requirements file or a list of its lines, as
    published, in which a path (no str) stands for a file's lines; the files that they refer to lie here, so ``-r`` is
    followed now and paths become absolute.
    Raises InvalidInput with every problem.
    """
    problems: list[str] = []
    source_text = _source_text(of_source, problems)
    asked_text = _dependencies_text(dependencies, problems)
    if problems:
        raise InvalidInput(problems)
    text = "\n".join(part.rstrip("\n") for part in (source_text, asked_text) if part)
    return f"{text}\n" if asks_for_packages(read_lines(text)) else ""


def _source_text(data: bytes | None, problems: list[str]) -> str:
    return "" if data is None else _decoded(data, "requirements.txt of the source", problems)


def _decoded(data: bytes, what: str, problems: list[str]) -> str:
    try:
        text = read_text(data)
    except UnicodeDecodeError as error:
        problems.append(f"{what}: byte {error.start} is no UTF-8 text ({error.reason}); save it as UTF-8.")
        return ""
    problems.extend(_control_problems(text, what))
    return text


def _control_problems(text: str, what: str) -> list[str]:
    return [
        f"{what}: line {number} has the control character {found[0]!r}; remove it."
        for number, line in enumerate(text.splitlines(), 1)
        if (found := _CONTROL.search(line))
    ]


def _dependencies_text(dependencies: object, problems: list[str]) -> str:
    if dependencies is None:
        return ""
    if isinstance(dependencies, str | os.PathLike):
        return _text_of_file(dependencies, problems)
    if isinstance(dependencies, Iterable) and not isinstance(dependencies, bytes | bytearray | Mapping):
        return _text_of_list(dependencies, problems)
    problems.append(
        f"dependencies={dependencies!r}: the path of a requirements file or a list of requirements is expected, "
        "as in ['numpy>=1.26']."
    )
    return ""


def _text_of_file(given: str | os.PathLike[str], problems: list[str]) -> str:
    path = Path(os.fsdecode(os.path.expanduser(given)))
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        problems.append(
            f"dependencies={os.fspath(given)!r}: no requirements file can be read there ({said}); "
            "for requirements themselves give a list, as in ['numpy>=1.26']."
        )
        return ""
    text = _decoded(data, f"dependencies={os.fspath(given)!r}", problems)
    return _made_absolute(text, path.absolute().parent, problems)


def _text_of_list(given: Iterable[object], problems: list[str]) -> str:
    return "".join(
        _text_of_item(each, f"dependencies[{number}]={each!r}", problems) for number, each in enumerate(given)
    )


def _text_of_item(given: object, what: str, problems: list[str]) -> str:
    if isinstance(given, os.PathLike):
        return _text_of_file(given, problems)
    if not isinstance(given, str) or not given.strip():
        problems.append(f"{what}: a requirement is expected, as in 'numpy>=1.26'.")
        return ""
    problems.extend(_control_problems(given, what))
    return _made_absolute(given, Path.cwd(), problems)


def _made_absolute(text: str, directory: Path, problems: list[str]) -> str:
    lines = read_lines(text, directory)
    problems.extend(
        f"dependencies: the file {line.value!r} that {line.kind} refers to cannot be read in {directory}."
        for line in lines
        if line.kind is Kind.FILE or (line.kind is Kind.CONSTRAINTS and line.path is None)
        if "://" not in line.value
    )
    return joined_text(lines)
