"""Warm starts: a job cannot tell, except by the clock; and imports that would be felt rule themselves out."""

from __future__ import annotations

import json
import os
import select
import site
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from living import end_all, wait_until
from other_limits import TELLS, TOLD, other_limits
from qjob.app import open_service
from qjob.config import Settings
from qjob.engines.local.learning import LateImports
from qjob.engines.local.warm import Kind, WarmPool, Zygote, kind_of
from qjob.engines.local.zygote import command
from qjob.job import Job
from qjob.model.config import InstanceConfig
from qjob.request import Request, prepare
from qjob.service import Service
from qjob.testing import make_folder, make_spec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="zygotes are Linux's")

REPORT = """
import json, os
def report(**values):
    with open(os.path.join(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"], "report.json"), "w") as file:
        json.dump(values, file, default=str)
"""

STATE = """
import faulthandler, gc, locale, resource, signal, sys, threading, warnings
status = dict(line.rstrip().partition(":\\t")[::2] for line in open("/proc/self/status"))
def is_listing(fd): return not os.path.exists(f"/proc/self/fd/{fd}")
report(
    argv=[os.path.basename(each) for each in sys.argv],
    flags=str(sys.flags), options=[sys._xoptions, sys.warnoptions], path=sys.path[:-1], filters=str(warnings.filters),
    python=[sys.executable, sys.prefix, sys.version, len(sys.meta_path), len(sys.path_hooks)],
    environment={k: v for k, v in os.environ.items() if not k.startswith(("AMZN_BRAKET_", "QJOB_JOB_ID"))},
    mark=f"QJOB_JOB_ID={os.environ['QJOB_JOB_ID']}" in open("/proc/self/environ").read(),
    umask=status["Umask"], signals=[status[key] for key in ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd")],
    handlers={n: str(signal.getsignal(n)) for n in signal.valid_signals()}, wakeup=signal.set_wakeup_fd(-1),
    limits=[resource.getrlimit(n) for k, n in sorted(vars(resource).items()) if k.startswith("RLIMIT_")],
    descriptors=sorted(os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in os.listdir("/proc/self/fd")
                       if not is_listing(fd) and int(fd) > 2),
    threads=[len(os.listdir("/proc/self/task")), threading.active_count(), threading.current_thread().name],
    main=sorted(vars(sys.modules["__main__"])), names=[__name__, __package__, str(__spec__)],
    gc=[gc.isenabled(), gc.get_threshold(), gc.get_debug()], depth=sys.getrecursionlimit(),
    faulthandler=faulthandler.is_enabled(), oom=open("/proc/self/oom_score_adj").read(),
    session=[os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid(), os.nice(0), sorted(os.sched_getaffinity(0))],
    locale=locale.setlocale(locale.LC_ALL),
    streams=[[s.encoding, s.errors, s.line_buffering, s.write_through] for s in (sys.stdin, sys.stdout, sys.stderr)],
    stdin=sys.stdin.read(), hooks=[sys.excepthook is sys.__excepthook__, sys.gettrace(), sys.getprofile()],
)
"""

CHANCE = """
import random, numpy, uuid, tempfile, secrets
report(drawn=[random.random(), numpy.random.rand(), numpy.random.default_rng().random(), secrets.token_hex(4),
              uuid.uuid4().hex, tempfile.mktemp(), random.Random().random()])
"""

BLAS = """
import numpy
matrix = numpy.random.default_rng(7).normal(size=(400, 400))
product = matrix @ matrix
values = numpy.linalg.eigvalsh(matrix + matrix.T)
report(sum=product.sum().hex(), lowest=values[0].hex(), threads=len(os.listdir("/proc/self/task")))
"""

ENDS = {
    "nothing": "pass",
    "exit code": "raise SystemExit(3)",
    "exit text": "raise SystemExit('bye')",
    "error": "def f(): raise ValueError('it')\nf()",
    "at once": "import os\nprint('said', flush=True)\nos._exit(4)",
    "signal": "import os\nos.kill(os.getpid(), 15)",
    "crash": "import ctypes\nctypes.string_at(0)",
    "atexit": "import atexit\natexit.register(print, 'at exit')\nprint('script')",
    "thread": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\nprint('script')",
    "daemon": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "unclosed": "class A:\n    def __del__(self): print('deleted')\n"
    "a = A()\nfile = open('unclosed', 'w')\nfile.write('kept')\nprint(open('unclosed').read() == '')",
    "forked": "import os\nif os.fork() == 0:\n    print('child', flush=True)\n    os._exit(0)\nos.wait()\nprint('it')",
    "pool": "from multiprocessing import get_context\n"
    "if __name__ == '__main__':\n    with get_context('spawn').Pool(1) as pool: print(pool.map(abs, [-1]))",
    "modules": "import sys\nsys.modules.update(none=None, text='it')\ndel sys.modules['__main__']\nprint('it')",
    "stdin": "import sys\nprint(repr(sys.stdin.read()))",
}

HAZARDS = {
    "thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "thread",
    ),
    "socket": ("import socket\nkept = socket.socket()", "opened socket:"),
    "process": ("import subprocess\nkept = subprocess.Popen(['sleep', '60'])", "started a process"),
    "signal": ("import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)", "set a signal handler"),
    "umask": ("import os\nos.umask(0o077)", "set the umask"),
    "limit": ("import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))", "set a resource limit"),
    "file": ("kept = open(__file__)", "opened /"),
    "output": ("print('hello')", "printed something"),
    "error": ("raise RuntimeError('no')", "hazard cannot be imported: RuntimeError: no"),
    "exit": ("raise SystemExit(3)", "hazard cannot be imported: SystemExit: 3"),
    "end": ("import os\nos._exit(3)", "ended with 3"),
}


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home, index=home, slots=2, grace_s=1.0, idle_s=30.0)


@pytest.fixture
def cold(home: Path) -> Iterator[Service]:
    """A service whose jobs all start in new interpreters."""
    path = home.with_name("cold")
    yield open_service(Settings(home=path, index=path, slots=2, grace_s=1.0, idle_s=30.0, warm=False))
    end_all(path)


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter with packages of its own, to install hazards for, beside those of this one."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")]
    subprocess.run(command, check=True, capture_output=True)
    python = tmp_path / "venv" / "bin" / "python"
    packages_of(python).joinpath("below.pth").write_text("\n".join(site.getsitepackages()))
    return python


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Job]:
    """Run a script on a service to its end."""

    def run_script(service: Service, text: str, **asked: Any) -> Job:
        script = tmp_path / "script.py"
        script.write_text(text)
        job = Job(service.submit(prepare(Request(source=script, grace_s=1.0, **asked))).id, service=service)
        job.wait()
        return job

    return run_script


@pytest.fixture
def run_warm(service: Service, settings: Settings, run: Callable[..., Job]) -> Callable[..., Job]:
    """Run a script in a zygote: once cold, so that there is one, and then once more."""

    def run_twice(text: str, **asked: Any) -> Job:
        first = run(service, text, **asked)
        until_ready(settings, first)
        return run(service, text, **asked)

    return run_twice


def until_ready(settings: Settings, job: Job) -> None:
    """Wait for the zygote of jobs like this one, which is made beside the first."""
    modules = [
        name for name in job.metadata()["qjob"]["imports"] if name.partition(".")[0] not in sys.stdlib_module_names
    ]
    words = ", ".join(name for name in modules if name != "qjob") or "nothing"
    wait_until(lambda: words in [each["imports"] for each in told(settings)["ready"]])


def until_ready_are(count: int, settings: Settings) -> None:
    wait_until(lambda: len(told(settings)["ready"]) == count)


def pool_of(python: Path, **asked: float) -> WarmPool:
    return WarmPool(python.parent / "warm.json", LateImports(python.parent / "imports.json"), **asked)


def told(settings: Settings) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((settings.local_state / "warm.json").read_text())
    except FileNotFoundError:
        return {"ready": [], "refused": []}
    return found


def folder(job: Job) -> Path:
    return Path(job.metadata()["qjob"]["folder"])


def reported(job: Job) -> dict[str, Any]:
    assert job.state() == "COMPLETED", log(job)
    values: dict[str, Any] = json.loads((folder(job) / "results" / "report.json").read_text())
    return values


def log(job: Job) -> str:
    return (folder(job) / "logs" / "0.log").read_text()


# A job cannot tell


def test_nothing_but_time_tells_a_warm_start_from_a_cold_one(
    run: Callable[..., Job], run_warm: Callable[..., Job], cold: Service
) -> None:
    warm_state, cold_state = reported(run_warm(REPORT + STATE)), reported(run(cold, REPORT + STATE))
    for state in (warm_state, cold_state):
        assert state["mark"]
        state["environment"] = {k: v for k, v in state["environment"].items() if "QJOB" not in k}
    assert warm_state == cold_state


def test_it_is_a_warm_start(run_warm: Callable[..., Job]) -> None:
    job = run_warm(REPORT + "report(command=open('/proc/self/cmdline').read())")
    assert "zygote" in reported(job)["command"]


def test_it_has_the_limits_of_its_submitter(
    service: Service, run: Callable[..., Job], run_warm: Callable[..., Job]
) -> None:
    assert log(run_warm(TELLS)) != TOLD
    with other_limits():
        job = run(service, TELLS + "assert 'zygote' in open('/proc/self/cmdline').read()")
    assert (job.state(), log(job)) == ("COMPLETED", TOLD)


@pytest.mark.parametrize("end", ENDS)
def test_a_warm_job_ends_as_a_cold_one(
    end: str, run: Callable[..., Job], run_warm: Callable[..., Job], cold: Service
) -> None:
    jobs = run_warm(ENDS[end]), run(cold, ENDS[end])
    outcomes = [json.loads((folder(job) / "outcome.json").read_text()) for job in jobs]
    assert [told["status"] for told in outcomes] == [outcomes[0]["status"]] * 2
    for key in ("exitCodes", "reason"):
        assert outcomes[0][key] == outcomes[1][key]
    texts = [log(job).replace(str(folder(job)), "") for job in jobs]
    # Of a crash Python prints all frames and their addresses; the outcome has the user's.
    assert texts[0] == texts[1] or end == "crash"
    traces = [(o["traceback"] or "").replace(str(folder(job)), "") for o, job in zip(outcomes, jobs, strict=True)]
    assert traces[0] == traces[1] or end == "crash"
    assert not [trace for trace in traces if "qjob/" in trace.replace("qjob/jobs", "")]
    if end == "unclosed":
        assert [(folder(job) / "source" / "unclosed").read_text() for job in jobs] == ["kept"] * 2


def test_chance_is_not_the_same_for_two_jobs(
    service: Service, run: Callable[..., Job], run_warm: Callable[..., Job]
) -> None:
    pytest.importorskip("numpy")
    first = reported(run_warm(REPORT + CHANCE))["drawn"]
    second = reported(run(service, REPORT + CHANCE))["drawn"]
    assert [a for a, b in zip(first, second, strict=True) if a == b] == []


def test_linear_algebra_gives_the_same_numbers_with_as_many_threads(
    run: Callable[..., Job], run_warm: Callable[..., Job], cold: Service
) -> None:
    pytest.importorskip("numpy")
    assert reported(run_warm(REPORT + BLAS)) == reported(run(cold, REPORT + BLAS))


def test_a_variable_that_an_import_sets_is_there(python: Path, run_warm: Callable[..., Job]) -> None:
    install(python, "setter", "import os\nos.environ['SET_BY_IMPORT'] = 'yes'\nos.environ.pop('HOME', None)")
    job = run_warm(
        REPORT + "import setter\nreport(it=os.environ.get('SET_BY_IMPORT'), home='HOME' in os.environ)", python=python
    )
    assert reported(job) == {"it": "yes", "home": False}


def test_an_open_device_of_an_import_stays_open(python: Path, run_warm: Callable[..., Job]) -> None:
    install(python, "opener", "kept = open('/dev/null')")
    assert reported(run_warm(REPORT + "import opener\nreport(it=opener.kept.read())", python=python)) == {"it": ""}


def test_a_generator_that_an_import_seeded_by_chance_is_seeded_anew(
    python: Path, service: Service, run: Callable[..., Job], run_warm: Callable[..., Job]
) -> None:
    pytest.importorskip("numpy")
    install(
        python,
        "dice",
        "import random, numpy\n"
        "chance, chosen = random.Random(), random.Random(5)\n"
        "np_chance, np_chosen = numpy.random.default_rng(), numpy.random.default_rng(5)",
    )
    script = REPORT + (
        "import dice\n"
        "report(chance=[dice.chance.random(), dice.np_chance.random()],"
        " chosen=[dice.chosen.random(), dice.np_chosen.random()])"
    )
    first, second = reported(run_warm(script, python=python)), reported(run(service, script, python=python))
    assert first["chosen"] == second["chosen"]
    assert not set(first["chance"]) & set(second["chance"])


def test_a_package_that_has_changed_is_imported_anew(
    python: Path, service: Service, run: Callable[..., Job], run_warm: Callable[..., Job]
) -> None:
    install(python, "changing", "value = 1")
    script = REPORT + "import changing\nreport(value=changing.value)"
    assert reported(run_warm(script, python=python)) == {"value": 1}
    install(python, "changing", "value = 'two'")
    assert reported(run(service, script, python=python)) == {"value": "two"}


def test_code_of_the_users_own_is_never_kept(service: Service, settings: Settings, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "helper.py").write_text("value = 1")
    (own / "__main__.py").write_text(REPORT + "import helper\nreport(value=helper.value)")
    for value in (1, 2):
        (own / "helper.py").write_text(f"value = {value}")
        job = Job(service.submit(prepare(Request(source=own, grace_s=1.0))).id, service=service)
        job.wait()
        assert reported(job) == {"value": value}
        until_ready(settings, job)


def test_another_environment_is_another_zygote(service: Service, settings: Settings, run: Callable[..., Job]) -> None:
    script = REPORT + "report(it=os.environ.get('MINE'))"
    for count, mine in enumerate(("one", "two"), start=1):
        run(service, script, environment=os.environ | {"MINE": mine})
        until_ready_are(count, settings)
        assert reported(run(service, script, environment=os.environ | {"MINE": mine})) == {"it": mine}
    assert len(told(settings)["ready"]) == 2


# What is imported late

LATE = """
def main():
    there = "late" in __import__("sys").modules
    import late
    report(there=there, command=open('/proc/self/cmdline').read())
"""


def test_what_a_script_imports_late_is_there_the_next_time_but_one(
    service: Service, settings: Settings, python: Path, run: Callable[..., Job]
) -> None:
    install(python, "late", "")
    script = f"{REPORT}{LATE}main()"
    until_ready(settings, run(service, script, python=python))
    second = run(service, script, python=python)
    assert (folder(second) / "imports.txt").read_text() == "late"
    assert not reported(second)["there"]
    third = run(service, script, python=python)  # is of another kind now, and starts in the zygote that there is
    assert "zygote" in reported(third)["command"]
    wait_until(lambda: "late" in [each["imports"] for each in told(settings)["ready"]])
    fourth = run(service, script, python=python)
    assert reported(fourth)["there"]
    assert not (folder(fourth) / "imports.txt").exists()


def test_a_late_import_that_would_be_felt_rules_only_itself_out(
    service: Service, settings: Settings, python: Path, run: Callable[..., Job]
) -> None:
    install(python, "late", "import socket\nkept = socket.socket()")
    script = f"{REPORT}{LATE}main()"
    until_ready(settings, run(service, script, python=python))
    for _ in range(2):
        assert "zygote" in reported(run(service, script, python=python))["command"]
    wait_until(lambda: "late" in [each["imports"] for each in told(settings)["refused"]])
    last = reported(run(service, script, python=python))
    assert (last["there"], "zygote" in last["command"]) == (False, True)


@pytest.mark.parametrize("first", ["import os; os.environ['LATE_THREADS'] = '1'", "import os; f = os.environ.update"])
def test_late_imports_that_a_script_prepares_are_not_done_ahead(first: str, run_warm: Callable[..., Job]) -> None:
    job = run_warm(f"{REPORT}def main():\n    import colorsys, click\n    {first}\nmain()")
    assert job.metadata()["qjob"]["lateImports"] == []
    assert not (folder(job) / "imports.txt").exists()


def test_late_imports_are_not_done_ahead_when_they_change_a_variable(
    service: Service, settings: Settings, python: Path, run: Callable[..., Job]
) -> None:
    install(python, "late", "import os\nos.environ['LATE'] = '1'")
    script = f"{REPORT}{LATE}main()"
    until_ready(settings, run(service, script, python=python))
    job = run(service, script, python=python)
    assert "zygote" in reported(job)["command"]
    assert not (folder(job) / "imports.txt").exists()


# What turns it off


@pytest.mark.parametrize("how", ["option", "setting"])
def test_it_can_be_turned_off(how: str, service: Service, cold: Service, run: Callable[..., Job]) -> None:
    script = REPORT + "report(command=open('/proc/self/cmdline').read())"
    chosen, options = (service, {"warm": False}) if how == "option" else (cold, {})
    for _ in range(3):
        assert "zygote" not in reported(run(chosen, script, options=options))["command"]
    assert not (folder(run(chosen, script, options=options)).parent.parent / "local" / "warm.json").exists()


def test_a_wrong_option_is_refused(service: Service, run: Callable[..., Job]) -> None:
    with pytest.raises(ValueError, match="option warm='no': true or false is expected"):
        run(service, "pass", options={"warm": "no"})


def test_several_instances_and_requirements_start_cold() -> None:
    assert kind_of(make_spec(), {}) is not None
    assert kind_of(make_spec(requirements="six"), {}) is None
    assert kind_of(make_spec(instance_config=InstanceConfig(instanceCount=2)), {}) is None


@pytest.mark.parametrize("hazard", HAZARDS)
def test_an_import_that_would_be_felt_rules_itself_out(hazard: str, python: Path) -> None:
    text, problem = HAZARDS[hazard]
    install(python, "hazard", text)
    pool, kind = pool_of(python, patience_s=20.0), kind_for(python, "hazard")
    try:
        pool.start(make_folder_of(python, "hazard"))
        refused = json.loads((python.parent / "warm.json").read_text())["refused"]
    finally:
        pool.close()
    assert [each["imports"] for each in refused] == list(kind.modules)
    assert problem in refused[0]["reason"]


def test_an_import_that_takes_too_long_is_given_up(python: Path) -> None:
    install(python, "hazard", "import time\ntime.sleep(600)")
    pool = pool_of(python, patience_s=0.01, import_limit_s=0.3)
    try:
        assert pool.start(make_folder_of(python, "hazard")) is None
        [zygote] = pool.pids
        wait_until(lambda: tended(pool).pids == set())
        assert not os.path.exists(f"/proc/{zygote}")
        assert pool.start(make_folder_of(python, "hazard")) is None
        assert pool.pids == set()
    finally:
        pool.close()
    refused = json.loads((python.parent / "warm.json").read_text())["refused"]
    assert refused == [{"imports": "hazard", "reason": "not imported within 0.3 s"}]


def test_a_job_whose_imports_are_ruled_out_runs_all_the_same(
    python: Path, settings: Settings, service: Service, run: Callable[..., Job]
) -> None:
    install(python, "hazard", "print('imported', flush=True)")
    for _ in range(2):
        assert log(run(service, "import hazard\nprint('script')", python=python)) == "imported\nscript\n"
        wait_until(lambda: told(settings)["refused"])
    assert told(settings)["refused"] == [{"imports": "hazard", "reason": "printed something when imported"}]


def test_a_zygote_that_is_killed_is_nobodys_loss(
    service: Service, settings: Settings, run: Callable[..., Job], run_warm: Callable[..., Job]
) -> None:
    script = REPORT + "report(ok=True)"
    run_warm(script)
    [zygote] = told(settings)["ready"]
    os.kill(zygote["pid"], 9)
    assert reported(run(service, script)) == {"ok": True}
    wait_until(lambda: [each["pid"] for each in told(settings)["ready"]] not in ([], [zygote["pid"]]))


@pytest.mark.parametrize("zygote_lives", [True, False])
def test_a_warm_runner_that_is_killed_is_told_of_as_any_other(
    zygote_lives: bool, settings: Settings, submit: Callable[..., Job], run_warm: Callable[..., Job]
) -> None:
    run_warm("pass")
    [zygote] = told(settings)["ready"]
    job = submit("import time\ntime.sleep(60)")
    wait_until((folder(job) / "logs" / "0.log").exists)
    runner = events_of(job)[0]["detail"]["pid"]
    assert parent_of(runner) == zygote["pid"]
    if not zygote_lives:
        os.kill(zygote["pid"], 9)
        wait_until(lambda: not os.path.exists(f"/proc/{zygote['pid']}"))
    os.kill(runner, 9)
    assert job.wait() == "FAILED"
    assert "its runner was killed by signal 9 (SIGKILL)" in str(job.metadata()["failureReason"])
    assert not os.path.exists(f"/proc/{runner}")


def test_a_zygote_collects_its_runners_when_it_forks_the_next(
    service: Service, settings: Settings, run: Callable[..., Job], run_warm: Callable[..., Job]
) -> None:
    run_warm("pass")
    [zygote] = told(settings)["ready"]
    for _ in range(3):
        run(service, "pass")
    children = Path(f"/proc/{zygote['pid']}/task/{zygote['pid']}/children")
    assert len(children.read_text().split()) <= 2


def test_zygotes_end_with_a_killed_dispatcher(settings: Settings, run_warm: Callable[..., Job]) -> None:
    run_warm("pass")
    [zygote] = told(settings)["ready"]
    os.kill(int((settings.local_state / "dispatcher.lock").read_text()), 9)
    wait_until(lambda: not os.path.exists(f"/proc/{zygote['pid']}"))


def test_a_zygote_has_nothing_to_say_when_its_dispatcher_is_killed_before_it_has_read_its_answer() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.send(b" ")
        zygote = subprocess.Popen(
            command(sys.executable, theirs.fileno()), pass_fds=[theirs.fileno()], stderr=subprocess.PIPE
        )
        select.select([ours], [], [], 30)
    assert zygote.communicate(timeout=30)[1] == b""
    assert zygote.returncode == 0


def test_a_zygote_that_does_not_answer_is_let_go(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    zygote = Zygote(process=subprocess.Popen(["sleep", "60"]), control=ours, ready=True)
    with theirs:
        theirs.send(b"no number")
        assert zygote.ask(make_folder(tmp_path / "jobs", make_spec())) is None
    assert zygote.ask(make_folder(tmp_path / "others", make_spec())) is None
    zygote.end()


def events_of(job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder(job) / "events.jsonl").read_bytes().splitlines()]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def tended(pool: WarmPool) -> WarmPool:
    pool.tend()
    return pool


def install(python: Path, name: str, text: str) -> None:
    """Put a module into an interpreter's packages."""
    packages_of(python).joinpath(f"{name}.py").write_text(textwrap.dedent(text) + f"\n# {time.time_ns()}\n")


def packages_of(python: Path) -> Path:
    [packages] = (python.parent.parent / "lib").glob("python3*/site-packages")
    return packages


def kind_for(python: Path, module: str) -> Kind:
    return Kind(python=str(python), modules=(module,), variables=())


def make_folder_of(python: Path, module: str) -> Any:
    found = make_folder(python.parent / "jobs", make_spec(python=str(python), imports=(module,)))
    found.write_environment({"PATH": os.environ["PATH"]})
    return found
