"""The ground-state energy of H2 by VQE, as a hybrid job.

Runs as a job (``qjob run examples/h2_vqe``) and as it is (``python examples/h2_vqe``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ansatz import HARTREE_FOCK
from braket.devices import LocalSimulator
from energy import energy, energy_with_error
from hamiltonian import exact_energy
from optimizers import OPTIMIZERS
from vqe import Progress, search

from qjob.runtime import (
    get_hyperparameters,
    load_job_checkpoint,
    log_metric,
    save_job_checkpoint,
    save_job_result,
)

CHECKPOINT = "h2_vqe"
"""The suffix of the checkpoint's name: outside a job all of them lie in the current directory."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The hyperparameters.

    Attributes:
        max_iterations: how many energies may be measured, those before a resume included.
        shots: samples per circuit; 0 is the exact expectation value.
        optimizer: a key of `OPTIMIZERS`.
        seed: shakes the start by about 0.1 rad; without it the search starts at the Hartree-Fock state.
        resume: "auto" goes on from the checkpoint that this job left earlier or was given by qjob, if there is
            one; "never" starts anew; anything else is the name of the job whose checkpoint to load, for places
            that copy checkpoints under the old job's name only.
        tolerance: the job fails when the energy is off by more, in hartree.
    """

    max_iterations: int = 100
    shots: int = 0
    optimizer: str = "COBYLA"
    seed: int | None = None
    resume: str = "auto"
    tolerance: float = 1e-3


PARSERS: dict[str, Callable[[str], Any]] = {
    "max_iterations": int,
    "shots": int,
    "optimizer": str,
    "seed": int,
    "resume": str,
    "tolerance": float,
}


def main() -> None:
    """Search, save the result, and fail if it is wrong."""
    settings = read_settings(get_hyperparameters())
    exact = exact_energy()
    device = LocalSimulator()
    end = search(
        lambda angles: energy(device, angles, settings.shots),
        starting_point(settings),
        max_iterations=settings.max_iterations,
        optimizer=settings.optimizer,
        report=lambda measured, progress: report(measured, progress, exact),
    )
    value, standard_error = energy_with_error(device, end.angles, settings.shots)
    finish(end, value, standard_error, exact)
    if abs(value - exact) > settings.tolerance:
        raise RuntimeError(
            f"the VQE energy is off by {value - exact:+.1e} Ha after {end.iteration} iterations, tolerance "
            f"{settings.tolerance:.1e}: go on from the checkpoint with more iterations, or with more shots"
        )


def read_settings(hyperparameters: Mapping[str, str]) -> Settings:
    """Return the settings of these strings; raises ValueError for a name or optimiser that is not there."""
    unknown = sorted(set(hyperparameters) - set(PARSERS))
    if unknown:
        raise ValueError(f"no such hyperparameter: {', '.join(unknown)}; there are {', '.join(PARSERS)}")
    settings = Settings(**{name: PARSERS[name](value) for name, value in hyperparameters.items()})
    if settings.optimizer not in OPTIMIZERS:
        raise ValueError(f"no optimizer {settings.optimizer!r}; there are {', '.join(OPTIMIZERS)}")
    return settings


def starting_point(settings: Settings) -> Progress:
    """Return the checkpoint's progress, or the start near the Hartree-Fock state."""
    if settings.resume == "auto":
        return own_checkpoint() or fresh_start(settings.seed)
    if settings.resume == "never":
        return fresh_start(settings.seed)
    return progress_of(load_job_checkpoint(settings.resume, checkpoint_file_suffix=CHECKPOINT))


def own_checkpoint() -> Progress | None:
    """Return the checkpoint under this job's name, if there is one."""
    try:
        return progress_of(load_job_checkpoint(checkpoint_file_suffix=CHECKPOINT))
    except FileNotFoundError:
        return None


def progress_of(checkpoint: Mapping[str, Any]) -> Progress:
    """Return the progress that `report` saved, and say so."""
    progress = Progress(
        iteration=checkpoint["iteration"],
        angles=tuple(checkpoint["parameters"]),
        energy=checkpoint["energy"],
    )
    print(f"resuming after iteration {progress.iteration}, best energy so far {progress.energy:.6f} Ha")
    return progress


def fresh_start(seed: int | None) -> Progress:
    """Return the start of a search that has measured nothing yet."""
    shake = np.zeros(3) if seed is None else np.random.default_rng(seed).normal(scale=0.1, size=3)
    return Progress(iteration=0, angles=tuple((np.array(HARTREE_FOCK) + shake).tolist()), energy=float("inf"))


def report(measured: float, progress: Progress, exact: float) -> None:
    """Log one iteration and save the best angles so far."""
    error = measured - exact
    print(f"iteration {progress.iteration:3d}   E = {measured:.6f} Ha   E - E_exact = {error:+.1e} Ha")
    log_metric("energy", measured, iteration_number=progress.iteration)
    log_metric("error_ha", error, iteration_number=progress.iteration)
    save_job_checkpoint(
        {"iteration": progress.iteration, "parameters": list(progress.angles), "energy": progress.energy},
        checkpoint_file_suffix=CHECKPOINT,
    )


def finish(end: Progress, value: float, standard_error: float, exact: float) -> None:
    """Save the result and print it."""
    save_job_result(
        {
            "energy": value,
            "standard_error": standard_error,
            "exact_energy": exact,
            "error_ha": value - exact,
            "iterations": end.iteration,
            "parameters": list(end.angles),
        }
    )
    print(f"VQE energy    {value:.6f} Ha" + (f" +- {standard_error:.6f}" if standard_error else ""))
    print(f"exact energy  {exact:.6f} Ha (diagonalisation)")
    print(f"difference    {value - exact:+.1e} Ha after {end.iteration} iterations")


if __name__ == "__main__":
    main()
