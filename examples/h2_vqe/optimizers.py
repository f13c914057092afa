"""The optimisers to choose from, as arguments of `scipy.optimize.minimize`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

Objective = Callable[[NDArray[np.float64]], float]


def rotosolve(
    objective: Objective, start: NDArray[np.float64], *, angle_tolerance: float = 1e-4, **_: Any
) -> OptimizeResult:
    """Set one angle after the other to where the energy is lowest, until a sweep changes nothing.

    Along an angle t of a rotation exp(-i t P/2) the energy is a sine of period 2 pi, so three values tell
    where its minimum is: there is no step size to choose, and shot noise does little harm. Nakanishi, Fujii,
    Todo, Phys. Rev. Research 2, 043158 (2020); Ostaszewski, Grant, Benedetti, Quantum 5, 391 (2021).
    """
    angles = np.array(start, dtype=float)
    while True:
        before = angles.copy()
        for index in range(angles.size):
            angles[index] = _minimum_along(objective, angles, index)
        if np.max(np.abs(angles - before)) < angle_tolerance:
            return OptimizeResult(x=angles, success=True)


def _minimum_along(objective: Objective, angles: NDArray[np.float64], index: int) -> float:
    quarter = np.eye(angles.size)[index] * np.pi / 2
    here, ahead, behind = objective(angles), objective(angles + quarter), objective(angles - quarter)
    minimum = angles[index] - np.pi / 2 - np.arctan2(2 * here - ahead - behind, ahead - behind)
    return float(np.arctan2(np.sin(minimum), np.cos(minimum)))  # between -pi and pi


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "COBYLA": {"method": "COBYLA", "tol": 1e-4, "options": {"rhobeg": 0.3}},
    "Rotosolve": {"method": rotosolve},
}
"""COBYLA knows nothing of the problem and suits exact energies; Rotosolve suits sampled ones as well."""
