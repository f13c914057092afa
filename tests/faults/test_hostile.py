"""What nobody should do to qjob, and somebody will."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from living import dispatcher_pid, end_all, processes_naming, wait_until
from qjob.app import open_service
from qjob.config import Settings
from qjob.job import Job
from qjob.model.config import InstanceConfig
from qjob.request import Request, prepare
from qjob.service import Service

pytestmark = [pytest.mark.live, pytest.mark.fault]

Submit = Callable[..., Job]

SLEEPER = "import time\nprint('started', flush=True)\ntime.sleep(600)\n"
UNTIL_TOLD = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.005)\n"


def log_of(job: Job, service: Service) -> bytes:
    path = service.folder(job.id).log(0)
    return path.read_bytes() if path.exists() else b""


def until_started(job: Job, service: Service) -> None:
    wait_until(lambda: log_of(job, service))


def read_now(job: Job, service: Service) -> bytes:
    """Return what ``logs()`` shows of a job now."""
    return b"".join(piece.data for piece in service.log(job.id).pieces(final=True))


def follow(job: Job, service: Service) -> bytes:
    """Return what ``logs(wait=True)`` shows."""
    reader = service.log(job.id)
    return b"".join(piece.data for piece in service.follow(job.id, lambda final: reader.pieces(final=final)))


# Output


def test_a_line_of_100_megabytes_without_an_end(submit: Submit, service: Service) -> None:
    job = submit("import os\npart = b'0123456789' * 100_000\nfor _ in range(100): os.write(1, part)\n")
    said = follow(job, service)
    assert len(said) == 100_000_000
    assert said == b"0123456789" * 10_000_000
    assert job.state() == "COMPLETED"


def test_what_is_shown_while_the_job_runs_is_a_beginning_of_the_whole(submit: Submit, service: Service) -> None:
    job = submit(
        "import os\n"
        "for i in range(4000): os.write(1, b'%d\\r\\xff\\0' % i + (b'\\n' if i % 7 == 0 else b''))\n" + UNTIL_TOLD
    )
    whole = b"".join(b"%d\r\xff\0" % i + (b"\n" if i % 7 == 0 else b"") for i in range(4000))
    shown = [read_now(job, service)]
    while shown[-1] != whole:
        shown.append(read_now(job, service))
        assert whole.startswith(shown[-1])
        assert len(shown[-1]) >= len(shown[-2])
    assert job.state() == "RUNNING"
    (service.folder(job.id).source / "go").touch()
    assert job.wait() == "COMPLETED"
    assert read_now(job, service) == whole


def test_two_followers_see_all_of_it_each(submit: Submit, service: Service) -> None:
    job = submit("import time\nfor i in range(200):\n    print(i)\n    time.sleep(0.001)\n")
    with ThreadPoolExecutor(3) as pool:
        seen = list(pool.map(lambda _: follow(job, service), range(3)))
    assert seen == [b"".join(b"%d\n" % i for i in range(200))] * 3


@pytest.mark.parametrize("act", ["os.truncate(log, 0)", "os.unlink(log)", "os.unlink(log); os.mkdir(log)"])
def test_a_job_that_takes_away_its_own_log(submit: Submit, service: Service, act: str) -> None:
    job = submit(f"import os\nlog = '../logs/0.log'\nprint('before', flush=True)\n{act}\nprint('after', flush=True)\n")
    assert job.wait() == "COMPLETED"
    if "unlink" not in act:
        assert read_now(job, service) == b"after\n"


# Places

NAMES = ["quote'\"`$(touch x)", "line\nbreak", "ψ\u202e日本", " blank ", "%41#?&;", "-rf", "back\\slash"]


@pytest.mark.parametrize("name", [*NAMES, "long" * 50], ids=ascii)
def test_a_state_directory_at_any_place(tmp_path: Path, name: str) -> None:
    home = tmp_path / name / "home"
    service = open_service(Settings(home=home, index=home, slots=1, idle_s=5.0))
    script = tmp_path / "script.py"
    script.write_text(
        "from qjob.runtime import *\n"
        "print('said', flush=True); log_metric('m', 1.0)\n"
        "save_job_checkpoint({'a': 1}); save_job_result({'b': load_job_checkpoint()})\n"
    )
    try:
        job = Job(service.submit(prepare(Request(source=script))).id, service=service)
        assert job.result() == {"b": {"a": 1}}
        assert job.metrics()["m"] == [1.0]
        again = Request(source=script, copied_from=job.id)
        assert Job(service.submit(prepare(again)).id, service=service).wait() == "COMPLETED"
    finally:
        end_all(home)


def test_a_state_directory_behind_a_link_that_moves(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    script = tmp_path / "script.py"
    script.write_text("print('x')\n")
    service = open_service(Settings(home=link, index=link, slots=1, idle_s=5.0))
    try:
        job = Job(service.submit(prepare(Request(source=script))).id, service=service)
        assert job.wait() == "COMPLETED"
    finally:
        end_all(link)
        end_all(tmp_path / "real")


# Processes


def test_a_job_that_kills_its_runner(submit: Submit, service: Service) -> None:
    job = submit("import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(600)\n")
    assert job.wait() == "FAILED"
    assert "SIGKILL" in job.metadata()["failureReason"]
    assert submit("print('next')").wait() == "COMPLETED"


def test_a_job_that_kills_the_dispatcher(submit: Submit, home: Path) -> None:
    job = submit(f"import os, signal\nos.kill(int(open({str(home / 'local/dispatcher.lock')!r}).read()), 9)\n")
    assert job.wait() == "COMPLETED"
    assert submit("print('next')").wait() == "COMPLETED"


def test_a_job_that_stops_itself_can_be_cancelled(submit: Submit, service: Service) -> None:
    job = submit("import os, signal\nprint('started', flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)\n", grace_s=0.1)
    until_started(job, service)
    job.cancel()
    assert job.wait(20) == "CANCELLED"


def test_a_runner_that_is_stopped_can_be_cancelled(submit: Submit, service: Service) -> None:
    job = submit(SLEEPER)
    until_started(job, service)
    os.kill(service.folder(job.id).read_events()[0].detail["pid"], signal.SIGSTOP)
    job.cancel()
    assert job.wait(20) == "CANCELLED"


def test_a_dispatcher_that_is_stopped_for_a_while(submit: Submit, service: Service, home: Path) -> None:
    first = submit(SLEEPER)
    until_started(first, service)
    dispatcher = dispatcher_pid(home)
    assert dispatcher is not None
    os.kill(dispatcher, signal.SIGSTOP)
    second = submit("print('ran')")
    assert first.cancel() in ("CANCELLING", "CANCELLED")
    assert first.wait() == "CANCELLED"
    assert second.state() == "QUEUED"
    os.kill(dispatcher, signal.SIGCONT)
    assert second.wait() == "COMPLETED"


def test_a_job_that_submits_a_job_and_waits_for_it(
    submit: Submit, service: Service, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "inner.py").write_text("import os\nprint(os.environ['AMZN_BRAKET_JOB_NAME'])\n")
    job = submit(
        "import qjob\n"
        f"inner = qjob.submit({str(tmp_path / 'inner.py')!r}, name='inner')\n"
        "print(inner.wait(), inner.id)\n",
        environment=environment,
    )
    assert job.wait() == "COMPLETED"
    status, inner = log_of(job, service).split()
    assert status == b"COMPLETED"
    assert service.folder(inner.decode()).log(0).read_bytes() == b"inner\n"


def test_a_job_that_submits_a_job_and_leaves_it(
    submit: Submit, service: Service, tmp_path: Path, environment: dict[str, str]
) -> None:
    """The inner job is the dispatcher's, not its submitter's: it goes on."""
    (tmp_path / "inner.py").write_text(UNTIL_TOLD)
    job = submit(f"import qjob\nprint(qjob.submit({str(tmp_path / 'inner.py')!r}).id)\n", environment=environment)
    assert job.wait() == "COMPLETED"
    inner = Job(log_of(job, service).decode().strip(), service=service)
    (service.folder(inner.id).source / "go").touch()
    assert inner.wait() == "COMPLETED"


def test_many_threads_submit_at_once(submit: Submit, service: Service) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda _: submit("print('x')"), range(16)))
    assert [job.wait() for job in jobs] == ["COMPLETED"] * 16


def test_a_submitter_that_is_interrupted_leaves_jobs_and_dispatcher_alone(
    service: Service, home: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Ctrl-C and a closed terminal reach the whole process group of the submitter."""
    script = tmp_path / "script.py"
    script.write_text(SLEEPER)
    text = f"import qjob, time\nprint(qjob.submit({str(script)!r}).id, flush=True)\ntime.sleep(600)\n"
    with subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, env=environment, start_new_session=True
    ) as submitter:
        assert submitter.stdout is not None
        job = Job(submitter.stdout.readline().decode().strip(), service=service)
        until_started(job, service)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGKILL):
            os.killpg(submitter.pid, number)
    assert job.state() == "RUNNING"
    assert dispatcher_pid(home) is not None
    job.cancel()
    assert job.wait() == "CANCELLED"


def test_thirty_instances(submit: Submit, service: Service) -> None:
    job = submit("import os\nprint(os.environ['QJOB_INSTANCE'])\n", instance_config=InstanceConfig(instanceCount=30))
    assert job.wait() == "COMPLETED"
    assert job.metadata()["qjob"]["exitCodes"] == [0] * 30
    lines = sorted(int(piece.data) for piece in service.log(job.id).lines(final=True))
    assert lines == list(range(30))


@pytest.fixture
def _nothing_is_left(home: Path) -> Iterator[None]:
    yield
    wait_until(
        lambda: not [pid for pid in processes_naming(str(home)) if pid not in (os.getpid(), dispatcher_pid(home))]
    )


@pytest.mark.usefixtures("_nothing_is_left")
@pytest.mark.parametrize(
    "variables",
    [{"LINES": "a\nb"}, {"EMPTY": ""}, {"LONG": "x" * 100_000}, {"BYTES": "\udcff"}, {"PYTHONSTARTUP": "/no/such"}],
    ids=lambda variables: next(iter(variables)),
)
def test_any_environment(submit: Submit, service: Service, variables: dict[str, str]) -> None:
    [name] = variables
    job = submit(f"import os\nprint(ascii(os.environ[{name!r}]))\n", environment=variables)
    assert job.wait() == "COMPLETED"
    assert log_of(job, service).decode().strip() == ascii(variables[name])


@pytest.mark.parametrize(
    "variables",
    [{"PYTHONHOME": "/no/such"}, {"PYTHONPATH": "/no/such"}, {"PYTHONUTF8": "0"}, {"PYTHONSAFEPATH": ""}, {}],
    ids=lambda variables: next(iter(variables), "nothing"),
)
def test_an_environment_that_concerns_python(submit: Submit, service: Service, variables: dict[str, str]) -> None:
    job = submit("print('ran')\n", environment=variables)
    if "PYTHONHOME" in variables:  # Python itself does not start; the log says why
        assert job.wait() == "FAILED"
        assert b"Python" in log_of(job, service)
        return
    assert job.wait() == "COMPLETED"
    assert log_of(job, service) == b"ran\n"
