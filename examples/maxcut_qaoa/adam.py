"""Adam, uphill, as a function from state to state: so its whole memory fits into a checkpoint.

Kingma and Ba, arXiv:1412.6980, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MEAN_DECAY = 0.9
SQUARE_DECAY = 0.999
TINY = 1e-8


@dataclass(frozen=True, kw_only=True)
class Adam:
    """The state after some steps.

    Attributes:
        iteration: how many steps were taken, since the very first start.
        angles: where the climb has come to.
        mean: the running mean of the gradient.
        square: the running mean of the gradient's square, element by element.
    """

    iteration: int
    angles: NDArray[np.float64]
    mean: NDArray[np.float64]
    square: NDArray[np.float64]

    @classmethod
    def start(cls, angles: NDArray[np.float64]) -> Adam:
        """Return the state before the first step."""
        return cls(iteration=0, angles=angles, mean=np.zeros_like(angles), square=np.zeros_like(angles))

    def step(self, gradient: NDArray[np.float64], step_size: float) -> Adam:
        """Return the state after one step up this gradient."""
        iteration = self.iteration + 1
        mean = MEAN_DECAY * self.mean + (1 - MEAN_DECAY) * gradient
        square = SQUARE_DECAY * self.square + (1 - SQUARE_DECAY) * gradient**2
        direction = (mean / (1 - MEAN_DECAY**iteration)) / (np.sqrt(square / (1 - SQUARE_DECAY**iteration)) + TINY)
        return Adam(iteration=iteration, angles=self.angles + step_size * direction, mean=mean, square=square)
