"""From a device string to the device object, with the SDKs that are installed here and without."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qjob.devices import get_device
from qjob.errors import InvalidInput, MissingExtra

ARN = "arn:aws:braket:us-east-1::device/qpu/acme/one"


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory for modules that stand in for SDKs; what was imported from it is forgotten afterwards.

    The path of imports is what is tested: an SDK is found there or it is not.
    """
    monkeypatch.syspath_prepend(tmp_path)
    names = ("qiskit_aer", "braket", "braket.aws", "braket.devices", "pennylane")
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    yield tmp_path
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(before)


def test_what_is_no_text_names_no_device() -> None:
    with pytest.raises(InvalidInput, match="device=5: a device string is expected"):
        get_device(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["default", "braket_sv"])
def test_a_simulator_of_braket(name: str) -> None:
    devices = pytest.importorskip("braket.devices")
    circuits = pytest.importorskip("braket.circuits")
    device = get_device(f"local:braket/{name}")
    assert isinstance(device, devices.LocalSimulator)
    assert device.name == devices.LocalSimulator(name).name
    assert device.run(circuits.Circuit().x(0), shots=3).result().measurement_counts == {"1": 3}


def test_a_device_of_pennylane_with_its_options() -> None:
    qml = pytest.importorskip("pennylane")
    device = get_device("local:pennylane/default.qubit", wires=3)
    assert isinstance(device, qml.devices.Device)
    assert (device.name, len(device.wires)) == ("default.qubit", 3)


AER = """
class Simulator:
    def __init__(self, name):
        self.name, self.options = name, {}

    def set_options(self, **options):
        self.options |= options

class AerProvider:
    def backends(self):
        return [Simulator("aer_simulator"), Simulator("aer_simulator_stabilizer")]
"""


def test_a_simulator_of_qiskit_aer_with_its_options(stand_ins: Path) -> None:
    (stand_ins / "qiskit_aer.py").write_text(AER)
    device = get_device("local:qiskit/aer_simulator_stabilizer", shots=5)
    assert (device.name, device.options) == ("aer_simulator_stabilizer", {"shots": 5})


def test_the_real_qiskit_aer() -> None:
    pytest.importorskip("qiskit_aer")
    assert get_device("local:qiskit/aer_simulator_statevector").name == "aer_simulator_statevector"


def test_a_device_of_aws(stand_ins: Path) -> None:
    (stand_ins / "braket").mkdir()
    (stand_ins / "braket" / "aws.py").write_text("def AwsDevice(arn, **options): return arn, options")
    assert get_device(ARN, aws_session="mine") == (ARN, {"aws_session": "mine"})


def test_by_default_it_is_the_jobs_device(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pennylane")
    monkeypatch.setenv("AMZN_BRAKET_DEVICE_ARN", "local:pennylane/default.mixed")  # what a job's device is told by
    assert get_device(wires=1).name == "default.mixed"


def test_a_job_without_a_device_is_told_what_to_give_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AMZN_BRAKET_DEVICE_ARN", raising=False)
    said = (
        "the job was submitted without a device; give it one: 'local:braket/<simulator>', "
        "'local:pennylane/<simulator>', 'local:qiskit/<simulator>' or a device's ARN"
    )
    for device in (None, "local:none/none"):
        with pytest.raises(InvalidInput) as raised:
            get_device(device)
        assert str(raised.value) == said


@pytest.mark.parametrize(
    "device", ["local:cirq/simulator", "braket/default", "sv1", "", "local:braket", "local:braket/"]
)
def test_a_device_of_no_known_kind(device: str) -> None:
    with pytest.raises(InvalidInput, match="is not of a kind that get_device knows; it knows 'local:braket/") as raised:
        get_device(device)
    assert repr(device) in str(raised.value)


@pytest.mark.parametrize(
    ("device", "module", "said"),
    [
        (
            "local:braket/braket_vs",
            "braket.devices",
            r"braket_dm, braket_sv, default; did you mean 'local:braket/braket_",
        ),
        ("local:braket/xyz", "braket.devices", r"braket_dm, braket_sv, default$"),
        (
            "local:pennylane/default.qubti",
            "pennylane",
            r"default.qubit, .*; did you mean 'local:pennylane/default.qubit'",
        ),
    ],
)
def test_a_typo_in_a_simulators_name(device: str, module: str, said: str) -> None:
    pytest.importorskip(module)
    with pytest.raises(InvalidInput, match=said) as raised:
        get_device(device)
    assert str(raised.value).startswith(f"the device {device!r} names no simulator that is installed; there are ")


def test_a_typo_in_a_simulators_name_of_qiskit(stand_ins: Path) -> None:
    (stand_ins / "qiskit_aer.py").write_text(AER)
    with pytest.raises(InvalidInput, match="did you mean 'local:qiskit/aer_simulator'"):
        get_device("local:qiskit/aer_simulatr")


@pytest.mark.parametrize(
    ("device", "file", "package", "extra"),
    [
        ("local:braket/default", "braket.py", "amazon-braket-sdk", "braket"),
        (ARN, "braket.py", "amazon-braket-sdk", "braket"),
        ("local:pennylane/default.qubit", "pennylane.py", "pennylane", "pennylane"),
        ("local:qiskit/aer_simulator", "qiskit_aer.py", "qiskit-aer", "qiskit"),
    ],
)
def test_a_missing_sdk_is_told_with_what_to_install(
    stand_ins: Path, device: str, file: str, package: str, extra: str
) -> None:
    (stand_ins / file).write_text("raise ModuleNotFoundError('No module named this')")
    with pytest.raises(MissingExtra) as raised:
        get_device(device)
    assert str(raised.value) == (
        f"the device {device!r} needs {package}, which cannot be imported (No module named this): "
        f"pip install 'qjob[{extra}]'"
    )
    assert isinstance(raised.value, ImportError)


def test_importing_it_loads_no_sdk() -> None:
    code = "import sys, qjob.devices; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded: Any = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"braket", "pennylane", "qiskit_aer", "numpy", "difflib", "importlib.metadata"} & set(loaded)
