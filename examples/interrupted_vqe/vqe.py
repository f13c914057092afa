"""The ground state of a transverse-field Ising chain by VQE with PennyLane, as a job that can be interrupted.

Every iteration leaves a checkpoint, which holds all that gradient descent knows; a job that finds one goes on from it:
``qjob resume JOB`` after a cancellation takes the very steps that the first job would have taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml
from braket.jobs import (
    get_hyperparameters,
    load_job_checkpoint,
    save_job_checkpoint,
    save_job_result,
)
from braket.jobs.metrics import log_metric
from pennylane import numpy as pnp

SPINS = 4
FIELD = 1.0
LAYERS = 3
STEP_SIZE = 0.025


def hamiltonian() -> Any:
    """Return -sum Z_i Z_{i+1} - FIELD sum X_i on an open chain, in units of the coupling."""
    bonds = [-qml.PauliZ(i) @ qml.PauliZ(i + 1) for i in range(SPINS - 1)]
    return qml.sum(*bonds, *(-FIELD * qml.PauliX(i) for i in range(SPINS)))


@qml.qnode(qml.device("default.qubit", wires=SPINS))
def energy(angles: Any) -> Any:
    """Return the energy of the ansatz state; ``angles`` in radians, shape (LAYERS, 2)."""
    for wire in range(SPINS):
        qml.Hadamard(wires=wire)
    for coupling, field in angles:
        for wire in range(SPINS - 1):
            qml.IsingZZ(coupling, wires=[wire, wire + 1])
        for wire in range(SPINS):
            qml.RX(field, wires=wire)
    return qml.expval(hamiltonian())


def main() -> None:
    """Descend from the last checkpoint, or from the start, and save the energy reached."""
    iterations = int(get_hyperparameters().get("iterations", "300"))
    begun, angles = progress()
    print(f"starting after iteration {begun}", flush=True)
    optimizer = qml.GradientDescentOptimizer(STEP_SIZE)
    for iteration in range(begun + 1, iterations + 1):
        angles, before = optimizer.step_and_cost(energy, angles)
        log_metric("energy", float(before), iteration_number=iteration)
        save_job_checkpoint({"iteration": iteration, "angles": angles.tolist()})
    exact = float(np.linalg.eigvalsh(qml.matrix(hamiltonian(), wire_order=range(SPINS)))[0])
    save_job_result({"energy": float(energy(angles)), "exact": exact, "begun_after": begun})


def progress() -> tuple[int, Any]:
    """Return the number of iterations done and the angles after them."""
    try:
        checkpoint = load_job_checkpoint()
    except FileNotFoundError:
        return 0, pnp.full((LAYERS, 2), 0.2, requires_grad=True)
    return checkpoint["iteration"], pnp.array(checkpoint["angles"], requires_grad=True)


if __name__ == "__main__":
    main()
