"""What job code imports: metrics, results, checkpoints, and where the job's things are.

The functions have the names, the parameters and the file format of Amazon Braket's ``braket.jobs``, so that a
script moves by changing its imports; files written by either are read by the other. Inside a job the
``AMZN_BRAKET_*`` variables say where everything is, outside one it is the current directory.

Differences from Braket (amazon-braket-sdk 1.127), all on purpose:

- a save that fails or is killed leaves the earlier file as it was; Braket's has emptied it by then;
- the error for a value that cannot be saved names every such place, and what to do about it;
- a format may be given as a word (``"pickle"``) and means that format; Braket takes the word, pickles
  nothing and writes a file that says otherwise;
- single numbers of array libraries (``np.int64``, ``np.bool_``, 0-d arrays) are saved as plain numbers;
- ``Decimal("NaN")`` is saved as NaN;
- results that are pickled already are carried over as they are, not unpickled and pickled again;
- ``timestamp=0`` is the time 0, not "now";
- a damaged file raises `qjob.errors.ResultError` rather than a pydantic error.

Job code pays for ``import qjob.runtime`` at every start, so what only some calls need (pathlib, pickle,
base64) is imported by the first of them.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from itertools import islice
from operator import attrgetter, methodcaller

from qjob.errors import ResultError
from qjob.model.metric_line import metric_line

TYPE_CHECKING = False  # type checkers take this name for true; importing it from typing would cost 4 ms
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

__all__ = [
    "PersistedJobDataFormat",
    "get_checkpoint_dir",
    "get_hyperparameters",
    "get_input_data_dir",
    "get_job_device_arn",
    "get_job_name",
    "get_results_dir",
    "load_job_checkpoint",
    "load_job_result",
    "log_metric",
    "read_persisted",
    "save_job_checkpoint",
    "save_job_result",
]

_HEADER = {"name": "braket.jobs_data.persisted_job_data", "version": "1"}
_SHOWN = 10


class PersistedJobDataFormat(str, Enum):  # noqa: UP042  the published class; str() of a StrEnum differs
    """How values are saved.

    ``PLAINTEXT`` is JSON. ``PICKLED_V4`` is base64 of pickle protocol 4 and takes nearly every Python
    object, but whoever reads it has to trust the writer.
    """

    PLAINTEXT = "plaintext"
    PICKLED_V4 = "pickled_v4"


_FORMATS = {
    "plaintext": PersistedJobDataFormat.PLAINTEXT,
    "pickle": PersistedJobDataFormat.PICKLED_V4,
    "pickled_v4": PersistedJobDataFormat.PICKLED_V4,
}


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
    those that were not. When this raises, or the process is killed meanwhile, the file is as it was before.

    Raises TypeError when a value cannot be saved (naming where it is), or for plain text on top of pickled
    results; ValueError for an unknown format; ResultError when the ``results.json`` there cannot be read.
    """
    wanted = None if data_format is None else _format_of(data_format)
    path = _results_file()
    earlier, earlier_format = _read_if_there(path)
    chosen = _format_to_merge(earlier_format, wanted)
    kept = earlier if earlier_format is chosen else _encode(earlier, chosen, "results.json")
    added = result_data if isinstance(result_data, dict) else {"result": result_data}
    values = kept | _encode(added, chosen, "result_data")
    _write(path, _document(values, chosen, "result_data"))


def load_job_result(filename: str | Path | None = None, allow_pickle: bool = False) -> dict[str, Any]:
    """Return what `save_job_result` saved, ``{}`` when there is no such file.

    The file is ``filename``, by default the ``results.json`` of this job.

    Raises ResultError (a RuntimeError) when the file is damaged, or is pickled and ``allow_pickle`` is false.
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

    When this raises, or the process is killed meanwhile, the earlier checkpoint is as it was before.

    Raises ValueError when there is nothing to save or the format is unknown; TypeError when a value cannot be
    saved, naming where it is.
    """
    if not checkpoint_data:
        raise ValueError("checkpoint_data is empty: a checkpoint needs at least one value, as {name: value}")
    if not isinstance(checkpoint_data, Mapping):
        raise TypeError(f"checkpoint_data must be a dict, not {_type_name(type(checkpoint_data))}")
    chosen = _format_of(data_format)
    values = _encode(checkpoint_data, chosen, "checkpoint_data")
    path = _checkpoint_file(get_job_name(), checkpoint_file_suffix)
    _write(path, _document(values, chosen, "checkpoint_data"))


def load_job_checkpoint(
    job_name: str | None = None, checkpoint_file_suffix: str = "", allow_pickle: bool = False
) -> dict[str, Any]:
    """Return the checkpoint of ``job_name`` (by default this job) from the checkpoint directory.

    Raises FileNotFoundError, saying which checkpoints there are, when this one is not among them; ResultError
    (a RuntimeError) when it is damaged, or is pickled and ``allow_pickle`` is false.
    """
    path = _checkpoint_file(job_name or get_job_name(), checkpoint_file_suffix)
    try:
        return read_persisted(path, allow_pickle)
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, _no_checkpoint(path), str(path)) from None


def read_persisted(path: Path, allow_pickle: bool) -> dict[str, Any]:
    """Return the values of one results or checkpoint file.

    Raises ResultError when the file is damaged, is of another kind, or is pickled and ``allow_pickle`` is
    false; OSError when it is missing or cannot be opened.
    """
    values, data_format = _read(path)
    if data_format is PersistedJobDataFormat.PLAINTEXT:
        return values
    if not allow_pickle:
        raise ResultError(
            f"{path} holds pickled values, and unpickling runs whatever code the file contains; "
            "if you trust who wrote it, pass allow_pickle=True"
        )
    return _unpickle(values, path)


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


def _format_of(data_format: object) -> PersistedJobDataFormat:
    # Braket's own enum is a different class with the same values.
    word = data_format.value if isinstance(data_format, Enum) else data_format
    known = _FORMATS.get(word.lower()) if isinstance(word, str) else None
    if known is None:
        raise ValueError(
            f"data_format {data_format!r} is unknown; use PersistedJobDataFormat.PLAINTEXT or "
            'PersistedJobDataFormat.PICKLED_V4, or one of the words "plaintext", "pickle", "pickled_v4"'
        )
    return known


def _results_file() -> Path:
    from pathlib import Path

    return Path(get_results_dir()) / "results.json"


def _checkpoint_file(job_name: str, suffix: str) -> Path:
    from pathlib import Path

    return Path(get_checkpoint_dir()) / (f"{job_name}_{suffix}.json" if suffix else f"{job_name}.json")


def _no_checkpoint(path: Path) -> str:
    there = sorted(file.name for file in path.parent.glob("*.json"))
    if not there:
        return "No such checkpoint, and no other in its directory"
    more = ", ..." if len(there) > _SHOWN else ""
    return f"No such checkpoint; its directory has {', '.join(there[:_SHOWN])}{more}"


def _format_to_merge(earlier: PersistedJobDataFormat, wanted: PersistedJobDataFormat | None) -> PersistedJobDataFormat:
    """Return the format that the results have after a save in the wanted format."""
    if earlier is PersistedJobDataFormat.PLAINTEXT:
        return wanted or earlier
    if wanted is PersistedJobDataFormat.PLAINTEXT:
        raise TypeError(
            "results.json holds pickled_v4 values, plaintext ones cannot be added to it; "
            "leave data_format out or pass data_format=PersistedJobDataFormat.PICKLED_V4"
        )
    return earlier


def _read_if_there(path: Path) -> tuple[dict[str, Any], PersistedJobDataFormat]:
    try:
        return _read(path)
    except FileNotFoundError:
        return {}, PersistedJobDataFormat.PLAINTEXT


def _read(path: Path) -> tuple[dict[str, Any], PersistedJobDataFormat]:
    """Return a file's values as they stand in it (pickled ones still encoded) and its format."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path} is damaged ({error}); move it away, or take an earlier copy of it") from error
    if not _is_persisted(document):
        raise ResultError(f"{path} is JSON, but no file of save_job_result or save_job_checkpoint")
    # The schema allows any word here, and every reader takes an unknown one for plain text: Braket's own
    # save_job_checkpoint(..., data_format="pickle") writes plain text under that word.
    pickled = document["dataFormat"] == "pickled_v4"
    return document["dataDictionary"], _FORMATS["pickled_v4" if pickled else "plaintext"]


def _is_persisted(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and document.get("braketSchemaHeader", _HEADER) == _HEADER
        and isinstance(document.get("dataDictionary"), dict)
        and isinstance(document.get("dataFormat"), str)
    )


def _unpickle(values: dict[str, Any], path: Path) -> dict[str, Any]:
    import base64
    import pickle

    unpickled = {}
    for key, text in values.items():
        try:
            unpickled[key] = pickle.loads(base64.decodebytes(text.encode()))
        except ImportError as error:
            raise ResultError(f"{path}: {key!r} needs a module that is not here ({error}); install it") from error
        # What unpickling damaged bytes raises, https://docs.python.org/3/library/pickle.html#pickle.UnpicklingError
        except (
            pickle.UnpicklingError,
            ValueError,
            EOFError,
            AttributeError,
            LookupError,
            TypeError,
        ) as error:
            raise ResultError(f"{path}: {key!r} cannot be unpickled ({error!r})") from error
    return unpickled


def _encode(data: Mapping[Any, Any], data_format: PersistedJobDataFormat, name: str) -> dict[str, Any]:
    """Return values that `_document` takes; ``name`` is what the caller calls the data."""
    values = {_text_key(key, name): value for key, value in data.items()}
    return _pickle(values, name) if data_format is PersistedJobDataFormat.PICKLED_V4 else values


def _text_key(key: object, name: str) -> str:
    if isinstance(key, str):
        return str.__str__(key)  # the text of a str subclass: of an Enum, its value
    if isinstance(key, (int, float)):
        return str(key)
    raise TypeError(f"{name}: the key {key!r} is a {_type_name(type(key))}; make it a str")


def _pickle(values: dict[str, Any], name: str) -> dict[str, Any]:
    import base64
    import pickle

    pickled, problems = {}, []
    for key, value in values.items():
        try:
            pickled[key] = base64.encodebytes(pickle.dumps(value, protocol=4)).decode("ascii")
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
            problems.append(f"{name}[{key!r}] cannot be pickled ({error}); save the data that it is made of instead")
    if problems:
        raise TypeError("\n".join(problems))
    return pickled


def _document(values: dict[str, Any], data_format: PersistedJobDataFormat, name: str) -> bytes:
    """Return all of the file's bytes: a value that cannot be saved is found before the file is touched."""
    document = {"braketSchemaHeader": _HEADER, "dataDictionary": values, "dataFormat": data_format.value}
    try:
        return json.dumps(document, default=_plain).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(_explain(values, name) or f"{name} cannot be saved as plain text: {error}") from error


def _write(path: Path, data: bytes) -> None:
    from qjob.atomic import write_whole

    write_whole(path, data)


def _plain(value: Any) -> Any:
    """Return what stands in JSON for a value that it does not have; raise TypeError when nothing does."""
    if hasattr(type(value), "__dataclass_fields__"):
        from dataclasses import fields

        return {field.name: getattr(value, field.name) for field in fields(value)}
    for base in type(value).__mro__:
        if form := _PLAIN_FORMS.get(_type_name(base)):
            return form(value)
    return _single_number(value)


def _single_number(value: Any) -> bool | int | float:
    """Return the number in an array library's scalar or 0-d array; its shape tells, so none is imported."""
    kind = getattr(getattr(value, "dtype", None), "kind", "f")  # PyTorch's dtypes have no kind
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item") and kind in "biuf":
        number = value.item()
        if isinstance(number, (bool, int, float)):
            return number
    raise TypeError("JSON has nothing for it")


def _decimal(value: Any) -> int | float:
    exponent = value.as_tuple().exponent
    return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)


def _set_items(value: Any) -> list[Any]:
    # Braket builds the set anew, item by item, which can change the order of its items; so do we.
    return list(set(iter(value)))


_PLAIN_FORMS: dict[str, Callable[[Any], Any]] = {
    "bytes": bytes.decode,
    "collections.deque": list,
    "datetime.date": methodcaller("isoformat"),
    "datetime.time": methodcaller("isoformat"),
    "datetime.timedelta": methodcaller("total_seconds"),
    "decimal.Decimal": _decimal,
    "enum.Enum": attrgetter("value"),
    "frozenset": _set_items,
    "ipaddress.IPv4Address": str,
    "ipaddress.IPv4Network": str,
    "ipaddress.IPv6Address": str,
    "ipaddress.IPv6Network": str,
    "pathlib.PurePath": str,
    "pathlib._local.PurePath": str,  # Python 3.13
    "pydantic.v1.main.BaseModel": methodcaller("dict"),  # Braket's own result and program types
    "re.Pattern": attrgetter("pattern"),
    "set": _set_items,
    "uuid.UUID": str,
}
"""By the name of a class, for it and its subclasses: so that none of these modules needs to be imported."""


def _explain(values: dict[str, Any], name: str) -> str:
    """Return one line for each place (up to ten) that keeps the values from being saved as plain text."""
    try:
        problems = list(islice(_problems(values, name, frozenset()), _SHOWN + 1))
    except RecursionError:
        return f"{name} is nested too deeply to be saved as plain text; make it flatter, or save it in parts"
    return "\n".join([*problems[:_SHOWN], *(["..."] if len(problems) > _SHOWN else [])])


def _problems(value: Any, path: str, above: frozenset[int]) -> Iterator[str]:
    if id(value) in above:
        yield f"{path} contains itself; save it without the loop"
    elif isinstance(value, dict):
        yield from _key_problems(value, path)
        yield from _problems_below(value.items(), path, above | {id(value)})
    elif isinstance(value, (list, tuple)):
        yield from _problems_below(enumerate(value), path, above | {id(value)})
    elif not isinstance(value, (str, int, float, type(None))):
        yield from _value_problems(value, path, above | {id(value)})


def _key_problems(value: dict[Any, Any], path: str) -> Iterator[str]:
    for key in value:
        if not isinstance(key, (str, int, float, type(None))):
            yield f"{path}: the key {key!r} is a {_type_name(type(key))}; make it a str"


def _problems_below(items: Iterable[tuple[Any, Any]], path: str, above: frozenset[int]) -> Iterator[str]:
    for key, value in items:
        yield from _problems(value, f"{path}[{key!r}]", above)


def _value_problems(value: Any, path: str, above: frozenset[int]) -> Iterator[str]:
    try:
        plain = _plain(value)
    except (TypeError, ValueError) as error:
        yield f"{path}: {_type_name(type(value))} cannot be saved as plain text ({error}); {_remedy(value)}"
    else:
        yield from _problems(plain, path, above)


def _remedy(value: Any) -> str:
    if isinstance(value, complex):
        plain = "save .real and .imag"
    elif hasattr(value, "tolist"):
        is_complex = getattr(getattr(value, "dtype", None), "kind", "") == "c"
        plain = "save .real.tolist() and .imag.tolist()" if is_complex else "use .tolist()"
    elif isinstance(value, Iterator):
        return "use list(...)"  # iterators cannot be pickled either
    else:
        plain = "turn it into numbers, strings, lists and dicts"
    return f"{plain}, or pass data_format=PersistedJobDataFormat.PICKLED_V4"


def _type_name(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
