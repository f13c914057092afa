"""Libraries that single values need, and that need not be installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from qjob.runtime.coding import Unavailable

_MODULES = frozenset({"numpy", "pandas", "braket.circuits", "braket.ir.openqasm", "qiskit.qasm3"})
"""All that is ever imported for the sake of a value: what a file says never names a module to import."""


def optional(module: str) -> Any:
    """Return the imported module of a library; raises Unavailable, naming the library, where it is not installed."""
    assert module in _MODULES, module
    try:
        return import_module(module)
    except ImportError as error:
        raise Unavailable(module.partition(".")[0]) from error
