"""get_device: from a job's device string to the object that runs circuits.

The SDK that it needs is imported by the call, and none before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from importlib import import_module

from qjob.device_lease import guarded
from qjob.errors import InvalidInput, MissingExtra

TYPE_CHECKING = False  # type checkers take this name for true; importing it from typing would cost 4 ms
if TYPE_CHECKING:
    from typing import Any

_NO_DEVICE = "local:none/none"
_LOCAL = "local:"
_NEAR = 0.6  # how much of a name must be right for a suggestion, as difflib counts


def get_device(device: str | None = None, **options: Any) -> Any:
    """Return the device object that a device string stands for, by default this job's.

    ==========================  =========================================================
    ``local:braket/<name>``     ``braket.devices.LocalSimulator(name, **options)``; ``default`` is Braket's default
    ``local:pennylane/<name>``  ``pennylane.device(name, **options)``, such as ``wires=4``
    ``local:qiskit/<name>``     the simulator of that name of Qiskit Aer, with the options set
    an ARN                      ``braket.aws.AwsDevice(arn, **options)``, which asks AWS for the device
    ==========================  =========================================================

    On a cluster, the object of a device that the job holds alone asks before each task whether it still does, see
    `check_device_lease`.

    Raises InvalidInput when the string names no device, saying which there are; MissingExtra (an ImportError)
    when the SDK is not installed, saying what to install; and whatever the SDK itself raises.
    """
    asked = os.environ.get("AMZN_BRAKET_DEVICE_ARN", _NO_DEVICE) if device is None else device
    if not isinstance(asked, str):
        raise InvalidInput(f"device={asked!r}: a device string is expected, as in 'local:braket/default'.")
    if asked.startswith("arn:"):
        return guarded(_aws(asked, options))
    provider, _, name = asked.removeprefix(_LOCAL).partition("/")
    if not asked.startswith(_LOCAL) or not name or provider not in _PROVIDERS:
        raise InvalidInput(_no_provider(asked))
    return _PROVIDERS[provider](asked, name, options)


def _braket(asked: str, name: str, options: dict[str, Any]) -> Any:
    simulator = _sdk(asked, "braket.devices").LocalSimulator
    _check(asked, name, simulator.registered_backends())
    return simulator(name, **options)


def _pennylane(asked: str, name: str, options: dict[str, Any]) -> Any:
    sdk = _sdk(asked, "pennylane")
    from importlib.metadata import entry_points

    _check(asked, name, entry_points(group="pennylane.plugins").names)
    return sdk.device(name, **options)


def _qiskit(asked: str, name: str, options: dict[str, Any]) -> Any:
    simulators = {simulator.name: simulator for simulator in _sdk(asked, "qiskit_aer").AerProvider().backends()}
    _check(asked, name, simulators)
    simulators[name].set_options(**options)
    return simulators[name]


def _aws(arn: str, options: dict[str, Any]) -> Any:
    return _sdk(arn, "braket.aws").AwsDevice(arn, **options)


_PROVIDERS: dict[str, Callable[[str, str, dict[str, Any]], Any]] = {
    "braket": _braket,
    "pennylane": _pennylane,
    "qiskit": _qiskit,
}


_PACKAGES = {
    "braket.devices": ("amazon-braket-sdk", "braket"),
    "braket.aws": ("amazon-braket-sdk", "braket"),
    "pennylane": ("pennylane", "pennylane"),
    "qiskit_aer": ("qiskit-aer", "qiskit"),
}
"""The package that each module comes in, and the extra of qjob that installs it."""


def _sdk(asked: str, module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        package, extra = _PACKAGES[module]
        raise MissingExtra(
            f"the device {asked!r} needs {package}, which cannot be imported ({error}): pip install 'qjob[{extra}]'"
        ) from error


def _check(asked: str, name: str, there: Iterable[str]) -> None:
    names = sorted(there)
    if name in names:
        return
    import difflib

    near = difflib.get_close_matches(name, names, n=1, cutoff=_NEAR)
    meant = f"; did you mean {asked.removesuffix(name) + near[0]!r}?" if near else ""
    raise InvalidInput(
        f"the device {asked!r} names no simulator that is installed; there are {', '.join(names)}{meant}"
    )


def _no_provider(asked: str) -> str:
    forms = ", ".join(f"'{_LOCAL}{provider}/<simulator>'" for provider in _PROVIDERS)
    if asked == _NO_DEVICE:
        return f"the job was submitted without a device; give it one: {forms} or a device's ARN"
    return f"the device {asked!r} is not of a kind that get_device knows; it knows {forms} and ARNs"
