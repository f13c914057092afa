"""The energy of a trial state, measured on a Braket device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import matmul

from ansatz import uccsd
from braket.circuits import Circuit, Observable, observables
from braket.devices import Device
from hamiltonian import NUCLEAR_REPULSION, TERMS, measurement_groups

OBSERVABLES = {"X": observables.X(), "Y": observables.Y(), "Z": observables.Z()}

BATCHES = 10
"""How often `energy_with_error` measures, if measuring is a matter of chance."""


def energy(device: Device, angles: Sequence[float], shots: int) -> float:
    """Return the energy of the trial state in hartree, the repulsion of the nuclei included.

    ``shots=0`` is the exact expectation value; otherwise each of the two circuits is sampled so many times.
    """
    electronic = TERMS["II"]
    for labels in measurement_groups(TERMS):
        values = device.run(measurement_circuit(angles, labels), shots=shots).result().values
        electronic += sum(TERMS[label] * float(value) for label, value in zip(labels, values, strict=True))
    return electronic + NUCLEAR_REPULSION


def energy_with_error(device: Device, angles: Sequence[float], shots: int) -> tuple[float, float]:
    """Return the energy and its standard error, from measurements of their own.

    The lowest of the many noisy values that an optimiser saw is too low; a fresh mean is unbiased.
    """
    if shots == 0:
        return energy(device, angles, shots), 0.0
    batches = [energy(device, angles, shots) for _ in range(BATCHES)]
    mean = sum(batches) / BATCHES
    variance = sum((value - mean) ** 2 for value in batches) / (BATCHES - 1)
    return mean, (variance / BATCHES) ** 0.5


def measurement_circuit(angles: Sequence[float], labels: Sequence[str]) -> Circuit:
    """Return the trial state's circuit with one expectation value for each Pauli string of a group."""
    circuit = uccsd(angles)
    for label in labels:
        qubits = [qubit for qubit, letter in enumerate(label) if letter != "I"]
        circuit.expectation(_observable(label), target=qubits)
    return circuit


def _observable(label: str) -> Observable:
    return reduce(matmul, (OBSERVABLES[letter] for letter in label if letter != "I"))
