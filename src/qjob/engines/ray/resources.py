"""What of a Ray cluster a job takes: from a spec's options and device to amounts by the name of the resource. Pure.

Ray counts CPUs and GPUs in ten-thousandths and memory in bytes; everything else is a *custom resource*, a name
that somebody gave to a node (``ray start --resources='{"qpu": 1}'``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qjob.model.spec import JobSpec

OPTIONS = {
    "cpus": "CPUs of each instance; default: 1",
    "gpus": "GPUs of each instance; default: 0",
    "memory": "memory of each instance in bytes, by which Ray places it; default: none is set aside",
    "resources": "custom resources of the job, as in qpu=1",
}
_BUILT_IN = {"CPU": "cpus", "GPU": "gpus", "memory": "memory", "object_store_memory": ""}
_PLACED_ANYWHERE = 1
"""One byte of memory: Ray puts a job that asks for nothing at all onto its head node."""


@dataclass(frozen=True, kw_only=True)
class Take:
    """What a job takes.

    Attributes:
        entrypoint: what Ray sets aside for the runner, on one node, for as long as it runs.
        instances: what each instance takes that is not on the runner's node; empty when all are there.
    """

    entrypoint: Mapping[str, float]
    instances: tuple[Mapping[str, float], ...] = field(default=())


def take(spec: JobSpec, devices: Mapping[str, str], *, spreads: bool) -> Take:
    """Return what a job takes; ``spreads`` says whether instances may be on other nodes than the runner.

    ``devices`` says by ARN what stands for a device. The job has no `problems`.
    """
    count = spec.instance_count
    custom = _custom(spec, devices)
    each = instance_take(spec)
    if count == 1 or not spreads:
        return Take(entrypoint=_with_place({name: amount * count for name, amount in each.items()} | custom))
    return Take(entrypoint=_with_place(custom), instances=(_with_place(each),) * count)


def problems(spec: JobSpec, devices: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the options of a job and with its device, a sentence each, with a remedy."""
    found = [
        f"option {name!r}: the engine ray knows {', '.join(OPTIONS)}; leave it out."
        for name in spec.options
        if name not in OPTIONS
    ]
    for name, problem in (("cpus", _amount_problem), ("gpus", _amount_problem), ("memory", _memory_problem)):
        if name in spec.options:
            found += [f"option {name}={spec.options[name]!r}: {said}." for said in problem(spec.options[name])]
    if "resources" in spec.options:
        found += _resources_problems(spec.options["resources"])
    return found + _device_problems(spec.device, devices)


def parse_amounts(value: Any) -> dict[str, float]:
    """Return amounts by name, from ``qpu=1,license=2`` or a table; raises ValueError, which says what is wrong."""
    pairs = value.items() if isinstance(value, Mapping) else _pairs(value)
    return {name: _amount(name, amount) for name, amount in pairs}


def amounts_text(amounts: Mapping[str, float]) -> str:
    """Return amounts as a person writes them: ``CPU=2, qpu=1``."""
    return ", ".join(f"{name}={amount:g}" for name, amount in amounts.items() if not _is_place(name, amount))


def instance_take(spec: JobSpec) -> dict[str, float]:
    """Return what each instance takes, wherever it is."""
    amounts = {
        "CPU": spec.options.get("cpus", 1),
        "GPU": spec.options.get("gpus", 0),
        "memory": spec.options.get("memory", 0),
    }
    return {name: float(amount) for name, amount in amounts.items() if amount}


def _custom(spec: JobSpec, devices: Mapping[str, str]) -> dict[str, float]:
    amounts = parse_amounts(spec.options.get("resources", {}))
    for name, amount in parse_amounts(devices.get(spec.device, {})).items():
        amounts[name] = max(amount, amounts.get(name, 0))  # who asks for the device's resource has the device in mind
    return amounts


def _with_place(amounts: Mapping[str, float]) -> dict[str, float]:
    return dict(amounts) or {"memory": float(_PLACED_ANYWHERE)}


def _is_place(name: str, amount: float) -> bool:
    return name == "memory" and amount == _PLACED_ANYWHERE


def _pairs(value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("amounts by name are expected, as in qpu=1")
    return [(name.strip(), amount) for name, _, amount in (part.partition("=") for part in value.split(","))]


def _amount(name: str, value: Any) -> float:
    if name in _BUILT_IN:
        raise ValueError(f"{name} is no custom resource; use the option {_BUILT_IN[name] or 'memory'}")
    if not name:
        raise ValueError("amounts by name are expected, as in qpu=1")
    try:
        amount = float(value)
    except (TypeError, ValueError):
        amount = -1.0
    if isinstance(value, bool) or not _is_amount(amount) or not amount:
        raise ValueError(f"{name}={value!r} is no amount: a fraction of one or a whole number is expected")
    return amount


def _is_amount(value: float) -> bool:
    """Return whether Ray takes it: it has no one and a half of anything."""
    return 0 <= value < float("inf") and (value < 1 or value == int(value))


def _amount_problem(value: Any) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_amount(value):
        return ["a fraction of one or a whole number is expected"]
    return []


def _memory_problem(value: Any) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return ["a whole number of bytes is expected"]
    return []


def _resources_problems(value: Any) -> list[str]:
    try:
        parse_amounts(value)
    except ValueError as error:
        return [f"option resources={value!r}: {error}."]
    return []


def _device_problems(device: str, devices: Mapping[str, str]) -> list[str]:
    """Return why a device cannot be had: one that is nobody's own needs something that stands for it on the cluster."""
    if device.startswith("local:"):
        return []
    if not devices.get(device):
        return [
            f"device {device!r}: only one job may have it at a time, and nothing on the Ray cluster stands for it; "
            f"give a node a resource (ray start --resources='{{\"qpu\": 1}}') and name it in the settings: "
            f'[devices."{device}"] ray = "qpu=1".'
        ]
    try:
        parse_amounts(devices[device])
    except ValueError as error:
        return [f'[devices."{device}"] ray = {devices[device]!r}: {error}.']
    return []
