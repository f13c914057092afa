"""Hyperparameters, which are strings, to the typed arguments of an entry point ``module:function``."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
import sys
import types
import typing
from collections import abc
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

_WORDS_OF_BOOL = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_PRINTED_CALL = re.compile(r"np\.(?:float|int|uint|complex|bool|str)\w*|frozenset")
_SHOWN_CHARS = 200  # of a text that may have 2500, so that the sentence about it comes into view


def call_with_hyperparameters(module: str, function: str) -> object:
    """Call the entry point with the job's hyperparameters as arguments.

    A function without parameters is called without arguments, whatever the hyperparameters are: it
    reads them itself. Everything else must fit.

    Raises TypeError with one sentence that lists what was expected and what was given, or that says that
    the entry point is a coroutine function: called like a function, that would do nothing.
    """
    entry_point = getattr(importlib.import_module(module), function)
    if inspect.iscoroutinefunction(entry_point):
        raise TypeError(f"{function} is a coroutine function: name a function that calls asyncio.run({function}(...))")
    hyperparameters = json.loads(Path(os.environ["AMZN_BRAKET_HP_FILE"]).read_bytes())
    return entry_point(**bind(entry_point, hyperparameters))


def bind(function: Callable[..., object], hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments for ``function``, each converted to its parameter's annotation.

    Parameters without an annotation, and ``**kwargs``, get strings; so do those whose annotation is there
    for type checkers only. Raises TypeError.
    """
    signature = inspect.signature(function)
    if not signature.parameters:
        return {}
    try:
        signature.bind(**hyperparameters)
    except TypeError as error:
        raise TypeError(_mismatch(function, signature, hyperparameters, error)) from None
    return {name: _argument(name, text, _kind(function, signature, name)) for name, text in hyperparameters.items()}


def convert(text: str, kind: Any) -> Any:
    """Return the value of type ``kind`` that the text stands for; raises ValueError when it stands for none.

    ``bool`` takes true/false, yes/no and 1/0; ``list``, ``tuple``, ``set``, ``dict`` and their abstract forms
    take JSON or what Python prints for one, also with ``nan``, ``inf`` and NumPy's numbers in it; an ``Enum`` takes a
    member's name, value or text (``Color.RED``); ``Optional`` takes ``None``.
    """
    if isinstance(kind, typing.NewType):
        return convert(text, kind.__supertype__)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(text, typing.get_args(kind))
    if origin is typing.Literal:
        return _choice(text, {str(value): value for value in typing.get_args(kind)})
    kind = origin or kind
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _choice(text.removeprefix(f"{kind.__name__}."), {str(m.value): m for m in kind} | dict(kind.__members__))
    return _CONVERTERS.get(kind, _as_is)(text)


def _kind(function: Callable[..., object], signature: inspect.Signature, name: str) -> Any:
    parameter = signature.parameters.get(name)
    if parameter is None or parameter.kind is parameter.VAR_KEYWORD or parameter.annotation is parameter.empty:
        return str

    def holder() -> None: ...

    holder.__annotations__ = {name: parameter.annotation}
    try:
        return typing.get_type_hints(holder, vars(sys.modules[inspect.unwrap(function).__module__]))[name]
    except NameError:
        return str


def _argument(name: str, text: str, kind: Any) -> Any:
    try:
        return convert(text, kind)
    except ValueError as error:
        expected = kind.__name__ if isinstance(kind, type) else str(kind)
        raise TypeError(f"hyperparameter {name}={_shown(text)} is no {expected}: {error}") from None


def _mismatch(
    function: Callable[..., object],
    signature: inspect.Signature,
    hyperparameters: Mapping[str, str],
    error: TypeError,
) -> str:
    name = getattr(function, "__name__", repr(function))
    given = ", ".join(f"{key}={_shown(value)}" for key, value in hyperparameters.items()) or "none"
    return f"{name}{signature} cannot take the hyperparameters given ({given}): {error}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…")


def _convert_union(text: str, kinds: tuple[Any, ...]) -> Any:
    if type(None) in kinds and text == "None":
        return None
    problems = []
    for kind in sorted((k for k in kinds if k is not type(None)), key=lambda k: k is str):
        try:
            return convert(text, kind)
        except ValueError as error:
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
        try:
            if kind is not dict and isinstance(value, list | tuple | set):
                return kind(value)
        except TypeError as error:  # a set of lists
            raise ValueError(str(error)) from None
        if not isinstance(value, kind):
            raise ValueError(f"a {kind.__name__} is expected")
        return value

    return parse


def _json_or_python(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(_Printed().visit(ast.parse(text.strip(), mode="eval")))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ValueError("neither JSON nor a Python literal") from None


class _Printed(ast.NodeTransformer):
    """Makes literals of what Python and NumPy print in lists and is none."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Return the number that ``nan`` and ``inf`` stand for."""
        return ast.Constant(float(node.id)) if node.id in ("nan", "inf") else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Return the argument of ``np.float64(0.5)`` and ``frozenset({1})``."""
        if len(node.args) == 1 and not node.keywords and _PRINTED_CALL.fullmatch(ast.unparse(node.func)):
            inner: ast.AST = self.visit(node.args[0])
            return inner
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Return the truth value that ``np.True_`` stands for."""
        text = ast.unparse(node)
        return ast.Constant(text == "np.True_") if text in ("np.True_", "np.False_") else node


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
    frozenset: _literal(frozenset),
    dict: _literal(dict),
    abc.Sequence: _literal(list),
    abc.Iterable: _literal(list),
    abc.Collection: _literal(list),
    abc.Set: _literal(set),
    abc.Mapping: _literal(dict),
    abc.MutableSequence: _literal(list),
    abc.MutableMapping: _literal(dict),
}
