"""Write docs/braket-users.md: ``python docs/generate_braket_users.py``. A test keeps it true.

What differs on purpose is taken from the tables of tests/conformance, each row of which is a test that runs with qjob
and, where it is installed, with amazon-braket-sdk.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path(__file__).with_name("braket-users.md")
sys.path.insert(0, str(ROOT / "tests"))

from conformance.rows import Row, Table  # noqa: E402
from conformance.tables import TABLES  # noqa: E402

_MOST_CHARS = 90

OPENING = """\
# For users of Amazon Braket

A hybrid job that runs on Amazon Braket runs here: on a laptop or a machine of one's own, without Docker, an account, a
region or a network. The script that is the job stays as it is; where jobs are created, one import changes.

## Change one import

Before:

```text
from braket.aws import AwsQuantumJob
from braket.jobs import hybrid_job
from braket.jobs.local import LocalQuantumJob
```

After:

```python
from qjob.braket import LocalQuantumJob, hybrid_job
```

The rest stays, say a job's script, which goes on importing `braket.jobs` where that is installed, or imports the same
names from `qjob.runtime`, which needs nothing:

```python
# vqe.py
from qjob.runtime import get_hyperparameters, log_metric, save_job_result

steps = int(get_hyperparameters()["steps"])
for step in range(steps):
    log_metric("energy", -1.0 + 0.5**step, iteration_number=step)
save_job_result({"energy": -1.0 + 0.5**steps})
```

```python
job = LocalQuantumJob.create(
    device="local:braket/default",
    source_module="vqe.py",
    hyperparameters={"steps": 4},
)
print(job.result())
print(job.metrics()["energy"])
```

`create` returns at once, and whoever asks for the result waits. A decorated function is a job as well:

```python
@hybrid_job(device=None)
def scan(points: int) -> float:
    return min((x / points - 0.25) ** 2 for x in range(points))


print(scan(8).result())
```

`AwsQuantumJob` has no counterpart that talks to AWS: `LocalQuantumJob` takes all of its parameters, names those that
mean nothing here in one warning, and has its state, metadata, events, tags, queue and cancellation. Its jobs are the
jobs of `qjob ls`, and of `qjob.get`:

```console
$ qjob ls
ID               NAME                              STATE      CREATED  TOOK    DEVICE
1k0wfyf2x41tjvr  scan-1795382177781                COMPLETED  …
1k0wfyeje3xzqn6  braket-job-default-1795382177227  COMPLETED  …
```

## Feature by feature

"""

FEATURES = """\
| feature | Braket LocalQuantumJob | Braket AwsQuantumJob | qjob |
|---|---|---|---|
| needs | Docker, an AWS account, a region, the network | an AWS account, a region, the network | Python |
| what runs the script | a container, gigabytes large | a container | the interpreter that submits, or `python=` |
| the import (measured, see below) | 1.85 s | 1.85 s | 6 ms; 0.1 s with `LocalQuantumJob` |
| from `create` to the first line (measured) | not measured: needs Docker | a minute or more, says its documentation | 20 ms; 40 ms with `import braket.devices` at the top |
| `create` | blocks to the end | returns, or waits | returns, or waits |
| several jobs at once | no | yes | yes, as many as there are slots |
| `state()` | always COMPLETED | the six states | the six states |
| `metadata()`, `cancel()` | None | GetJob's response; cancels | the same shape; ends all that the job started |
| `logs(wait=True)` | everything, at the end | polls every 5 s | as the lines come |
| output that is lost | what comes shortly before the end | none | none |
| a job that failed | `result()` is what was saved, or an error that there is none | `result()` is `{}` or what was saved | `result()` raises, with the reason and the traceback |
| failure reason | in the log at most | of an uncaught `Exception` | of every way to fail |
| results | in a folder in the current directory | `model.tar.gz` in the current directory | in the job's folder; nothing where one stands |
| results without pickle | what JSON has | what JSON has | also arrays, complex numbers, dataclasses, frames |
| results during the run | no | no | `result(partial=True)` |
| a save that fails | empties the file | empties the file | changes nothing |
| checkpoints of another job | no | `copy_checkpoints_from_job` | the same, and `qjob resume` |
| metrics | of lines without a tag | 10,000 at most, after a query | all, at once; also followed live |
| several instances | no | yes, with MPI for `data_parallel` | processes that find each other, as torch.distributed does |
| `stopping_condition` | no | yes | yes |
| tags, priority, queue | no | tags, queue | yes |
| `@hybrid_job` called twice | fails with inner functions | fails with inner functions | works |
| `requirements.txt`, `dependencies` | installed at each start | installed at each start | installed once, kept for each set |
| list of jobs | no | no | `qjob ls`, `qjob.find` |
| after a restart of Python | by folder, in the same directory | by ARN | by id, name or ARN, from anywhere |
| S3 inputs, priority access to a QPU | S3 inputs | yes | no |

Measured on Linux with two cores, medians of interleaved runs beside a bare `python -c pass` and `python script.py`:
`benchmarks/run.py import start` does it again.
"""  # noqa: E501  a row of a table is a line

DIFFERENCES = """\
## What differs on purpose

Everything else of `braket.jobs` gives the same answer, the same line or the same bytes. {same} cases in which it
does are tests, and so are the {different} here, in which it does not; where amazon-braket-sdk is installed and can be
asked, the same test asks it too. Each row is lines of code, run with the names of `qjob.braket` and of `braket.jobs`.
"""

CLOSING = """\
This page is made by `python docs/generate_braket_users.py` from the tables in `tests/conformance`.
"""


def page() -> str:
    """Return the whole page."""
    rows = [row for table in TABLES for row in table.rows]
    different = sum(bool(row.why) for row in rows)
    parts = [OPENING + FEATURES, DIFFERENCES.format(same=len(rows) - different, different=different)]
    parts += [section(table) for table in TABLES if any(row.why for row in table.rows)]
    return "\n".join([*parts, CLOSING])


def section(table: Table) -> str:
    """Return the rows of a table that say why they differ."""
    head = [f"### {table.title}", ""]
    if table.about:
        head += [table.about, ""]
    head += ["| code | Braket | qjob | why |", "|---|---|---|---|"]
    return "\n".join([*head, *(_line(row) for row in table.rows if row.why), ""])


def _line(row: Row) -> str:
    why = row.why[0].upper() + row.why[1:] + "."
    return f"| {_code(row.case)} | {_outcome(row.published)} | {_outcome(row.ours)} | {why} |"


def _code(text: str) -> str:
    return "<br>".join(f"`{_in_cell(line)}`" for line in text.split("\n"))


def _outcome(value: object) -> str:
    return f"`{_in_cell(_cut(repr(value)))}`"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else text[: _MOST_CHARS - 1] + "…"


def _in_cell(text: str) -> str:
    return text.replace("`", "'").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
