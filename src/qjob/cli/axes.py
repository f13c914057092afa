"""What the command line takes for the values of a sweep: ``theta=0:3.14:20``, ``seed=1,2,3``, a file of points."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qjob.errors import InvalidInput
from qjob.model.points import MAX_POINTS

_LARGEST = 1e308
_RANGE = "START:STOP:COUNT with whole COUNT >= 2, as in 0:3.14:20"


def grid_values(name: str, text: str) -> list[Any]:
    """Return the values that ``0:3.14:20`` (20 from 0 to 3.14, both ends included) or ``1,2,3`` mean.

    Values of a list stay the texts that they are. Raises InvalidInput.
    """
    parts = text.split(":")
    if len(parts) == 1 or not all(map(_is_number, parts[:2])):
        return _listed(name, text)
    try:
        start, stop, count = _number(parts[0]), _number(parts[1]), int(parts[2])
    except (ValueError, IndexError):
        raise InvalidInput(f"--grid {name}={text}: a range is {_RANGE}.") from None
    if len(parts) != 3 or not 2 <= count <= MAX_POINTS or abs(stop - start) > _LARGEST:
        raise InvalidInput(f"--grid {name}={text}: a range is {_RANGE}.")
    return _spread(start, stop, count)


def random_range(name: str, text: str) -> tuple[Any, ...] | list[str]:
    """Return the range that ``0:3.14`` or ``1e-4:1e-1:log`` means, or the choices ``a,b,c``; raises InvalidInput."""
    low, colon, rest = text.partition(":")
    if not colon or not _is_number(low):
        return _listed(name, text)
    high, colon, scale = rest.partition(":")
    if not _is_number(high) or (colon and scale != "log"):
        raise InvalidInput(
            f"--random {name}={text}: a range is LOW:HIGH or LOW:HIGH:log, as in 0:3.14 or 1e-4:1e-1:log."
        )
    return (_number(low), _number(high), *(["log"] if colon else []))


def points_in(path: Path) -> list[dict[str, str]]:
    """Return the points in a file: JSON, an object a line or a list of objects, or CSV with a line of names.

    Raises InvalidInput.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # of quoted values, line ends are a part
            return _from_csv(file) if path.suffix.lower() == ".csv" else _from_json(file.read())
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise InvalidInput(
            f"--points {path}: {error}; a CSV file (.csv) has the names in its first line, any other file is JSON, "
            "an object a line."
        ) from error


def _listed(name: str, text: str) -> list[str]:
    values = [part.strip() for part in text.split(",")]
    if not all(values):
        raise InvalidInput(f"{name}={text}: there is an empty value in it; write values as 1,2,3.")
    return values


def _spread(start: float, stop: float, count: int) -> list[Any]:
    """Return evenly spread numbers; whole ones where all of them are whole."""
    if isinstance(start, int) and isinstance(stop, int) and (stop - start) % (count - 1) == 0:
        step = (stop - start) // (count - 1)
        return [start + step * place for place in range(count)]
    return [start + (stop - start) * (place / (count - 1)) for place in range(count - 1)] + [stop]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _from_csv(lines: Iterable[str]) -> list[dict[str, str]]:
    reader = csv.reader(lines, strict=True, skipinitialspace=True)
    names = next(reader, [])
    if len(set(names)) < len(names):
        raise ValueError("a name stands twice in the first line")
    found = []
    for row in reader:
        if len(row) not in (0, len(names)):
            raise ValueError(f"line {reader.line_num} has not as many values as there are names")
        if row:
            found.append(dict(zip(names, row, strict=True)))
    return found


def _from_json(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        found = json.loads(text)
        return list(found)
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def axes(pairs: Iterable[tuple[str, str]]) -> dict[str, list[Any]]:
    """Return the values of each hyperparameter of a grid; raises InvalidInput."""
    return {name: grid_values(name, text) for name, text in pairs}
