"""Leases: each holder of a device has a number that is higher than all before it."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from qjob.atomic import write_whole
from qjob.device_lease import VARIABLE, read_current
from qjob.runner.lease import Lease, lease_directory

ALICE, BOB = 54321, 54322
ARN = "arn:aws:braket:us-east-1::device/qpu/acme/one"


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A device that nobody had yet."""
    return lease_directory(tmp_path / 'a\'; echo "foo" ü', ARN)


@pytest.mark.parametrize(
    ("name", "directory"),
    [(ARN, "arn_aws_braket_us-east-1_device_qpu_acme_one"), ("a/../b", "a_.._b"), ("ü 'x'", "_x_")],
)
def test_a_device_has_a_directory(name: str, directory: str, tmp_path: Path) -> None:
    assert lease_directory(tmp_path, name) == tmp_path / directory


def test_numbers_go_up(device: Path) -> None:
    assert read_current(device) == (0, "")
    for number, job in enumerate("abc", start=1):
        taken = Lease.take(device, job)
        assert (taken.number, taken.directory) == (number, device)
        assert read_current(device) == (number, job)
    assert sorted(os.listdir(device / "numbers")) == ["0000000001", "0000000002", "0000000003"]


def test_the_same_job_gets_a_new_number_with_each_attempt(device: Path) -> None:
    assert [Lease.take(device, "a").number for _ in range(2)] == [1, 2]


def test_a_taker_that_was_killed_half_way_is_passed_over(device: Path) -> None:
    Lease.take(device, "a")
    (device / "numbers" / "0000000002").touch()  # and no word of it in the other file
    assert Lease.take(device, "b").number == 3
    assert read_current(device) == (3, "b")


def test_the_jobs_processes_know_the_lease_by_a_variable(device: Path) -> None:
    assert Lease.take(device, "a").variables() == {VARIABLE: f"1 {device}"}


def test_a_disk_that_refuses_is_an_os_error(device: Path) -> None:
    device.parent.mkdir(parents=True)
    device.write_text("in the way")
    with pytest.raises(OSError, match=r"arn_aws_braket"):
        Lease.take(device, "a")


@pytest.fixture
def as_user() -> Iterator[Callable[[int], None]]:
    """Become another user, with a umask that keeps all others out."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    umask = os.umask(0o077)

    def become(user: int) -> None:
        os.seteuid(0)
        os.seteuid(user)

    yield become
    os.seteuid(0)
    os.umask(umask)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that all users can come to, unlike those of pytest."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_users_take_turns_whatever_their_umask(reachable: Path, as_user: Callable[[int], None]) -> None:
    device = reachable / "device"
    device.mkdir()
    device.chmod(0o777)
    for number, user in enumerate((ALICE, BOB, ALICE, BOB), start=1):
        as_user(user)
        assert Lease.take(device, f"job{number}").number == number
    as_user(ALICE)
    assert read_current(device) == (4, "job4")


def test_a_user_who_may_not_take_it_is_told_what_it_takes(reachable: Path, as_user: Callable[[int], None]) -> None:
    device = reachable / "device"
    device.mkdir()
    device.chmod(0o755)
    as_user(ALICE)
    with pytest.raises(PermissionError, match=r"everybody who uses the device must be able to make .* in .*device"):
        Lease.take(device, "a")


def test_a_slow_taker_does_not_put_back_a_lower_number(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one takes the device between what the slow one reads and what it writes: no other way to be there."""
    write = write_whole
    others: list[str] = []

    def slow(path: Path, data: bytes) -> None:
        if not others:
            others.append("b")
            Lease.take(device, "b")
        write(path, data)

    monkeypatch.setattr("qjob.runner.lease.write_whole", slow)
    assert Lease.take(device, "a").number == 1
    assert read_current(device) == (2, "b")


def _take_many(device: Path, barrier: Barrier, told: Path) -> None:
    barrier.wait()
    told.write_text("".join(f"{Lease.take(device, told.name).number}\n" for _ in range(15)))


@pytest.mark.live
def test_processes_that_come_at_once_get_numbers_of_their_own(device: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    files = [tmp_path / f"taker{number}" for number in range(4)]
    takers = [context.Process(target=_take_many, args=(device, barrier, file)) for file in files]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
        assert taker.exitcode == 0
    numbers = {file.name: list(map(int, file.read_text().split())) for file in files}
    assert sorted(number for taken in numbers.values() for number in taken) == list(range(1, 61))
    assert all(taken == sorted(taken) for taken in numbers.values())
    number, holder = read_current(device)
    assert number == 60
    assert numbers[holder][-1] == 60
