"""The model: a data re-uploading classifier on two qubits (Pérez-Salinas et al., Quantum 4, 226 (2020))."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
from pennylane import numpy as pnp

QUBITS = 2
Model = Callable[[Any, Any], Any]


def reuploading(weights: Any, points: Any) -> Any:
    """Return <Z> of the first qubit for each point: above 0 is class 0, below 0 is class 1.

    Args:
        weights: rotation angles in radians, shape (layers, QUBITS, 2).
        points: features, shape (points, 2); all of them in one run of the simulator.
    """
    for layer in weights:
        for wire in range(QUBITS):
            qml.RX(layer[wire, 0] + points[:, 0], wires=wire)
            qml.RY(layer[wire, 1] + points[:, 1], wires=wire)
        qml.CZ(wires=[0, 1])
    return qml.expval(qml.PauliZ(0))


def start(layers: int, seed: int) -> Any:
    """Return small random weights, shape (layers, QUBITS, 2), the same for the same seed."""
    generator = np.random.default_rng(seed)
    return pnp.array(generator.normal(scale=0.3, size=(layers, QUBITS, 2)), requires_grad=True)


def cost(model: Model, weights: Any, points: Any, signs: Any) -> Any:
    """Return the mean squared distance of the scores from the signs, +1 for class 0 and -1 for class 1."""
    return pnp.mean((model(weights, points) - signs) ** 2)


def accuracy(model: Model, weights: Any, points: Any, signs: Any) -> float:
    """Return the part of the points that are on the right side of 0."""
    return float(np.mean(np.sign(np.asarray(model(weights, points))) == signs))
