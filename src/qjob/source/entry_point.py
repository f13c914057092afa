"""The entry point: the module that a job runs, or the function that it calls, checked without importing it.

The rule is Braket's: a module is named from the directory that holds the source's one entry, and that
directory comes last on the path. In a folder ``pkg`` the file ``main.py`` is ``pkg.main``; a file ``main.py``
alone is ``main``, and is run by its path, so that it may have any name. What is read are the original files.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from qjob.source.code import Names, NotPython, defined_names, imported_names, parse, runs_as_main, top_imports
from qjob.source.path import SUFFIX, PackedSource

_INIT = "__init__.py"
_MAIN = "__main__.py"
_COMPILED = (".so", ".pyd")
_MAX_NAMED = 5
_MAX_READ = 50


def default_entry_point(packed: PackedSource) -> str:
    """Return the entry point that runs the whole source: a file's name without ``.py``, or the folder's."""
    return packed.name if packed.is_directory else packed.name.removesuffix(SUFFIX)


def entry_point_problem(packed: PackedSource, entry_point: str) -> str | None:
    """Say why a job cannot start at ``entry_point`` of this source; None when it can or nobody can know.

    ``module`` is run as ``__main__``; ``module:function`` is imported and the function called. Looked at are
    the grammar, whether the module is there, its syntax and that of the packages around it, as the Python
    that runs this check understands it, and whether the function is defined.
    """
    if not isinstance(entry_point, str):
        return f"entry point {entry_point!r}: a str is expected, 'module' or 'module:function'."
    try:
        _check(packed, entry_point)
    except _Problem as problem:
        return f"entry point {entry_point!r}: {problem}" + ("" if str(problem).endswith("?") else ".")
    return None


def missing_siblings(packed: PackedSource) -> tuple[str, ...]:
    """Return what a single file imports from beside it, as ``helper.py`` or ``helpers/``.

    A job would lack it. Empty for a folder, and for a file that is not Python.
    """
    if packed.is_directory:
        return ()
    path = Path(packed.files[0].absolute)
    try:
        names = imported_names(parse(str(path))) - {path.stem}
    except NotPython:
        return ()
    siblings = [_sibling(path.parent, name) for name in sorted(names)]
    return tuple(sibling for sibling in siblings if sibling is not None)


def imports_of(packed: PackedSource) -> tuple[str, ...]:
    """Return the modules that the source's files import at their top, without those that it holds itself.

    Of a folder, at most its first 50 modules are read; a file that is not Python has none.
    """
    own = {default_entry_point(packed)} | {Path(file.relative).parts[0].removesuffix(SUFFIX) for file in packed.files}
    names: dict[str, None] = {}
    for path in [file.absolute for file in packed.files if file.relative.endswith(SUFFIX)][:_MAX_READ]:
        try:
            names |= dict.fromkeys(top_imports(parse(path)))
        except NotPython:
            continue
    return tuple(name for name in names if name.partition(".")[0] not in own)


class _Problem(Exception):
    """Why a job cannot start there and what would help, without the full stop."""


class _Source:
    """A packed source as Python's import system would see it."""

    def __init__(self, packed: PackedSource) -> None:
        self.name = packed.name
        self.is_directory = packed.is_directory
        self.stem = default_entry_point(packed)
        self.files = {file.relative: file.absolute for file in packed.files}
        self.directories = frozenset(packed.directories)
        self.left_out = packed.left_out

    def path_of(self, module: str, function: str) -> str | None:
        """Return the relative path where Python would look for the module; None if not in this source."""
        if not self.is_directory:
            return self.name if module == self.stem else None
        first, _, rest = module.partition(".")
        if first != self.name:
            return None
        inner = rest.replace(".", "/")
        if not self._is_package(inner):
            return inner + SUFFIX
        return (inner + "/" if inner else "") + (_INIT if function else _MAIN)

    def packages_around(self, path: str) -> list[str]:
        """Return the files that Python imports before the one at ``path``, from the outside in."""
        if not self.is_directory:
            return []
        parts = path.split("/")[:-1]
        inits = ["/".join((*parts[:depth], _INIT)) for depth in range(len(parts) + 1)]
        return [init for init in inits if init in self.files and init != path]

    def modules(self, function: str) -> dict[str, str]:
        """Return the paths of all modules that can be run, or that can hold a function, by their names."""
        if not self.is_directory:
            return {self.stem: self.name}
        of_package, other = (_INIT, _MAIN) if function else (_MAIN, _INIT)
        modules = {}
        for path in self.files:
            folder, _, name = path.rpartition("/")
            stem = name.removesuffix(SUFFIX)
            if stem == name or name == other or "." in folder + stem:
                continue
            parts = (self.name, folder.replace("/", "."), "" if name == of_package else stem)
            modules[".".join(part for part in parts if part)] = path
        return modules

    def shown(self, path: str) -> str:
        return f"{self.name}/{path}" if self.is_directory else path

    def _is_package(self, inner: str) -> bool:
        """Say whether what lies at ``inner`` is a package; a module comes before a plain folder."""
        if not inner or f"{inner}/{_INIT}" in self.files:
            return True
        return inner in self.directories and inner + SUFFIX not in self.files


def _check(packed: PackedSource, entry_point: str) -> None:
    source = _Source(packed)
    module, function = _split(source, entry_point)
    path = source.path_of(module, function)
    if path is None or path not in source.files:
        _check_missing(source, path, module, function)
        return
    _check_own_name(source, function)
    for package in source.packages_around(path):
        _read(source, package)
    tree = _read(source, path)
    if function:
        _check_function(source.shown(path), defined_names(tree), function)


def _split(source: _Source, entry_point: str) -> tuple[str, str]:
    """Return the module and the function, which is empty when the module is to be run."""
    if source.is_directory and not {".", ":"}.isdisjoint(source.name):
        raise _Problem(f"no module can be in a folder with '.' or ':' in its name, as {source.name!r}; rename it")
    if ":" in source.stem:
        raise _Problem(f"the name of the file, {source.name!r}, must not have a ':' in it; rename it")
    if entry_point == source.stem:
        return entry_point, ""
    module, colon, function = entry_point.partition(":")
    if colon and not function.isidentifier():
        raise _Problem(f"{function!r} is no name of a function; write module or module:function")
    if module == source.stem and "." in module:
        raise _Problem(f"{source.name!r} can be run but not imported, as its name has a '.' in it; rename it")
    if module != source.stem and not all(module.split(".")):
        rule = "a module's name has one '.' between its parts, and none first or last"
        raise _Problem(rule + _suggestion(source, module, function))
    return module, function


def _check_own_name(source: _Source, function: str) -> None:
    if source.stem in sys.stdlib_module_names and (source.is_directory or function):
        kind = "folder" if source.is_directory else "file"
        raise _Problem(f"Python has a module {source.stem!r} of its own, which is found first; rename the {kind}")


def _check_missing(source: _Source, path: str | None, module: str, function: str) -> None:
    """Raise the problem of a module without a file, unless it is compiled and cannot be looked into."""
    if path is None:
        raise _no_module(source, module, function)
    left_out = _left_out(source, path)
    if left_out is not None:
        raise _Problem(
            f"{source.shown(left_out)!r} is not taken along, by .gitignore or by qjob's own list; "
            "change .gitignore or move it"
        )
    if path.endswith(_MAIN):
        raise _no_main(source, path, module)
    if path.endswith(_INIT):
        rule = f"the folder {module!r} has no {_INIT!r} that could define {function!r}"
        raise _Problem(rule + _suggestion(source, f"{module}.{function}", function))
    start = path.removesuffix(SUFFIX) + "."
    if not any(file.startswith(start) and file.endswith(_COMPILED) for file in source.files):
        raise _no_module(source, module, function)


def _left_out(source: _Source, path: str) -> str | None:
    """Return the entry of what was left out that holds ``path``, or the folder that it is a module of."""
    folder = path.removesuffix(SUFFIX) + "/"
    for left_out in source.left_out:
        if left_out in (path, folder) or (left_out.endswith("/") and path.startswith(left_out)):
            return left_out
    return None


def _no_module(source: _Source, module: str, function: str) -> _Problem:
    rule = f"the source {source.name!r} has no module {module!r}, and a module's name begins with the source's"
    return _Problem(rule + _suggestion(source, module, function))


def _no_main(source: _Source, path: str, module: str) -> _Problem:
    inside = {name: file for name, file in source.modules("").items() if name.startswith(module + ".")}
    names = [name for name, file in inside.items() if _is_runnable(source.files[file])] or list(inside)
    remedy = f"; name the module to run: {_listed(names)}, or add that file" if names else "; add that file"
    return _Problem(f"a folder is run by its {_MAIN!r}, and there is no {source.shown(path)!r}{remedy}")


def _is_runnable(path: str) -> bool:
    """Say whether the file has an ``if __name__ == "__main__"``."""
    try:
        # Most files are told by the bytes, which is far quicker than to parse them.
        return b"__main__" in Path(path).read_bytes() and runs_as_main(parse(path))
    except (NotPython, OSError):
        return False


def _suggestion(source: _Source, module: str, function: str) -> str:
    """Return the end of a sentence about a module that is not there: what was meant, or what there is."""
    modules = source.modules(function)
    similar = _similar(modules, module.removesuffix(SUFFIX).replace("/", ".").strip("."))
    names = similar or list(modules)
    listed = _listed([f"{name}:{function}" if function and ":" not in name else name for name in names])
    if similar:
        return f"; did you mean {listed}?"
    return f"; there is {listed}" if names else "; there is no Python file in it"


def _similar(modules: Collection[str], wanted: str) -> list[str]:
    """Return the modules that were likely meant, or ``module:function`` where a dot stands for the colon."""
    around, _, last = wanted.rpartition(".")
    return (
        [name for name in modules if f".{name}".endswith(f".{wanted}")]
        or [f"{name}:{last}" for name in modules if around and f".{name}".endswith(f".{around}")]
        or get_close_matches(wanted, modules, n=_MAX_NAMED)
        or [name for name in modules if get_close_matches(last, [name.rpartition(".")[2]])]
    )


def _read(source: _Source, path: str) -> ast.Module:
    try:
        return parse(source.files[path])
    except NotPython as error:
        raise _Problem(f"{source.shown(path)!r} is not valid Python, {error}; correct it first") from error


def _check_function(shown: str, names: Names, function: str) -> None:
    if function in names.coroutines:
        raise _Problem(
            f"{function!r} in {shown!r} is an async function, and async functions cannot be an entry point; "
            f"name a function that calls asyncio.run({function}())"
        )
    if function in names.all or not names.complete:
        return
    functions = sorted(name for name in names.functions if not name.startswith("_"))
    similar = get_close_matches(function, names.all, n=_MAX_NAMED)
    if similar:
        remedy = f"did you mean {_listed(similar)}?"
    else:
        remedy = f"it defines {_listed(functions)}" if functions else "it defines no functions"
    raise _Problem(f"{shown!r} does not define {function!r} at its top level; {remedy}")


def _listed(names: Collection[str]) -> str:
    shown = [repr(name) for name in list(names)[:_MAX_NAMED]]
    if len(names) > _MAX_NAMED:
        shown.append(f"{len(names) - _MAX_NAMED} more")
    return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _sibling(folder: Path, name: str) -> str | None:
    """Return what Python would import as ``name`` from the folder, if it lies there."""
    package = folder / name
    if name in sys.builtin_module_names:
        return None
    if (package / _INIT).is_file():
        return name + "/"
    if (folder / (name + SUFFIX)).is_file():
        return name + SUFFIX
    # A folder without __init__.py comes after everything else that goes by its name.
    is_code = name not in sys.stdlib_module_names and next(package.glob("*.py"), None) is not None
    return name + "/" if is_code else None
