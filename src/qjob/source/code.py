"""What Python code defines and imports, read from its text: nothing of it is run."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_MAKES_NAMES = frozenset({"exec", "globals", "locals", "setattr", "vars"})
"""Functions by which a module can get names that its text does not show."""
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_CHANGERS = frozenset({"path", "modules", "meta_path", "path_hooks", "putenv", "unsetenv"})
_VERSION = f"Python {sys.version_info.major}.{sys.version_info.minor}"


class NotPython(Exception):
    """A file cannot be run; the message says where and why."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """What a module's text defines at its top level.

    Attributes:
        all: every name.
        functions: those of functions and classes.
        coroutines: those that are async functions and nothing else.
        complete: False when the module may well have other names: from ``import *``, for one.
    """

    all: frozenset[str]
    functions: frozenset[str]
    coroutines: frozenset[str]
    complete: bool


@lru_cache(maxsize=16)  # a submit asks three things of a file, and a sweep a thousand times the same
def parse(content: bytes, path: str) -> ast.Module:
    """Return the syntax tree of a file's content; raises NotPython when it cannot be compiled."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the user sees them when the job runs
            tree = ast.parse(content, path)
            # Finds what the parser lets pass, such as a return outside of a function.
            compile(tree, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        where = "" if error.lineno is None else f"line {error.lineno}: "
        raise NotPython(f"{where}{error.msg} ({_VERSION})") from error
    # Null bytes are a ValueError before Python 3.12; the other two come from code nested too deeply.
    except (ValueError, RecursionError, MemoryError) as error:
        raise NotPython(f"{str(error) or type(error).__name__} ({_VERSION})") from error
    return tree


def defined_names(tree: ast.Module) -> Names:
    """Return what a module defines at its top level, in any branch of its ``if`` and ``try`` blocks."""
    definitions = list(_definitions(tree))
    plain = {name for name, node in definitions if not _is_coroutine(node)}
    names = {name for name, _ in definitions}
    return Names(
        all=frozenset(names),
        functions=frozenset(name for name, node in definitions if isinstance(node, _SCOPES)),
        coroutines=frozenset(names - plain),
        complete="*" not in names and "__getattr__" not in names and not _makes_names(tree),
    )


def imported_names(tree: ast.Module) -> set[str]:
    """Return the first parts of the module names that are imported, inside functions too.

    ``from .x import y`` counts as ``x``: beside a file that is run on its own lies the same file.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level < 2:
            names.update([node.module] if node.module else [alias.name for alias in node.names])
    return {name.partition(".")[0] for name in names}


def top_imports(tree: ast.Module) -> list[str]:
    """Return the modules that are imported whenever the module is, in their order, by absolute name.

    Those are the imports in the module's own body and in its ``try`` blocks; what stands in an ``if`` may be
    for type checkers or other systems. Of ``from x import y`` it is ``x``; whether ``y`` is a module, the
    text does not tell.
    """
    names: dict[str, None] = {}
    stack = list(reversed(tree.body))
    while stack:
        match stack.pop():
            case ast.Import(names=aliases):
                names |= dict.fromkeys(alias.name for alias in aliases)
            case ast.ImportFrom(module=str(module), level=0) if module != "__future__":
                names[module] = None
            case ast.Try(body=body):
                stack.extend(reversed(body))
    return list(names)


def late_imports(tree: ast.Module) -> list[str]:
    """Return the modules that are imported anywhere else than `top_imports` says, by absolute name, sorted."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                names.update(alias.name for alias in aliases)
            case ast.ImportFrom(module=str(module), level=0) if module != "__future__":
                names.add(module)
    return sorted(names.difference(top_imports(tree)))


def changes_imports(tree: ast.Module) -> bool:
    """Say whether code may change what an import does: by environment variables, ``sys.path`` or ``sys.modules``."""
    return any(_is_part_of_imports(node) for node in ast.walk(tree))


def runs_as_main(tree: ast.Module) -> bool:
    """Say whether a module has an ``if __name__ == "__main__"``."""
    return any(isinstance(node, ast.If) and _asks_for_main(node.test) for node in tree.body)


def _definitions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield each name that the module's own scope binds, with the node that does it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield from ((name, node) for name in node.names)
    stack: list[ast.AST] = list(tree.body)
    while stack:
        node = stack.pop()
        yield from ((name, node) for name in _bound_names(node))
        if not isinstance(node, _SCOPES):
            stack.extend(ast.iter_child_nodes(node))


def _bound_names(node: ast.AST) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Import(names=names):
            return [alias.asname or alias.name.partition(".")[0] for alias in names]
        case ast.ImportFrom(names=names):
            return [alias.asname or alias.name for alias in names]
        case ast.Name(id=name, ctx=ast.Store()):
            return [name]
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            return [name]
    return []


def _is_coroutine(node: ast.AST) -> bool:
    return isinstance(node, ast.AsyncFunctionDef) and not node.decorator_list  # these may make it a function


def _makes_names(tree: ast.Module) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id in _MAKES_NAMES)
        or (isinstance(node, ast.Attribute) and node.attr == "modules")  # sys.modules[__name__]
        for node in ast.walk(tree)
    )


def _is_part_of_imports(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="sys"), attr="path" | "modules" | "meta_path" | "path_hooks"):
            return True
        case ast.Attribute(attr="putenv" | "unsetenv"):
            return True
        case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()) | ast.AugAssign(target=value):
            return _is_environ(value)
        case ast.Attribute(value=value, attr="update" | "setdefault" | "pop" | "popitem" | "clear"):
            return _is_environ(value)
        case ast.ImportFrom(module="sys" | "os", names=aliases):
            return any(alias.name in _CHANGERS for alias in aliases)
    return False


def _is_environ(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr="environ" | "environb") | ast.Name(id="environ" | "environb"):
            return True
    return False


def _asks_for_main(test: ast.expr) -> bool:
    parts = list(ast.walk(test))
    return any(isinstance(part, ast.Name) and part.id == "__name__" for part in parts) and any(
        isinstance(part, ast.Constant) and part.value == "__main__" for part in parts
    )
