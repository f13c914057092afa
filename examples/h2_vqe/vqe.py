"""The variational loop: an optimiser, counted, reported and able to go on from where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from optimizers import OPTIMIZERS
from scipy.optimize import minimize


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the search has come: what a checkpoint has to hold.

    Attributes:
        iteration: how many energies have been measured, since the very first start.
        angles: where the energy was lowest so far.
        energy: that lowest energy in hartree.
    """

    iteration: int
    angles: tuple[float, ...]
    energy: float

    def after(self, angles: Sequence[float], energy: float) -> Progress:
        """Return the progress after one more measurement."""
        if energy >= self.energy:
            return replace(self, iteration=self.iteration + 1)
        return Progress(iteration=self.iteration + 1, angles=tuple(angles), energy=energy)


class _OutOfIterations(Exception):
    """Leaves an optimiser: each of them counts iterations in its own way."""


def search(
    energy: Callable[[Sequence[float]], float],
    start: Progress,
    *,
    max_iterations: int,
    optimizer: str,
    report: Callable[[float, Progress], None],
) -> Progress:
    """Lower the energy from ``start`` until the optimiser is content or ``max_iterations`` is reached.

    ``report`` is called after each measurement with the energy just measured and the progress so far.
    """
    progress = start

    def objective(angles: NDArray[np.float64]) -> float:
        nonlocal progress
        if progress.iteration >= max_iterations:
            raise _OutOfIterations
        measured = energy(angles.tolist())
        progress = progress.after(angles.tolist(), measured)
        report(measured, progress)
        return measured

    with suppress(_OutOfIterations):
        minimize(objective, start.angles, **OPTIMIZERS[optimizer])
    return progress
