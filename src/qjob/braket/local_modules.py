"""Which loaded modules a job could not import: those that lie beside the user's code and are not installed.

A job runs with the interpreter and the environment variables of its submitter, but in a directory of its own:
it finds the standard library, what is installed and what PYTHONPATH names. It does not find what the submitter
found beside the script, in the current directory, or by a change of ``sys.path``.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from qjob.braket.recovery import TakenModule

_EDITABLE = "__editable__"
"""How setuptools names the finder of a package that is installed in place."""


def local_modules() -> list[ModuleType]:
    """Return the loaded modules that a job could not import; ``__main__`` is not among them."""
    installed = _below(installed_directories())
    loaded: dict[str, object] = dict(sys.modules)  # where anything may lie
    modules = {name: module for name, module in loaded.items() if isinstance(module, ModuleType)}
    main = modules.pop("__main__", None)  # which multiprocessing puts there under a second name
    return [module for name, module in modules.items() if module is not main and _is_local(name, module, installed)]


def local_directories() -> list[str]:
    """Return the directories of ``sys.path`` where a job does not look, absolute."""
    installed = set(installed_directories())
    paths = filter(None, map(_absolute, sys.path))
    return [path for path in dict.fromkeys(paths) if path not in installed and os.path.isdir(path)]


def installed_directories() -> list[str]:
    """Return the directories where a job of this interpreter and environment finds modules; also links resolved."""
    paths = sysconfig.get_paths()
    found = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found.append(os.path.join(paths["platstdlib"], "lib-dynload"))
    sites = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    found += sites
    for directory in (*sites, paths["purelib"], paths["platlib"]):
        found += _named_in_pth_files(Path(directory))
    found += [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(path)]
    return list(dict.fromkeys([*found, *map(os.path.realpath, found)]))


def _absolute(path: str) -> str | None:
    """Return a path with links resolved; None for one that is relative to a directory that was removed."""
    try:
        return os.path.realpath(path or os.curdir)
    except FileNotFoundError:
        return None


def _named_in_pth_files(directory: Path) -> list[str]:
    """Return what the .pth files of a directory add to the path, see https://docs.python.org/3/library/site.html."""
    found = []
    for file in directory.glob("*.pth"):
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        found += [line for line in map(str.strip, lines) if line and not line.startswith(("#", "import ", "import\t"))]
    return [os.path.join(directory, line) for line in found]


def _below(directories: Iterable[str]) -> tuple[str, ...]:
    return tuple(os.path.join(directory, "") for directory in directories)


def _is_local(name: str, module: ModuleType, installed: tuple[str, ...]) -> bool:
    if isinstance(module, TakenModule):
        return True
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return not _is_below(file, installed) and not _is_editable(name)
    top = sys.modules.get(name.partition(".")[0])
    if top is not module and isinstance(top, ModuleType):  # made by its package, or a folder without __init__.py
        return _is_local(top.__name__, top, installed)
    # A folder without __init__.py; the others are builtin, frozen or made by hand, and whoever made them is asked.
    return hasattr(module, "__path__") and not any(_is_below(f"{path}/", installed) for path in module.__path__)


def _is_below(path: str, directories: tuple[str, ...]) -> bool:
    # Nearly all modules are told by their path as it is, which is far quicker than to resolve its links.
    return path.startswith(directories) or os.path.realpath(path).startswith(directories)


def _is_editable(name: str) -> bool:
    finders = [finder for finder in sys.meta_path if _EDITABLE in getattr(finder, "__module__", "")]
    return any(finder.find_spec(name.partition(".")[0], None) is not None for finder in finders)
