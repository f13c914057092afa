"""Instance: one process of a job, from its start to its exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from qjob.folder import JobFolder
from qjob.model.spec import JobSpec
from qjob.runner.bootstrap import report
from qjob.runner.capture import LogCapture
from qjob.runner.container_paths import mount_container_paths
from qjob.runner.process_tree import die_with_parent
from qjob.runner.script import Begin, ScriptBegins, execute

_MAX_TOLD_BYTES = 1 << 18
_OOM_SCORE = b"300"  # when memory runs out, the kernel takes the script before the runner that tells of it


@dataclass(kw_only=True)
class Instance:
    """One process of a job.

    Attributes:
        number: from 0.
        pid: its process.
        capture: its output.
        report_fd: where the bootstrap tells why the script failed.
        exit_code: the exit code, or minus the number of the signal that killed it; None while it runs.
        reason: what the bootstrap told, in a sentence.
        traceback: what the bootstrap told, the user's own traceback.
        told: what has come from the bootstrap, see `qjob.runner.bootstrap.report`.
    """

    number: int
    pid: int
    capture: LogCapture
    report_fd: int
    exit_code: int | None = None
    reason: str = ""
    traceback: str = ""
    told: bytes = b""

    def hear(self) -> bool:
        """Take in what the bootstrap tells; return False when it has told all."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.report_fd, 1 << 16):
                self.told = (self.told + part)[:_MAX_TOLD_BYTES]
            return False
        return True

    def ended(self, wait_status: int) -> None:
        """Take note of the end, and of what the bootstrap told about it."""
        self.exit_code = os.waitstatus_to_exitcode(wait_status)
        self.hear()
        _, _, told = self.told.partition(b"\0")
        reason, _, traceback = told.decode("utf-8", "replace").partition("\0")
        self.reason, self.traceback = reason, traceback


def start_instance(
    folder: JobFolder, spec: JobSpec, number: int, environment: Mapping[str, str], begin: Begin = execute
) -> Instance:
    """Start one instance; what goes wrong after the fork is its failure, told like the script's own."""
    capture = LogCapture(folder.log(number), folder.log_index(number))
    report_read, report_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become_instance(folder, spec, environment, capture.write_fd, report_write, begin)
    os.close(capture.write_fd)
    os.close(report_write)
    os.set_blocking(report_read, False)
    return Instance(number=number, pid=pid, capture=capture, report_fd=report_read)


def _become_instance(
    folder: JobFolder,
    spec: JobSpec,
    environment: Mapping[str, str],
    output_fd: int,
    report_fd: int,
    begin: Begin,
) -> NoReturn:
    try:
        _leave_the_runner(folder, output_fd, report_fd)
        if spec.container_paths:
            _mount_container_paths(folder, spec)
        begin(ScriptBegins(folder, spec, environment, report_fd))
    except ScriptBegins:
        raise
    except OSError as error:
        report(report_fd, f"the interpreter {spec.python} cannot be started: {error}", "")
    except BaseException:  # noqa: BLE001 - a fork of the runner must not go on as the runner
        traceback.print_exc()
    os._exit(127)


def _leave_the_runner(folder: JobFolder, output_fd: int, report_fd: int) -> None:
    """Make this forked process what a shell would have started: own session, plain signals and stdio."""
    die_with_parent()
    os.setsid()
    for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    with contextlib.suppress(OSError):  # not Linux, or not allowed
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(score, _OOM_SCORE)
        os.close(score)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output_fd, 1)
    os.dup2(output_fd, 2)
    os.set_inheritable(report_fd, True)
    os.chdir(folder.source)


def _mount_container_paths(folder: JobFolder, spec: JobSpec) -> None:
    """Show the job its folder at the paths of Braket's container, which its code names; or say in the log why not."""
    problem = mount_container_paths(folder, spec)
    if problem is not None:
        os.write(2, f"qjob: not all of the container's paths that this code names are there: {problem}\n".encode())
