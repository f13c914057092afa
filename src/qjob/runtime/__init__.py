"""What job code imports: metrics, results, checkpoints, and where the job's things are.

The functions have the names, the parameters and the file format of Amazon Braket's ``braket.jobs``, so that a
script moves by changing its imports; files written by either are read by the other. Inside a job the
``AMZN_BRAKET_*`` variables say where everything is, outside one it is the current directory.

Differences from Braket (amazon-braket-sdk 1.127), all on purpose:

- values that JSON has no word for are saved without pickle and come back as what they were: arrays, complex
  numbers, times, dataclasses, tables and more (docs/results.md lists them);
- a save that fails or is killed leaves the earlier file as it was; Braket's has emptied it by then;
- several instances of a job can save results at the same time; with Braket, the last one wins;
- the last versions of a checkpoint are kept, and loading takes an earlier one when the newest is damaged;
- the error for a value that cannot be saved names every such place, and what to do about it;
- a format may be given as a word (``"pickle"``) and means that format; Braket takes the word, pickles
  nothing and writes a file that says otherwise;
- ``Decimal("NaN")`` is saved as NaN;
- results that are pickled already are carried over as they are, not unpickled and pickled again;
- ``timestamp=0`` is the time 0, not "now";
- a damaged file raises `qjob.errors.ResultError` rather than a pydantic error.

Job code pays for ``import qjob.runtime`` at every start, so all that saving and loading needs is imported by the first
call that does either.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from collections.abc import Mapping

from qjob.device_lease import check_device_lease
from qjob.devices import get_device
from qjob.model.metric_line import metric_line
from qjob.runtime.formats import PersistedJobDataFormat, format_of

TYPE_CHECKING = False  # type checkers take this name for true; importing it from typing would cost 4 ms
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

__all__ = [
    "PersistedJobDataFormat",
    "check_device_lease",
    "get_checkpoint_dir",
    "get_device",
    "get_hyperparameters",
    "get_input_data_dir",
    "get_job_device_arn",
    "get_job_name",
    "get_results_dir",
    "load_job_checkpoint",
    "load_job_result",
    "log_metric",
    "read_persisted",
    "read_plain",
    "save_job_checkpoint",
    "save_job_result",
]

CHECKPOINTS_KEPT = "QJOB_CHECKPOINTS_KEPT"
"""The environment variable that says how many versions of each checkpoint are kept, the newest among them."""
CHECKPOINTS_KEPT_BY_DEFAULT = 3
_SHOWN = 10


def log_metric(
    metric_name: str, value: float, timestamp: float | None = None, iteration_number: int | None = None
) -> None:
    """Print one metric, as the line that `metrics()` reads back from the job's log.

    ``timestamp`` is in seconds since 1970, by default now. The line goes out at once and in one write, so
    that lines of several processes on one stream do not mix.
    """
    moment = time.time() if timestamp is None else timestamp
    line = metric_line(metric_name, value, timestamp=moment, iteration_number=iteration_number)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def save_job_result(result_data: dict[str, Any] | Any, data_format: PersistedJobDataFormat | str | None = None) -> None:
    """Add values to ``results.json`` in the results directory.

    A value that was saved before under the same key is replaced, the others stay. Anything but a dict is
    saved as ``{"result": result_data}``. Results that are pickled stay pickled, and ``PICKLED_V4`` pickles
    those that were not. When this raises, or the process is killed meanwhile, everything is as it was before.

    Raises TypeError when a value cannot be saved (naming where it is), or for plain text on top of pickled
    results; ValueError for an unknown format; ResultError when the ``results.json`` there cannot be read.
    """
    from qjob.runtime.persisted import add_values

    wanted = None if data_format is None else format_of(data_format)
    added = result_data if isinstance(result_data, dict) else {"result": result_data}
    add_values(_results_file(), added, wanted)


def load_job_result(filename: str | Path | None = None, allow_pickle: bool = False) -> dict[str, Any]:
    """Return what `save_job_result` saved, ``{}`` when there is no such file.

    The file is ``filename``, by default the ``results.json`` of this job. Big arrays are mapped into memory: they are
    read when they are used, and changes to them stay in memory.

    Raises ResultError (a RuntimeError) when the file is damaged, or is pickled and ``allow_pickle`` is false;
    MissingExtra when a value needs a package that is not installed.
    """
    from pathlib import Path

    try:
        return read_persisted(Path(filename) if filename else _results_file(), allow_pickle)
    except FileNotFoundError:
        return {}


def save_job_checkpoint(
    checkpoint_data: dict[str, Any],
    checkpoint_file_suffix: str = "",
    data_format: PersistedJobDataFormat | str = PersistedJobDataFormat.PLAINTEXT,
) -> None:
    """Replace the checkpoint ``{job name}[_{suffix}].json`` in the checkpoint directory.

    The versions before it are kept beside it as ``….json.1`` (the newest of them), ``….json.2``, as many as
    ``QJOB_CHECKPOINTS_KEPT`` says, by default three in all. When this raises, or the process is killed meanwhile, the
    earlier checkpoint is as it was before.

    Raises ValueError when there is nothing to save, the suffix cannot be in a file's name, or the format or
    ``QJOB_CHECKPOINTS_KEPT`` is none; TypeError when a value cannot be saved, naming where it is.
    """
    from qjob.runtime.persisted import replace_values

    if not checkpoint_data:
        raise ValueError("checkpoint_data is empty: a checkpoint needs at least one value, as {name: value}")
    if not isinstance(checkpoint_data, Mapping):
        raise TypeError(f"checkpoint_data must be a dict, not {type(checkpoint_data).__qualname__}")
    if not {"/", "\0"}.isdisjoint(str(checkpoint_file_suffix)):
        raise ValueError(
            f"checkpoint_file_suffix {checkpoint_file_suffix!r} is to be part of a file's name; leave '/' out of it"
        )
    path = _checkpoint_file(get_job_name(), checkpoint_file_suffix)
    replace_values(path, checkpoint_data, format_of(data_format), _checkpoints_kept())


def load_job_checkpoint(
    job_name: str | None = None, checkpoint_file_suffix: str = "", allow_pickle: bool = False
) -> dict[str, Any]:
    """Return the checkpoint of ``job_name`` from the checkpoint directory.

    By default it is this job's own, or the one that it was given of another job, which lies under this job's name as
    well. When the newest is damaged, the newest earlier one that is not is returned, with a RuntimeWarning.

    Raises FileNotFoundError, saying which checkpoints there are, when this one is not among them; ResultError
    (a RuntimeError) when it is damaged, or is pickled and ``allow_pickle`` is false; MissingExtra when a value needs a
    package that is not installed.
    """
    from qjob.runtime.persisted import read_checkpoint

    path = _checkpoint_file(job_name or get_job_name(), checkpoint_file_suffix)
    try:
        return read_checkpoint(path, allow_pickle)
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, _no_checkpoint(path), str(path)) from None


def read_persisted(path: Path, allow_pickle: bool) -> dict[str, Any]:
    """Return the values of one results or checkpoint file, which a job may be saving to meanwhile.

    Raises ResultError when the file is damaged, is of another kind, or is pickled and ``allow_pickle`` is
    false; MissingExtra when a value needs a package that is not installed; OSError when it is missing or cannot be
    opened.
    """
    from qjob.runtime.persisted import read_values

    return read_values(path, allow_pickle)


def read_plain(path: Path) -> dict[str, Any]:
    """Return the values of one results or checkpoint file as they stand in it.

    What is more than JSON is its plain stand-in, as Braket's own reader returns it; an array in a file of its own is
    ``{"file": ..., "dtype": ..., "shape": ...}``, a pickled value its base64 text. No package is needed for that.

    Raises ResultError when the file is damaged or of another kind; OSError when it is missing or cannot be opened.
    """
    from qjob.runtime.document import read_document

    return read_document(path).values


def get_hyperparameters() -> dict[str, str]:
    """Return the job's hyperparameters, all of them strings; ``{}`` outside a job."""
    if "AMZN_BRAKET_HP_FILE" not in os.environ:
        return {}
    with open(os.environ["AMZN_BRAKET_HP_FILE"], encoding="utf-8") as file:
        hyperparameters: dict[str, str] = json.load(file)
    return hyperparameters


def get_job_name() -> str:
    """Return the job's name, ``""`` outside a job."""
    return os.environ.get("AMZN_BRAKET_JOB_NAME", "")


def get_job_device_arn() -> str:
    """Return the device that the job was created for, ``local:none/none`` outside a job."""
    return os.environ.get("AMZN_BRAKET_DEVICE_ARN", "local:none/none")


def get_input_data_dir(channel: str = "input") -> str:
    """Return the directory of one channel of input data; outside a job ``"."`` for every channel."""
    directory = os.environ.get("AMZN_BRAKET_INPUT_DIR", ".")
    return directory if directory == "." else f"{directory}/{channel}"


def get_results_dir() -> str:
    """Return the directory whose files are the job's results, ``"."`` outside a job."""
    return os.environ.get("AMZN_BRAKET_JOB_RESULTS_DIR", ".")


def get_checkpoint_dir() -> str:
    """Return the directory whose files outlive the job's attempts, ``"."`` outside a job."""
    return os.environ.get("AMZN_BRAKET_CHECKPOINT_DIR", ".")


def _results_file() -> Path:
    from pathlib import Path

    return Path(get_results_dir()) / "results.json"


def _checkpoint_file(job_name: str, suffix: str) -> Path:
    from pathlib import Path

    return Path(get_checkpoint_dir()) / (f"{job_name}_{suffix}.json" if suffix else f"{job_name}.json")


def _checkpoints_kept() -> int:
    text = os.environ.get(CHECKPOINTS_KEPT, "")
    if text and not (text.isdecimal() and int(text)):
        raise ValueError(f"{CHECKPOINTS_KEPT} is {text!r}; make it a whole number, 1 or more")
    return int(text or CHECKPOINTS_KEPT_BY_DEFAULT)


def _no_checkpoint(path: Path) -> str:
    there = sorted(file.name for file in path.parent.glob("*.json"))
    if not there:
        return "No such checkpoint, and no other in its directory"
    more = ", ..." if len(there) > _SHOWN else ""
    return f"No such checkpoint; its directory has {', '.join(there[:_SHOWN])}{more}"
