"""A function and its arguments, pickled with all that they use of code that a job could not import.

cloudpickle does it. What it cannot know is added here: which modules a job could not import, the texts of the
code (so that ``inspect.getsource`` goes on working), and, when something cannot be pickled, what and where.
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import linecache
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import _lru_cache_wrapper, cached_property
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import cloudpickle  # type: ignore[import-untyped]

from qjob.braket.local_modules import local_modules
from qjob.braket.recovery import cached, namespace, taken_module
from qjob.errors import CannotBePickled, InvalidInput

_PROTOCOL = 5
_MOST_LOOKED_AT = 200  # objects, when one is searched for that cannot be pickled
_NOT_TAKEN = frozenset({"__builtins__", "__cached__", "__loader__", "__spec__", "__warningregistry__"})
"""What a module has that belongs to this process, or to how it was imported here."""
_SENTINELS = {id(value): name for name, value in vars(dataclasses).items() if type(value).__module__ == "dataclasses"}
"""Objects that dataclasses know by identity: in a class that came along as copies, fields() would find none."""
_REGISTRY = threading.RLock()
"""cloudpickle's list of modules to pickle by value is the process's own: one call at a time."""


@dataclass(frozen=True, kw_only=True)
class Pickled:
    """A call, ready to be made elsewhere.

    Attributes:
        data: two pickles in one stream, which share their memo: ``(function, args, kwargs)``, and a
            dict of the classes and functions that are not by reference, by ``(module, name)``.
        texts: the text of each code file involved, by the name that the code has it under.
        modules: what `qjob.braket.recovery` is to know of each module that was taken along.
        imports: the modules that unpickling imports, those first that it needs first.
    """

    data: bytes
    texts: Mapping[str, str]
    modules: Mapping[str, Mapping[str, Any]]
    imports: tuple[str, ...]


def pickle_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], include: Iterable[str] = ()
) -> Pickled:
    """Return the call, pickled; the function itself is not touched.

    Modules that a job could not import are taken along as far as the call uses them; those in ``include``
    with their submodules and whole, so that the function may import them. They are as they are now.

    Raises InvalidInput for a module that there is not, and CannotBePickled, which names the object.
    """
    included = _imported(include)
    local = local_modules()
    with _by_value([*local, *included]) as names:
        file = io.BytesIO()
        pickler = _Pickler(file, names)
        try:
            pickler.dump((function, args, kwargs))
            pickler.dump(pickler.named())
        except Exception as error:  # an object's own __reduce__ may raise anything
            raise CannotBePickled(_explanation(function, args, kwargs, error, names)) from error
    modules = _about_modules(pickler.modules(), included, {module.__name__ for module in local})
    files = pickler.files | {about["file"] for about in modules.values() if about["file"]}
    imports = tuple(name for name in pickler.imports if name not in modules and name != "__main__")
    return Pickled(data=file.getvalue(), texts=_texts(files), modules=modules, imports=imports)


class _Namespace(dict[str, Any]):
    """Stands for the globals of a module's functions."""

    def __init__(self, module: str) -> None:
        super().__init__(__name__=module)


class _Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]
    """cloudpickle's, which also notes what it takes along.

    And a module that is taken along and its functions share their globals, as they did before: cloudpickle
    by itself gives the functions a dict of their own, where ``module.x = 1`` changes nothing.
    """

    def __init__(self, file: io.BytesIO, by_value: frozenset[str]) -> None:
        super().__init__(file, protocol=_PROTOCOL)
        for name, module in sys.modules.copy().items():
            if name == "__main__" or _is_among(name, by_value):
                self.globals_ref[id(vars(module))] = _Namespace(name)
        self.files: set[str] = set()
        self.imports: dict[str, None] = {"cloudpickle.cloudpickle": None}
        self._by_value = by_value
        self._taken: list[Any] = []
        self._taken_modules: list[str] = []

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, ModuleType) and _is_among(value.__name__, self._by_value):
            self._taken_modules.append(value.__name__)
            state = {key: item for key, item in vars(value).items() if key not in _NOT_TAKEN}
            return taken_module, (value.__name__,), state
        if isinstance(value, _Namespace):
            return namespace, (value["__name__"],)
        if isinstance(value, _lru_cache_wrapper) and _is_among(value.__module__, self._by_value | {"__main__"}):
            return cached, (value.__wrapped__, value.cache_parameters())
        if isinstance(value, CodeType):
            self.files.add(value.co_filename)
        reduction = _of_the_library(value)
        if reduction is NotImplemented:
            reduction = super().reducer_override(value)
        if reduction is not NotImplemented and isinstance(value, type | FunctionType):
            self._taken.append(value)
        elif isinstance(value, ModuleType | type | FunctionType | BuiltinFunctionType):
            self.imports[_module_of(value)] = None
        return reduction

    def named(self) -> dict[tuple[str, str], Any]:
        """Return what was taken along and can be found by a name in its module."""
        found = {}
        for value in self._taken:
            module, name = getattr(value, "__module__", None), value.__qualname__
            if module is not None and getattr(sys.modules.get(module), name, None) is value:
                found[module, name] = value
        return found

    def modules(self) -> list[str]:
        """Return the modules of what was taken along."""
        of_objects = [value.__module__ for value in self._taken if isinstance(value.__module__, str)]
        return list(dict.fromkeys([*self._taken_modules, *of_objects]))


def _module_of(value: Any) -> str:
    name = value.__name__ if isinstance(value, ModuleType) else value.__module__
    return name if isinstance(name, str) else "builtins"


def _of_the_library(value: Any) -> Any:
    """Return how to pickle objects of the standard library that are within classes and functions of users'."""
    if id(value) in _SENTINELS:
        return _SENTINELS[id(value)]
    if type(value) is cached_property:  # Python 3.11's has a lock, which cannot be pickled
        return cached_property, (value.func,), {"attrname": value.attrname}
    if type(value) in (WeakKeyDictionary, WeakValueDictionary):  # the cache of a functools.singledispatch
        return type(value), (dict(value),)
    return NotImplemented


def _imported(include: Iterable[str]) -> list[ModuleType]:
    problems, modules = [], []
    for name in include:
        try:
            modules.append(importlib.import_module(name))
        except (ImportError, TypeError, ValueError, AttributeError) as error:
            problems.append(f"include_modules: {name!r} cannot be imported ({error}); name modules, or leave it out.")
    if problems:
        raise InvalidInput(problems)
    return modules


@contextmanager
def _by_value(modules: Iterable[ModuleType]) -> Iterator[frozenset[str]]:
    """Have cloudpickle pickle these modules by value, and no longer than this lasts; yield their names."""
    with _REGISTRY:
        before = cloudpickle.list_registry_pickle_by_value()
        loaded = [module for module in modules if sys.modules.get(module.__name__) is module]
        new = {module.__name__: module for module in loaded if module.__name__ not in before}
        try:
            for module in new.values():
                cloudpickle.register_pickle_by_value(module)
            yield frozenset(module.__name__ for module in loaded)
        finally:
            for name in cloudpickle.list_registry_pickle_by_value() & new.keys():
                cloudpickle.unregister_pickle_by_value(new[name])


def _is_among(name: str, modules: Set[str]) -> bool:
    """Say whether a module is one of these, or below one, as cloudpickle sees it."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return bool(name)


def _about_modules(taken: Iterable[str], included: Iterable[ModuleType], local: Set[str]) -> dict[str, dict[str, Any]]:
    """Return what the job is to know of the modules that it could not import.

    These are the ones used, the packages around them, and all of those that are included whole.
    """
    about = {name: _about(name, whole=False) for name in taken if _is_among(name, local)}
    tops = frozenset(module.__name__ for module in included if _is_among(module.__name__, local))
    about |= {name: _about(name, whole=True) for name in sys.modules.copy() if _is_among(name, tops)}
    for name in tops:
        about = _not_loaded(sys.modules[name]) | about
    for name in list(about):
        while name := name.rpartition(".")[0]:
            about.setdefault(name, _about(name, whole=False))
    return about


def _about(name: str, *, whole: bool) -> dict[str, Any]:
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    return {
        "file": file if isinstance(file, str) else None,
        "package": hasattr(module, "__path__"),
        "whole": whole,
    }


def _not_loaded(module: ModuleType) -> dict[str, dict[str, Any]]:
    """Return the submodules that a package has and nobody has imported."""
    found = {}
    for directory in map(Path, getattr(module, "__path__", ())):
        for path in sorted(directory.rglob("*.py")):
            parts = (module.__name__, *path.relative_to(directory).with_suffix("").parts)
            package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if package else parts)
            found[name] = {"file": str(path), "package": package, "whole": True}
    return found


def _texts(files: Iterable[str]) -> dict[str, str]:
    """Return the texts of code files, notebook cells included; those that cannot be had are left out."""
    texts = {file: "".join(linecache.getlines(file)) for file in files}
    return {file: text for file, text in texts.items() if text}


# What cannot be pickled


def _explanation(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    error: Exception,
    by_value: frozenset[str],
) -> str:
    name = getattr(function, "__name__", repr(function))
    parts = {f"argument {key}": value for key, value in (*enumerate(args, 1), *kwargs.items())}
    parts[f"{name}()"] = function
    for path, part in parts.items():
        reason = _reason(part, by_value)
        if reason is not None:
            where, culprit, why = _culprit(path, part, reason, by_value, set()) or (path, part, reason)
            return (
                f"{name!r} cannot become a job: {where} is {_described(culprit)}, which cannot be pickled ({why}). "
                "Create it inside the function, or pass what it is made from."
            )
    return f"{name!r} cannot become a job, as it and its arguments cannot be pickled: {error}"


def _culprit(path: str, value: Any, why: str, by_value: frozenset[str], seen: set[int]) -> tuple[str, Any, str] | None:
    """Return the path, the innermost object on it that cannot be pickled, and why; None when it is found elsewhere.

    Elsewhere: all that cannot be pickled in it was ``seen`` before, as the class that a method refers to.
    """
    seen.add(id(value))
    innermost = True
    for child_path, child in _children(path, value, by_value):
        reason = _reason(child, by_value)
        innermost = innermost and reason is None
        if reason is not None and id(child) not in seen and len(seen) < _MOST_LOOKED_AT:
            found = _culprit(child_path, child, reason, by_value, seen)
            if found is not None:
                return found
    return (path, value, why) if innermost else None


def _reason(value: Any, by_value: frozenset[str]) -> str | None:
    try:
        _Pickler(io.BytesIO(), by_value).dump(value)
    except Exception as error:  # noqa: BLE001 - an object's own __reduce__ may raise anything
        return str(error) or type(error).__name__
    return None


def _children(path: str, value: Any, by_value: frozenset[str]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, FunctionType):
        yield from _used_by(path, value)
    elif isinstance(value, MethodType):
        yield f"{path}.__self__", value.__self__
        yield path, value.__func__
    elif isinstance(value, Mapping):
        yield from ((f"{path}[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"{path}[{number}]", item) for number, item in enumerate(value))
    elif not isinstance(value, ModuleType) or _is_among(value.__name__, by_value):
        attributes = getattr(value, "__dict__", {})
        yield from ((f"{path}.{key}", item) for key, item in attributes.items() if key not in _NOT_TAKEN)
        above = value.__bases__ if isinstance(value, type) else (type(value),)
        yield from ((kind.__qualname__, kind) for kind in above)


def _used_by(path: str, function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what a function uses: outer variables, globals and defaults, each by the name it has there."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f"{name} (used by {path})", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for name in _global_names(function.__code__):
        if name in function.__globals__:
            yield f"{name} (used by {path})", function.__globals__[name]
    yield f"a default of {path}", (function.__defaults__, function.__kwdefaults__)


def _global_names(code: CodeType) -> list[str]:
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names += _global_names(constant)
    return list(dict.fromkeys(names))


def _described(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
