"""The batch scripts, word for word, and that a shell takes them."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from qjob.engines.slurm.script import Array, Batch, batch_script
from qjob.engines.slurm.states import EXIT_NO_FOLDER, EXIT_NO_PYTHON
from qjob.model.config import InstanceConfig, StoppingCondition
from qjob.model.spec import SweepPoint
from qjob.testing import make_spec

GOLDEN = Path(__file__).parents[2] / "golden" / "slurm"
NASTY = Path('/lustre/a\'; echo "foo" ü')
JOB = "1k0w965g5r0sc7b"
SPEC = make_spec(engine="slurm", grace_s=10.0)
PLAIN = Batch(
    name=f"qjob-{JOB}",
    spec=SPEC,
    folders=Path("/home/ada/.qjob/jobs"),
    job=JOB,
    runner=Path("/home/ada/.qjob/runners/0123456789abcdef"),
    python="/usr/bin/python3.12",
)
POINT = SweepPoint(sweep="1k0w965g5r0swee", number=0, concurrency=2)
BATCHES = {
    "plain": PLAIN,
    "options": replace(
        PLAIN,
        spec=replace(
            SPEC,
            device="arn:aws:braket:us-east-1::device/qpu/acme/one",
            stopping_condition=StoppingCondition(maxRuntimeInSeconds=3600),
            priority=-5,
        ),
        python="python3.12",
        setup="module load python/3.12\nexport OMP_NUM_THREADS=4",
        options={
            "partition": "quantum",
            "licenses": "matlab,qpu1:1",
            "comment": 'it\'s "so" \\ #1',
            "hold": None,
            "no-requeue": None,
        },
        lease=Path("/home/ada/.qjob/devices/arn_aws_braket_us-east-1_device_qpu_acme_one"),
    ),
    "instances": replace(
        PLAIN,
        spec=replace(SPEC, instance_config=InstanceConfig(instanceCount=4)),
        options={"cpus-per-task": "2", "mem": "8G"},
        lease=Path("/home/ada/.qjob/devices/acme's"),
    ),
    "array": replace(
        PLAIN,
        name=f"qjob-{POINT.sweep}.1",
        spec=replace(SPEC, sweep_point=POINT),
        job=None,
        array=Array(jobs={0: "job0", 1: "job1", 2: "job2", 7: "job7"}, at_a_time=2, after=4711),
        options={"dependency": "afterok:17"},
    ),
    "nasty": replace(
        PLAIN,
        spec=replace(SPEC, instance_config=InstanceConfig(instanceCount=2)),
        folders=NASTY / "jobs",
        runner=NASTY / "runners" / "0123456789abcdef",
        python=str(NASTY / "bin" / "python3"),
        lease=NASTY / "devices" / "acme",
    ),
}


@pytest.mark.parametrize("name", BATCHES)
def test_a_script_is_word_for_word_what_is_kept(name: str) -> None:
    path = GOLDEN / f"{name}.sh"
    script = batch_script(BATCHES[name])
    if not path.exists():
        pytest.fail(f"{path} is missing; it would be:{os.linesep}{script}")
    assert script == path.read_text(encoding="utf-8")


def test_no_script_is_kept_that_nobody_makes() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(BATCHES)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.sh")), ids=lambda path: path.stem)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_shell_takes_it(path: Path, shell: str) -> None:
    done = subprocess.run([shell, "-n", path], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_directives_come_before_the_first_command() -> None:
    for batch in BATCHES.values():
        lines = batch_script(batch).splitlines()
        directives = [number for number, line in enumerate(lines) if line.startswith("#SBATCH ")]
        assert directives == list(range(1, len(directives) + 1))


def test_what_the_user_asks_for_goes_before_what_qjob_would_ask() -> None:
    limited = replace(SPEC, stopping_condition=StoppingCondition(maxRuntimeInSeconds=3600))
    script = batch_script(replace(PLAIN, spec=limited, options={"time": "2-0", "ntasks": "3"}))
    assert "#SBATCH --time=2-0\n#" in script
    assert script.count("--time=") == 1
    assert "--ntasks=3" in script


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"priority": 0}, "--nice"),
        ({"priority": 3}, "--nice"),
        ({"stopping_condition": StoppingCondition()}, "--time"),
        ({"instance_config": InstanceConfig(instanceCount=1)}, "--ntasks"),
    ],
)
def test_what_was_not_asked_for_is_left_to_the_site(fields: dict[str, object], line: str) -> None:
    assert line not in batch_script(replace(PLAIN, spec=replace(SPEC, **fields)))  # type: ignore[arg-type]


# What the scripts do, with a shell in place of the batch daemon, and a script in place of the interpreter.

TELL = '#!/bin/sh\nprintf "%s\\n" "PYTHONPATH=$PYTHONPATH" "$@" >"$TELL"\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory at a nasty path, with the folder of a job, and an interpreter that tells how it was called."""
    place = tmp_path / NASTY.name
    (place / "jobs" / JOB).mkdir(parents=True)
    (place / "bin").mkdir()
    _executable(place / "bin" / "python3", TELL)
    return place


def run_script(place: Path, batch: Batch, **environment: str) -> subprocess.CompletedProcess[str]:
    script = place / "submit.sh"
    script.write_text(batch_script(batch))
    return subprocess.run(
        ["sh", script],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "TELL": str(place / "told"), **environment},
    )


def here(batch: Batch, place: Path) -> Batch:
    return replace(batch, folders=place / "jobs", runner=place / "runner", python=str(place / "bin" / "python3"))


@pytest.mark.parametrize(("restarts", "attempt"), [(None, "1"), ("0", "1"), ("2", "3")])
def test_it_starts_the_runner_with_the_number_of_the_attempt(place: Path, restarts: str | None, attempt: str) -> None:
    environment = {} if restarts is None else {"SLURM_RESTART_COUNT": restarts}
    done = run_script(place, here(PLAIN, place), **environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (place / "told").read_text().splitlines() == [
        f"PYTHONPATH={place / 'runner'}",
        "-P",
        "-m",
        "qjob.runner",
        str(place / "jobs" / JOB),
        "--attempt",
        attempt,
    ]


def test_a_job_of_several_instances_gets_a_launcher_as_one_word(place: Path) -> None:
    run_script(place, here(BATCHES["nasty"], place))
    told = (place / "told").read_text().splitlines()
    launcher = shlex.split(told[told.index("--launcher") + 1])
    assert launcher[0] == "srun"
    assert launcher[-4:] == [str(place / "bin" / "python3"), "-P", "-m", "qjob.runner.keeper"]
    assert told[told.index("--lease") + 1] == str(NASTY / "devices" / "acme")


@pytest.mark.parametrize(("index", "job"), [("0", "job0"), ("7", "job7")])
def test_a_task_of_an_array_takes_its_own_job(place: Path, index: str, job: str) -> None:
    (place / "jobs" / job).mkdir()
    done = run_script(place, here(BATCHES["array"], place), SLURM_ARRAY_TASK_ID=index)
    assert done.returncode == 0
    assert str(place / "jobs" / job) in (place / "told").read_text().splitlines()


def test_a_folder_that_is_not_there_is_told_by_the_exit_code(place: Path) -> None:
    (place / "jobs" / JOB).rmdir()
    assert run_script(place, here(PLAIN, place)).returncode == EXIT_NO_FOLDER
    assert not (place / "told").exists()


@pytest.mark.parametrize("kind", ["missing", "not executable", "not on the path"])
def test_an_interpreter_that_is_not_there_is_told_by_the_exit_code_and_in_the_log(place: Path, kind: str) -> None:
    python = place / "bin" / "python3"
    if kind == "missing":
        python.unlink()
    else:
        python.chmod(stat.S_IRUSR)
    batch = here(PLAIN, place)
    if kind == "not on the path":
        batch = replace(batch, python="python9.9")
    assert run_script(place, batch).returncode == EXIT_NO_PYTHON
    log = (place / "jobs" / JOB / "runner.log").read_text()
    assert log == f"qjob: {os.uname().nodename} has no {batch.python}\n"


def test_an_interpreter_may_be_a_name_that_the_setup_puts_on_the_path(place: Path) -> None:
    setup = f"PATH={shlex.quote(str(place / 'bin'))}:$PATH\necho loaded"
    done = run_script(place, replace(here(PLAIN, place), python="python3", setup=setup))
    assert (done.returncode, done.stdout) == (0, "")
    assert (place / "told").exists()
    assert (place / "jobs" / JOB / "runner.log").read_text() == "loaded\n"


def test_slurms_number_of_cores_reaches_the_steps(place: Path) -> None:
    _executable(place / "bin" / "python3", '#!/bin/sh\necho "[$SRUN_CPUS_PER_TASK]" >"$TELL"\n')
    batch = here(BATCHES["instances"], place)
    run_script(place, batch, SLURM_CPUS_PER_TASK="2")
    assert (place / "told").read_text() == "[2]\n"
    run_script(place, batch)
    assert (place / "told").read_text() == "[]\n"


def _executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
