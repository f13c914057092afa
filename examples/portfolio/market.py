"""The market: returns and risks, made up, and what a choice of assets costs."""

from __future__ import annotations

from itertools import product

NAMES = ("Argon", "Boron", "Cobalt", "Dubnium")
RETURNS = (0.12, 0.10, 0.07, 0.03)
COVARIANCES = (
    (0.10, 0.05, 0.01, 0.00),
    (0.05, 0.09, 0.02, 0.00),
    (0.01, 0.02, 0.05, 0.01),
    (0.00, 0.00, 0.01, 0.02),
)
PENALTY = 0.3
"""The cost of each asset, squared, that a choice is away from the budget."""

Choice = tuple[int, ...]


def cost(choice: Choice, budget: int, risk_aversion: float) -> float:
    """Return risk minus return of a choice (1 = bought), and the penalty for not being ``budget`` assets."""
    gain = sum(taken * gain for taken, gain in zip(choice, RETURNS, strict=True))
    pairs = product(range(len(choice)), repeat=2)
    risk = sum(choice[i] * choice[j] * COVARIANCES[i][j] for i, j in pairs)
    return risk_aversion * risk - gain + PENALTY * (sum(choice) - budget) ** 2


def choices() -> list[Choice]:
    """Return all choices, in the order of the basis states of a register with one qubit for each asset."""
    return list(product((0, 1), repeat=len(NAMES)))


def names(choice: Choice) -> list[str]:
    """Return the names of the assets that a choice buys."""
    return [name for name, taken in zip(NAMES, choice, strict=True) if taken]
