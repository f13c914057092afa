"""The trial state: unitary coupled cluster with single and double excitations (UCCSD) of H2 on two qubits."""

from __future__ import annotations

from collections.abc import Sequence

from braket.circuits import Circuit

PARAMETERS = ("double", "single_up", "single_down")
"""What the angles stand for, in radians."""

HARTREE_FOCK = (0.0, 0.0, 0.0)
"""The angles at which the trial state is the Hartree-Fock state."""


def uccsd(angles: Sequence[float]) -> Circuit:
    """Return the circuit that prepares the trial state of these angles.

    The double excitation turns |10> towards |01>: both electrons move to the antibonding orbital. The single
    excitations are rotations of one qubit: one electron moves. In this order the three angles are the Schmidt
    decomposition of a two-qubit state, so every state with real amplitudes, and with it the exact ground
    state, is within reach. There the singles vanish: the two orbitals differ in symmetry.
    """
    double, single_up, single_down = (float(angle) for angle in angles)
    return Circuit().x(0).add_circuit(_double_excitation(double)).ry(0, single_up).ry(1, single_down)


def _double_excitation(angle: float) -> Circuit:
    """exp(-i angle/2 Y0 X1), from exp(-i angle/2 X0 X1) by Y = S X S*."""
    return Circuit().si(0).xx(0, 1, angle).s(0)
