"""The job: the best angles by COBYLA, the best portfolio by looking at the final state."""

from __future__ import annotations

import numpy as np
from braket.jobs import save_job_result
from braket.jobs.metrics import log_metric
from scipy.optimize import minimize
from tabulate import tabulate

from portfolio.market import choices, cost, names
from portfolio.qaoa import probabilities


def main(budget: int, risk_aversion: float = 0.5, layers: int = 2, verbose: bool = False) -> None:
    """Choose ``budget`` assets; the hyperparameters of the job arrive as the types that are named here."""
    costs = [cost(choice, budget, risk_aversion) for choice in choices()]
    evaluations = 0

    def expected_cost(angles: np.ndarray) -> float:
        nonlocal evaluations
        evaluations += 1
        value = float(probabilities(costs, list(angles)) @ costs)
        log_metric("expected_cost", value, iteration_number=evaluations)
        return value

    found = minimize(expected_cost, [0.5, 0.3] * layers, method="COBYLA", options={"maxiter": 60, "rhobeg": 0.5})
    final = probabilities(costs, list(found.x))
    ranked = sorted(zip(final, costs, choices(), strict=True), reverse=True)
    rows = [(", ".join(names(choice)) or "nothing", f"{p:.3f}", f"{value:+.3f}") for p, value, choice in ranked]
    print(tabulate(rows if verbose else rows[:4], headers=["portfolio", "probability", "cost"]))
    likely = min(ranked[:4], key=lambda row: row[1])
    save_job_result({"portfolio": names(likely[2]), "cost": likely[1], "best_cost": min(costs)})
