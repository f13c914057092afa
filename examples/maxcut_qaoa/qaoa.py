"""The quantum approximate optimisation algorithm (Farhi, Goldstone, Gutmann, arXiv:1411.4028) for MaxCut.

A layer is exp(-i beta B) exp(-i gamma C), with C the number of edges cut and B the sum of X over all qubits;
the first layer acts on the equal superposition of all cuts. Angles are arrays of shape (layers, 2), in
radians: gamma and beta of each layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml
from graph import EDGES, NODES
from numpy.typing import NDArray
from pennylane import numpy as pnp

Angles = NDArray[np.float64]


class Qaoa:
    """The circuit on PennyLane's own simulator.

    ``shots=0`` gives exact expectation values; otherwise each of them is a mean over so many samples, and
    ``seed`` makes the samples repeatable.
    """

    def __init__(self, shots: int = 0, seed: int | None = None) -> None:
        device = qml.device("default.qubit", wires=NODES, seed=seed)
        self._expected_cut = _sampled(qml.QNode(_expected_cut, device), shots)
        self._probabilities = _sampled(qml.QNode(_probabilities, device), shots)

    def expected_cut(self, angles: Angles) -> float:
        """Return the mean number of edges cut."""
        return float(self._expected_cut(angles))

    def gradient(self, angles: Angles) -> Angles:
        """Return the derivative of the mean cut with respect to each angle.

        By backpropagation when exact, by the parameter-shift rule when sampled.
        """
        return np.array(qml.grad(self._expected_cut)(pnp.array(angles, requires_grad=True)))

    def probabilities(self, angles: Angles) -> dict[str, float]:
        """Return how likely each of the cuts is."""
        values = self._probabilities(angles)
        return {f"{index:0{NODES}b}": float(value) for index, value in enumerate(values)}


def linear_ramp(layers: int) -> Angles:
    """Return angles to start from: gamma grows and beta falls from layer to layer, as in slow annealing."""
    time = (np.arange(layers) + 0.5) / layers
    return 0.7 * np.stack([time, 1 - time], axis=1)


def _sampled(circuit: Any, shots: int) -> Any:
    return qml.set_shots(circuit, shots) if shots else circuit


def _expected_cut(angles: Angles) -> Any:
    _prepare(angles)
    # An edge is cut when Z Z is -1.
    return qml.expval(qml.sum(*(0.5 * (qml.Identity(a) - qml.Z(a) @ qml.Z(b)) for a, b in EDGES)))


def _probabilities(angles: Angles) -> Any:
    _prepare(angles)
    return qml.probs(wires=range(NODES))


def _prepare(angles: Angles) -> None:
    for node in range(NODES):
        qml.Hadamard(node)
    for gamma, beta in angles:
        for edge in EDGES:
            qml.IsingZZ(-gamma, wires=edge)  # exp(-i gamma (1 - Z Z)/2) but for a phase
        for node in range(NODES):
            qml.RX(2 * beta, wires=node)
