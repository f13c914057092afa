"""QAOA on Braket's local simulator, for a cost that is given for each basis state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from braket.circuits import Circuit
from braket.devices import LocalSimulator


def probabilities(costs: Sequence[float], angles: Sequence[float]) -> np.ndarray:
    """Return the probability of each basis state after the layers given by ``angles`` = (gamma, beta) in turns."""
    qubits = int(np.log2(len(costs)))
    circuit = Circuit().h(range(qubits))
    for gamma, beta in zip(angles[0::2], angles[1::2], strict=True):
        # As a matrix: a circuit of gates would need one ZZ for each pair of assets.
        phases = np.diag(np.exp(-1j * gamma * np.asarray(costs)))
        circuit.unitary(matrix=phases, targets=range(qubits))
        circuit.rx(range(qubits), 2 * beta)
    circuit.probability()
    return np.asarray(LocalSimulator().run(circuit, shots=0).result().values[0])
