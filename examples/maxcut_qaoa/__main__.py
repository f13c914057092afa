"""The largest cut of a small graph by QAOA, as a hybrid job.

Runs as a job (``qjob run examples/maxcut_qaoa``) and as it is (``python examples/maxcut_qaoa``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from adam import Adam
from graph import cut_size, maximum_cut
from qaoa import Qaoa, linear_ramp

from qjob.runtime import (
    get_hyperparameters,
    load_job_checkpoint,
    log_metric,
    save_job_checkpoint,
    save_job_result,
)

CHECKPOINT = "maxcut_qaoa"
"""The suffix of the checkpoint's name: outside a job all of them lie in the current directory."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The hyperparameters.

    Attributes:
        max_iterations: the number of gradient steps, those before a resume included.
        layers: the depth p of the circuit.
        step_size: Adam's, in radians.
        shots: samples per expectation value; 0 is exact.
        seed: shakes the start by about 0.1 rad and makes the samples repeatable.
        resume: "auto" goes on from the checkpoint that this job left earlier or was given by qjob, if there is
            one; "never" starts anew; anything else is the name of the job whose checkpoint to load, for places
            that copy checkpoints under the old job's name only.
        minimum_ratio: the job fails when the mean cut is a smaller part of the largest. The default is what
            one layer reaches on every graph with three edges at each node (Farhi et al., arXiv:1411.4028).
    """

    max_iterations: int = 40
    layers: int = 3
    step_size: float = 0.05
    shots: int = 0
    seed: int | None = None
    resume: str = "auto"
    minimum_ratio: float = 0.6924


PARSERS: dict[str, Callable[[str], Any]] = {
    "max_iterations": int,
    "layers": int,
    "step_size": float,
    "shots": int,
    "seed": int,
    "resume": str,
    "minimum_ratio": float,
}


def main() -> None:
    """Climb, save the result, and fail if the cut is too small."""
    settings = read_settings(get_hyperparameters())
    qaoa = Qaoa(settings.shots, settings.seed)
    state = starting_point(settings)
    print(f"layers: {settings.layers}, largest cut: {maximum_cut()} edges (all cuts tried)")
    while state.iteration < settings.max_iterations:
        state = state.step(qaoa.gradient(state.angles), settings.step_size)
        report(state, qaoa.expected_cut(state.angles))
    result = summary(qaoa, state)
    save_job_result(result)
    print_result(result)
    if result["approximation_ratio"] < settings.minimum_ratio:
        raise RuntimeError(
            f"the mean cut is {result['approximation_ratio']:.4f} of the largest after {state.iteration} iterations, "
            f"minimum_ratio {settings.minimum_ratio}: go on from the checkpoint, or take more layers"
        )


def read_settings(hyperparameters: Mapping[str, str]) -> Settings:
    """Return the settings of these strings; raises ValueError for a name that does not exist."""
    unknown = sorted(set(hyperparameters) - set(PARSERS))
    if unknown:
        raise ValueError(f"no such hyperparameter: {', '.join(unknown)}; there are {', '.join(PARSERS)}")
    return Settings(**{name: PARSERS[name](value) for name, value in hyperparameters.items()})


def starting_point(settings: Settings) -> Adam:
    """Return the checkpoint's state, or a start near the linear ramp."""
    if settings.resume == "auto":
        state = own_checkpoint() or fresh_start(settings)
    elif settings.resume == "never":
        state = fresh_start(settings)
    else:
        state = state_of(load_job_checkpoint(settings.resume, checkpoint_file_suffix=CHECKPOINT))
    if len(state.angles) != settings.layers:
        raise ValueError(
            f"the checkpoint has {len(state.angles)} layers, this job {settings.layers}: "
            "set layers to the checkpoint's, or resume to never"
        )
    return state


def own_checkpoint() -> Adam | None:
    """Return the checkpoint under this job's name, if there is one."""
    try:
        return state_of(load_job_checkpoint(checkpoint_file_suffix=CHECKPOINT))
    except FileNotFoundError:
        return None


def state_of(checkpoint: Mapping[str, Any]) -> Adam:
    """Return the state that `report` saved, and say so."""
    print(f"resuming after iteration {checkpoint['iteration']}, mean cut {checkpoint['expected_cut']:.4f}")
    arrays = {name: np.array(checkpoint[name]) for name in ("angles", "mean", "square")}
    return Adam(iteration=checkpoint["iteration"], **arrays)


def fresh_start(settings: Settings) -> Adam:
    """Return the start of a climb that has taken no step yet."""
    ramp = linear_ramp(settings.layers)
    if settings.seed is None:
        return Adam.start(ramp)
    return Adam.start(ramp + np.random.default_rng(settings.seed).normal(scale=0.1, size=ramp.shape))


def report(state: Adam, expected_cut: float) -> None:
    """Log one iteration and save the optimiser's whole state."""
    print(f"iteration {state.iteration:3d}   mean cut = {expected_cut:.4f}")
    log_metric("expected_cut", expected_cut, iteration_number=state.iteration)
    save_job_checkpoint(
        {
            "iteration": state.iteration,
            "expected_cut": expected_cut,
            "angles": state.angles.tolist(),
            "mean": state.mean.tolist(),
            "square": state.square.tolist(),
        },
        checkpoint_file_suffix=CHECKPOINT,
    )


def summary(qaoa: Qaoa, state: Adam) -> dict[str, Any]:
    """Return what the final state is worth.

    The best bitstring is the most likely one, not the best of many samples: with 64 cuts in all, a few dozen
    random guesses hold a largest one too. That is why its probability stands beside that of guessing.
    """
    best, expected = maximum_cut(), qaoa.expected_cut(state.angles)
    probabilities = qaoa.probabilities(state.angles)
    likeliest = max(probabilities, key=lambda sides: probabilities[sides])
    largest = [sides for sides in probabilities if cut_size(sides) == best]
    return {
        "best_bitstring": likeliest,
        "best_cut": cut_size(likeliest),
        "maximum_cut": best,
        "expected_cut": expected,
        "approximation_ratio": expected / best,
        "probability_of_maximum": sum(probabilities[sides] for sides in largest),
        "probability_of_maximum_at_random": len(largest) / len(probabilities),
        "iterations": state.iteration,
        "angles": state.angles.tolist(),
    }


def print_result(result: Mapping[str, Any]) -> None:
    """Print the result for a reader."""
    print(f"likeliest cut      {result['best_bitstring']} cuts {result['best_cut']} edges")
    print(f"largest cut        {result['maximum_cut']} edges")
    print(f"mean cut           {result['expected_cut']:.4f}, ratio {result['approximation_ratio']:.4f}")
    print(
        f"largest cut found  with probability {result['probability_of_maximum']:.4f} "
        f"(at random {result['probability_of_maximum_at_random']:.4f})"
    )


if __name__ == "__main__":
    main()
