"""The examples: their physics, and that they run, fail and resume as their READMEs say."""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.examples

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
H2 = EXAMPLES / "h2_vqe"
MAXCUT = EXAMPLES / "maxcut_qaoa"

ANGLES = [(0.0, 0.0, 0.0), (0.3, -0.2, 0.1), (-2.0, 1.0, 3.0), (math.pi, 0.5, -0.5)]


@pytest.fixture(scope="session")
def h2() -> SimpleNamespace:
    """Return the modules of the H2 example."""
    for package in ("numpy", "scipy", "braket.circuits", "braket.default_simulator"):
        pytest.importorskip(package, reason=f"the H2 example needs {package}: pip install 'qjob[examples]'")
    return modules(H2, "hamiltonian", "ansatz", "energy", "optimizers", "vqe")


@pytest.fixture(scope="session")
def maxcut() -> SimpleNamespace:
    """Return the modules of the MaxCut example."""
    for package in ("numpy", "pennylane"):
        pytest.importorskip(package, reason=f"the MaxCut example needs {package}: pip install 'qjob[examples]'")
    return modules(MAXCUT, "graph", "qaoa", "adam")


def modules(folder: Path, *names: str) -> SimpleNamespace:
    """Import a folder's modules as the runner does: with the folder at the end of sys.path."""
    sys.path.append(str(folder))
    try:
        return SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(folder))


# ---------------------------------------------------------------- H2: the Hamiltonian


def test_the_hamiltonian_is_hermitian(h2: SimpleNamespace) -> None:
    matrix = h2.hamiltonian.hamiltonian_matrix()
    assert matrix.shape == (4, 4)
    assert abs(matrix - matrix.conj().T).max() == 0.0


def test_the_exact_energy_is_the_published_one(h2: SimpleNamespace) -> None:
    assert h2.hamiltonian.exact_energy() == pytest.approx(-1.137306, abs=1e-6)


def test_the_hamiltonian_agrees_with_integrals_computed_by_another_program(h2: SimpleNamespace) -> None:
    """Two electrons, one of each spin: all four energies, not just the lowest."""
    numpy = importlib.import_module("numpy")
    qml = pytest.importorskip("pennylane", reason="PennyLane computes the integrals")
    bond = numpy.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1 / h2.hamiltonian.NUCLEAR_REPULSION]])
    molecule = qml.qchem.Molecule(["H", "H"], bond, unit="bohr")
    operator, qubits = qml.qchem.molecular_hamiltonian(molecule)
    # Jordan-Wigner, up and down in turns: index 0b1001 is spin up bonding and spin down antibonding.
    sector = [0b1100, 0b1001, 0b0110, 0b0011]
    block = qml.matrix(operator, wire_order=range(qubits))[numpy.ix_(sector, sector)]
    ours = numpy.linalg.eigvalsh(h2.hamiltonian.hamiltonian_matrix()) + h2.hamiltonian.NUCLEAR_REPULSION
    assert ours == pytest.approx(numpy.linalg.eigvalsh(block), abs=1e-6)


def test_two_circuits_measure_all_terms_of_h2(h2: SimpleNamespace) -> None:
    assert h2.hamiltonian.measurement_groups(h2.hamiltonian.TERMS) == [["ZI", "IZ", "ZZ"], ["XX"]]


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        ([], []),
        (["II"], []),
        (["XI", "IY", "ZI"], [["XI", "IY"], ["ZI"]]),
        (["XX", "YY", "ZZ"], [["XX"], ["YY"], ["ZZ"]]),
        (["XI", "ZI", "IX", "XX"], [["XI", "IX", "XX"], ["ZI"]]),
    ],
)
def test_a_group_agrees_qubit_by_qubit(h2: SimpleNamespace, labels: list[str], groups: list[list[str]]) -> None:
    assert h2.hamiltonian.measurement_groups(labels) == groups


# ---------------------------------------------------------------- H2: ansatz and energy


def test_the_ansatz_at_zero_is_the_hartree_fock_state(h2: SimpleNamespace) -> None:
    state = prepared(h2, h2.ansatz.HARTREE_FOCK)
    assert abs(state[0b10]) == pytest.approx(1.0, abs=1e-12)
    assert measured(h2, h2.ansatz.HARTREE_FOCK) == pytest.approx(-1.116999, abs=1e-6)


def test_the_double_excitation_alone_reaches_the_ground_state(h2: SimpleNamespace) -> None:
    """Orbitals of different symmetry do not mix, so a 2 x 2 problem in |10> and |01> says which angle."""
    matrix = h2.hamiltonian.hamiltonian_matrix().real
    gap = matrix[0b01, 0b01] - matrix[0b10, 0b10]
    angle = math.atan2(2 * matrix[0b10, 0b01], gap)
    best = min(measured(h2, (sign * angle, 0.0, 0.0)) for sign in (1, -1))
    assert best == pytest.approx(h2.hamiltonian.exact_energy(), abs=1e-12)


@pytest.mark.parametrize("angles", ANGLES)
def test_the_measured_energy_is_that_of_the_prepared_state(h2: SimpleNamespace, angles: tuple[float, ...]) -> None:
    state = prepared(h2, angles)
    expected = (state.conj() @ h2.hamiltonian.hamiltonian_matrix() @ state).real
    assert measured(h2, angles) == pytest.approx(expected + h2.hamiltonian.NUCLEAR_REPULSION, abs=1e-12)
    assert measured(h2, angles) >= h2.hamiltonian.exact_energy()


def test_shots_sample_the_energy(h2: SimpleNamespace) -> None:
    """The mean of 10 x 500 samples: 5 standard deviations, were every term as uncertain as can be."""
    angles = (0.5, 0.4, -0.3)
    value, error = h2.energy.energy_with_error(simulator(), angles, shots=500)
    terms = [abs(coefficient) for label, coefficient in h2.hamiltonian.TERMS.items() if label != "II"]
    assert 0 < abs(value - measured(h2, angles)) < 5 * sum(terms) / math.sqrt(10 * 500)
    assert 0 < error < 3 * sum(terms) / math.sqrt(10 * 500)


def prepared(h2: SimpleNamespace, angles: tuple[float, ...]) -> Any:
    return h2.ansatz.uccsd(angles).to_unitary()[:, 0]


def measured(h2: SimpleNamespace, angles: tuple[float, ...]) -> float:
    return float(h2.energy.energy(simulator(), angles, shots=0))


def simulator() -> Any:
    return importlib.import_module("braket.devices").LocalSimulator()


# ---------------------------------------------------------------- H2: the search


@pytest.mark.parametrize("optimizer", ["COBYLA", "Rotosolve"])
def test_a_search_stops_at_its_limit_and_a_second_one_counts_on(h2: SimpleNamespace, optimizer: str) -> None:
    start = h2.vqe.Progress(iteration=0, angles=(1.0, -1.0, 2.0), energy=math.inf)
    first, second = searched(h2, start, 7, optimizer)
    assert first == list(range(1, 8))
    rest, end = searched(h2, second, 200, optimizer)
    assert rest == list(range(8, end.iteration + 1))
    assert 8 < end.iteration < 200
    assert end.energy == pytest.approx(-3.0, abs=1e-6)


@pytest.mark.parametrize("optimizer", ["COBYLA", "Rotosolve"])
def test_a_search_that_has_no_iterations_left_measures_nothing(h2: SimpleNamespace, optimizer: str) -> None:
    start = h2.vqe.Progress(iteration=9, angles=(1.0, -1.0, 2.0), energy=0.5)
    assert searched(h2, start, 9, optimizer) == ([], start)


def test_progress_keeps_the_best_angles(h2: SimpleNamespace) -> None:
    best = h2.vqe.Progress(iteration=4, angles=(0.1, 0.2, 0.3), energy=-1.0)
    worse = best.after([0.0, 0.0, 0.0], -0.9)
    assert (worse.iteration, worse.angles, worse.energy) == (5, (0.1, 0.2, 0.3), -1.0)
    better = best.after([0.0, 0.0, 0.0], -1.1)
    assert (better.iteration, better.angles, better.energy) == (5, (0.0, 0.0, 0.0), -1.1)


def test_rotosolve_needs_one_sweep_for_independent_sines(h2: SimpleNamespace) -> None:
    numpy = importlib.import_module("numpy")
    start = numpy.array([1.0, -2.0, 3.0])
    result = h2.optimizers.rotosolve(lambda angles: float(numpy.sin(angles - 0.5).sum()), start)
    assert result.x == pytest.approx([0.5 - math.pi / 2] * 3, abs=1e-12)
    assert start.tolist() == [1.0, -2.0, 3.0]


def searched(h2: SimpleNamespace, start: Any, limit: int, optimizer: str) -> tuple[list[int], Any]:
    """Search the minimum -3 of a sum of cosines; return the iteration numbers reported and the end."""
    numbers: list[int] = []
    end = h2.vqe.search(
        lambda angles: -sum(math.cos(angle) for angle in angles),
        start,
        max_iterations=limit,
        optimizer=optimizer,
        report=lambda _, progress: numbers.append(progress.iteration),
    )
    return numbers, end


# ---------------------------------------------------------------- MaxCut


@pytest.mark.parametrize(("sides", "size"), [("000000", 0), ("111111", 0), ("000111", 3), ("001110", 7)])
def test_a_cut_has_the_size_counted_by_hand(maxcut: SimpleNamespace, sides: str, size: int) -> None:
    assert maxcut.graph.cut_size(sides) == size


def test_no_cut_of_the_prism_takes_a_whole_triangle(maxcut: SimpleNamespace) -> None:
    assert maxcut.graph.maximum_cut() == 7


def test_a_circuit_that_does_nothing_cuts_half_of_the_edges(maxcut: SimpleNamespace) -> None:
    assert maxcut.qaoa.Qaoa().expected_cut([[0.0, 0.0]]) == pytest.approx(4.5, abs=1e-12)


@pytest.mark.parametrize(("gamma", "beta"), [(0.6, 0.35), (-1.3, 0.2), (2.0, -0.9), (0.0, 0.4)])
def test_one_layer_agrees_with_the_closed_form(maxcut: SimpleNamespace, gamma: float, beta: float) -> None:
    """Wang, Hadfield, Jiang, Rieffel, Phys. Rev. A 97, 022304 (2018), theorem 1."""
    edges = maxcut.graph.EDGES
    expected = sum(closed_form(edges, edge, gamma, beta) for edge in edges)
    assert maxcut.qaoa.Qaoa().expected_cut([[gamma, beta]]) == pytest.approx(expected, abs=1e-12)


def closed_form(edges: tuple[tuple[int, int], ...], edge: tuple[int, int], gamma: float, beta: float) -> float:
    ends = [{a for e in edges for a in e if node in e and a != node} for node in edge]
    d, e = (len(neighbours) - 1 for neighbours in ends)
    triangles = len(ends[0] & ends[1])
    one = math.sin(4 * beta) * math.sin(gamma) * (math.cos(gamma) ** d + math.cos(gamma) ** e) / 4
    power = math.cos(gamma) ** (d + e - 2 * triangles)
    return 0.5 + one - math.sin(2 * beta) ** 2 * power * (1 - math.cos(2 * gamma) ** triangles) / 4


def test_the_gradient_is_that_of_finite_differences(maxcut: SimpleNamespace) -> None:
    numpy = importlib.import_module("numpy")
    qaoa, angles, step = maxcut.qaoa.Qaoa(), maxcut.qaoa.linear_ramp(2), 1e-5
    differences = numpy.zeros_like(angles)
    for index in numpy.ndindex(angles.shape):
        shift = numpy.zeros_like(angles)
        shift[index] = step
        differences[index] = (qaoa.expected_cut(angles + shift) - qaoa.expected_cut(angles - shift)) / (2 * step)
    assert qaoa.gradient(angles) == pytest.approx(differences, abs=1e-8)


def test_the_mean_cut_is_that_of_the_probabilities(maxcut: SimpleNamespace) -> None:
    qaoa, angles = maxcut.qaoa.Qaoa(), maxcut.qaoa.linear_ramp(2)
    probabilities = qaoa.probabilities(angles)
    mean = sum(probability * maxcut.graph.cut_size(sides) for sides, probability in probabilities.items())
    assert sum(probabilities.values()) == pytest.approx(1.0, abs=1e-12)
    assert qaoa.expected_cut(angles) == pytest.approx(mean, abs=1e-12)


def test_samples_of_one_seed_are_repeatable(maxcut: SimpleNamespace) -> None:
    angles = maxcut.qaoa.linear_ramp(1)
    first, again, other = (maxcut.qaoa.Qaoa(200, seed).expected_cut(angles) for seed in (1, 1, 2))
    exact = maxcut.qaoa.Qaoa().expected_cut(angles)
    assert first == again != other
    assert first != exact
    assert first == pytest.approx(exact, abs=5 * 9 / math.sqrt(200))


def test_adams_first_step_has_the_size_of_the_step(maxcut: SimpleNamespace) -> None:
    numpy = importlib.import_module("numpy")
    state = maxcut.adam.Adam.start(numpy.array([[1.0, 2.0]])).step(numpy.array([[3.0, -0.01]]), 0.1)
    assert state.iteration == 1
    assert state.angles.tolist() == [[pytest.approx(1.1, abs=1e-6), pytest.approx(1.9, abs=1e-6)]]


# ---------------------------------------------------------------- as a user runs them


@pytest.mark.usefixtures("h2")
def test_h2_outside_a_job_finds_the_ground_state(tmp_path: Path) -> None:
    done = run_plain(H2, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    result = saved(tmp_path / "results.json")
    assert result["exact_energy"] == pytest.approx(-1.137306, abs=1e-6)
    assert abs(result["error_ha"]) < 1e-6
    assert result["energy"] - result["exact_energy"] == result["error_ha"]
    assert iterations(done.stdout, "energy") == list(range(1, result["iterations"] + 1))
    assert iterations(done.stdout, "error_ha") == iterations(done.stdout, "energy")
    assert saved(tmp_path / "_h2_vqe.json")["parameters"] == result["parameters"]
    assert "VQE energy    -1.137306 Ha" in done.stdout


@pytest.mark.usefixtures("h2")
def test_an_h2_job_that_stops_too_early_fails_and_another_goes_on(tmp_path: Path) -> None:
    first = run_as_job(H2, tmp_path, "first", {"max_iterations": "5"})
    assert first.returncode != 0
    assert "RuntimeError: the VQE energy is off by +2.4e-03 Ha after 5 iterations" in first.stderr
    assert saved(tmp_path / "results" / "results.json")["iterations"] == 5

    second = run_as_job(H2, tmp_path, "second", {"resume": "first", "optimizer": "Rotosolve"})
    assert (second.returncode, second.stderr) == (0, "")
    assert "resuming after iteration 5" in second.stdout
    result = saved(tmp_path / "results" / "results.json")
    assert iterations(second.stdout, "energy") == list(range(6, result["iterations"] + 1))
    assert abs(result["error_ha"]) < 1e-9


@pytest.mark.usefixtures("h2")
def test_a_misspelt_hyperparameter_is_an_error(tmp_path: Path) -> None:
    done = run_as_job(H2, tmp_path, "job", {"max_iteration": "5", "optimizer": "COBYLA"})
    assert done.returncode != 0
    assert "ValueError: no such hyperparameter: max_iteration; there are max_iterations, " in done.stderr


@pytest.mark.usefixtures("maxcut")
def test_maxcut_outside_a_job_finds_a_largest_cut(tmp_path: Path) -> None:
    done = run_plain(MAXCUT, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    result = saved(tmp_path / "results.json")
    assert (result["best_cut"], result["maximum_cut"]) == (7, 7)
    assert result["approximation_ratio"] == pytest.approx(result["expected_cut"] / 7)
    assert 0.97 < result["approximation_ratio"] < 1
    assert 0.9 < result["probability_of_maximum"] < 1
    assert result["probability_of_maximum_at_random"] == 6 / 64
    assert iterations(done.stdout, "expected_cut") == list(range(1, 41))


@pytest.mark.usefixtures("maxcut")
def test_a_maxcut_job_restarted_takes_the_steps_that_it_would_have_taken(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "restarted").mkdir()
    run_as_job(MAXCUT, tmp_path / "whole", "job", {"max_iterations": "6"})
    run_as_job(MAXCUT, tmp_path / "restarted", "job", {"max_iterations": "4"})
    done = run_as_job(MAXCUT, tmp_path / "restarted", "job", {"max_iterations": "6"})
    assert (done.returncode, done.stderr) == (0, "")
    assert iterations(done.stdout, "expected_cut") == [5, 6]
    whole, restarted = (saved(tmp_path / run / "results" / "results.json") for run in ("whole", "restarted"))
    assert restarted["angles"] == [pytest.approx(angles, abs=1e-12) for angles in whole["angles"]]


@pytest.mark.usefixtures("maxcut")
def test_a_maxcut_job_that_stops_too_early_fails(tmp_path: Path) -> None:
    done = run_as_job(MAXCUT, tmp_path, "job", {"max_iterations": "1", "minimum_ratio": "0.95"})
    assert done.returncode != 0
    assert "RuntimeError: the mean cut is 0.9" in done.stderr
    assert saved(tmp_path / "results" / "results.json")["iterations"] == 1


def run_plain(folder: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return finished([sys.executable, str(folder)], cwd, outside_a_job())


def run_as_job(
    folder: Path, job: Path, name: str, hyperparameters: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the folder as the runner does: as a package, its parent and itself at the end of sys.path."""
    (job / "hyperparameters.json").write_text(json.dumps(hyperparameters), encoding="utf-8")
    for directory in ("results", "checkpoints"):
        (job / directory).mkdir(exist_ok=True)
    environment = outside_a_job() | {
        "AMZN_BRAKET_JOB_NAME": name,
        "AMZN_BRAKET_HP_FILE": str(job / "hyperparameters.json"),
        "AMZN_BRAKET_JOB_RESULTS_DIR": str(job / "results"),
        "AMZN_BRAKET_CHECKPOINT_DIR": str(job / "checkpoints"),
    }
    paths = [str(folder.parent), str(folder)]
    code = f"import runpy, sys; sys.path += {paths!r}; runpy.run_module({folder.name!r}, run_name='__main__')"
    return finished([sys.executable, "-P", "-c", code], folder.parent, environment)


def outside_a_job() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("AMZN_BRAKET_")}


def finished(command: list[str], cwd: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


def saved(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["dataDictionary"]
    return values


def iterations(output: str, metric: str) -> list[int]:
    """Return the iteration numbers under which a metric was logged, in order."""
    lines = re.findall(rf"^Metrics - .*\b{metric}=[^;]+; iteration_number=(\d+);$", output, re.MULTILINE)
    return [int(number) for number in lines]
