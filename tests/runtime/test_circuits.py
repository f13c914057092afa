"""Circuits are saved as OpenQASM text, and come back as circuits where the library is installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qjob import runtime
from qjob.runtime.persisted import add_values, read_values


def there_and_back(value: Any, directory: Path) -> Any:
    """Save a value, and return what is read."""
    add_values(directory / "results.json", {"value": value}, None)
    return read_values(directory / "results.json", allow_pickle=False)["value"]


def _braket_circuits() -> dict[str, Callable[[], Any]]:
    circuits = pytest.importorskip("braket.circuits")
    circuit = circuits.Circuit
    return {
        "bell": lambda: circuit().h(0).cnot(0, 1),
        "parameter": lambda: circuit().h(0).rx(1, circuits.FreeParameter("theta")),
        "result types": lambda: circuit().h(0).expectation(circuits.Observable.Z(), 0).probability(),
        "measured": lambda: circuit().h(0).h(1).measure(0),
        "verbatim": lambda: circuit().add_verbatim_box(circuit().h(0)),
        "noise": lambda: circuit().h(0).bit_flip(0, 0.1),
    }


@pytest.mark.parametrize("name", ["bell", "parameter", "result types", "measured", "verbatim", "noise"])
def test_a_braket_circuit_comes_back(name: str, tmp_path: Path) -> None:
    circuit = _braket_circuits()[name]()
    assert there_and_back(circuit, tmp_path) == circuit
    assert str(runtime.read_plain(tmp_path / "results.json")["value"]).startswith("OPENQASM 3.0;\n")


def test_a_braket_circuit_can_go_on_after_it_came_back(tmp_path: Path) -> None:
    circuit = there_and_back(_braket_circuits()["bell"](), tmp_path)
    assert circuit.x(1).measure(0).qubit_count == 2


def test_a_braket_program_comes_back(tmp_path: Path) -> None:
    openqasm = pytest.importorskip("braket.ir.openqasm")
    program = openqasm.Program(source="OPENQASM 3.0;", inputs={"theta": 0.5})
    assert there_and_back(program, tmp_path) == program


def test_a_circuit_without_openqasm_is_reported(tmp_path: Path) -> None:
    circuits = pytest.importorskip("braket.circuits")

    class Novel(circuits.Gate):  # type: ignore[name-defined, misc]
        """A gate that has no text."""

    circuit = circuits.Circuit().add_instruction(circuits.Instruction(Novel(1, ["N"]), 0))
    with pytest.raises(TypeError, match=r"^result_data\['value'\]: .*Circuit cannot .*no OpenQASM form"):
        there_and_back(circuit, tmp_path)


@pytest.mark.parametrize("text", ['include "{file}";', "no OpenQASM", "OPENQASM 3.0;\nqubit[1] q;\nnovel q[0];"])
@pytest.mark.parametrize("word", ["braket.Circuit", "qiskit.QuantumCircuit"])
def test_what_the_reader_does_not_take_stays_text(word: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("OPENQASM 3.0;\nqubit[1] q;\nh q[0];")
    source = text.format(file=tmp_path / "secret") if "{file}" in text else text
    types = {"version": 1, "types": {"value": word}}
    document = {"dataDictionary": {"value": source}, "dataFormat": "plaintext", "qjob": types}
    file = tmp_path / "results.json"
    file.write_text(json.dumps(document))
    assert read_values(file, False)["value"] == source


_WITHOUT = """
import sys
from pathlib import Path
for name in ("braket", "qiskit"): sys.modules[name] = None  # importing it fails now
from qjob.runtime import read_persisted
print(type(read_persisted(Path(sys.argv[1]), False)["value"]).__name__)
"""


def test_without_the_library_it_stays_text(tmp_path: Path, in_new_process: Callable[..., str]) -> None:
    there_and_back(_braket_circuits()["bell"](), tmp_path)
    assert in_new_process(_WITHOUT, tmp_path / "results.json") == "str\n"


def test_a_qiskit_circuit_comes_back(tmp_path: Path) -> None:
    qiskit = pytest.importorskip("qiskit")
    pytest.importorskip("qiskit_qasm3_import")
    circuit = qiskit.QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.rx(0.5, 0)
    circuit.measure([0, 1], [0, 1])
    back = there_and_back(circuit, tmp_path)
    assert type(back) is qiskit.QuantumCircuit
    assert back == circuit
