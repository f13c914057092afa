"""Train a quantum classifier four times, as the four jobs of a sweep, and take the best.

``python examples/quantum_classifier/sweep.py`` submits the sweep and waits for it. What it imports from
``qjob.braket`` has the names that ``braket.jobs`` has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import circuits
import numpy as np
import pennylane as qml

import qjob
from qjob.braket import get_input_data_dir, hybrid_job, log_metric, save_job_checkpoint

HERE = Path(__file__).parent
LAYERS = (1, 3)
STEP_SIZES = (0.05, 0.2)
TRAINING_POINTS = 60


@hybrid_job(
    device="local:pennylane/default.qubit",
    include_modules=["circuits"],
    input_data={"moons": str(HERE / "data")},
    tags={"example": "quantum-classifier"},
)
def train(layers: int, step_size: float, iterations: int = 30, seed: int = 7) -> dict[str, Any]:
    """Train on the first points and test on the rest; return the accuracies and the weights."""
    table = np.loadtxt(f"{get_input_data_dir('moons')}/moons.csv", delimiter=",", skiprows=1)
    points, signs = table[:, :2], 1 - 2 * table[:, 2]
    training, test = slice(None, TRAINING_POINTS), slice(TRAINING_POINTS, None)
    model = qml.QNode(circuits.reuploading, qml.device("default.qubit", wires=circuits.QUBITS))
    optimizer = qml.AdamOptimizer(step_size)
    weights = circuits.start(layers, seed)
    for iteration in range(1, iterations + 1):
        weights, cost = optimizer.step_and_cost(
            lambda w: circuits.cost(model, w, points[training], signs[training]), weights
        )
        log_metric("cost/train", float(cost), iteration_number=iteration)
        save_job_checkpoint({"iteration": iteration, "weights": weights.tolist()})
    return {
        "train_accuracy": circuits.accuracy(model, weights, points[training], signs[training]),
        "test_accuracy": circuits.accuracy(model, weights, points[test], signs[test]),
        "weights": np.array(weights),
    }


def main() -> None:
    """Submit one job for each combination, wait for all of them, and tell which is best."""
    sweep = qjob.sweep(train, {"layers": LAYERS, "step_size": STEP_SIZES})
    sweep.wait()
    jobs = sweep.jobs()
    for job in jobs:
        choice, accuracies = job.hyperparameters, job.results
        print(
            f"layers {choice['layers']}  step size {choice['step_size']:<4}  "
            f"train {accuracies['train_accuracy']:.2f}  test {accuracies['test_accuracy']:.2f}"
        )
    best = max(jobs, key=lambda job: (job.results["test_accuracy"], job.results["train_accuracy"]))
    weights = qjob.get(best.id).result()["weights"]
    print(
        f"best: layers {best.hyperparameters['layers']}, step size {best.hyperparameters['step_size']}, "
        f"weights of shape {weights.shape}"
    )


if __name__ == "__main__":
    main()
