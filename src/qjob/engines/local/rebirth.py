"""From a forked process to a script that cannot tell: all that a new interpreter would have had."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from itertools import takewhile
from types import ModuleType
from typing import Any, NoReturn

from qjob.atomic import write_unsynced
from qjob.engines.local.imports import Changes
from qjob.runner.bootstrap import main
from qjob.runner.script import ScriptBegins

_STREAM: Any = io.IOBase.__base__
"""What all streams are; unlike the class that is an abstract one, this one is quickly compared with."""


def become_script(begins: ScriptBegins, changes: Changes) -> NoReturn:
    """Run the script in this process, as a new interpreter would have done, to the end of the process."""
    _close_inherited(begins, changes)
    changes.mark.write(begins.folder.id)
    _set_environment(begins, changes)
    _reset_signals()
    _reseed(changes)
    _forget_the_parent()
    sys.argv[:] = [main.__code__.co_filename, *begins.arguments]
    sys.orig_argv[-2:] = sys.argv
    last_shared = next(reversed(sys.modules))
    code, pid, variables = 0, os.getpid(), dict(os.environ)
    try:
        main(begins.arguments)
    except SystemExit as end:
        code = _exit_code(end)
    own = [*takewhile(lambda name: name != last_shared, reversed(sys.modules)), "__main__"]
    if code == 0 and os.getpid() == pid:
        _tell_late_imports(begins, variables, own)
    _finalize(code, own)


def _tell_late_imports(begins: ScriptBegins, variables: Mapping[str, str], own: list[str]) -> None:
    """Leave the names of the modules that the script imported late, for the next job of this source to begin with.

    Not when it has changed a variable: what a library makes of that, it would have made of the one before.
    """
    found = [name for name in begins.spec.late_imports if name in own]
    if found and {**os.environ, "PYTHONUNBUFFERED": ""} == {**variables, "PYTHONUNBUFFERED": ""}:  # main() sets that
        with contextlib.suppress(OSError):  # a full disk: then it is not known
            write_unsynced(begins.folder.late_imports, " ".join(found).encode())


def _exit_code(end: SystemExit) -> int:
    """Return the exit code, as Python makes one of what `sys.exit` was given."""
    if end.code is None or isinstance(end.code, int):
        return (end.code or 0) & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def _finalize(code: int, own: list[str]) -> NoReturn:
    """End the process as the interpreter does, in its order, but for what the zygote had imported.

    To tear down modules that are shared with the zygote, or only to look at each of them, would copy their memory
    first, for up to a tenth of a second. Nothing in them is the script's: what it made goes with its own modules,
    the ``own`` ones, which come after the zygote's.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    # Of a file in a cycle the collector may close the buffer first, and what was written last is lost.
    _flush([each for each in gc.get_objects() if issubclass(type(each), _STREAM)])
    left = [weakref.ref(module) for module in _taken_out(own)]
    gc.collect()
    for module in filter(None, (reference() for reference in left)):
        vars(module).clear()  # somebody shared knows it; its objects go all the same
    gc.collect()
    _flush([sys.stdout, sys.stderr])
    os._exit(code)


def _taken_out(names: list[str]) -> Iterator[ModuleType]:
    """Take modules out of the table of modules, and yield those that are some: anything may be put there."""
    for name in names:
        module = sys.modules.pop(name, None)
        if isinstance(module, ModuleType):
            yield module


def _flush(streams: list[Any]) -> None:
    for stream in streams:
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue  # the script has closed or replaced it


def _close_inherited(begins: ScriptBegins, changes: Changes) -> None:
    """Close what the runner has opened, not what the imports have."""
    kept = {0, 1, 2, begins.report_fd}
    for fd in {int(name) for name in os.listdir("/proc/self/fd")} - kept:
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            if fd not in changes.descriptors or os.readlink(f"/proc/self/fd/{fd}") != changes.descriptors[fd]:
                os.close(fd)


def _set_environment(begins: ScriptBegins, changes: Changes) -> None:
    wanted = {**begins.environment, **changes.set_variables}
    for key in changes.removed_variables:
        wanted.pop(key, None)
    present = changes.variables
    for key in present.keys() - wanted.keys():
        del os.environ[key]
    os.environ.update({key: value for key, value in wanted.items() if present.get(key) != value})


def _reset_signals() -> None:
    """Handle signals as Python does when it starts; all others are as they were for the runner's own start."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _reseed(changes: Changes) -> None:
    """Seed anew what was seeded by chance; Python's own generator has seen to itself at the fork."""
    for seed in changes.seeds:
        seed()


def _forget_the_parent() -> None:
    """Make this a main process to multiprocessing: its authentication key is not one that others have."""
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.current_process()._config["authkey"] = process.AuthenticationString(os.urandom(32))
