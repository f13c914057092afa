"""The command `qjob` itself: help, exit codes, what is imported, and how errors and warnings are told."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click
import pytest
from click.testing import CliRunner, Result

import qjob
from qjob import errors
from qjob.cli import exit_codes
from qjob.cli.main import COMMANDS, cli
from qjob.cli.session import Session
from qjob.errors import QjobError
from qjob.model.status import JobStatus
from recorded import record_of

Invoke = Callable[..., Result]


def test_help_names_every_command(invoke: Invoke) -> None:
    text = invoke("--help").stdout
    assert [name for name in COMMANDS if f"\n  {name} " not in text] == []


def test_help_names_every_exit_code(invoke: Invoke) -> None:
    text = invoke("--help").stdout
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    told = {int(code) for code in re.findall(r"^    (\d+) ", text, re.MULTILINE)}
    assert told == codes - {exit_codes.BROKEN_PIPE}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_s_own_help_begins_with_its_summary(invoke: Invoke, name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert COMMANDS[name].summary in " ".join(result.stdout.split())


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"completion", "config", "doctor", "reindex", "version"}))
def test_a_command_s_help_has_examples(invoke: Invoke, name: str) -> None:
    assert re.search(rf"\n    \S*qjob {name} |\$\(qjob {name} ", invoke(name, "-h").stdout)


def test_every_option_says_what_it_is() -> None:
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in COMMANDS}
    options = [
        (name, option)
        for name, command in commands.items()
        for option in (command.params if command is not None else ())
        if isinstance(option, click.Option)
    ]
    assert len(options) > 30
    assert [(name, option.name) for name, option in options if not option.help] == []


def test_the_version(invoke: Invoke) -> None:
    assert invoke("--version").stdout == f"qjob {qjob.__version__}\n"
    assert invoke("version").stdout == f"qjob {qjob.__version__}\n"


def test_an_unknown_command_is_answered_with_those_that_sound_alike(invoke: Invoke) -> None:
    result = invoke("log", "x")
    assert result.exit_code == exit_codes.USAGE
    assert "There is no command 'log'. Did you mean logs?" in result.stderr
    assert "Did you mean" not in invoke("frobnicate").stderr


# ---------------------------------------------------------------- what goes wrong

ERRORS = {
    errors.InvalidInput: 2,
    errors.SettingsError: 2,
    errors.JobNotFound: 2,
    errors.AmbiguousJob: 2,
    errors.ResultTimeout: 124,
    errors.JobCancelled: 130,
}
ALL_ERRORS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, QjobError)]


def failing(act: Callable[[], object], *arguments: str) -> Result:
    """Call `qjob ls` with a session that fails so; a session is what a test may hand to click."""

    class Failing(Session):
        @property
        def service(self) -> NoReturn:
            act()
            raise AssertionError("it was to fail")

    return CliRunner().invoke(cli, [*arguments, "ls"], obj=Failing())


def raising(error: BaseException) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


def test_a_directory_that_is_gone_is_told_as_that(environment: dict[str, str], tmp_path: Path) -> None:
    def called(arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "gone").mkdir()
        command = f"rmdir '{tmp_path}/gone'; exec '{sys.executable}' -P -m qjob.cli {arguments}"
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=tmp_path / "gone",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    done = called("run script.py")
    assert done.returncode == 1
    assert done.stderr == "Error: the directory that this shell is in has been removed; go to one that is there (cd).\n"
    assert (called("ls").returncode, called("ls").stderr) == (0, "")


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_an_error_is_a_sentence_and_an_exit_code(kind: type[QjobError]) -> None:
    result = failing(raising(kind("it is so.")))
    assert result.exit_code == ERRORS.get(kind, 1)
    assert result.stderr == "Error: it is so.\n"
    assert result.stdout == ""


def test_all_problems_are_told_at_once() -> None:
    assert failing(raising(errors.InvalidInput(["a", "b"]))).stderr == "Error: a\nb\n"


def test_a_traceback_is_shown_when_asked_for() -> None:
    result = failing(raising(errors.JobNotFound("none")), "--traceback")
    assert isinstance(result.exception, errors.JobNotFound)


@pytest.mark.parametrize("kind", [ZeroDivisionError, RuntimeError])
def test_a_bug_is_not_hidden(kind: type[Exception]) -> None:
    assert type(failing(raising(kind())).exception) is kind


def test_ctrl_c_in_the_middle_of_an_import_is_told() -> None:
    def act() -> None:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    result = failing(act)
    assert (result.exit_code, result.stderr) == (130, "Interrupted.\n")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (OSError(28, "No space left on device"), 1, "Error: No space left on device\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "Error: Permission denied (/x)\n"),
        (BrokenPipeError(), 141, ""),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_the_system_s_errors(error: BaseException, code: int, text: str) -> None:
    result = failing(raising(error))
    assert (result.exit_code, result.stderr) == (code, text)


def test_a_warning_is_told_once() -> None:
    def act() -> None:
        for _ in range(3):
            warnings.warn("the engine has no news", RuntimeWarning, stacklevel=1)
        warnings.warn("of a library", DeprecationWarning, stacklevel=1)
        raise errors.StoreError("no")

    assert failing(act).stderr == "Warning: the engine has no news\nError: no\n"


@pytest.mark.parametrize(
    ("status", "too_long", "code"),
    [
        (JobStatus.COMPLETED, False, 0),
        (JobStatus.FAILED, False, 1),
        (JobStatus.FAILED, True, 124),
        (JobStatus.CANCELLED, True, 130),
    ],
)
def test_the_exit_code_of_a_job(status: JobStatus, too_long: bool, code: int) -> None:
    assert exit_codes.of_job(record_of(status, too_long=too_long)) == code


# ---------------------------------------------------------------- as a process

NOT_NEEDED = {
    "--help": ["rich", "sqlite3", "qjob.config", "qjob.service", "qjob.cli.listing", "qjob.cli.terminal"],
    "ls": ["rich", "qjob.request", "qjob.job", "qjob.source", "qjob.cli.submit", "qjob.cli.plot", "importlib.metadata"],
}


def modules_of(home: Path, command: str) -> set[str]:
    code = "import sys, qjob.cli.main as m\ntry: m.main()\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, "--home", str(home), command], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("command", NOT_NEEDED)
def test_only_what_is_needed_is_imported(home: Path, command: str) -> None:
    imported = modules_of(home, command)
    assert "click" in imported
    assert [name for name in NOT_NEEDED[command] if name in imported] == []


def test_closed_streams_are_no_reason_to_crash(home: Path) -> None:
    command = f'"{sys.executable}" -m qjob.cli --home "$1" version >&- 2>&-'
    assert subprocess.run(["sh", "-c", command, "sh", str(home)], check=False).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_told(home: Path) -> None:
    command = f'"{sys.executable}" -m qjob.cli --home "$1" ls > /dev/full'
    done = subprocess.run(["sh", "-c", command, "sh", str(home)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "Error: No space left on device\n")


def test_a_reader_that_goes_ends_it_quietly(home: Path) -> None:
    command = [sys.executable, "-m", "qjob.cli", "--home", str(home), "config"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stderr:
        assert stderr.read() == ""
    assert process.wait() == exit_codes.BROKEN_PIPE
