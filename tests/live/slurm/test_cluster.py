"""The Slurm that our tests start is what it says it is."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from living import processes_naming, wait_until
from slurm_cluster import SlurmCluster, SlurmFailed, slurm_problem

pytestmark = pytest.mark.live


@pytest.fixture
def cluster(slurm: SlurmCluster) -> Iterator[SlurmCluster]:
    """The session's cluster, as new again after the test."""
    yield slurm
    slurm.restore()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[SlurmCluster]:
    """A cluster for one test, that is quick to give up a node or a job, and whose path is too long for a socket."""
    if problem := slurm_problem():
        pytest.skip(problem)
    made = SlurmCluster.start(tmp_path / ("long" * 20), nodes=2, SlurmdTimeout=2, MessageTimeout=2, KillWait=1)
    yield made
    made.stop()


def submit(cluster: SlurmCluster, *options: str, script: str = "sleep 60") -> str:
    """Submit a batch job, and return its id."""
    return cluster.run("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={script}").strip()


def state(cluster: SlurmCluster, job: str) -> str:
    """Return a job's state, and why it waits."""
    return cluster.run("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T %r").strip()


def wait_for_state(cluster: SlurmCluster, job: str, wanted: str) -> None:
    wait_until(lambda: state(cluster, job).startswith(wanted))


def test_it_has_three_idle_nodes_of_four_processors(slurm: SlurmCluster) -> None:
    slurm.wait_until_idle()
    assert [slurm.node_state(node) for node in ("n1", "n2", "n3")] == ["idle"] * 3
    assert (
        slurm.run("sinfo", "--noheader", "--partition=main", "--format=%D %c %m %G", "--nodes=n1") == "1 4 4000 qpu:1\n"
    )


def test_its_partitions_differ_in_time_and_in_rank(slurm: SlurmCluster) -> None:
    told = slurm.run("sinfo", "--noheader", "--nodes=n1", "--format=%P %l %p %M").splitlines()
    assert told == ["main* infinite 1 OFF", "short 2:00 1 OFF", "low infinite 1 REQUEUE", "high infinite 10 OFF"]


def test_a_step_runs_on_two_nodes(slurm: SlurmCluster) -> None:
    assert len(set(slurm.run("srun", "--nodes=2", "printenv", "SLURMD_NODENAME").split())) == 2


def test_a_command_that_slurm_refuses_raises_with_its_words(slurm: SlurmCluster) -> None:
    with pytest.raises(SlurmFailed, match=r"^sbatch .* ended with 1: .* Invalid license"):
        submit(slurm, "--licenses=qpu9:1")


def test_a_licence_serves_one_job_at_a_time(cluster: SlurmCluster) -> None:
    first, second = submit(cluster, "--licenses=qpu1:1"), submit(cluster, "--licenses=qpu1:1")
    other = submit(cluster, "--licenses=qpu2:1")
    wait_for_state(cluster, other, "RUNNING")
    assert [state(cluster, job) for job in (first, second)] == ["RUNNING None", "PENDING Licenses"]
    cluster.run("scancel", first)
    wait_for_state(cluster, second, "RUNNING")


def test_the_partition_high_takes_the_nodes_of_low(cluster: SlurmCluster) -> None:
    low = submit(cluster, "--partition=low", "--nodes=3", "--exclusive")
    wait_for_state(cluster, low, "RUNNING")
    high = submit(cluster, "--partition=high", "--nodes=3", "--exclusive")
    wait_for_state(cluster, high, "RUNNING")
    assert state(cluster, low).startswith("PENDING")
    assert "Restarts=1" in cluster.run("scontrol", "show", "job", low)


def test_a_controller_that_is_restarted_knows_its_queue(cluster: SlurmCluster) -> None:
    job = submit(cluster, "--hold")
    cluster.stop_controller()
    cluster.start_controller()
    assert state(cluster, job) == "PENDING JobHeldUser"


def test_a_node_whose_daemon_is_killed_is_down_until_it_is_started(own_cluster: SlurmCluster) -> None:
    own_cluster.kill_slurmd("n2")
    wait_until(lambda: own_cluster.node_state("n2").startswith("down"), 45.0)
    own_cluster.start_slurmd("n2")
    own_cluster.wait_until_idle()


def test_restoring_it_undoes_whatever_a_test_did(own_cluster: SlurmCluster) -> None:
    deaf = submit(own_cluster, script="trap '' TERM; while true; do sleep 1; done")
    wait_for_state(own_cluster, deaf, "RUNNING")
    submit(own_cluster, "--hold")
    own_cluster.run("scontrol", "update", "NodeName=n1", "State=DRAIN", "Reason=test")
    own_cluster.kill_slurmd("n2")
    own_cluster.stop_controller()
    own_cluster.restore()
    assert own_cluster.run("squeue", "--noheader") == ""


def test_stopping_it_ends_what_its_jobs_run(own_cluster: SlurmCluster) -> None:
    job = submit(own_cluster, "--export=NIL", script="setsid sleep 1000")
    wait_for_state(own_cluster, job, "RUNNING")
    own_cluster.kill_slurmd("n1")
    own_cluster.stop()
    assert processes_naming(own_cluster.environment["SLURM_CONF"]) == []


def test_it_does_not_outlive_the_process_that_started_it(tmp_path: Path) -> None:
    script = """
import os, pathlib, signal, sys
from slurm_cluster import SlurmCluster
cluster = SlurmCluster.start(pathlib.Path(sys.argv[1]), nodes=1)
print(cluster.environment["SLURM_CONF"], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    tests = Path(__file__).parents[2]
    command = [sys.executable, "-c", script, str(tmp_path / "slurm")]
    killed = subprocess.run(command, cwd=tests, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    wait_until(lambda: not processes_naming(killed.stdout.strip()))


def test_a_daemon_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(SlurmFailed, match=r"(?s)slurmctld is not running.*NoSuchLine"):
        SlurmCluster.start(tmp_path / "slurm", NoSuchLine=1)
    assert processes_naming(str(tmp_path / "slurm")) == []


def test_its_accounting_keeps_what_a_job_came_to(slurm_with_accounting: SlurmCluster) -> None:
    job = submit(slurm_with_accounting, script="exit 3")
    sacct = ("sacct", "--parsable2", "--noheader", "--allocations", f"--jobs={job}", "--format=State,ExitCode")
    wait_until(lambda: slurm_with_accounting.run(*sacct) == "FAILED|3:0\n")
