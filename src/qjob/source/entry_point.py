"""The entry point: the module that a job runs, or the function that it calls, checked without importing it.

The rule is Braket's: a module is named from the job's ``source/``, which is on the path. In a folder ``pkg`` the
file ``main.py`` is ``pkg.main``; a file ``main.py`` alone is ``main``, and is run by its path, so that it may have
any name. What is read are the original files.
"""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from qjob.source.code import (
    Names,
    NotPython,
    changes_imports,
    defined_names,
    imported_names,
    late_imports,
    parse,
    runs_as_main,
    top_imports,
)
from qjob.source.packed import SUFFIX, PackedSource
from qjob.source.tree import SourceFile

_INIT = "__init__.py"
_MAIN = "__main__.py"
_COMPILED = (".so", ".pyd")
_MAX_NAMED = 5
_MAX_READ = 50
_NAMED_FROM = "a module's name begins with the source's"


def default_entry_point(packed: PackedSource) -> str:
    """Return the entry point that runs the whole source: a file's name without ``.py``, or the folder's.

    Of an installed module it is the name that was given, and of a bundle the archive's without its endings.
    """
    if packed.is_bundle:
        return packed.name.partition(".")[0]
    return packed.module or _stem(packed)


def entry_point_problem(packed: PackedSource, entry_point: str, *, is_for_this_python: bool = True) -> str | None:
    """Say why a job cannot start at ``entry_point`` of this source; None when it can or nobody can know.

    ``module`` is run as ``__main__``; ``module:function`` is imported and the function called. Looked at are
    the grammar, whether the module is there, its syntax and that of the packages around it, as the Python
    that runs this check understands it, and whether the function is defined. For another Python, which may know
    a grammar that this one does not, a file that cannot be parsed is taken as good.
    """
    if not isinstance(entry_point, str):
        return f"entry point {entry_point!r}: a str is expected, 'module' or 'module:function'."
    try:
        _check(packed, entry_point)
    except _NotParsed as problem:
        return f"entry point {entry_point!r}: {problem}." if is_for_this_python else None
    except _Problem as problem:
        return f"entry point {entry_point!r}: {problem}" + ("" if str(problem).endswith("?") else ".")
    return None


def missing_siblings(packed: PackedSource) -> tuple[str, ...]:
    """Return what a single file imports from beside it, as ``helper.py`` or ``helpers/``.

    A job would lack it. Empty for a folder, an archive, an installed module, and for a file that is not Python.
    """
    if packed.is_directory or packed.is_complete:
        return ()
    path = Path(packed.files[0].absolute)
    try:
        names = imported_names(_parsed(packed, packed.files[0])) - {path.stem}
    except NotPython:
        return ()
    siblings = [_sibling(path.parent, name) for name in sorted(names)]
    return tuple(sibling for sibling in siblings if sibling is not None)


def imports_of(packed: PackedSource) -> tuple[str, ...]:
    """Return the modules that the source's files import at their top, without those that it holds itself.

    Of a folder, at most its first 50 modules are read; a file that is not Python has none.
    """
    names = dict.fromkeys(name for tree in _trees(packed) for name in top_imports(tree))
    return _of_others(packed, names)


def late_imports_of(packed: PackedSource) -> tuple[str, ...]:
    """Return the modules that the source's files import elsewhere, without those that it holds itself.

    There are none when the code may change what an import does, such as by a variable that a library reads
    when it is imported: then it makes a difference when that is. What is read is what `imports_of` reads.
    """
    trees = list(_trees(packed))
    if any(map(changes_imports, trees)):
        return ()
    return _of_others(packed, dict.fromkeys(name for tree in trees for name in late_imports(tree)))


def _trees(packed: PackedSource) -> Iterator[ast.Module]:
    for file in [file for file in packed.files if file.relative.endswith(SUFFIX)][:_MAX_READ]:
        with contextlib.suppress(NotPython, OSError):  # whoever runs the file will say so
            yield parse(packed.read(file), file.relative)


def _of_others(packed: PackedSource, names: Iterable[str]) -> tuple[str, ...]:
    own = {default_entry_point(packed)} | {Path(file.relative).parts[0].removesuffix(SUFFIX) for file in packed.files}
    return tuple(name for name in names if name.partition(".")[0] not in own)


class _Problem(Exception):
    """Why a job cannot start there and what would help, without the full stop."""


class _NotParsed(_Problem):
    """The file is not Python, as far as this Python can tell."""


class _Source:
    """A packed source as Python's import system would see it; paths go from the job's ``source/``."""

    def __init__(self, packed: PackedSource) -> None:
        self.name = packed.name
        self.is_directory = packed.is_directory
        self.is_bundle = packed.is_bundle
        self.stem = _stem(packed)
        self.files = {packed.below_source(file.relative): file for file in packed.files}
        self.left_out = tuple(packed.below_source(path) for path in packed.left_out)
        self._packed = packed
        self._directories = {packed.below_source(path) for path in packed.directories} | _around(packed.place)

    def path_of(self, module: str, function: str) -> str | None:
        """Return the path where Python would look for the module; None if not in this source."""
        if not self.is_directory:
            return self.name if module == self.stem else None
        if not self.is_bundle and module.partition(".")[0] != self.name:
            return None
        path = module.replace(".", "/")
        if not self._is_package(path):
            return path + SUFFIX
        return f"{path}/{_INIT if function else _MAIN}"

    def packages_around(self, path: str) -> list[str]:
        """Return the files that Python imports before the one at ``path``, from the outside in."""
        parts = path.split("/")[:-1]
        inits = ["/".join((*parts[:depth], _INIT)) for depth in range(1, len(parts) + 1)]
        return [init for init in inits if self.has(init) and init != path]

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
            parts = (folder.replace("/", "."), "" if folder and name == of_package else stem)
            modules[".".join(part for part in parts if part)] = path
        return modules

    def has(self, path: str) -> bool:
        """Say whether there is a file, or a link to one, at the path."""
        return self._packed.resolved(path) in self.files

    def tree(self, path: str) -> ast.Module:
        """Return the syntax tree of the file at the path; raises NotPython."""
        return _parsed(self._packed, self.files[self._packed.resolved(path)])

    def runs_as_main(self, path: str) -> bool:
        """Say whether the file has an ``if __name__ == "__main__"``."""
        try:
            # Most files are told by the bytes, which is far quicker than to parse them.
            content = self._packed.read(self.files[path])
            return b"__main__" in content and runs_as_main(parse(content, path))
        except (NotPython, OSError):
            return False

    def _is_package(self, path: str) -> bool:
        """Say whether what lies at the path is a package; a module comes before a plain folder."""
        if self.has(f"{path}/{_INIT}"):
            return True
        return self._packed.resolved(path) in self._directories and not self.has(path + SUFFIX)


def _stem(packed: PackedSource) -> str:
    return packed.name if packed.is_directory else packed.name.removesuffix(SUFFIX)


def _around(place: str) -> set[str]:
    """Return a folder and all those that it lies in."""
    parts = place.split("/") if place else []
    return {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}


def _parsed(packed: PackedSource, file: SourceFile) -> ast.Module:
    try:
        return parse(packed.read(file), file.absolute)
    except OSError as error:
        raise NotPython(f"it cannot be read: {error.strerror}") from error


def _check(packed: PackedSource, entry_point: str) -> None:
    source = _Source(packed)
    module, function = _split(source, entry_point)
    path = source.path_of(module, function)
    if path is None or not source.has(path):
        _check_missing(source, path, module, function)
        return
    _check_own_name(source, path, function)
    for package in source.packages_around(path):
        _read(source, package)
    tree = _read(source, path)
    if function:
        _check_function(path, defined_names(tree), function)


def _split(source: _Source, entry_point: str) -> tuple[str, str]:
    """Return the module and the function, which is empty when the module is to be run."""
    if source.is_directory and not source.is_bundle and not {".", ":"}.isdisjoint(source.name):
        raise _Problem(f"no module can be in a folder with '.' or ':' in its name, as {source.name!r}; rename it")
    if not source.is_directory and ":" in source.stem:
        raise _Problem(f"the name of the file, {source.name!r}, must not have a ':' in it; rename it")
    if entry_point == source.stem:
        return entry_point, ""
    module, colon, function = entry_point.partition(":")
    if colon and not function.isidentifier():
        raise _Problem(f"{function!r} is no name of a function; write module or module:function")
    if module == source.stem and "." in module and not source.is_directory:
        raise _Problem(f"{source.name!r} can be run but not imported, as its name has a '.' in it; rename it")
    if module != source.stem and not all(module.split(".")):
        rule = "a module's name has one '.' between its parts, and none first or last"
        raise _Problem(rule + _suggestion(source, module, function))
    return module, function


def _check_own_name(source: _Source, path: str, function: str) -> None:
    first, _, rest = path.partition("/")
    name = first if rest else first.removesuffix(SUFFIX)
    if name in sys.stdlib_module_names and (rest or function):
        kind = "folder" if rest else "file"
        raise _Problem(f"Python has a module {name!r} of its own, which is found first; rename the {kind}")


def _check_missing(source: _Source, path: str | None, module: str, function: str) -> None:
    """Raise the problem of a module without a file, unless it is compiled and cannot be looked into."""
    if path is None:
        raise _no_module(source, module, function)
    left_out = _left_out(source, path)
    if left_out is not None:
        raise _Problem(
            f"{left_out!r} is not taken along, by .gitignore or by qjob's own list; change .gitignore or move it"
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
    named_from = "a name begins with that of a file or folder in it" if source.is_bundle else _NAMED_FROM
    rule = f"the source {source.name!r} has no module {module!r}, and {named_from}"
    return _Problem(rule + _suggestion(source, module, function))


def _no_main(source: _Source, path: str, module: str) -> _Problem:
    inside = {name: file for name, file in source.modules("").items() if name.startswith(module + ".")}
    names = [name for name, file in inside.items() if source.runs_as_main(file)] or list(inside)
    remedy = f"; name the module to run: {_listed(names)}, or add that file" if names else "; add that file"
    return _Problem(f"a folder is run by its {_MAIN!r}, and there is no {path!r}{remedy}")


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
        return source.tree(path)
    except NotPython as error:
        raise _NotParsed(f"{path!r} is not valid Python, {error}; correct it first") from error


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
