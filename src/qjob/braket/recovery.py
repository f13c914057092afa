"""In the job: the call that was pickled at submit, its code and its modules, and then the call.

`entry_point` is what the generated ``entry_point.py`` of such a job has, and all of this runs before the user's
function does, so it imports little. `qjob.braket.decorator` writes what is read here.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import linecache
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

from qjob.braket.links import linked
from qjob.runtime import get_results_dir, save_job_result

TYPE_CHECKING = False  # what is imported here is the time before a job's function
if TYPE_CHECKING:
    from qjob.model.points import Points

CALL = "call.pkl"
ABOUT = "call.json"
_LOADER = "_qjob_load"
_POINT = "QJOB_SWEEP_POINT"  # as `qjob.runner.environment` sets it, whose import a job need not pay for


class TakenModule(ModuleType):
    """A module that came along with a call: it has what the call uses of it, and its own text if it is whole."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if load := self.__dict__.pop(_LOADER, None):
            load(self)
            return getattr(self, name)
        raise AttributeError(
            f"module {self.__name__!r} has no attribute {name!r} in the job: what came along is what the function "
            f"uses by itself; for the whole module, give include_modules={self.__name__!r} to hybrid_job"
        )


_taken: dict[str, TakenModule] = {}


def taken_module(name: str) -> TakenModule:
    """Return the module of that name that came along, at first an empty one; pickles of modules call this.

    It is what ``import`` finds, unless the job has loaded another one of that name by itself.
    """
    module = sys.modules.get(name)
    if not isinstance(module, TakenModule):
        module = _taken.setdefault(name, TakenModule(name))
        sys.modules.setdefault(name, module)
    return module


def namespace(name: str) -> dict[str, Any]:
    """Return the names of a module that came along: the globals of its functions; pickles of those call this."""
    return vars(sys.modules["__main__"] if name == "__main__" else taken_module(name))


def cached(function: Callable[..., Any], parameters: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a function with a cache of its own; pickles of such functions call this, plain pickle cannot."""
    made: Callable[..., Any] = functools.lru_cache(**parameters)(function)
    return made


def entry_point(file: str) -> Callable[[], object]:
    """Return the function that makes the call pickled beside ``file``."""
    folder = os.path.dirname(os.path.abspath(file))

    def call() -> object:
        return _call(folder)

    return call


def call_at_point(function: Callable[..., Any], points: Points, shared: Mapping[str, Any]) -> object:
    """Call a function with the arguments of this job's point; what the jobs of a sweep do."""
    return function(**{**shared, **points[int(os.environ[_POINT])]})


def restore_main(file: str, namespace: dict[str, Any]) -> None:
    """Add to a namespace what the call's ``__main__`` defined; processes that are spawned look for it there."""
    folder = os.path.dirname(os.path.abspath(file))
    _, named = _recovered(folder, _about(folder))
    namespace.update({name: value for (module, name), value in named.items() if module == "__main__"})


def _call(folder: str) -> object:
    about = _about(folder)
    (function, args, kwargs), _ = _recovered(folder, about)
    os.chdir(get_results_dir())
    with linked(about["inputs"]):
        try:
            result = function(*args, **kwargs)
        except ModuleNotFoundError as error:
            _add_remedy(error, about["beside"])
            raise
    if result is not None:
        save_job_result(result, data_format=about["dataFormat"])
    return result


def _about(folder: str) -> dict[str, Any]:
    with open(os.path.join(folder, ABOUT), encoding="utf-8") as file:
        about: dict[str, Any] = json.load(file)
    ours, theirs = ".".join(map(str, sys.version_info[:2])), about["python"]
    if ours != theirs:
        raise RuntimeError(
            f"the function was submitted from Python {theirs}, and code that is pickled there cannot run under "
            f"Python {ours}; leave python= out, or submit from Python {ours}"
        )
    return about


def _recovered(folder: str, about: Mapping[str, Any]) -> tuple[Any, dict[tuple[str, str], Any]]:
    """Return what was pickled: the call, and what is named in modules."""
    _prime_linecache(about["texts"])
    modules = _install(about["modules"], about["texts"])
    main = _fresh_main(folder, about)
    with open(os.path.join(folder, CALL), "rb") as file:
        unpickler = pickle.Unpickler(file)
        try:
            call, named = unpickler.load(), unpickler.load()
        except ModuleNotFoundError as error:
            _add_remedy(error, about["beside"])
            raise
    _name(named, {**modules, "__main__": main})
    return call, named


def _prime_linecache(texts: Mapping[str, str]) -> None:
    """Have linecache, and so inspect and tracebacks, see the code as it was at submit, whatever is there now."""
    for file, text in texts.items():
        # Without a time, linecache does not compare it with what is on the disk.
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)


def _install(abouts: Mapping[str, Mapping[str, Any]], texts: Mapping[str, str]) -> dict[str, ModuleType]:
    """Make the modules that came along."""
    return {name: _installed(name, about, texts) for name, about in abouts.items()}


def _installed(name: str, about: Mapping[str, Any], texts: Mapping[str, str]) -> ModuleType:
    module = taken_module(name)
    package, _, last = name.rpartition(".")
    module.__file__ = about["file"]
    module.__package__ = name if about["package"] else package
    if about["package"]:
        module.__path__ = []
    if about["whole"] and about["file"] in texts:
        vars(module)[_LOADER] = _loader(about["file"], texts[about["file"]])
    if package:
        setattr(taken_module(package), last, module)
    return module


def _loader(file: str, text: str) -> Callable[[ModuleType], None]:
    def load(module: ModuleType) -> None:
        came_along = {key: value for key, value in vars(module).items() if not key.startswith("__")}
        exec(compile(text, file, "exec", dont_inherit=True), vars(module))
        vars(module).update(came_along)  # there is one class of a name, or isinstance would fail

    return load


def _fresh_main(folder: str, about: Mapping[str, Any]) -> ModuleType:
    """Put a ``__main__`` into the place of the bootstrap's, whose names are not the user's."""
    main = ModuleType("__main__")
    vars(main).update(about["main"])
    # By this, processes that are spawned find the generated module, and not the user's script to run it again.
    name = f"{os.path.basename(folder)}.entry_point"
    main.__spec__ = importlib.util.spec_from_file_location(name, os.path.join(folder, "entry_point.py"))
    sys.modules["__main__"] = main
    return main


def _name(named: Mapping[tuple[str, str], Any], modules: Mapping[str, ModuleType]) -> None:
    for (module, name), value in named.items():
        if module in modules:
            setattr(modules[module], name, value)


def _add_remedy(error: ModuleNotFoundError, beside: Iterable[str]) -> None:
    """Say what to do when a module is missing that lies beside the user's code, or that pickles need."""
    name = (error.name or "").partition(".")[0]
    if name == "cloudpickle":
        error.msg += f"; install it for {sys.executable}, as functions are pickled by it"
    elif name and PathFinder.find_spec(name, list(beside)) is not None:
        error.msg += f"; it lies beside your code and is not installed: give include_modules={name!r} to hybrid_job"
