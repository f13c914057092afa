"""`qjob reindex`, `qjob config`, `qjob completion` and `qjob doctor`."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from qjob.cli import machine
from recorded import put_on_record, record_of

Invoke = Callable[..., Result]


def test_a_lost_index_is_built_anew(invoke: Invoke, home: Path) -> None:
    put_on_record(home, record_of(number=1))
    put_on_record(home, record_of(number=2, name="other"))
    (home / "index.db").unlink()
    lost = invoke("ls")
    assert (lost.exit_code, "qjob reindex" in lost.stderr) == (1, True)
    assert invoke("reindex").stderr == "2 jobs in the index.\n"
    assert invoke("ls", "-o", "name").stdout == "other\nvqe\n"


def test_a_folder_that_cannot_be_read_is_named(invoke: Invoke, home: Path) -> None:
    folder = put_on_record(home, record_of())
    folder.spec.write_text("{")
    folder.record.unlink()
    result = invoke("reindex")
    assert (result.exit_code, str(folder.spec) in result.stderr) == (1, True)


def test_the_settings_say_where_they_come_from(invoke: Invoke, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "config" / "qjob" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[devices."arn:aws:braket:::device/qpu/a/b"]\ncapacity = 2\n')
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    rows = {line.split()[0]: line.split()[1:] for line in invoke("config", env=env).stdout.splitlines()}
    assert rows["slots"] == ["2", "environment"]
    assert rows["engine"] == ["local", "default"]
    assert rows["devices"][-1] == str(file)
    data = json.loads(invoke("config", "-o", "json", env=env).stdout)
    assert data["home"] == {"value": str(home), "from": "environment"}
    assert data["devices"]["value"] == {"arn:aws:braket:::device/qpu/a/b": {"capacity": 2}}
    assert invoke("config", "--path", env=env).stdout == f"{file}\n"
    assert invoke("config", "--path", env={"XDG_CONFIG_HOME": str(tmp_path)}).stdout == ""


def test_the_flag_for_the_home_wins(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("--home", str(tmp_path / "flagged"), "config", "-o", "json")
    assert json.loads(result.stdout)["home"] == {"value": str(tmp_path / "flagged"), "from": "flag"}


def test_a_wrong_setting_is_told(invoke: Invoke) -> None:
    result = invoke("ls", env={"QJOB_SLOTS": "many"})
    assert (result.exit_code, "slots = 'many'" in result.stderr) == (2, True)


# ---------------------------------------------------------------- completion

SHELLS = [name for name in ("bash", "zsh", "fish") if shutil.which(name)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(invoke: Invoke, shell: str) -> None:
    text = invoke("completion", shell).stdout
    assert f"_QJOB_COMPLETE={shell}_complete" in text


@pytest.mark.parametrize("shell", SHELLS)
def test_a_completion_script_is_no_nonsense_to_its_shell(invoke: Invoke, shell: str) -> None:
    text = invoke("completion", shell).stdout
    done = subprocess.run([shell, "-n"], input=text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def completed(invoke: Invoke, words: str, env: dict[str, str] | None = None) -> list[str]:
    """Return what bash would be offered for the last word."""
    count = str(len(words.split(" ")) - 1)
    variables = {"_QJOB_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": count}
    text = invoke(env=variables | (env or {})).stdout
    return [line.partition(",")[2] for line in text.splitlines() if line]


def test_commands_options_and_jobs_are_completed(invoke: Invoke, home: Path) -> None:
    records = [record_of(number=number, name=name) for number, name in enumerate(["vqe-1", "vqe-2", "qaoa"])]
    for record in records:
        put_on_record(home, record)
    ids = [record.id for record in reversed(records)]
    assert completed(invoke, "qjob lo") == ["logs"]
    assert completed(invoke, "qjob logs --ti") == ["--timestamps"]
    assert completed(invoke, "qjob logs vq") == ["vqe-2", "vqe-1"]
    assert completed(invoke, "qjob wait ") == ["qaoa", "vqe-2", "vqe-1", *ids]
    assert completed(invoke, f"qjob rm qaoa {ids[0][:-1]}") == ids[:1]
    assert completed(invoke, "qjob run --copy-checkpoints-from qa") == ["qaoa"]


def test_where_jobs_cannot_be_read_nothing_is_offered(invoke: Invoke) -> None:
    assert completed(invoke, "qjob logs ", {"QJOB_SLOTS": "many"}) == []


# ---------------------------------------------------------------- doctor


def findings(result: Result) -> dict[str, str]:
    """Return the word before each thing that was looked at."""
    lines = [line for line in result.stdout.splitlines() if line.startswith("  ")]
    return {line[10:28].rstrip(): line[2:8].rstrip() for line in lines}


def test_a_healthy_machine(invoke: Invoke, home: Path) -> None:
    put_on_record(home, record_of())
    result = invoke("doctor")
    assert result.exit_code == 0, result.stdout
    assert "BROKEN" not in findings(result).values()
    assert {"qjob", "Python", "home", "free space", "local", "inotify", "subreaper", "index"} <= set(findings(result))
    assert str(home) in result.stdout
    assert "its dispatcher starts with the next job" in result.stdout


def test_a_job_that_is_not_in_the_index(invoke: Invoke, home: Path) -> None:
    folder = put_on_record(home, record_of()).path
    folder.rename(folder.with_name(folder.name[:-1] + "z"))
    result = invoke("doctor")
    assert (result.exit_code, findings(result)["job folders"]) == (1, "BROKEN")
    assert "qjob reindex" in result.stdout


def test_a_damaged_index(invoke: Invoke, home: Path) -> None:
    home.mkdir()
    (home / "index.db").write_bytes(b"no database" * 100)
    result = invoke("doctor")
    assert (result.exit_code, findings(result)["error"]) == (1, "BROKEN")
    assert "qjob reindex" in result.stdout


def test_a_wrong_setting_is_found_and_the_search_goes_on(invoke: Invoke) -> None:
    result = invoke("doctor", env={"QJOB_SLOTS": "many"})
    assert (result.exit_code, findings(result)["error"]) == (1, "BROKEN")
    assert "Quantum SDKs:" in result.stdout


def test_a_home_that_cannot_be(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = invoke("--home", str(tmp_path / "file" / "home"), "doctor")
    assert (result.exit_code, "cannot be used" in result.stdout) == (1, True)


def test_a_dispatcher_is_known_by_its_lock(tmp_path: Path) -> None:
    lock = tmp_path / "dispatcher.lock"
    assert machine.lock_holder(lock) is None
    lock.write_text("4711\n")
    assert machine.lock_holder(lock) is None
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert machine.lock_holder(lock) == 4711
    assert machine.lock_holder(lock) is None


def test_the_files_of_a_directory_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x" * 10)
    (tmp_path / "c").write_bytes(b"x")
    (tmp_path / "loop").symlink_to(tmp_path)
    size = 11 + len(os.fsencode(tmp_path))
    assert machine.usage(tmp_path) == machine.Usage(files=3, size_bytes=size)
    assert machine.usage(tmp_path / "nothing") == machine.Usage(files=0, size_bytes=0)


def test_a_directory_that_cannot_be_watched_is_told(tmp_path: Path) -> None:
    assert machine.inotify_problem(tmp_path / "nothing") is not None


def test_sdks_are_found_without_being_imported(environment: dict[str, str]) -> None:
    code = "import sys; from qjob.cli import machine; machine.sdks(); print(*{n.split('.')[0] for n in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & set(machine.SDKS.values()) == set()
