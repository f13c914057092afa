"""The arguments of a decorated function as hyperparameters: for people to read, the function gets the objects."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_CHARS = 2500  # this and the next two are Braket's limits
MAX_COUNT = 100
MAX_KEY_CHARS = 256
_LAST_CHARS = 20
_MARK = "..."
_FORBIDDEN = str.maketrans({"\n": " ", "$": "?", "(": "{", ")": "}", "&": "+", "`": "'"})
"""What Braket does not allow in a value, and what it is shown as."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What is recorded of the arguments of a call.

    Attributes:
        hyperparameters: as published: within Braket's limits.
        whole: every argument's ``str()``, by its parameter.
        left_out: parameters that are not among the hyperparameters, for one or another reason.
    """

    hyperparameters: Mapping[str, str]
    whole: Mapping[str, str]
    left_out: tuple[str, ...]


def recorded(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Recorded:
    """Return what to record of a call, defaults included; raises TypeError when the arguments do not fit.

    Only what can be given by name becomes a hyperparameter, as published.
    """
    try:
        signature = inspect.signature(function)
    except ValueError:  # of some functions written in C
        return Recorded(hyperparameters={}, whole={}, left_out=("all",) if args or kwargs else ())
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    by_name: dict[str, str] = {}
    by_place: dict[str, str] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            by_name |= {key: _text(item) for key, item in value.items()}
        elif kind is inspect.Parameter.POSITIONAL_ONLY or (kind is inspect.Parameter.VAR_POSITIONAL and value):
            by_place[name] = _text(value)
        elif kind is not inspect.Parameter.VAR_POSITIONAL:
            by_name[name] = _text(value)
    kept = [name for name in by_name if 1 <= len(name) <= MAX_KEY_CHARS][:MAX_COUNT]
    return Recorded(
        hyperparameters={name: shown(by_name[name]) for name in kept},
        whole=by_place | by_name,
        left_out=(*by_place, *(name for name in by_name if name not in set(kept))),
    )


def shown(text: str) -> str:
    """Return a value as Braket takes it: no characters that it forbids, at most 2,500, and never empty."""
    allowed = text.translate(_FORBIDDEN)
    if len(allowed) > MAX_CHARS:
        return allowed[: MAX_CHARS - len(_MARK) - _LAST_CHARS] + _MARK + allowed[-_LAST_CHARS:]
    return allowed or repr(text)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - the user's own __str__, of which only a note is made
        return f"<{type(value).__qualname__}>"
