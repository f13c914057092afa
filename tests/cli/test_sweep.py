"""`qjob sweep`, `qjob table`, and the commands that take a sweep as they take a job."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from qjob.job import Job
from qjob.service import Service

pytestmark = pytest.mark.live

Invoke = Callable[..., Result]

SCRIPT = """
import math, sys
from qjob.runtime import get_hyperparameters, log_metric, save_job_result
given = get_hyperparameters()
x = float(given.get("x", 0))
log_metric("loss", -x)
save_job_result({"energy": math.nan if x == 3 else (x - 1) ** 2, "note": "a,b\\nc" if x else None})
if given.get("fail") == "yes":
    sys.exit("told to")
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return str(path)


@pytest.fixture
def sleeper(tmp_path: Path) -> str:
    path = tmp_path / "sleeper.py"
    path.write_text("import time\ntime.sleep(600)\n")
    return str(path)


def nothing_was_submitted(home: Path) -> bool:
    return not any((home / "jobs").glob("*")) and not any((home / "sweeps").glob("*"))


# Submitting


def test_a_sweep_is_submitted_and_its_id_printed(invoke: Invoke, script: str, service: Service) -> None:
    done = invoke("sweep", script, "--grid", "x=0:1:3", "--grid", "kind=a,b", "-p", "same=1", "--name", "h2")
    assert done.exit_code == 0
    sweep_id = done.stdout.strip()
    assert done.stderr == f"Submitted h2 ({sweep_id}), 6 jobs, to the engine local.\n"
    assert service.sweeps.record(sweep_id).varied == ("x", "kind")
    waited = invoke("wait", "h2")
    assert (waited.exit_code, waited.stdout) == (0, f"{sweep_id}  h2  6 COMPLETED\n")
    points = [record.spec.hyperparameters for record in service.sweeps.job_records(sweep_id)]
    assert points[:3] == [
        {"same": "1", "x": "0.0", "kind": "a"},
        {"same": "1", "x": "0.0", "kind": "b"},
        {"same": "1", "x": "0.5", "kind": "a"},
    ]


def test_wait_and_quiet(invoke: Invoke, script: str) -> None:
    done = invoke("sweep", script, "--grid", "x=1,2", "--name", "w", "--wait", "-q", "--concurrency", "1")
    assert done.exit_code == 0
    assert done.stdout.endswith("  w  2 COMPLETED\n")
    assert done.stderr == ""


@pytest.mark.parametrize("fail", ["yes", "no"])
def test_the_exit_code_tells_how_the_jobs_ended(invoke: Invoke, script: str, fail: str) -> None:
    done = invoke("sweep", script, "--grid", f"fail=no,{fail}", "--name", "w", "--wait")
    assert done.exit_code == (1 if fail == "yes" else 0)
    assert invoke("wait", "w").exit_code == done.exit_code
    assert invoke("wait", "w", "-q").stdout == ""
    assert invoke("table", "w").exit_code == 0
    assert ("w-1 FAILED: AlgorithmError: SystemExit: told to" in invoke("table", "w").stderr) == (fail == "yes")


def test_random_points_are_those_of_the_seed(invoke: Invoke, script: str, service: Service) -> None:
    options = ("--random", "x=0:1", "--random", "n=1:9", "--random", "k=a,b", "--samples", "4")
    made = [invoke("sweep", script, *options, *seed).stdout.strip() for seed in ([], ["--seed", "0"], ["--seed", "1"])]
    points = [[r.spec.hyperparameters for r in service.sweeps.job_records(each)] for each in made]
    assert points[0] == points[1] != points[2]
    assert all(set(point) == {"x", "n", "k"} for point in points[0])
    assert invoke("wait", *made).exit_code == 0


def test_points_come_from_a_file(invoke: Invoke, script: str, tmp_path: Path, service: Service) -> None:
    (tmp_path / "points.csv").write_text('x,label\n1,"a,b"\n2,c\n')
    sweep_id = invoke("sweep", script, "--points", str(tmp_path / "points.csv"), "--wait").stdout.split()[0]
    points = [record.spec.hyperparameters for record in service.sweeps.job_records(sweep_id)]
    assert points == [{"x": "1", "label": "a,b"}, {"x": "2", "label": "c"}]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "Say which points"),
        (["--grid", "x=1", "--random", "y=0:1", "--samples", "2"], "one of the three"),
        (["--grid", "x=1", "--points", __file__], "one of the three"),
        (["--grid", "x=1", "--samples", "2"], "--samples says how many"),
        (["--grid", "x=1", "--seed", "2"], "--seed goes with them"),
        (["--random", "x=0:1"], "give both"),
        (["--samples", "2"], "Say which points"),
        (["--random", "x=0:1", "--samples", "0"], "x>=1"),
        (["--grid", "x"], "KEY=VALUE"),
        (["--grid", "=1"], "KEY=VALUE"),
        (["--grid", "x="], "empty value"),
        (["--grid", "x=1", "--grid", "x=2"], "given twice"),
        (["--random", "x=0:1", "--random", "x=0:2", "--samples", "1"], "given twice"),
        (["--random", "x=1:0", "--samples", "1"], "the lower end comes first"),
        (["--grid", "x=0:1"], "a range is START:STOP:COUNT"),
        (["--grid", "x=1", "-p", "x=2"], "varied by the grid and given for all jobs as well"),
        (["--grid", "x=1", "--concurrency", "0"], "x>=1"),
        (["--grid", "x=1", "--concurrency", "1000000000000000000000"], "a whole number from 1 to 100000"),
        (["--grid", "x=1", "--name", "y" * 49], "use at most 48 characters"),
        (["--grid", "x=1", "--name", "-bad-"], "letters, digits and hyphens"),
        (["--grid", "x=1", "--points", "no-such-file"], "no-such-file"),
        (["--points", __file__], "an object a line"),
        (["--grid", "x=1:400:400", "--grid", "y=1:400:400"], "it has 160,000 points"),
        (["--grid", "x=" + "y" * 2501], "point 0: hyperparameter 'x': a value has 1 to 2500 characters"),
        (["--grid", "x=1", "--engine", "no-such"], "engine 'no-such'"),
    ],
)
def test_what_cannot_be_is_refused(invoke: Invoke, script: str, home: Path, options: list[str], words: str) -> None:
    done = invoke("sweep", script, *options)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert nothing_was_submitted(home)


def test_a_script_that_is_not_there_is_refused(invoke: Invoke, home: Path) -> None:
    done = invoke("sweep", "no-such.py", "--grid", "x=1")
    assert done.exit_code == 2
    assert nothing_was_submitted(home)


# The table


@pytest.fixture
def swept(invoke: Invoke, script: str) -> str:
    """A sweep whose energies are 1, 0, 1 and not a number."""
    done = invoke("sweep", script, "--grid", "x=0,1,2,3", "--name", "t", "--wait")
    assert done.exit_code == 0, done.stderr
    return str(done.stdout.split()[0])


def test_a_table_for_a_person_and_for_programs(invoke: Invoke, swept: str) -> None:
    plain = invoke("table", "t").stdout
    assert plain.splitlines()[0].split() == ["number", "job", "state", "x", "loss", "energy", "note"]
    assert len(plain.splitlines()) == 5
    rows = json.loads(invoke("table", swept, "-o", "json").stdout)
    assert [row["x"] for row in rows] == [0, 1, 2, 3]
    assert [row["note"] for row in rows] == [None, "a,b\nc", "a,b\nc", "a,b\nc"]
    assert [row["energy"] for row in rows[:3]] == [1, 0, 1]
    [header, *lines] = csv.reader(io.StringIO(invoke("table", swept[:13], "-o", "csv").stdout))
    assert header == list(rows[0])
    assert [line[header.index("job")] for line in lines] == [row["job"] for row in rows]


ORDERS: list[tuple[list[str], list[int]]] = [
    ([], [0, 1, 2, 3]),
    (["--sort", "energy"], [1, 0, 2, 3]),
    (["--sort", "-energy"], [0, 2, 1, 3]),
    (["--sort", "-x", "-n", "2"], [3, 2]),
    (["--sort", "loss"], [3, 2, 1, 0]),
    (["--sort", "note", "-n", "1"], [1]),
    (["--sort", "state"], [0, 1, 2, 3]),
    (["-n", "99"], [0, 1, 2, 3]),
]


def test_the_rows_are_sorted_and_the_first_ones_shown(invoke: Invoke, swept: str) -> None:
    for options, order in ORDERS:
        rows = json.loads(invoke("table", swept, "-o", "json", *options).stdout)
        assert [row["number"] for row in rows] == order, options


def test_a_column_that_there_is_not_is_told(invoke: Invoke, swept: str) -> None:
    done = invoke("table", swept, "--sort", "-no-such")
    assert done.exit_code == 2
    assert "no-such" in done.stderr
    assert "number, job, state, x, loss, energy, note" in " ".join(done.stderr.split())
    assert invoke("table", swept, "-n", "0").exit_code == 2


def test_a_table_of_what_is_no_sweep(invoke: Invoke, submit: Callable[..., Job]) -> None:
    job = submit("pass")
    for selector in (job.id, "no-such", ""):
        done = invoke("table", selector)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "No sweep" in done.stderr
    job.wait()


# The commands that take jobs


def test_a_sweep_is_cancelled_resumed_and_removed(invoke: Invoke, sleeper: str, home: Path, service: Service) -> None:
    sweep_id = invoke("sweep", sleeper, "--grid", "x=1,2,3", "--name", "s", "--concurrency", "1").stdout.strip()
    timed_out = invoke("wait", "s", "--timeout", "0.1s")
    assert timed_out.exit_code == 124
    assert invoke("resume", "s").exit_code == 1
    not_yet = invoke("rm", "s", "-y")
    assert not_yet.exit_code in (1, 2)
    assert len(service.sweeps.job_ids(sweep_id)) == 3
    cancelled = invoke("cancel", "s", "--wait", "--reason", "enough")
    assert cancelled.exit_code == 0, cancelled.stderr
    assert cancelled.stdout == f"{sweep_id}  s  3 CANCELLED\n"
    assert invoke("cancel", "s").exit_code == 1
    assert invoke("wait", "s").exit_code == 130
    assert {r.failure_reason for r in service.sweeps.job_records(sweep_id)} == {"The job was cancelled: enough."}
    again = invoke("resume", "s", "--name", "again", "-p", "new=1").stdout.strip()
    assert service.sweeps.record(again).resumed_from == sweep_id
    assert invoke("cancel", again, "--wait", "-q").stdout == ""
    removed = invoke("rm", sweep_id, again, "-y")
    assert (removed.exit_code, removed.stderr) == (0, "Removed 6 jobs.\n")
    assert nothing_was_submitted(home)


def test_one_job_of_a_sweep_is_waited_for_and_removed_alone(invoke: Invoke, swept: str, service: Service) -> None:
    first = service.sweeps.job_ids(swept)[0]
    assert invoke("wait", "t-0").stdout.startswith(f"{first}  t-0  COMPLETED")
    assert invoke("rm", "t-0", "-y").exit_code == 0
    assert [row["number"] for row in json.loads(invoke("table", "t", "-o", "json").stdout)] == [1, 2, 3]
    assert invoke("wait", "t").stdout == f"{swept}  t  3 COMPLETED\n"
    assert invoke("rm", "t-1", "t-2", "t-3", "-y").exit_code == 0
    assert invoke("table", "t").exit_code == 2


def test_a_sweep_and_a_job_of_one_name(invoke: Invoke, script: str, submit: Callable[..., Job]) -> None:
    submit("pass", name="twin").wait()
    sweep_id = invoke("sweep", script, "--grid", "x=1", "--name", "twin", "--wait").stdout.split()[0]
    assert invoke("wait", "twin").stdout.split()[0] == sweep_id
    job = submit("pass", name="twin")
    assert invoke("wait", "twin").stdout.split()[0] == job.id
    assert invoke("wait", "twin", sweep_id, "twin").stdout.split()[0:1] == [job.id]
    assert invoke("wait", sweep_id[:13]).stdout.split()[0] == sweep_id


def test_a_list_shows_a_sweep_as_one_line(invoke: Invoke, swept: str, service: Service) -> None:
    found = invoke("ls", "--all").stdout
    assert swept in found
    assert not any(job_id in found for job_id in service.sweeps.job_ids(swept))
    of_sweep = invoke("ls", "--all", "--sweep", "t", "-o", "id").stdout.split()
    assert sorted(of_sweep) == service.sweeps.job_ids(swept)
