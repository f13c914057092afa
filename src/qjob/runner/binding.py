"""Hyperparameters, which are strings, to the typed arguments of an entry point ``module:function``."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

_WORDS_OF_BOOL = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def call_with_hyperparameters(module: str, function: str) -> object:
    """Call the entry point with the job's hyperparameters as arguments.

    A function without parameters is called without arguments, whatever the hyperparameters are: it
    reads them itself. Everything else must fit.

    Raises TypeError with one sentence that lists what was expected and what was given.
    """
    entry_point = getattr(importlib.import_module(module), function)
    hyperparameters = json.loads(Path(os.environ["AMZN_BRAKET_HP_FILE"]).read_bytes())
    return entry_point(**bind(entry_point, hyperparameters))


def bind(function: Callable[..., object], hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments for ``function``, each converted to its parameter's annotation.

    Parameters without an annotation, and ``**kwargs``, get strings. Raises TypeError.
    """
    signature = inspect.signature(function)
    if not signature.parameters:
        return {}
    try:
        signature.bind(**hyperparameters)
    except TypeError as error:
        raise TypeError(_mismatch(function, signature, hyperparameters, error)) from None
    hints = typing.get_type_hints(function)
    return {
        name: _argument(name, text, hints.get(name, str) if name in signature.parameters else str)
        for name, text in hyperparameters.items()
    }


def convert(text: str, kind: Any) -> Any:
    """Return the value of type ``kind`` that the text stands for; raises ValueError when it stands for none.

    ``bool`` takes true/false, yes/no and 1/0; ``list``, ``tuple``, ``set`` and ``dict`` take JSON or a Python
    literal; an ``Enum`` takes a member's name or value; ``Optional`` takes ``None``.
    """
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(text, typing.get_args(kind))
    if origin is typing.Literal:
        return _choice(text, {str(value): value for value in typing.get_args(kind)})
    kind = origin or kind
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _choice(text, {str(m.value): m for m in kind} | {m.name: m for m in kind})
    return _CONVERTERS.get(kind, _as_is)(text)


def _argument(name: str, text: str, kind: Any) -> Any:
    try:
        return convert(text, kind)
    except (ValueError, SyntaxError) as error:
        expected = getattr(kind, "__name__", None) or str(kind)
        raise TypeError(f"hyperparameter {name}={text!r} is no {expected}: {error}") from None


def _mismatch(
    function: Callable[..., object],
    signature: inspect.Signature,
    hyperparameters: Mapping[str, str],
    error: TypeError,
) -> str:
    name = getattr(function, "__name__", repr(function))
    given = ", ".join(f"{key}={value!r}" for key, value in hyperparameters.items()) or "none"
    return f"{name}{signature} cannot take the hyperparameters given ({given}): {error}"


def _convert_union(text: str, kinds: tuple[Any, ...]) -> Any:
    if type(None) in kinds and text == "None":
        return None
    problems = []
    for kind in sorted((k for k in kinds if k is not type(None)), key=lambda k: k is str):
        try:
            return convert(text, kind)
        except (ValueError, SyntaxError) as error:
            problems.append(str(error))
    raise ValueError("; ".join(problems))


def _choice(text: str, choices: Mapping[str, Any]) -> Any:
    if text not in choices:
        raise ValueError(f"one of {', '.join(choices)} is expected")
    return choices[text]


def _bool(text: str) -> bool:
    if text.lower() not in _WORDS_OF_BOOL:
        raise ValueError("true or false is expected")
    return _WORDS_OF_BOOL[text.lower()]


def _literal(kind: type) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = _json_or_python(text)
        if kind is not dict and isinstance(value, list | tuple | set):
            return kind(value)
        if not isinstance(value, kind):
            raise ValueError(f"a {kind.__name__} is expected")
        return value

    return parse


def _json_or_python(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return ast.literal_eval(text)


def _as_is(text: str) -> str:
    return text


_CONVERTERS: dict[Any, Callable[[str], Any]] = {
    int: int,
    float: float,
    complex: complex,
    bool: _bool,
    Path: Path,
    list: _literal(list),
    tuple: _literal(tuple),
    set: _literal(set),
    dict: _literal(dict),
}
