"""The points of a sweep: which values its hyperparameters take in each of its jobs. Pure."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from qjob.errors import InvalidInput

MAX_POINTS = 100_000
_LOG = "log"
_LARGEST = 1e300  # of a range's ends: their difference is a number then
_MOST_PROBLEMS = 20  # told of the points, of which there may be thousands


class Points(Protocol):
    """The values of each point, numbered from 0."""

    @property
    def names(self) -> tuple[str, ...]:
        """The hyperparameters that are varied."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Grid:
    """Every combination of the values of some hyperparameters; the last one varies fastest.

    Attributes:
        axes: each hyperparameter with its values.
    """

    axes: tuple[tuple[str, tuple[Any, ...]], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The hyperparameters."""
        return tuple(name for name, _ in self.axes)

    def __len__(self) -> int:
        return math.prod(len(values) for _, values in self.axes)

    def __getitem__(self, number: int) -> dict[str, Any]:
        number = range(len(self))[number]
        point = {}
        for name, values in reversed(self.axes):
            number, place = divmod(number, len(values))
            point[name] = values[place]
        return {name: point[name] for name in self.names}


@dataclass(frozen=True)
class Listed:
    """Points one by one.

    Attributes:
        points: the values of each.
    """

    points: tuple[Mapping[str, Any], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The hyperparameters of any point, in the order in which they come up."""
        return tuple(dict.fromkeys(name for point in self.points for name in point))

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return dict(self.points[number])


@dataclass(frozen=True)
class RandomPoints:
    """Points drawn at random: the same ones for the same seed, on every machine.

    Attributes:
        ranges: for each hyperparameter a range or a list of values. ``(low, high)`` is drawn evenly between the two,
            whole numbers with both ends when both are whole; ``(low, high, "log")`` evenly in the logarithm; of a list
            each value is as likely as the others.
        samples: how many points.
        seed: of the random numbers.
    """

    ranges: Mapping[str, tuple[Any, ...] | Sequence[Any]]
    samples: int = field(kw_only=True)
    seed: int = field(default=0, kw_only=True)


def points_of(grid: object) -> Points:
    """Return the points that a user asks for: a dict of lists, a list of dicts, or `RandomPoints`.

    Raises InvalidInput with everything that is wrong.
    """
    if isinstance(grid, RandomPoints):
        return _drawn(grid)
    if isinstance(grid, Mapping):
        return _grid(grid)
    if isinstance(grid, Iterable) and not isinstance(grid, str | bytes):
        return _listed(list(islice(grid, MAX_POINTS + 1)))
    raise InvalidInput(
        f"grid={grid!r}: a dict of lists is expected, as in {{'theta': [0.1, 0.2]}}, a list of dicts, as in "
        "[{'theta': 0.1}, {'theta': 0.2}], or RandomPoints."
    )


def _grid(given: Mapping[Any, Any]) -> Grid:
    problems = _names_problems("grid", given)
    axes = tuple((str(name), _values(f"grid {name!r}", values, problems)) for name, values in given.items())
    if not axes:
        problems.append("grid={}: nothing is varied; name at least one hyperparameter and its values.")
    size = math.prod(len(values) for _, values in axes)
    if size > MAX_POINTS:
        problems.append(f"grid: it has {size:,} points, at most {MAX_POINTS:,} are allowed; make several.")
    if problems:
        raise InvalidInput(problems)
    return Grid(axes)


def _listed(given: Sequence[Any]) -> Listed:
    problems: list[str] = []
    for number, point in enumerate(given):
        problems += _point_problems(number, point)
        if len(problems) > _MOST_PROBLEMS:
            break
    if not given:
        problems.append("grid=[]: there is no point in it; give at least one.")
    if len(given) > MAX_POINTS:
        problems.append(f"grid: it has more than {MAX_POINTS:,} points, which are not allowed; make several.")
    if problems:
        raise InvalidInput(problems)
    return Listed(tuple({str(name): value for name, value in point.items()} for point in given))


def _point_problems(number: int, point: object) -> list[str]:
    if isinstance(point, Mapping):
        return _names_problems(f"grid: point {number}", point)
    return [f"grid: point {number} is {point!r}: a dict is expected, as in {{'theta': 0.1}}."]


def _names_problems(what: str, names: Iterable[Any]) -> list[str]:
    strange = [name for name in names if not isinstance(name, str | int | float)]
    return [f"{what}: {name!r} is no name of a hyperparameter; write it as a text." for name in strange] + [
        f"{what}: hyperparameter {name!r} is there more than once, as keys of several types; leave all but one out."
        for name, count in Counter(map(str, names)).items()
        if count > 1
    ]


def _drawn(asked: RandomPoints) -> Listed:
    problems: list[str] = []
    if not _is_whole(asked.samples) or not 1 <= asked.samples <= MAX_POINTS:
        problems.append(f"samples={asked.samples!r}: a whole number from 1 to {MAX_POINTS} is expected.")
    if not _is_whole(asked.seed):
        problems.append(f"seed={asked.seed!r}: a whole number is expected.")
    ranges = _ranges(asked.ranges, problems)
    if problems:
        raise InvalidInput(problems)
    draw = random.Random(asked.seed)  # of its methods only random(): the others may change with Python's version
    return Listed(
        tuple({name: _draw(given, draw.random()) for name, given in ranges.items()} for _ in range(asked.samples))
    )


def _ranges(given: object, problems: list[str]) -> dict[str, tuple[Any, ...] | list[Any]]:
    """Return the ranges as tuples and the choices as lists; what is wrong with them is added to ``problems``."""
    if not isinstance(given, Mapping) or not given:
        problems.append(f"ranges={given!r}: a dict is expected, as in {{'theta': (0.0, 3.14)}}.")
        return {}
    problems += _names_problems("ranges", given)
    return {str(name): _range(f"range {name!r}", each, problems) for name, each in given.items()}


def _range(what: str, given: Any, problems: list[str]) -> tuple[Any, ...] | list[Any]:
    if not isinstance(given, tuple):
        return list(_values(what, given, problems))
    problem = _range_problem(given)
    if problem is not None:
        problems.append(f"{what}={given!r}: {problem}")
    return given


def _range_problem(given: tuple[Any, ...]) -> str | None:
    numbers = given[:2]
    if not (len(given) == 2 or given[2:] == (_LOG,)) or not all(map(_is_number, numbers)):
        return "(low, high) or (low, high, 'log') is expected; write choices as a list."
    low, high = numbers
    if low > high or (len(given) > 2 and low <= 0):
        return f"the lower end comes first{', and is above 0' if len(given) > 2 else ''}."
    return None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _draw(given: tuple[Any, ...] | list[Any], part: float) -> Any:
    """Return the value that lies at ``part``, from 0 to below 1, of a range."""
    if isinstance(given, list):
        return given[int(part * len(given))]
    low, high = given[:2]
    if len(given) > 2:
        return min(max(low, math.exp(math.log(low) + part * (math.log(high) - math.log(low)))), high)
    if isinstance(low, int) and isinstance(high, int):
        return min(low + int(part * (high - low + 1)), high)
    return min(low + part * (high - low), high)


def _values(what: str, given: Any, problems: list[str]) -> tuple[Any, ...]:
    if not _is_list(given):
        problems.append(f"{what}={given!r}: a list of values is expected, as in [0.1, 0.2].")
        return ()
    if isinstance(given, set | frozenset):
        problems.append(f"{what}={given!r}: a set has no order; write a list, or sorted(…).")
        return ()
    values = tuple(islice(given, MAX_POINTS + 1))
    if not values:
        problems.append(f"{what}: there are no values in it; give at least one, or leave it out.")
    if len(values) > MAX_POINTS:
        problems.append(f"{what}: it has more than {MAX_POINTS:,} values, which are not allowed.")
        return ()
    return values


def _is_list(given: Any) -> bool:
    if isinstance(given, str | bytes | Mapping):
        return False
    try:
        iter(given)
    except TypeError:  # an array without a dimension has __iter__, and cannot be iterated over
        return False
    return True
