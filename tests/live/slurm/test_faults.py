"""A real Slurm in trouble: each job ends or goes on with a true state and a plain reason, and nothing runs twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from living import processes_naming, wait_until
from qjob import SubmitError
from qjob.config import Device
from qjob.job import Job
from qjob.request import Request, prepare
from qjob.store.store import Query
from qjob.sweep_handle import Sweep
from qjob.sweep_request import prepare_sweep
from slurm_cluster import accounting_problem
from slurm_lab import FAR_S, Lab, ended, steadily

pytestmark = [pytest.mark.live, pytest.mark.fault]

QPU = "arn:aws:braket:us-east-1::device/qpu/acme/one"
SLEEPER = "import time\nprint('started', flush=True)\ntime.sleep(600)\n"
STEPS = """\
import os, time
from qjob.runtime import *

try:
    step = load_job_checkpoint()["step"]
except FileNotFoundError:
    step = 0
print("attempt on", os.environ["SLURMD_NODENAME"], "from step", step, flush=True)
while step < 40:
    step += 1
    save_job_checkpoint({"step": step})
    log_metric("step", step, iteration_number=step)
    print("step", step, os.environ["SLURMD_NODENAME"], flush=True)
    time.sleep(0.1)
save_job_result({"step": step, "node": os.environ["SLURMD_NODENAME"]})
"""
"""Forty steps of a tenth of a second, each with a checkpoint from which the next attempt goes on."""
LOST_NODE = {"SlurmdTimeout": 2, "MessageTimeout": 2}


@pytest.fixture
def patient_warnings() -> Iterator[None]:
    """An engine that is away is told of by warnings, which are no errors in these tests."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="engine 'slurm' has no news", category=RuntimeWarning)
        warnings.filterwarnings("ignore", message=r"(job|sweep) \w+", category=RuntimeWarning)
        yield


def first_steps(lab: Lab, job: Job) -> str:
    """Wait until a job of steps is under way; return its node."""
    lab.until_printed(job, "step 5 ")
    return lab.row(job).nodes


def steps_of(lab: Lab, job: Job) -> list[int]:
    """Return the steps that a job has printed, in order."""
    return [int(line.split()[1]) for line in lab.log(job).splitlines() if line.startswith("step ")]


def went_on(lab: Lab, job: Job) -> None:
    """Assert that a job was interrupted once, went on from its checkpoint and told all of that truly."""
    kinds = [event["eventType"] for event in job.metadata()["events"]]
    assert kinds.count("QUEUED_FOR_EXECUTION") == 2, kinds
    assert kinds.count("RUNNING") == 2, kinds
    assert kinds[-1] == "COMPLETED"
    log = lab.log(job)
    assert log.count("attempt on") == 2, log
    assert "from step 0" in log.splitlines()[0]
    assert "from step 0" not in log.splitlines()[-1]
    steps = steps_of(lab, job)
    assert steps[-1] == 40
    assert len(steps) <= 42  # at most the step that was being taken is taken twice
    first = (lab.folder(job).attempt(1) / "logs" / "0.log").read_text()
    assert log.startswith(first[: first.rfind("step")])
    assert job.metrics()["step"][-1] == 40.0


def test_a_node_that_is_set_down_costs_no_work(lab: Lab) -> None:
    job = lab.submit(STEPS)
    node = first_steps(lab, job)
    lab.cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    wait_until(lambda: job.state() == "QUEUED", FAR_S)
    assert any("put back into the queue" in event["message"] for event in job.metadata()["events"])
    assert ended(job, FAR_S * 2) == "COMPLETED"
    went_on(lab, job)


def test_a_job_of_higher_priority_costs_no_work(lab: Lab) -> None:
    job = lab.submit(STEPS, options={"partition": "low", "cpus_per_task": 4, "nodelist": "n2"})
    first_steps(lab, job)
    urgent = lab.submit("print('urgent')", options={"partition": "high", "cpus_per_task": 4, "nodelist": "n2"})
    assert ended(urgent) == "COMPLETED"
    assert ended(job, FAR_S * 2) == "COMPLETED"
    went_on(lab, job)


def test_what_a_lost_node_still_runs_is_ended_before_the_next_attempt_begins(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(**LOST_NODE)
    job = lab.submit(STEPS)
    node = first_steps(lab, job)
    lab.cluster.kill_slurmd(node)  # its slurmstepd and our runner live on
    assert ended(job, FAR_S * 2) == "COMPLETED"
    kinds = [event["eventType"] for event in job.metadata()["events"]]
    steps = steps_of(lab, job)
    if kinds.count("RUNNING") == 1:
        assert steps == list(range(1, 41))  # it was done before Slurm took the node for lost
        return
    went_on(lab, job)


def test_a_lost_node_of_a_long_job_is_fenced_off_its_device(new_lab: Callable[..., Lab]) -> None:
    """The old holder goes on beside the new one, as a machine without the shared disk would: it may send nothing."""
    lab = replace(new_lab(**LOST_NODE), devices={QPU: Device(slurm="--licenses=qpu1:1")})
    record = lab.scripts / "tasks.txt"
    old = lab.submit(
        "import os, time\n"
        "from qjob.runtime import check_device_lease\n"
        f"record = open({str(record)!r}, 'a', buffering=1)\n"
        "for turn in range(3000):\n"
        "    try: check_device_lease()\n"
        "    except RuntimeError as error: print('fenced:', error, flush=True); break\n"
        "    record.write(f'{os.environ[\"QJOB_JOB_ID\"]} {time.time()}\\n')\n"
        "    print('task', turn, flush=True)\n"
        "    time.sleep(0.05)\n",
        device=QPU,
        options={"no_requeue": True},
    )
    lab.until_printed(old, "task 5\n")
    new = lab.submit("import time\nprint('mine', flush=True)\ntime.sleep(2)\n", device=QPU)
    lab.cluster.kill_slurmd(lab.row(old).nodes)
    lab.until_printed(new, "mine")
    began = time.time()
    lab.until_printed(old, "fenced:")
    assert f"given to job {new.id}" in lab.log(old)
    assert ended(new) == "COMPLETED"
    times = [float(line.split()[1]) for line in record.read_text().splitlines()]
    assert max(times) < began + 1.0


def test_a_controller_that_is_away_changes_no_state(new_lab: Callable[..., Lab], patient_warnings: None) -> None:
    lab = new_lab()
    running, waiting = lab.submit(STEPS), lab.submit("print('at last')", options={"hold": True})
    first_steps(lab, running)
    lab.cluster.stop_controller(signal.SIGTERM)
    away = time.monotonic()
    assert ended(running) == "COMPLETED"  # by its folder: no word of Slurm's is needed
    assert steadily(lambda: waiting.state() == "QUEUED", 60.0 - (time.monotonic() - away))
    lab.cluster.start_controller()
    lab.cluster.run("scontrol", "release", str(lab.row(waiting).slurm_id))
    assert ended(waiting, FAR_S) == "COMPLETED"


def test_a_submit_while_the_controller_is_away_is_made_good_later(
    new_lab: Callable[..., Lab], patient_warnings: None
) -> None:
    lab = new_lab()
    lab.submit("pass").wait(FAR_S)  # the limits of the cluster are known then
    lab.cluster.stop_controller(signal.SIGTERM)
    service = lab.service()
    script = lab.scripts / "script.py"
    script.write_text("print('late')")
    with pytest.raises(Exception, match="on record and will be handed over"):
        service.submit(prepare(Request(source=script, engine="slurm", name="late", grace_s=1.0)))
    lab.cluster.start_controller()
    job = Job("late", service=service)
    assert ended(job, FAR_S) == "COMPLETED"
    assert lab.log(job) == "late\n"


def test_a_controller_that_forgets_what_it_accepted_loses_no_job(
    new_lab: Callable[..., Lab], patient_warnings: None
) -> None:
    lab = new_lab()
    jobs = [lab.submit(STEPS.replace("40", "60"), name=f"job-{number}") for number in range(3)]
    first_steps(lab, jobs[0])
    lab.cluster.stop_controller(signal.SIGKILL)
    lab.cluster.start_controller()
    assert [ended(job, FAR_S * 2) for job in jobs] == ["COMPLETED"] * 3
    for job in jobs:
        assert steps_of(lab, job)[-1] == 60
        assert len(steps_of(lab, job)) <= 62  # a step that was being taken is taken again, no more


def test_a_controller_that_takes_a_job_that_runs_for_one_that_waits_loses_no_job(
    new_lab: Callable[..., Lab], patient_warnings: None
) -> None:
    """Its node ends the job and, at times, will not start it again: Slurm takes that for a failure of the job."""
    lab = new_lab(SchedulerParameters="sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0")
    job = lab.submit(STEPS.replace("40", "60"), options={"begin": "now+8"})  # by then it is on the controller's disk
    first_steps(lab, job)
    lab.cluster.stop_controller(signal.SIGKILL)
    lab.cluster.start_controller()
    assert ended(job, FAR_S * 2) == "COMPLETED"
    assert steps_of(lab, job)[-1] == 60
    assert len(steps_of(lab, job)) <= 62


def test_a_job_that_slurm_has_forgotten_ended_with_a_plain_reason(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(MinJobAge=2)
    job = lab.submit(SLEEPER)
    lab.until_printed(job, "started")
    for pid in processes_naming(f"QJOB_JOB_ID={job.id}"):
        os.kill(pid, signal.SIGSTOP)
    runner = lab.folder(job).read_events()[0].detail["pid"]
    os.kill(runner, signal.SIGKILL)
    wait_until(lambda: not any(row.name == f"qjob-{job.id}" for row in lab.rows()), FAR_S)
    assert ended(job) == "FAILED"
    assert "Slurm does not know it any more" in job.metadata()["failureReason"]


def test_a_job_that_needs_too_much_memory_says_so(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(JobAcctGatherParams="OverMemoryKill", JobAcctGatherFrequency=1)
    job = lab.submit(
        "import time\nblocks = []\nfor _ in range(100):\n"
        "    blocks.append(bytearray(b'x') * (20 << 20)); time.sleep(0.1)\n"
        "time.sleep(60)\n",
        options={"mem": "100M"},
    )
    assert ended(job) == "FAILED"
    assert "memory" in job.metadata()["failureReason"]


def test_a_node_that_cannot_write_to_the_folder_is_told(lab: Lab) -> None:
    job = lab.submit("pass", options={"hold": True})
    number = lab.row(job).slurm_id
    hidden = lab.folder(job).path.with_name("hidden")
    lab.folder(job).path.rename(hidden)
    lab.cluster.run("scontrol", "release", str(number))
    wait_until(lambda: lab.row(job).state == "FAILED", FAR_S)
    hidden.rename(lab.folder(job).path)
    assert ended(job) == "FAILED"
    assert "never started: its node cannot write to its folder" in job.metadata()["failureReason"]


def test_five_hundred_jobs_of_an_array(lab: Lab) -> None:
    script = lab.scripts / "point.py"
    script.write_text("from qjob.runtime import *\nsave_job_result({'twice': 2 * int(get_hyperparameters()['x'])})\n")
    service = lab.service()
    request = Request(source=script, engine="slurm", name="many", grace_s=1.0)
    sweep = Sweep(service.sweeps.submit(prepare_sweep(request, {"x": range(500)})).id, service=service)
    assert sweep.wait(FAR_S * 3) == {"COMPLETED": 500}
    assert sweep.best("twice", maximise=True).results["twice"] == 998
    assert len(list((lab.home / "sweeps" / sweep.id).glob("submitted-*.json"))) == 1


def test_twenty_jobs_of_two_users_never_hold_a_device_together(lab: Lab, tmp_path: Path) -> None:
    record = tmp_path / "held.txt"
    lease = tmp_path / "lease"
    device = {QPU: Device(slurm="--licenses=qpu1:1", lease=lease)}
    text = (
        "import os, time\n"
        f"with open({str(record)!r}, 'a') as record:\n"
        "    lease = os.environ['QJOB_DEVICE_LEASE'].split()[0]\n"
        "    begin = time.time(); time.sleep(0.05); end = time.time()\n"
        "    record.write(f'{begin} {end} {lease}\\n')\n"
    )
    homes = [replace(lab, devices=device), replace(lab, devices=device, home=lab.home.with_name("another user's"))]
    (tmp_path / "b").mkdir()
    homes[1] = replace(homes[1], scripts=tmp_path / "b")
    jobs: list[Job] = []

    def submit_ten(mine: Lab) -> None:
        service = mine.service()
        jobs.extend(mine.submit(text, service, device=QPU, name=f"held-{number}") for number in range(10))

    threads = [threading.Thread(target=submit_ten, args=(each,)) for each in homes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ended(job, FAR_S * 2) for job in jobs] == ["COMPLETED"] * 20
    held = sorted(tuple(map(float, line.split())) for line in record.read_text().splitlines())
    assert len(held) == 20
    assert all(one[1] <= other[0] for one, other in pairwise(held)), held
    assert [lease for _, _, lease in held] == sorted(lease for _, _, lease in held)


def test_a_submitter_that_is_killed_leaves_one_job(lab: Lab) -> None:
    """Killed at whatever moment: the job is there once, or not at all."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom qjob.job import submit\n"
        "submit(sys.argv[1], engine='slurm', name='once', options={'mem': '100M'})\n"
    )
    script = lab.scripts / "once.py"
    counted = lab.scripts / "counted.txt"
    script.write_text(f"open({str(counted)!r}, 'a').write('x')\n")
    environment = os.environ | {"QJOB_HOME": str(lab.home)}
    for delay_s in (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, None):  # the last is not killed: there is one job at least
        submitter = subprocess.Popen([sys.executable, "-c", program, str(script)], env=environment)
        try:
            submitter.wait(delay_s)
        except subprocess.TimeoutExpired:
            submitter.kill()
            submitter.wait()
    service = lab.service()
    jobs = [Job(record.id, service=service) for record in service.find(Query())]
    assert [ended(job) for job in jobs] == ["COMPLETED"] * len(jobs)
    assert counted.read_text() == "x" * len(jobs)


def test_what_slurm_has_forgotten_its_accounting_knows(new_lab: Callable[..., Lab]) -> None:
    if problem := accounting_problem():
        pytest.skip(problem)
    lab = new_lab(accounting=True, MinJobAge=2)
    cancelled, killed = lab.submit(SLEEPER), lab.submit(SLEEPER)
    for job in (cancelled, killed):
        lab.until_printed(job, "started")
    lab.cluster.run("scancel", f"--name=qjob-{cancelled.id}")
    os.kill(lab.folder(killed).read_events()[0].detail["pid"], signal.SIGKILL)
    names = {f"qjob-{job.id}" for job in (cancelled, killed)}
    wait_until(lambda: not any(row.name in names for row in lab.rows()), FAR_S)
    assert (ended(cancelled), ended(killed)) == ("CANCELLED", "FAILED")
    assert "not by qjob" in cancelled.metadata()["failureReason"]
    assert "(Slurm: FAILED 0:9 on n" in killed.metadata()["failureReason"]


def test_a_job_that_fills_the_disk_fails_and_says_so(lab: Lab, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root may mount a small disk")
    point = tmp_path / "small"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(point)], check=True)
    try:
        small = replace(lab, home=point / "home")
        job = small.submit(
            "import time\n"
            "from qjob.runtime import save_job_result\n"
            "save_job_result({'step': 1})\n"
            "while True: print('x' * 100_000)\n"
        )
        assert ended(job) == "FAILED"
        assert re.search("disk is full|No space left", job.metadata()["failureReason"])
        assert job.result(partial=True) == {"step": 1}
    finally:
        subprocess.run(["umount", "--lazy", str(point)], check=True)


def test_a_sweep_that_its_user_cancels_in_slurm_is_cancelled(lab: Lab) -> None:
    script = lab.scripts / "point.py"
    script.write_text(SLEEPER)
    service = lab.service()
    request = Request(source=script, engine="slurm", name="many", grace_s=1.0)
    sweep = Sweep(service.sweeps.submit(prepare_sweep(request, {"x": range(4)}, concurrency=1)).id, service=service)
    wait_until(lambda: sweep.counts().get("RUNNING") == 1, FAR_S)
    lab.cluster.run("scancel", f"--name=qjob-{sweep.id}.0")
    assert sweep.wait(FAR_S) == {"CANCELLED": 4}
    rows = [row for row in lab.rows() if row.name == f"qjob-{sweep.id}.0"]
    assert len({row.slurm_id for row in rows}) == 1, "nothing was handed over again"


def test_a_job_that_the_other_engines_scheduler_refuses_goes_on_where_it_was(lab: Lab) -> None:
    job = lab.submit(STEPS.replace('os.environ["SLURMD_NODENAME"]', '"here"'), engine="local")
    lab.until_printed(job, "step 5 ")
    with pytest.raises(SubmitError, match="goes on where it was, on the engine local"):
        job.move("slurm", options={"partition": "none-such"})
    service = lab.service()
    (newest, _) = service.find(Query())
    goes_on = Job(newest.id, service=service)
    assert ended(goes_on) == "COMPLETED"
    assert steps_of(lab, goes_on)[0] > 5
