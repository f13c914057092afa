"""From a function and the points of a sweep to one source that all of its jobs share.

The points are pickled together with the function, so that it gets the objects themselves; which point a job is, it
is told by its environment.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qjob.braket.decorator import entry_point_of, generated_source
from qjob.braket.default_names import name_of_function, now_ms
from qjob.braket.hyperparameters import recorded
from qjob.braket.pickling import pickle_call
from qjob.braket.recovery import call_at_point
from qjob.errors import InvalidInput
from qjob.model.points import Points
from qjob.source.generated import GeneratedSource
from qjob.sweep_request import twice_problems

_PASSED_ON = (
    "device",
    "dependencies",
    "input_data",
    "instance_config",
    "distribution",
    "checkpoint_config",
    "stopping_condition",
    "tags",
    "engine",
    "options",
    "python",
)
"""What a decorated function brings along of the arguments of its decorator."""
_MOST_PROBLEMS = 20


@dataclass(frozen=True, kw_only=True)
class SweptFunction:
    """A function that is ready to be called at each point of a sweep, by a job.

    Attributes:
        source: the code of all jobs.
        entry_point: what they run of it.
        name: what the sweep is called when nobody names it.
        hyperparameters: of each point, the arguments as texts, defaults included.
        options: what its decorator asked for, by the names of `qjob.submit`'s arguments.
    """

    source: GeneratedSource
    entry_point: str
    name: str
    hyperparameters: tuple[Mapping[str, str], ...]
    options: Mapping[str, Any]


def sweep_function(function: Callable[..., Any], points: Points, shared: Mapping[str, Any] | None) -> SweptFunction:
    """Return the function, pickled with the arguments of each point; it is not called.

    Args:
        function: a plain one, or one that `hybrid_job` has decorated.
        points: arguments by name.
        shared: further ones, which are the same in all points.

    Raises InvalidInput when a point's arguments do not fit the function, and CannotBePickled.
    """
    options: Mapping[str, Any] = getattr(function, "hybrid_job_options", {})
    plain = _undecorated(function)
    shared = _shared(points, {} if shared is None else shared)
    texts = _texts(plain, points, shared)
    pickled = pickle_call(call_at_point, (plain, points, shared), {}, options.get("include_modules", ()))
    source = generated_source(
        plain,
        pickled,
        data_format=options.get("data_format", "plaintext"),
        input_data=options.get("input_data"),
        arguments={name: str(value) for name, value in shared.items()},
    )
    return SweptFunction(
        source=source,
        entry_point=entry_point_of(source, plain),
        name=name_of_function(getattr(plain, "__name__", "job"), now_ms())[0],
        hyperparameters=texts,
        options={name: options[name] for name in _PASSED_ON if options.get(name) is not None},
    )


def _undecorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what `hybrid_job` has decorated; what decorators of the user's own do stays."""
    plain: Callable[..., Any] = inspect.unwrap(function, stop=lambda each: not hasattr(each, "hybrid_job_options"))
    return plain


def _shared(points: Points, given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise InvalidInput(f"hyperparameters={given!r}: a dict is expected, as in {{'theta': 0.1}}.")
    problems = twice_problems(points, given)
    if problems:
        raise InvalidInput(problems)
    return dict(given)


def _texts(function: Callable[..., Any], points: Points, shared: Mapping[str, Any]) -> tuple[Mapping[str, str], ...]:
    problems: list[str] = []
    texts: list[Mapping[str, str]] = []
    for number in range(len(points)):
        try:
            texts.append(recorded(function, (), {**shared, **points[number]}).hyperparameters)
        except TypeError as error:
            name = getattr(function, "__name__", "the function")
            problems.append(
                f"point {number}: {name} cannot be called with it: {error}; the names must be its parameters."
            )
        if len(problems) >= _MOST_PROBLEMS:
            break
    if problems:
        raise InvalidInput(problems)
    return tuple(texts)
