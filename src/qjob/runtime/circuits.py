"""Quantum circuits, as OpenQASM 3 text.

The text is the stand-in, so every program that reads OpenQASM can go on from a ``results.json``. Where Braket or
Qiskit is installed, it becomes a circuit again, by the library's own reader of such text; where it is not, or the
reader does not know all of it, it stays the text.

Braket's writer measures all qubits of a circuit that measures none and has no result types; those lines are left
out, for the circuit did not have them. Qubits are numbered anew from 0, in their order, as Braket's writer does.
"""

from __future__ import annotations

import re
from typing import Any

from qjob.runtime.coding import Coded, DecodeFunction, Decoder, EncodeFunction, Encoder, Unavailable, Unsavable, Where
from qjob.runtime.optional import optional

_ADDED_BY_BRAKET = re.compile(r"^(bit\[\d+\] b;|b\[\d+\] = measure .*;)$\n?", re.MULTILINE)
_AS_TEXT = "save its OpenQASM text, or the gates that it is made of"


def _encode_braket(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    try:
        text = value.to_ir("OPENQASM").source
    except Exception as error:
        raise Unsavable(f"it has no OpenQASM form: {error}", _AS_TEXT) from error
    has_measures = value.result_types or any(
        instruction.operator.name == "Measure" for instruction in value.instructions
    )
    return (text if has_measures else _ADDED_BY_BRAKET.sub("", text)), "braket.Circuit"


def _encode_program(encoder: Encoder, value: Any, where: Where) -> Coded:
    return encoder.encode(value.dict(), where)[0], "braket.Program"


def _encode_qiskit(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    try:
        return optional("qiskit.qasm3").dumps(value), "qiskit.QuantumCircuit"
    except Exception as error:
        raise Unsavable(f"it has no OpenQASM form: {error}", _AS_TEXT) from error


def _decode_braket(_decoder: Decoder, plain: Any, _form: dict[str, Any]) -> Any:
    if "include" in plain:  # Braket's reader opens whatever file the text names
        return plain
    try:
        return optional("braket.circuits").Circuit.from_ir(plain)
    except Exception:  # noqa: BLE001  what the reader does not know yet raises errors of any kind
        return plain


def _decode_program(_decoder: Decoder, plain: Any, _form: dict[str, Any]) -> Any:
    try:
        return optional("braket.ir.openqasm").Program(**plain)
    except Unavailable:
        return plain


def _decode_qiskit(_decoder: Decoder, plain: Any, _form: dict[str, Any]) -> Any:
    try:
        return optional("qiskit.qasm3").loads(plain)
    except Exception:  # noqa: BLE001  the reader is an extra of Qiskit's, and has gaps
        return plain


ENCODERS: dict[str, EncodeFunction] = {
    "braket.circuits.circuit.Circuit": _encode_braket,
    "braket.ir.openqasm.program_v1.Program": _encode_program,
    "qiskit.circuit.quantumcircuit.QuantumCircuit": _encode_qiskit,
}
DECODERS: dict[str, DecodeFunction] = {
    "braket.Circuit": _decode_braket,
    "braket.Program": _decode_program,
    "qiskit.QuantumCircuit": _decode_qiskit,
}
