"""In a job: no task is sent to a device that somebody else has been given."""

from __future__ import annotations

from pathlib import Path

import pytest

import qjob
from qjob.device_lease import CURRENT, VARIABLE, check_device_lease, guarded, read_current
from qjob.errors import DeviceLost


class Device:
    """A device's object, as an SDK has it."""

    def __init__(self) -> None:
        self.sent: list[object] = []
        self.name = "one"

    def run(self, task: object, shots: int = 1) -> str:
        """Send a task."""
        self.sent.append((task, shots))
        return f"ran {task}"

    def run_batch(self, tasks: list[object]) -> list[str]:
        """Send tasks."""
        self.sent.extend(tasks)
        return [f"ran {task}" for task in tasks]

    def topology(self) -> str:
        """Tell without a task."""
        return "grid"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A device's directory, with blanks and quotes in its path."""
    directory = tmp_path / 'a\'; echo "foo" ü' / "acme"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def holds(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a job that holds number 7 of the device."""
    (directory / CURRENT).write_text("7 mine\n")
    monkeypatch.setenv(VARIABLE, f"7 {directory}")
    return directory


def test_without_a_lease_there_is_nothing_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    check_device_lease()
    device = Device()
    assert guarded(device).run.__func__ is Device.run


def test_who_holds_the_device_goes_on(holds: Path) -> None:
    check_device_lease()


@pytest.mark.parametrize("current", ["0 nobody", "6 earlier", "7 mine", ""])
def test_a_lower_number_is_no_reason_to_stop(holds: Path, current: str) -> None:
    if current:
        (holds / CURRENT).write_text(current)
    else:
        (holds / CURRENT).unlink()
    check_device_lease()


def test_who_has_lost_it_is_told_to_whom(holds: Path) -> None:
    (holds / CURRENT).write_text("8 theirs\n")
    with pytest.raises(DeviceLost, match=r"the device was given to job theirs \(lease 8; this one has 7\)"):
        check_device_lease()


@pytest.mark.parametrize("damage", [b"", b"x y\n", b"\xff\xfe"])
def test_when_nothing_is_known_no_task_is_sent(holds: Path, damage: bytes) -> None:
    (holds / CURRENT).write_bytes(damage)
    device = guarded(Device())
    with pytest.raises(OSError, match="current is damaged"):
        device.run("task")
    assert device.sent == []


def test_a_disk_that_is_gone_is_an_os_error(holds: Path) -> None:
    (holds / CURRENT).unlink()
    (holds / CURRENT).mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - whichever it is
        read_current(holds)


def test_a_guarded_device_asks_before_each_task(holds: Path) -> None:
    device = Device()
    assert guarded(device) is device
    assert device.run("a", shots=5) == "ran a"
    assert device.run_batch(["b"]) == ["ran b"]
    (holds / CURRENT).write_text("8 theirs\n")
    with pytest.raises(DeviceLost):
        device.run("c")
    with pytest.raises(DeviceLost):
        device.run_batch(["d"])
    assert device.sent == [("a", 5), "b"]
    assert device.topology() == "grid"
    assert device.run.__doc__ == Device.run.__doc__


def test_a_device_without_batches_is_guarded_too(holds: Path) -> None:
    class Plain:
        def run(self) -> int:
            return 1

    device = guarded(Plain())
    assert device.run() == 1
    assert not hasattr(device, "run_batch")


def test_code_of_ones_own_calls_it_by_the_front() -> None:
    from qjob import runtime

    assert runtime.check_device_lease is check_device_lease
    assert issubclass(qjob.DeviceLost, RuntimeError)
