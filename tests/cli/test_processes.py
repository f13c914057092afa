"""qjob as its users have it: as processes, with jobs that run."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from living import wait_until
from qjob.job import Job
from qjob.model.record import iso_times
from qjob.model.status import JobStatus
from qjob.service import Service
from qjob.store.store import Query

pytestmark = pytest.mark.live

Start = Callable[..., "subprocess.Popen[bytes]"]
Qjob = Callable[..., "tuple[int, bytes, str]"]

SLEEPER = "import time\nprint('started', flush=True)\ntime.sleep(600)\n"
"""A job that runs until it is ended."""
COUNTER = (
    "from qjob.runtime import *\nfor i in range(3): log_metric('energy', -i, iteration_number=i, timestamp=i + 1)\n"
)
PATIENT = "import os, time\nwhile not os.path.exists({go!r}): time.sleep(0.01)\nprint('gone')\n"
"""A job that runs until a file is there."""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "script.py"
        path.write_text(text)
        return str(path)

    return write


Script = Callable[[str], str]


@pytest.fixture
def qjob(start: Start) -> Qjob:
    """Run qjob to its end; return exit code, stdout, stderr."""

    def run(*arguments: str, **options: object) -> tuple[int, bytes, str]:
        process = start(*arguments, **options)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err.decode()

    return run


def the_job(service: Service) -> Job | None:
    found = service.find(Query(limit=1))
    return Job(found[0].id, service=service) if found else None


def the_running_job(service: Service) -> Job:
    """Return the newest job when its output has begun."""

    def look() -> Job | None:
        job = the_job(service)
        return job if job is not None and log_of(service, job) else None

    found = wait_until(look)
    assert found is not None
    return found


def log_of(service: Service, job: Job) -> bytes:
    log = service.folder(job.id).log(0)
    return log.read_bytes() if log.exists() else b""


# ---------------------------------------------------------------- run and submit


def test_run_gives_stdout_to_the_job_and_stderr_to_qjob(qjob: Qjob, script: Script, service: Service) -> None:
    text = (
        "import sys\n"
        "from qjob.runtime import *\n"
        "sys.stdout.buffer.write(b'\\x00\\xff\\r\\n' + get_hyperparameters()['theta'].encode())\n"
        "save_job_result({'energy': -1})\n"
    )
    code, out, err = qjob("run", script(text), "--name", "vqe", "-p", "theta=0.5", "--tag", "sweep=h2")
    job = the_job(service)
    assert job is not None
    assert (code, out) == (0, b"\x00\xff\r\n0.5")
    lines = [line for line in err.splitlines() if not line.startswith("Waiting")]
    assert lines[0] == f"Submitted vqe ({job.id}) to the engine local."
    assert lines[-1].startswith("COMPLETED after ")
    assert lines[-1].endswith(f" s. Results: qjob result {job.id}, or qjob download {job.id}")
    assert job.metadata()["tags"] == {"sweep": "h2"}
    assert json.loads(qjob("result", "vqe", "-o", "json")[1]) == {"energy": -1}
    assert json.loads(qjob("show", "vqe", "-o", "json")[1]) == iso_times(job.metadata())


@pytest.mark.parametrize(
    ("text", "options", "code", "line"),
    [
        ("raise ValueError('bad angle')", [], 1, r"FAILED after .* s: .*ValueError: bad angle"),
        ("raise SystemExit(7)", [], 1, r"FAILED after .* s: .*exit code 7"),
        (SLEEPER, ["--max-runtime", "0.3s"], 124, r"FAILED after 1.* s: .*longer than its maxRuntimeInSeconds of 1 s"),
    ],
)
def test_the_exit_code_of_run_tells_how_the_job_ended(
    qjob: Qjob, script: Script, text: str, options: list[str], code: int, line: str
) -> None:
    done = qjob("run", script(text), *options)
    assert done[0] == code
    assert re.match(line, done[2].splitlines()[-1])


def test_submit_prints_the_id_alone(qjob: Qjob, script: Script, service: Service) -> None:
    code, out, err = qjob("submit", script("print(1)"), "--name", "vqe")
    job_id = out.decode().removesuffix("\n")
    assert (code, err) == (0, f"Submitted vqe ({job_id}) to the engine local.\n")
    assert service.resolve("vqe") == job_id
    code, out, _ = qjob("wait", job_id)
    assert (code, out.decode().startswith(f"{job_id}  vqe  COMPLETED after ")) == (0, True)


def test_what_was_asked_is_what_is_on_record(qjob: Qjob, script: Script, service: Service, tmp_path: Path) -> None:
    (tmp_path / "data=1").mkdir()
    (tmp_path / "data=1" / "x").write_text("x")
    first = qjob(
        "submit", script("open('/proc/self/environ'); from qjob.runtime import *; save_job_checkpoint({'a': 1})")
    )
    other = first[1].decode().strip()
    assert qjob("wait", "-q", other)[0] == 0
    options = (
        "--name all --device local:braket/sv --instances 2 --max-runtime 90m --priority -3 --option slots=1 "
        "--input molecules=./data=1 --input ./data=1 --entry-point script --tag a=b -p x= -p y=2 "
        "--copy-checkpoints-from"
    )
    refused = qjob("submit", script("print(1)"), *options.split(), other)
    assert (refused[0], "hyperparameter 'x'" in refused[2]) == (2, True)
    code, out, _ = qjob("submit", "-q", script("print(1)"), *options.replace("-p x= ", "").split(), other)
    assert code == 0
    data = service.metadata(out.decode().strip())
    assert data["hyperParameters"] == {"y": "2"}
    assert data["instanceConfig"]["instanceCount"] == 2
    assert data["stoppingCondition"]["maxRuntimeInSeconds"] == 5400
    assert {each["channelName"] for each in data["inputDataConfig"]} == {"molecules", "input"}
    assert data["deviceConfig"] == {"device": "local:braket/sv"}
    assert [data["qjob"][key] for key in ("priority", "options", "copiedFrom")] == [-3, {"slots": 1}, other]
    assert qjob("wait", "-q", "all")[0] == 0


def test_requirements_files_and_packages_go_together(
    qjob: Qjob, script: Script, service: Service, tmp_path: Path
) -> None:
    """A file is read as it is alone: in any encoding it may have, with what it refers to beside it."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "inner.txt").write_text("click\n")
    (tmp_path / "sub" / "reqs.txt").write_bytes("-r inner.txt\n".encode("utf-16"))
    (tmp_path / "more.txt").write_text("pytest\n")
    options = "-r sub/reqs.txt --with ruff -r more.txt"
    code, out, _ = qjob("submit", script("print(1)"), *options.split())
    assert code == 0
    folder = service.folder(out.decode().strip())
    assert folder.requirements.read_text() == "click\npytest\nruff\n"
    assert qjob("wait", "-q", out.decode().strip())[0] == 0


def test_a_bad_request_leaves_nothing(qjob: Qjob, service: Service) -> None:
    code, out, err = qjob("run", "nothing.py", "--name", "a b", "--device", "qpu")
    assert (code, out) == (2, b"")
    assert [word for word in ("'nothing.py' does not exist", "name 'a b'", "device 'qpu'") if word not in err] == []
    assert service.find(Query()) == []


def test_what_was_left_out_and_what_will_be_missing_is_told(qjob: Qjob, tmp_path: Path) -> None:
    source = tmp_path / "h2"
    (source / "__pycache__").mkdir(parents=True)
    (source / "__main__.py").write_text("import helper")
    (source / "helper.py").touch()
    assert "Left out of the source: __pycache__/\n" in qjob("submit", str(source))[2]
    alone = qjob("submit", str(source / "__main__.py"))
    assert alone[2].startswith("Warning: __main__.py imports helper.py from beside it")
    assert qjob("wait", *qjob("ls", "-o", "id")[1].decode().split())[0] == 1


# ---------------------------------------------------------------- Ctrl-C, and back again


def test_ctrl_c_detaches_and_logs_come_back(
    start: Start, qjob: Qjob, script: Script, service: Service, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    process = start("run", script("print('started', flush=True)\n" + PATIENT.format(go=str(go))))
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    job = the_running_job(service)
    assert process.returncode == 0
    assert f"Detached: job {job.id} goes on." in err.decode()
    assert f"qjob cancel {job.id}" in err.decode()
    assert job.state() == JobStatus.RUNNING
    follower = start("logs", "-f", job.id)
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"started\n"
    go.touch()
    out, err = follower.communicate(timeout=30)
    assert (follower.returncode, out) == (0, b"gone\n")
    assert err.decode().splitlines()[-1].startswith("COMPLETED after ")


def test_ctrl_c_ends_only_the_waiting(
    start: Start, script: Script, service: Service, submit: Callable[..., Job]
) -> None:
    job = submit(SLEEPER)
    the_running_job(service)
    process = start("wait", job.id)
    assert process.stderr is not None
    assert process.stderr.readline() == b"RUNNING\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"Interrupted.\n")
    assert job.state() == JobStatus.RUNNING


def test_a_reader_that_goes_ends_the_log_quietly(start: Start, submit: Callable[..., Job], service: Service) -> None:
    job = submit("print('x' * 99, flush=True)\n" * 2 + "print('y' * 10**7)")
    service.wait(job.id)
    process = start("logs", job.id)
    assert process.stdout is not None
    assert process.stdout.readline() == b"x" * 99 + b"\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(timeout=30) == 141


# ---------------------------------------------------------------- waiting, cancelling, removing


def test_a_job_that_waits_says_what_for(start: Start, qjob: Qjob, script: Script, service: Service) -> None:
    one = {"env": {"QJOB_SLOTS": "1"}}
    first = qjob("submit", script(SLEEPER), **one)[1].decode().strip()
    the_running_job(service)
    process = start("run", script("print(1)"), "--name", "second", **one)
    assert process.stderr is not None
    lines = [process.stderr.readline().decode() for _ in range(2)]
    assert lines[1].startswith("Waiting: position 1 (1 of this machine's 1 slots are in use")
    assert b"Waits for    position 1: 1 of" in qjob("show", "second", **one)[1]
    code, out, err = qjob("wait", "second", "--timeout", "1.2s", **one)
    assert (code, out) == (124, b"")
    assert err.splitlines()[0].startswith("Waiting: position 1 (")
    assert err.splitlines()[-1].endswith("is QUEUED, and goes on: the time to wait for it is over.")
    assert qjob("logs", "second", **one)[2] == "QUEUED: the job has not started, so there is no output yet.\n"
    assert qjob("result", "second", "--no-wait", **one)[0] == 124
    code, out, _ = qjob("cancel", first, "--wait", "--reason", "enough", **one)
    assert (code, b"CANCELLED" in out, b"enough" in out) == (0, True, True)
    printed, told = process.communicate(timeout=30)
    assert (process.returncode, printed, told.splitlines()[0]) == (0, b"1\n", b"RUNNING")


def test_a_job_that_is_cancelled_while_followed(start: Start, qjob: Qjob, script: Script, service: Service) -> None:
    process = start("run", script(SLEEPER), "--name", "vqe")
    the_running_job(service)
    waiter = start("wait", "vqe")
    code, out, err = qjob("cancel", "vqe", "vqe")
    assert (code, err) == (0, "")
    [line] = out.decode().splitlines()
    assert line.split()[2] in ("CANCELLING", "CANCELLED")
    assert b"CANCELLED after" in process.communicate(timeout=30)[1]
    assert b"CANCELLED after" in waiter.communicate(timeout=30)[0]
    assert (process.returncode, waiter.returncode) == (130, 130)
    assert qjob("result", "vqe")[0] == 130
    assert qjob("cancel", "vqe")[0] == 1
    assert qjob("rm", "vqe", "-y")[0] == 0
    assert qjob("show", "vqe")[0] == 2


def test_metrics_are_followed(start: Start, script: Script, service: Service, tmp_path: Path) -> None:
    go = tmp_path / "go"
    text = COUNTER + "import sys; sys.stdout.flush()\n" + PATIENT.format(go=str(go))
    submitted = start("submit", script(text), "--name", "vqe")
    submitted.communicate(timeout=30)
    process = start("metrics", "-f", "vqe", "-o", "csv")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    assert lines == [b"timestamp,energy,iteration_number\n", b"1,0,0\n", b"2,-1,1\n"]
    go.touch()
    assert process.communicate(timeout=30)[0] == b"3,-2,2\n"
    assert process.returncode == 0


def test_a_live_dispatcher_is_seen(qjob: Qjob, script: Script, service: Service) -> None:
    qjob("submit", script(SLEEPER))
    the_running_job(service)
    code, out, _ = qjob("doctor")
    assert code == 0
    assert re.search(rb"its dispatcher runs \(pid \d+\)", out)


# ---------------------------------------------------------------- on a terminal


def on_terminal(start: Start, *arguments: str, env: dict[str, str] | None = None) -> str:
    """Return all that qjob shows on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    size = {"COLUMNS": "80", "LINES": "40", "TERM": "xterm-256color"}
    process = start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=size | (env or {}))
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:  # EIO: the other end is closed
        pass
    finally:
        os.close(ours)
    process.wait(timeout=30)
    return shown.decode()


ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_a_terminal_has_colours_and_what_is_piped_has_none(
    start: Start, qjob: Qjob, submit: Callable[..., Job]
) -> None:
    submit("print(1)", name="vqe", device="local:braket/" + "long" * 20).wait()
    shown = on_terminal(start, "ls")
    assert "\x1b[32mCOMPLETED" in shown
    assert max(len(ESCAPE.sub("", line)) for line in shown.splitlines()) <= 80
    assert "…" in shown
    assert not ESCAPE.search(on_terminal(start, "ls", env={"NO_COLOR": "1"}))
    code, out, _ = qjob("ls")
    assert (code, b"\x1b" in out, b"long" * 20 in out) == (0, False, True)


def test_a_terminal_shows_what_is_waited_for(start: Start, submit: Callable[..., Job], tmp_path: Path) -> None:
    job = submit(SLEEPER, name="vqe")
    shown = on_terminal(start, "wait", job.id, "--timeout", "2s")
    assert re.search(r"\d+ s  RUNNING", shown)
    assert shown.endswith("\x1b[31mError: " + ESCAPE.sub("", shown.rpartition("Error: ")[2]).rstrip() + "\x1b[0m\r\n")
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is given back


def test_a_terminal_gets_plots(start: Start, submit: Callable[..., Job]) -> None:
    submit(COUNTER, name="vqe").wait()
    for arguments in (["metrics", "vqe"], ["metrics", "-f", "vqe"]):
        shown = on_terminal(start, *arguments, env={"PYTHONUTF8": "1"})
        assert "energy  last -2" in shown
        assert "└───" in shown
    assert "└───" not in on_terminal(start, "metrics", "vqe", "--no-plot")
