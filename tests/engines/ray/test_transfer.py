"""What goes to a cluster that does not see the state directory, and how it is unpacked there."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fake_ray import FakeRay
from qjob.engines.ray import transfer
from qjob.engines.ray.carry import unpack
from qjob.engines.ray.packages import Package, job_package, runner_package
from qjob.engines.ray.ray_job import RayJob
from qjob.engines.ray.resources import Take
from qjob.engines.ray.transfer import Transfer
from qjob.errors import EngineUnavailable, SubmitError
from qjob.folder import CancelMark, JobFolder
from qjob.model.spec import JobSpec
from qjob.runner.sweep_share import take_share
from qjob.testing import make_folder, make_spec, make_sweep_folders

TAKE = Take(entrypoint={"CPU": 1.0})


@pytest.fixture
def cluster() -> FakeRay:
    return FakeRay()


def make_transfer(cluster: FakeRay, home: Path, python: str | None = None) -> Transfer:
    return Transfer(cluster, home / "received", home / "runners", python=python, interval_s=0.0)


def unzipped(package: Package, directory: Path) -> Path:
    directory.mkdir()
    with zipfile.ZipFile(io.BytesIO(package.data)) as archive:
        archive.extractall(directory)
    return directory


def submitted(way: Transfer, folder: JobFolder, spec: JobSpec) -> dict[str, list[str] | str]:
    submission = way.submission(folder, spec, f"qjob-{folder.id}", TAKE)
    assert list(submission.command[1:]) == [
        "python3", "-P", "-m", "qjob.engines.ray.carry", f"qjob-{folder.id}", folder.id, "--watch-parent"
    ]  # fmt: skip
    return dict(submission.runtime_env)


def test_a_job_is_unpacked_as_it_was(tmp_path: Path) -> None:
    spec = make_spec(python="/only/here")
    folder = make_folder(tmp_path / "jobs", spec)
    (folder.source / "tool").write_text("#!/bin/sh\n")
    (folder.source / "tool").chmod(0o755)
    (folder.source / "link").symlink_to("tool")
    (folder.checkpoints / "c").write_text("kept")
    packages = unzipped(job_package(folder, None), tmp_path / "unzipped")
    there = unpack(tmp_path / "node", folder.id, packages)
    assert there.path == tmp_path / "node" / "jobs" / folder.id
    assert os.access(there.source / "tool", os.X_OK)
    assert os.readlink(there.source / "link") == "tool"
    assert (there.checkpoints / "c").read_text() == "kept"
    assert there.read_environment() == folder.read_environment()
    assert there.environment.stat().st_mode & 0o777 == 0o600
    assert there.read_spec().python == sys.executable
    assert not there.record.exists()


def test_the_interpreter_of_the_settings_runs_the_script(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "jobs", make_spec())
    packages = unzipped(job_package(folder, "/there/python"), tmp_path / "unzipped")
    assert unpack(tmp_path / "node", folder.id, packages).read_spec().python == "/there/python"


def test_a_job_that_is_cancelled_already_takes_its_mark_along(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "jobs", make_spec())
    folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    packages = unzipped(job_package(folder, None), tmp_path / "unzipped")
    assert unpack(tmp_path / "node", folder.id, packages).cancel_mark.exists()


def test_the_package_of_qjob_can_be_imported(tmp_path: Path) -> None:
    package = tmp_path / "qjob"
    (package / "deep").mkdir(parents=True)
    (package / "deep" / "one.py").write_text("X = 1\n")
    (package / "deep" / "one.pyc").touch()
    unpacked = unzipped(runner_package(tmp_path), tmp_path / "unzipped")
    assert [path.name for path in unpacked.rglob("*") if path.is_file()] == ["one.py"]
    assert runner_package(tmp_path).name == runner_package(tmp_path).name


def test_what_the_cluster_has_is_not_sent_again(cluster: FakeRay, tmp_path: Path) -> None:
    way = make_transfer(cluster, tmp_path)
    folder = make_folder(tmp_path / "jobs", make_spec())
    environment = submitted(way, folder, make_spec())
    assert environment["working_dir"] in {f"gcs://{name}" for name in cluster.packages}
    assert len(environment["py_modules"]) == 1
    sent = dict(cluster.packages)
    assert submitted(way, folder, make_spec()) == environment
    assert cluster.packages == sent


def test_what_a_sweep_shares_is_sent_once(cluster: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = make_sweep_folders(tmp_path / "jobs", make_spec(), points=3)
    way = make_transfer(cluster, tmp_path)
    environments = [submitted(way, folder, folder.read_spec()) for folder in folders]
    assert len({tuple(environment["py_modules"]) for environment in environments}) == 1
    assert len(cluster.packages) == 5  # qjob, the sweep's share, and one of each point

    share = str(environments[0]["py_modules"][1]).removeprefix("gcs://")
    monkeypatch.syspath_prepend(unzipped(Package(cluster.packages[share]), tmp_path / "share"))  # as Ray does
    for number, folder in enumerate(folders):
        own = cluster.packages[str(environments[number]["working_dir"]).removeprefix("gcs://")]
        there = unpack(tmp_path / "node", folder.id, unzipped(Package(own), tmp_path / f"own{number}"))
        take_share(there, there.read_spec())
        assert (there.source / "job.py").exists()


def test_what_is_too_large_is_refused(cluster: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "LONGEST_BYTES", 1000)  # not to make a hundred megabytes for it
    with pytest.raises(SubmitError, match=r"leave files out, have the job fetch its data, or share a disk"):
        submitted(make_transfer(cluster, tmp_path), make_folder(tmp_path / "jobs", make_spec()), make_spec())


def test_a_node_that_is_gone_has_nothing_more_to_tell(cluster: FakeRay, tmp_path: Path) -> None:
    way = make_transfer(cluster, tmp_path)
    folder = make_folder(tmp_path / "jobs", make_spec())
    way.receive(RayJob(submission_id="qjob-a", status="PENDING"), folder)
    way.receive(RayJob(submission_id="qjob-a", status="FAILED", node_id="gone"), folder)
    with pytest.raises(EngineUnavailable):
        way.receive(RayJob(submission_id="qjob-a", status="RUNNING", node_id="gone"), folder)
    with pytest.raises(EngineUnavailable):  # alive, and without an agent that would give its files
        way.receive(RayJob(submission_id="qjob-a", status="FAILED", node_id="node0"), folder)
