"""Links to input data in a job's working directory."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from qjob.braket.links import linked


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The results directory of a job with input data, as working directory; patched, as that is what a job has."""
    job = tmp_path / "jobs" / "job"
    (job / "input" / "folder").mkdir(parents=True)
    (job / "input" / "folder" / "a.csv").write_text("a")
    (job / "input" / "file").mkdir()
    (job / "input" / "file" / "one.txt").write_text("one")
    (job / "logs").mkdir()
    (job / "results").mkdir()
    monkeypatch.setenv("AMZN_BRAKET_INPUT_DIR", str(job / "input"))
    monkeypatch.chdir(job / "results")
    return job / "results"


def folder(path: str) -> dict[str, str]:
    return {"channel": "folder", "path": path, "name": ""}


def file(path: str) -> dict[str, str]:
    return {"channel": "file", "path": path, "name": "one.txt"}


def tree(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_without_input_data_there_is_nothing_to_do(results: Path) -> None:
    with linked([]):
        assert tree(results) == []


@pytest.mark.parametrize("path", ["data", "./data", "a/b/data/", "../data", "../x/../data"])
def test_a_folder_lies_where_it_lay(results: Path, path: str, capfd: pytest.CaptureFixture[str]) -> None:
    before = tree(results.parent)
    with linked([folder(path)]):
        assert Path(path, "a.csv").read_text() == "a"
    assert tree(results.parent) == before
    assert capfd.readouterr().out == f"{Path(path)} -> {results.parent}/input/folder\n"


@pytest.mark.parametrize("path", ["one.txt", "a/b/one.txt", "../one.txt", "../results/one.txt"])
def test_a_file_lies_where_it_lay(results: Path, path: str) -> None:
    before = tree(results.parent)
    with linked([file(path)]):
        assert Path(path).read_text() == "one"
    assert tree(results.parent) == before


def test_the_users_own_files_stay(results: Path) -> None:
    with linked([file("a/b/one.txt"), folder("data")]):
        Path("a/mine.txt").write_text("mine")
        Path("data").unlink()
        Path("data").write_text("mine too")
    assert tree(results) == ["a", "a/mine.txt", "data"]


def test_a_user_may_remove_the_links(results: Path) -> None:
    with linked([file("a/b/one.txt")]):
        Path("a/b/one.txt").unlink()
        Path("a/b").rmdir()
    assert tree(results) == []


def test_links_go_when_the_function_fails(results: Path) -> None:
    with pytest.raises(ZeroDivisionError), linked([folder("data")]):
        _ = 1 / 0
    assert tree(results) == []


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("../../data", "leads out of the job's folder"),
        ("../../../etc", "leads out of the job's folder"),
        ("../logs", "is something else here"),
        ("../logs/data", "is something else here"),
        (".", "is something else here"),
        ("/no/such/path", "is not there any more"),
    ],
)
def test_what_cannot_be_linked_is_said(
    results: Path, path: str, problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = tree(results.parents[1])
    with linked([folder(path)]):
        assert tree(results.parents[1]) == before
    assert capfd.readouterr().out == f"{path} {problem}; in this job its data is get_input_data_dir('folder')\n"


def test_an_absolute_path_is_there_anyhow(results: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with linked([folder(str(results))]):
        assert tree(results) == []
    assert capfd.readouterr().out == ""


def test_the_last_instance_removes_the_links(results: Path) -> None:
    """Each instance locks by a descriptor of its own, so that two in one process are as good as two processes."""
    first, second = linked([folder("data")]), linked([folder("data")])
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert os.listdir("data") == ["a.csv"]
    second.__exit__(None, None, None)
    assert tree(results) == []


def test_many_instances_come_and_go(results: Path) -> None:
    seen = []

    def run() -> None:
        for _ in range(20):
            with linked([folder("a/data")]):
                seen.append(os.listdir("a/data"))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [["a.csv"]] * 60
    assert tree(results) == []
