"""From a forked process to a script that cannot tell: all that a new interpreter would have had."""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
import threading
import weakref
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NoReturn

from qjob.engines.local.imports import Changes, open_descriptors
from qjob.runner.bootstrap import main
from qjob.runner.script import ScriptBegins


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
    shared = dict(sys.modules)
    code = 0
    try:
        main(begins.arguments)
    except SystemExit as end:
        code = _exit_code(end)
    _finalize(code, shared)


def _exit_code(end: SystemExit) -> int:
    """Return the exit code, as Python makes one of what `sys.exit` was given."""
    if end.code is None or isinstance(end.code, int):
        return (end.code or 0) & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def _finalize(code: int, shared: Mapping[str, ModuleType]) -> NoReturn:
    """End the process as the interpreter does, in its order, but for what the zygote had imported.

    To tear down modules that are shared with the zygote would copy all of their memory first, for a tenth of
    a second. Nothing in them is the script's: what it made goes with its own modules.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    # Of a file in a cycle the collector may close the buffer first, and what was written last is lost.
    _flush([each for each in gc.get_objects() if issubclass(type(each), io.IOBase)])
    own = [name for name, module in sys.modules.items() if shared.get(name) is not module]
    left = [weakref.ref(sys.modules.pop(name)) for name in reversed(own)]
    gc.collect()
    for module in filter(None, (reference() for reference in left)):
        vars(module).clear()  # somebody shared knows it; its objects go all the same
    gc.collect()
    _flush([sys.stdout, sys.stderr])
    os._exit(code)


def _flush(streams: list[Any]) -> None:
    for stream in streams:
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue  # the script has closed or replaced it


def _close_inherited(begins: ScriptBegins, changes: Changes) -> None:
    """Close what the runner has opened, not what the imports have."""
    stdio = {0, 1, 2}
    for fd, what in open_descriptors().items():
        if fd not in stdio and fd != begins.report_fd and changes.descriptors.get(fd) != what:
            os.close(fd)


def _set_environment(begins: ScriptBegins, changes: Changes) -> None:
    for key in set(os.environ) - set(begins.environment):
        del os.environ[key]
    os.environ.update(begins.environment)
    os.environ.update(changes.set_variables)
    for key in changes.removed_variables:
        os.environ.pop(key, None)


def _reset_signals() -> None:
    """Handle signals as Python does when it starts; all others are as they were for the runner's own start."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _reseed(changes: Changes) -> None:
    """Seed anew what was seeded by chance; Python's own generator has seen to itself at the fork."""
    for generator in changes.generators:
        generator.seed()
    for bits in changes.bit_generators:
        bits.state = type(bits)().state
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _forget_the_parent() -> None:
    """Make this a main process to multiprocessing: its authentication key is not one that others have."""
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.current_process()._config["authkey"] = process.AuthenticationString(os.urandom(32))
