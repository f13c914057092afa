"""A table of published cases: the same lines of code, run with qjob's names and with Braket's.

Plain data and the way to run them, for the tests and for docs/generate_braket_users.py.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Raised:
    """That an exception was raised, which code can catch by these names: its class and the classes of that."""

    kinds: tuple[str, ...]

    def __repr__(self) -> str:
        return f"raises {self.kinds[0]}"


def raises(kind: str) -> Raised:
    """Return the expectation that an exception is raised which can be caught by this name."""
    return Raised((kind,))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One published case.

    Attributes:
        case: lines of Python; what the last one is worth is the outcome.
        ours: the outcome with qjob.
        published: the outcome with Braket.
        why: why the two differ on purpose; empty: they do not.
    """

    case: str
    ours: Any
    published: Any
    why: str = ""


def same(case: str, outcome: Any) -> Row:
    """Return the row of a case that both answer alike."""
    return Row(case=case, ours=outcome, published=outcome)


def differs(case: str, *, ours: Any, published: Any, why: str) -> Row:
    """Return the row of a case in which qjob differs on purpose."""
    assert why
    return Row(case=case, ours=ours, published=published, why=why)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cases that belong together.

    Attributes:
        title: what they are about.
        about: for readers, what the names mean that are not published ones.
        rows: the cases.
        askable: whether there is something to install that can be asked for the published outcome. What Braket's
            container and service do is known from their documentation and source only.
    """

    title: str
    about: str = ""
    rows: tuple[Row, ...]
    askable: bool = True


def outcome(case: str, names: Mapping[str, Any]) -> Any:
    """Run the lines of a case with these names, in an empty directory; return what the last line is worth.

    What is printed can be asked for by ``printed()``; the environment is as before afterwards.
    """
    *before, last = ast.parse(case).body
    assert isinstance(last, ast.Expr), case
    with _elsewhere() as output:
        scope = {"__name__": "builtins", "printed": output.getvalue, **names}
        try:
            exec(compile(ast.Module(before, []), "<case>", "exec", dont_inherit=True), scope)
            return eval(compile(ast.Expression(last.value), "<case>", "eval", dont_inherit=True), scope)
        except Exception as error:  # noqa: BLE001 - which one it is, is the outcome
            return Raised(tuple(kind.__name__ for kind in type(error).__mro__))


def agrees(found: Any, expected: Any) -> bool:
    """Return whether an outcome is the expected one, to the order of keys, the sign of zero and the type."""
    if isinstance(expected, Raised):
        return isinstance(found, Raised) and expected.kinds[0] in found.kinds
    return repr(found) == repr(expected)


@contextlib.contextmanager
def _elsewhere() -> Iterator[io.StringIO]:
    environment = dict(os.environ)
    output = io.StringIO()
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of Braket's; the outcome is what counts
        for name in [name for name in environment if name.startswith("AMZN_BRAKET_")]:
            del os.environ[name]
        Path("results").mkdir()
        Path("checkpoints").mkdir()
        os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"] = "results"
        os.environ["AMZN_BRAKET_CHECKPOINT_DIR"] = "checkpoints"
        os.environ["AMZN_BRAKET_JOB_NAME"] = "vqe"
        try:
            with contextlib.redirect_stdout(output):
                yield output
        finally:
            os.environ.clear()
            os.environ.update(environment)
