"""How a forked process becomes the script: by a new interpreter, or in the one that it was forked from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from qjob.folder import JobFolder
from qjob.model.spec import JobSpec

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")


class ScriptBegins(BaseException):
    """A forked process is ready to become a script; raised, it unwinds the runner's stack and its locks.

    Attributes:
        folder: the job's folder.
        spec: what was asked.
        environment: the script's environment variables.
        report_fd: where the bootstrap tells why the script failed.
    """

    def __init__(self, folder: JobFolder, spec: JobSpec, environment: Mapping[str, str], report_fd: int) -> None:
        super().__init__()
        self.folder = folder
        self.spec = spec
        self.environment = environment
        self.report_fd = report_fd

    @property
    def arguments(self) -> list[str]:
        """Those of `qjob.runner.bootstrap`."""
        return [str(self.report_fd), str(self.folder.source), self.spec.source_name, self.spec.entry_point]


Begin = Callable[[ScriptBegins], None]
"""Has the process become the script; does not return."""


def continue_here(begins: ScriptBegins) -> None:
    """Become the script in this interpreter, which has its modules: whoever forked the runner takes it from here."""
    raise begins


def execute(begins: ScriptBegins) -> None:
    """Become the script in a new interpreter, or first the program that makes its environment; raises OSError."""
    python = begins.spec.python
    arguments = ["-P", "-X", "faulthandler", str(_BOOTSTRAP), *begins.arguments]
    if not begins.spec.requirements:
        os.execve(python, [python, *arguments], dict(begins.environment))
    from qjob.interpreter.launch import Launch, command

    launch = Launch(
        python=python,
        arguments=arguments,
        requirements=begins.folder.requirements,
        source=_root(begins.folder, begins.spec),
        environments=begins.folder.environments,
        report_fd=begins.report_fd,
        environ=begins.environment,
    )
    told = command(launch)
    os.execve(told.argv[0], told.argv, told.environ)


def _root(folder: JobFolder, spec: JobSpec) -> Path:
    """Return what paths in the requirements are relative to: the root of the code."""
    root = folder.source / spec.source_name
    return root if root.is_dir() else folder.source
