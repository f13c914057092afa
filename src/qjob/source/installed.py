"""Where the code of an installed package or module lies, found as an import would find it: nothing is imported."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec

from qjob.errors import InvalidInput
from qjob.source.packed import SUFFIX

_SITE = re.compile(r"/(site|dist)-packages/")


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A package or module that an import would find.

    Attributes:
        module: the name that was given.
        path: the folder or ``.py`` file to take along: the whole regular package that holds the module.
        around: the namespace packages that this lies in, as a path such as ``mycorp/quantum``; mostly empty.
        in_site: whether an installer has put it there, so that no repository around it has a say.
    """

    module: str
    path: str
    around: str
    in_site: bool


def find_installed(name: str) -> Installed | None:
    """Return where the package or module of that dotted name lies; None when there is none of its first part.

    Raises InvalidInput when it has no source that could be taken along.
    """
    importlib.invalidate_caches()  # it may have been installed a moment ago
    parts = name.split(".")
    places: Sequence[str] | None = None
    for depth in range(1, len(parts) + 1):
        found = ".".join(parts[:depth])
        spec = _find(found, places)
        if spec is None and depth == 1:
            return None
        if spec is None or not _is_namespace(spec):
            path = _path(name, found, spec)
            return Installed(module=name, path=path, around="/".join(parts[: depth - 1]), in_site=_is_in_site(path))
        places = list(spec.submodule_search_locations or ())
    raise _problem(name, f"it is a namespace package, whose code lies in several folders; name a package in {name!r}")


def _find(name: str, places: Sequence[str] | None) -> ModuleSpec | None:
    """Return the first answer of those that an import would ask: below the places, or anywhere."""
    if places is not None:
        return _find_below(name, places)
    specs = (finder.find_spec(name, None) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next((spec for spec in specs if spec is not None), None)


def _find_below(name: str, places: Sequence[str]) -> ModuleSpec | None:
    """Do what Python's own finder does, which wants the namespace packages around to have been imported."""
    found = ModuleSpec(name, None, is_package=True)
    portions: list[str] = []
    for finder in map(pkgutil.get_importer, places):
        spec = None if finder is None else finder.find_spec(name)
        if spec is not None and spec.loader is not None:
            return spec
        portions += (spec and spec.submodule_search_locations) or ()
    found.submodule_search_locations = portions
    return found if portions else None


def _is_namespace(spec: ModuleSpec) -> bool:
    return spec.submodule_search_locations is not None and not spec.has_location


def _path(name: str, found: str, spec: ModuleSpec | None) -> str:
    if spec is None:
        raise _problem(name, f"there is no {found!r}")
    if found in sys.stdlib_module_names:
        raise _problem(name, "it belongs to Python itself; name a package of yours")
    origin = spec.origin if spec.has_location else None
    if origin is None:
        raise _problem(name, "it has no file that could be taken along")
    if not os.path.isfile(origin):
        raise _problem(name, f"it lies in {origin!r}, inside of an archive; unpack it and name the folder")
    if spec.submodule_search_locations is not None:
        return os.path.dirname(origin)
    if not origin.endswith(SUFFIX):
        raise _problem(name, f"it is compiled, {origin!r}, and only Python code can be a source")
    return origin


def _problem(name: str, problem: str) -> InvalidInput:
    return InvalidInput(f"source {name!r} is no file or folder but the name of an installed module: {problem}.")


def _is_in_site(path: str) -> bool:
    return _SITE.search(path) is not None
