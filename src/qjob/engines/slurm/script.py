"""The batch script: what is handed to sbatch, word for word. Pure; golden files in the tests show it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qjob.engines.slurm.options import Options, directives, index_list, merged
from qjob.engines.slurm.states import EXIT_NO_FOLDER, EXIT_NO_PYTHON
from qjob.engines.slurm.time_limit import minutes_for
from qjob.model.config import StoppingCondition
from qjob.model.spec import JobSpec

_WARNING_S = 15
"""Between the warning and the end that Slurm makes, besides the grace period; the warning may come a minute early."""


@dataclass(frozen=True, kw_only=True)
class Array:
    """The jobs of a sweep that are handed over as one array.

    Attributes:
        jobs: by index, the jobs' ids.
        at_a_time: how many of them may run at a time; None for no limit.
        after: the Slurm number of the array that has to end first, if any.
    """

    jobs: Mapping[int, str]
    at_a_time: int | None = None
    after: int | None = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a batch script is made of.

    Attributes:
        name: the job's Slurm name.
        spec: what is asked; of a sweep, of any of its jobs.
        folders: the directory of all job folders.
        job: the job's id; None of an array.
        array: the jobs of an array.
        runner: the directory that makes qjob importable on the nodes.
        python: the interpreter of the runner.
        setup: lines of shell that come before it.
        options: of sbatch: the settings', the device's and the job's, merged.
        lease: the directory of the device that the job holds alone.
        limit_s: the longest run that the partition allows; None for no limit, or where that is not known.
    """

    name: str
    spec: JobSpec
    folders: Path
    job: str | None = None
    array: Array | None = None
    runner: Path
    python: str
    setup: str = ""
    options: Options = field(default_factory=dict)
    lease: Path | None = None
    limit_s: float | None = None


def batch_script(batch: Batch) -> str:
    """Return the script."""
    lines = [
        "#!/bin/bash -l" if batch.setup else "#!/bin/sh",
        *directives(merged(_our_options(batch), batch.options)),
        f"# {batch.spec.name}, submitted by qjob: the nodes need the state directory and a Python, and no network.",
        *_choose_folder(batch),
        f'[ -w "$folder" ] || exit {EXIT_NO_FOLDER}',
        'exec >>"$folder/runner.log" 2>&1',
        *batch.setup.splitlines(),
        f"python={shlex.quote(batch.python)}",
        f'[ -x "$(command -v "$python")" ] || {{ echo "qjob: $(uname -n) has no $python"; exit {EXIT_NO_PYTHON}; }}',
        f"export PYTHONPATH={shlex.quote(str(batch.runner))}",
        *_run(batch),
    ]
    return "\n".join(lines) + "\n"


def _our_options(batch: Batch) -> dict[str, str | None]:
    spec = batch.spec
    options: dict[str, str | None] = {
        "job-name": batch.name,
        "chdir": "/",
        "output": "/dev/null",
        "export": "ALL",
        "signal": f"B:USR1@{math.ceil(spec.grace_s) + _WARNING_S}",
    }
    if not {"requeue", "no-requeue"} & set(batch.options):
        options["requeue"] = None
    if spec.stopping_condition != StoppingCondition():
        wanted = minutes_for(spec.stopping_condition.maxRuntimeInSeconds, spec.grace_s)
        # What asks for more than its partition allows waits for ever, also if it is the room for ending well.
        options["time"] = str(wanted if batch.limit_s is None else min(wanted, max(1, int(batch.limit_s // 60))))
    if spec.instance_count > 1:
        options["ntasks"] = str(spec.instance_count)
    if spec.priority < 0:
        options["nice"] = str(-spec.priority)
    return options | _array_options(batch.array)


def _array_options(array: Array | None) -> dict[str, str | None]:
    if array is None:
        return {}
    throttle = "" if array.at_a_time is None else f"%{array.at_a_time}"
    after = {} if array.after is None else {"dependency": f"afterany:{array.after}"}
    return {"array": f"{index_list(array.jobs)}{throttle}", **after}


def _choose_folder(batch: Batch) -> list[str]:
    folders = shlex.quote(str(batch.folders))
    if batch.array is None:
        return [f"folder={folders}/{batch.job}"]
    choices = [f"{index}) job={job} ;;" for index, job in batch.array.jobs.items()]
    return ['case "$SLURM_ARRAY_TASK_ID" in', *choices, "esac", f'folder={folders}/"$job"']


def _run(batch: Batch) -> list[str]:
    words = ['exec "$python" -P -m qjob.runner "$folder" --attempt "$((${SLURM_RESTART_COUNT:-0} + 1))"']
    if batch.lease is not None:
        words.append(f"--lease {shlex.quote(str(batch.lease))}")
    if batch.spec.instance_count == 1:
        return [" ".join(words)]
    keeper = [batch.python, "-P", "-m", "qjob.runner.keeper"]
    launcher = shlex.join(
        [
            "srun",
            f"--ntasks={batch.spec.instance_count}",
            "--input=none",
            "--kill-on-bad-exit=1",
            "--export=ALL",
            *keeper,
        ]
    )
    # srun takes the cores of a task from its own variable only, since 22.05.
    cores = '[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"'
    return [cores, " ".join([*words, f"--launcher {shlex.quote(launcher)}"])]
