"""From a forked process to a script that cannot tell: all that a new interpreter would have had."""

from __future__ import annotations

import os
import random
import signal
import sys
from typing import Any

from qjob.engines.local.imports import Changes
from qjob.runner.instance import ScriptBegins

_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)  # by Python itself, when it starts
_SEED_BITS = 64
"""Numpy's seeds by chance have 128 bits; one that a person chose has fewer."""


def become_script(begins: ScriptBegins, changes: Changes) -> None:
    """Run the script in this process, which a new interpreter would have run; raises what that raises."""
    keep = changes.descriptors | {0, 1, 2, begins.report_fd}
    _close_all_but(keep)
    _set_environment(begins, changes)
    _reset_signals()
    _reseed(changes)
    _forget_the_parent()
    from qjob.runner.bootstrap import main

    sys.argv[:] = [os.path.join(os.path.dirname(__file__), "bootstrap.py"), *begins.arguments]
    main(begins.arguments)


def _close_all_but(keep: frozenset[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:  # that of the listing itself
                continue


def _set_environment(begins: ScriptBegins, changes: Changes) -> None:
    for key in set(os.environ) - set(begins.environment):
        del os.environ[key]
    os.environ.update(begins.environment)
    os.environ.update(changes.set_variables)
    for key in changes.removed_variables:
        os.environ.pop(key, None)


def _reset_signals() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGINT, *_IGNORED}:
        signal.signal(number, signal.SIG_DFL)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _reseed(changes: Changes) -> None:
    """Seed anew what was seeded by chance; Python's own generator has seen to itself at the fork."""
    for generator in changes.generators:
        generator.seed()
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _forget_the_parent() -> None:
    """Make this a main process to multiprocessing: its authentication key is not one that others have."""
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.current_process()._config["authkey"] = process.AuthenticationString(os.urandom(32))
