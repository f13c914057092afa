"""Jobs as real processes on this machine: what a user sees of them."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from living import dispatcher_pid, processes_naming, wait_until
from qjob import InvalidInput, JobCancelled, JobFailed, JobStateError, ResultTimeout
from qjob.job import Job
from qjob.model.config import InstanceConfig, MetricType, StoppingCondition
from qjob.service import Service

pytestmark = pytest.mark.live

Submit = Callable[..., Job]

SLEEPER = "import time\nprint('started', flush=True)\ntime.sleep(600)\n"
"""A job that runs until it is ended."""


def log_of(job: Job, service: Service, instance: int = 0) -> bytes:
    path = service.folder(job.id).log(instance)
    return path.read_bytes() if path.exists() else b""


def until_started(job: Job, service: Service) -> None:
    """Wait for the whole line: unbuffered, `print` writes each of its arguments by itself."""
    wait_until(lambda: re.search(rb"started.*\n", log_of(job, service)))


def test_a_job_runs_to_its_result(submit: Submit, capfd: pytest.CaptureFixture[str]) -> None:
    job = submit(
        "from qjob.runtime import *\n"
        "print('theta', get_hyperparameters()['theta'])\n"
        "for i in range(3): log_metric('energy', -i, iteration_number=i)\n"
        "save_job_result({'energy': -2})\n",
        hyperparameters={"theta": 0.5},
    )
    job.logs(wait=True)
    assert capfd.readouterr().out.startswith("theta 0.5\nMetrics - ")
    assert job.result() == {"energy": -2}
    assert job.state() == "COMPLETED"
    assert job.metrics(MetricType.ITERATION_NUMBER)["energy"] == [0.0, -1.0, -2.0]
    data = job.metadata()
    assert [event["eventType"] for event in data["events"]] == [
        "QUEUED_FOR_EXECUTION",
        "STARTING_INSTANCE",
        "RUNNING",
        "COMPLETED",
    ]
    assert data["createdAt"] <= data["startedAt"] <= data["endedAt"]
    assert data["qjob"]["exitCodes"] == [0]


@pytest.mark.parametrize(
    ("text", "reason", "trace"),
    [
        ("raise ValueError('bad angle')", "ValueError: bad angle", "raise ValueError"),
        ("import sys; sys.exit('boom')", "boom", ""),
        ("import os; os._exit(3)", "exit code 3", ""),
        ("import nothing_like_this", "No module named 'nothing_like_this'", "import nothing_like_this"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL", ""),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV", "Fatal Python error: Segmentation fault"),
        ("import os; os.abort()", "SIGABRT", "Fatal Python error: Aborted"),
        ("1/0", "ZeroDivisionError: division by zero", "1/0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "raise KeyboardInterrupt"),
        ("raise SystemExit(7)", "exit code 7", ""),
    ],
)
def test_a_failure_says_why(submit: Submit, text: str, reason: str, trace: str) -> None:
    job = submit(text)
    with pytest.raises(JobFailed) as failure:
        job.result()
    assert reason in str(failure.value)
    assert trace in str(failure.value)
    assert "bootstrap.py" not in str(failure.value)
    assert job.state() == "FAILED"
    assert reason in job.metadata()["failureReason"]


@pytest.mark.parametrize("text", ["", "import sys; sys.exit(0)", "raise SystemExit"])
def test_a_script_that_just_ends_has_completed(submit: Submit, text: str) -> None:
    job = submit(text)
    assert job.wait() == "COMPLETED"
    assert job.result() == {}


def test_the_result_of_a_job_that_runs_is_a_timeout(submit: Submit, service: Service) -> None:
    job = submit(SLEEPER)
    with pytest.raises(ResultTimeout):
        job.result(poll_timeout_seconds=0)
    until_started(job, service)
    assert job.state() == "RUNNING"
    with pytest.raises(TimeoutError):
        job.result(poll_timeout_seconds=0.1)
    job.cancel()


def test_cancel_ends_a_running_job(submit: Submit, service: Service, home: Path) -> None:
    job = submit(SLEEPER)
    until_started(job, service)
    assert job.cancel() in ("CANCELLING", "CANCELLED")
    with pytest.raises(JobCancelled):
        job.result()
    assert job.state() == "CANCELLED"
    with pytest.raises(JobStateError, match="CANCELLED"):
        job.cancel()
    wait_until(lambda: not processes_naming(job.id))


def test_cancel_ends_children_that_left_their_session(submit: Submit, service: Service) -> None:
    job = submit(
        "import os, signal, subprocess, sys, time\n"
        "deaf = 'import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(601.25)'\n"
        "subprocess.Popen([sys.executable, '-c', deaf], start_new_session=True, env={})\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(601.25)\n"
        "    os._exit(0)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('started', os.getpid(), flush=True)\n"
        "time.sleep(601.25)\n"
    )
    until_started(job, service)
    script = int(log_of(job, service).split()[1])
    assert job.cancel() == "CANCELLING"
    assert job.cancel() in ("CANCELLING", "CANCELLED")
    assert job.wait() == "CANCELLED"
    assert not os.path.exists(f"/proc/{script}")
    assert not [pid for pid in processes_naming("time.sleep(601.25)") if pid != os.getpid()]


def test_a_queued_job_is_cancelled_and_never_starts(submit: Submit, service: Service) -> None:
    running = [submit(SLEEPER) for _ in range(2)]
    queued = submit(SLEEPER)
    assert queued.queue_position().position == 1
    assert "slots" in queued.queue_position().message
    assert queued.metadata()["queueInfo"]["position"] == "1"
    assert queued.cancel() == "CANCELLED"
    for job in running:
        job.cancel()
    assert [job.wait() for job in running] == ["CANCELLED"] * 2
    assert log_of(queued, service) == b""


def test_the_time_limit_is_kept(submit: Submit) -> None:
    job = submit(
        "from qjob.runtime import save_job_result\nsave_job_result({'kept': 1})\n" + SLEEPER,
        stopping_condition=StoppingCondition(maxRuntimeInSeconds=1),
    )
    assert job.wait() == "FAILED"
    data = job.metadata()
    assert "MAX_RUNTIME_EXCEEDED" in [event["eventType"] for event in data["events"]]
    assert "maxRuntimeInSeconds of 1 s" in data["failureReason"]


def test_every_byte_is_shown_once(submit: Submit, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    said = bytes(range(256)) * 20 + b"\r\x1b[31mred\x1b[0m\0" + b"x" * 3_000_000 + b"\xff\xfeno end of line"
    job = submit(
        "import sys\n"
        "out = sys.stdout.buffer\n"
        "out.write(bytes(range(256)) * 20 + b'\\r\\x1b[31mred\\x1b[0m\\0' + b'x' * 3_000_000)\n"
        "out.write(b'\\xff\\xfeno end of line')\n"
    )
    job.logs(wait=True)
    assert capfdbinary.readouterr().out == said
    job.logs()
    assert capfdbinary.readouterr().out == said


def test_instances_run_side_by_side_in_one_log(submit: Submit, capfd: pytest.CaptureFixture[str]) -> None:
    job = submit(
        "import os, time\n"
        "number = int(os.environ['QJOB_INSTANCE'])\n"
        "time.sleep(0.1 * number)\n"
        "print('instance', number, 'of', os.environ['QJOB_INSTANCE_COUNT'])\n",
        instance_config=InstanceConfig(instanceCount=2),
    )
    job.logs(wait=True)
    assert capfd.readouterr().out == "instance 0 of 2\ninstance 1 of 2\n"
    assert job.metadata()["qjob"]["exitCodes"] == [0, 0]


def test_one_instance_that_fails_ends_the_others(submit: Submit) -> None:
    job = submit(
        "import os, time\nif os.environ['QJOB_INSTANCE'] == '1': os._exit(5)\ntime.sleep(600)\n",
        instance_config=InstanceConfig(instanceCount=2),
    )
    assert job.wait() == "FAILED"
    assert job.metadata()["failureReason"].startswith("Instance 1: The script ended with exit code 5")
    assert job.metadata()["qjob"]["exitCodes"] == [-signal.SIGTERM, 5]


def test_a_device_takes_one_job_at_a_time(submit: Submit, service: Service, tmp_path: Path) -> None:
    arn = "arn:aws:braket:us-east-1::device/qpu/acme/one"
    notes = tmp_path / "notes"
    text = (
        "import os, time\n"
        f"fd = os.open({str(notes)!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "os.write(fd, b'+'); time.sleep(0.1); os.write(fd, b'-')\n"
    )
    jobs = [submit(text, device=arn) for _ in range(4)]
    waiting = jobs[-1].queue_position()
    assert waiting.position is None or f"device {arn} is held by job" in waiting.message or "slots" in waiting.message
    assert [job.wait() for job in jobs] == ["COMPLETED"] * 4
    assert notes.read_text() == "+-" * 4


def test_a_higher_priority_starts_first(submit: Submit, service: Service, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    gate = [submit(SLEEPER) for _ in range(2)]
    text = f"import os; os.write(os.open({str(notes)!r}, os.O_WRONLY|os.O_CREAT|os.O_APPEND), b'%d')"
    jobs = [submit(text % n, priority=n, options={"slots": 2}) for n in (1, 3, 2, 3)]
    for job in gate:
        until_started(job, service)
        job.cancel()
    assert [job.wait() for job in jobs] == ["COMPLETED"] * 4
    assert notes.read_text() == "3321"


def test_the_job_outlives_the_dispatcher_and_is_adopted(submit: Submit, service: Service, home: Path) -> None:
    job = submit(SLEEPER)
    queued = [submit("print('ran')", options={"slots": 2})]
    until_started(job, service)
    first = dispatcher_pid(home)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: job.state() == "RUNNING" and dispatcher_pid(home) not in (None, first))
    assert job.cancel() in ("CANCELLING", "CANCELLED")
    assert job.wait() == "CANCELLED"
    assert queued[0].wait() == "COMPLETED"


def test_a_killed_runner_is_a_failed_job_that_leaves_nothing(submit: Submit, service: Service) -> None:
    job = submit(
        "import os, subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n" + SLEEPER
    )
    until_started(job, service)
    runner = service.folder(job.id).read_events()[0].detail["pid"]
    os.kill(runner, signal.SIGKILL)
    assert job.wait() == "FAILED"
    assert "signal 9 (SIGKILL)" in job.metadata()["failureReason"]
    wait_until(lambda: not [pid for pid in processes_naming(job.id) if pid != os.getpid()])


def test_the_environment_is_the_submitters(submit: Submit, service: Service) -> None:
    job = submit(
        "import os; print(os.environ['COLOUR'], os.environ.get('AMZN_BRAKET_INPUT_DIR'))",
        environment={"COLOUR": "teal", "PATH": os.environ["PATH"], "AMZN_BRAKET_INPUT_DIR": "/of/another/job"},
    )
    assert job.wait() == "COMPLETED"
    assert log_of(job, service) == b"teal None\n"
    assert not service.folder(job.id).environment.exists()


def test_download_repeats_and_overwrites_nothing_else(submit: Submit, tmp_path: Path) -> None:
    text = "from qjob.runtime import save_job_result\nsave_job_result({'x': %d})"
    one, two = submit(text % 1, name="same"), submit(text % 2, name="same")
    one.download_result(str(tmp_path / "out"))
    one.download_result(str(tmp_path / "out"))
    assert sorted(p.name for p in (tmp_path / "out" / "same").iterdir()) == ["results.json"]
    with pytest.raises(Exception, match="is not what this job saved"):
        two.download_result(str(tmp_path / "out"))


def test_a_package_runs_as_a_script_and_by_function(service: Service, tmp_path: Path) -> None:
    from qjob.request import Request, prepare

    package = tmp_path / "ansatz"
    package.mkdir()
    (package / "__main__.py").write_text("from helper import x\nimport ansatz.helper\nprint(__name__, __package__, x)")
    (package / "helper.py").write_text("x = 42\ndef run(theta: float, n: int = 1): print(theta * n)")
    for entry_point, said in (
        (None, b"__main__ ansatz 42\n"),
        ("ansatz.helper:run", b"1.5\n"),
    ):
        hyperparameters = {"theta": 0.5, "n": 3} if entry_point else {}
        request = Request(source=package, entry_point=entry_point, hyperparameters=hyperparameters)
        job = Job(service.submit(prepare(request)).id, service=service)
        assert job.wait() == "COMPLETED", job.metadata()["failureReason"]
        assert log_of(job, service) == said


def test_hyperparameters_that_do_not_fit_fail_in_a_sentence(submit: Submit) -> None:
    job = submit("def main(theta: float): pass", entry_point="script:main", hyperparameters={"phi": 1})
    assert job.wait() == "FAILED"
    assert "main(theta: float) cannot take the hyperparameters given (phi='1')" in job.metadata()["failureReason"]


def test_what_cannot_be_is_refused_before_anything_is_there(submit: Submit, settings: object, home: Path) -> None:
    with pytest.raises(InvalidInput) as refusal:
        submit(
            "x = 1", name="-bad-", entry_point="script:main", hyperparameters={"a": "", "b": "x" * 2501}, device="qpu"
        )
    assert len(refusal.value.problems) == 5
    assert not list((home / "jobs").iterdir())


def test_spawned_processes_find_the_script(submit: Submit, service: Service) -> None:
    job = submit(
        "import multiprocessing as mp\n"
        "def square(x): return x * x\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(1) as pool: print(pool.map(square, [3]))\n"
    )
    assert job.wait() == "COMPLETED"
    assert log_of(job, service) == b"[9]\n"
    assert sys.executable


def test_odd_file_names_run(service: Service, tmp_path: Path) -> None:
    from qjob.request import Request, prepare

    (tmp_path / "a.b.py").write_text("print(__name__)")
    folder = tmp_path / "study"
    (folder / "train").mkdir(parents=True)
    (folder / "train.py").write_text("print('module')")
    for source, entry_point, said in ((tmp_path / "a.b.py", None, b"__main__\n"), (folder, "study.train", b"module\n")):
        job = Job(service.submit(prepare(Request(source=source, entry_point=entry_point))).id, service=service)
        assert job.wait() == "COMPLETED", job.metadata()["failureReason"]
        assert log_of(job, service) == said


def test_a_folder_comes_before_an_installed_package_of_its_name(service: Service, tmp_path: Path) -> None:
    from qjob.request import Request, prepare

    folder = tmp_path / "click"
    folder.mkdir()
    (folder / "__init__.py").write_text("mine = True")
    (folder / "__main__.py").write_text("import click\nprint(click.mine)")
    job = Job(service.submit(prepare(Request(source=folder))).id, service=service)
    assert job.wait() == "COMPLETED", job.metadata()["failureReason"]
    assert log_of(job, service) == b"True\n"


def test_jobs_that_wait_for_jobs_of_theirs_take_turns_with_others(submit: Submit, service: Service) -> None:
    """Each of two jobs holds a slot of two and waits for one of its own, which waits for one more."""
    text = (
        "import os, sys, qjob\n"
        "depth = int(qjob.get_hyperparameters()['depth'])\n"
        "below = 0\n"
        "if depth:\n"
        "    job = qjob.submit(__file__, hyperparameters={'depth': depth - 1})\n"
        "    below = job.result()['depth'] + 1\n"
        "qjob.save_job_result({'depth': below})\n"
    )
    variables = os.environ | {"QJOB_HOME": str(service.folder("x").path.parents[1]), "QJOB_SLOTS": "2"}
    jobs = [submit(text, hyperparameters={"depth": 2}, environment=variables) for _ in range(3)]
    assert [job.result(poll_timeout_seconds=60) for job in jobs] == [{"depth": 2}] * 3
