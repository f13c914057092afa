"""The electrons of H2 on two qubits, and what exact diagonalisation says about them.

H2 at 0.735 Angstrom in the STO-3G basis has four spin orbitals: the bonding and the antibonding orbital, each
with spin up and spin down. In the parity mapping two of the four qubits hold conserved numbers (the parity of
the spin-up electrons and of all electrons) and drop out (Bravyi et al., arXiv:1701.08213). What is left:

    qubit 0 is 1 when the bonding orbital holds its spin-up electron,
    qubit 1 is 0 when the bonding orbital holds its spin-down electron,

so that the Hartree-Fock state, both electrons in the bonding orbital, is |10>.

Energies are in hartree, lengths in Angstrom. A label such as "ZI" has qubit 0 first, as everywhere in Braket.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import numpy as np
from numpy.typing import NDArray

TERMS = {
    "II": -1.052373245772859,
    "ZI": +0.39793742484318045,
    "IZ": -0.39793742484318045,
    "ZZ": -0.01128010425623538,
    "XX": +0.18093119978423156,
}
"""Coefficients of the electronic Hamiltonian: Qiskit Nature's (PySCF integrals, parity mapping, two-qubit
reduction), as printed in https://qiskit-community.github.io/qiskit-algorithms/tutorials/01_algorithms_introduction.html
where the labels have qubit 0 last."""

BOND_LENGTH = 0.735
BOHR_RADIUS = 0.52917721092  # CODATA 2010, the value behind the coefficients

NUCLEAR_REPULSION = BOHR_RADIUS / BOND_LENGTH
"""1/R of two protons: 0.719969 hartree."""

PAULI = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]], dtype=complex),
    "Z": np.diag([1, -1]).astype(complex),
}


def hamiltonian_matrix() -> NDArray[np.complex128]:
    """Return the electronic Hamiltonian as a 4 x 4 matrix, qubit 0 the more significant one."""
    matrix = np.zeros((4, 4), dtype=complex)
    for label, coefficient in TERMS.items():
        matrix += coefficient * reduce(np.kron, (PAULI[letter] for letter in label))
    return matrix


def exact_energy() -> float:
    """Return the lowest eigenvalue plus the nuclear repulsion: -1.137306 hartree."""
    return float(np.linalg.eigvalsh(hamiltonian_matrix())[0]) + NUCLEAR_REPULSION


def measurement_groups(labels: Iterable[str]) -> list[list[str]]:
    """Sort Pauli strings into groups that one circuit can measure, first fit.

    The strings of a group agree on every qubit on which both of them act, so one rotation of each qubit turns
    all of them into products of Z. The identity needs no measurement and is left out.
    """
    groups: list[list[str]] = []
    for label in labels:
        if set(label) == {"I"}:
            continue
        fitting = (group for group in groups if all(_agree(label, other) for other in group))
        group = next(fitting, None)
        if group is None:
            groups.append([label])
        else:
            group.append(label)
    return groups


def _agree(one: str, other: str) -> bool:
    return all(a == b or "I" in (a, b) for a, b in zip(one, other, strict=True))
