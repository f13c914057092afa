"""From the call of a decorated function to a job: a generated source, its hyperparameters, and its handle.

The source is a folder ``decorator_job_<random>`` as Braket makes one, in memory: nothing is written where the
user is. It holds ``entry_point.py``, ``call.pkl`` (function and arguments), ``call.json`` (what
`qjob.braket.recovery` needs besides) and ``hyperparameters.json`` (the arguments' whole texts).
"""

from __future__ import annotations

import inspect
import json
import keyword
import os
import secrets
import sys
import urllib.parse
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from qjob.braket.advice import warn
from qjob.braket.default_names import name_of_function, now_ms
from qjob.braket.hyperparameters import Recorded, recorded
from qjob.braket.local import LocalQuantumJob
from qjob.braket.local_modules import local_directories
from qjob.braket.pickling import Pickled, pickle_call
from qjob.braket.recovery import ABOUT, CALL
from qjob.errors import InvalidInput
from qjob.source.generated import GENERATED, GeneratedSource
from qjob.source.git import commit_of

WHOLE_HYPERPARAMETERS = "hyperparameters.json"
_FORMATS = {"plaintext": None, "pickle": "pickled_v4", "pickled_v4": "pickled_v4"}
"""What `save_job_result` is to do: pickle, or go by what the job has saved so far, which begins as plain text."""
_ENTRY_POINT = '''"""Makes the call of {name} that was pickled when this job was submitted, see call.pkl."""

from qjob.braket.recovery import entry_point, restore_main

if __name__ == "__mp_main__":  # multiprocessing has spawned a process, which looks for its function here
    restore_main(__file__, globals())

{function} = entry_point(__file__)
'''


def create_job(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], options: Mapping[str, Any]
) -> LocalQuantumJob:
    """Submit a call of ``function`` as a job; ``options`` are the arguments of `hybrid_job`.

    Raises what `hybrid_job` says.
    """
    asked = dict(options)
    data_format, include = asked.pop("data_format"), asked.pop("include_modules")
    job_name = asked.pop("job_name") or default_name(function)
    noted = recorded(function, args, kwargs)
    source = generated_source(
        function,
        pickle_call(function, args, kwargs, include),
        data_format=data_format,
        input_data=asked["input_data"],
        arguments=noted.whole,
    )
    _warn_of_left_out(noted)
    return LocalQuantumJob.create(
        source_module=source,
        entry_point=entry_point_of(source, function),
        job_name=job_name,
        hyperparameters=noted.hyperparameters,
        **asked,
    )


def generated_source(
    function: Callable[..., Any],
    pickled: Pickled,
    *,
    data_format: object = "plaintext",
    input_data: Any = None,
    arguments: Mapping[str, str],
) -> GeneratedSource:
    """Return the code of a job that makes a pickled call.

    Args:
        function: what gives the code its names.
        pickled: the call.
        data_format: how the return value is saved.
        input_data: whose paths the call finds where they were.
        arguments: the whole texts of the arguments, for people to read.
    """
    main = sys.modules["__main__"]
    about = {
        "python": ".".join(map(str, sys.version_info[:2])),
        "main": {name: vars(main)[name] for name in ("__file__", "__package__") if vars(main).get(name)},
        "dataFormat": _format(data_format),
        "inputs": _linkable(input_data),
        "beside": local_directories(),
        "modules": pickled.modules,
        "texts": pickled.texts,
    }
    path = _file_of(function)
    return GeneratedSource(
        name=f"{GENERATED}{secrets.token_hex(4)}",
        uri=_uri(function, path),
        git_commit=None if path is None else commit_of(path),
        imports=pickled.imports,
        contents={
            "entry_point.py": _entry_point(function).encode(),
            CALL: pickled.data,
            ABOUT: _json(about),
            WHOLE_HYPERPARAMETERS: _json(arguments),
        },
    )


def entry_point_of(source: GeneratedSource, function: Callable[..., Any]) -> str:
    """Return the entry point of a source that was generated for ``function``."""
    return f"{source.name}.entry_point:{_identifier(function)}"


def default_name(function: Callable[..., Any]) -> str:
    """Return the name of a job of a function: the function's and the time, in milliseconds."""
    name, cut = name_of_function(getattr(function, "__name__", "job"), now_ms())
    if cut:
        warn(f"The job's name would be longer than 50 characters: it is {name}; give job_name for another.")
    return name


def _format(data_format: object) -> str | None:
    # Braket's own enum is a different class with the same values.
    word = data_format.value if isinstance(data_format, Enum) else data_format
    if not isinstance(word, str) or word.lower() not in _FORMATS:
        raise InvalidInput(f"data_format {data_format!r} is unknown: use 'plaintext' or 'pickle'.")
    return _FORMATS[word.lower()]


def _linkable(input_data: Any) -> list[dict[str, str]]:
    """Return the channels that lie on this machine, as `qjob.braket.links` takes them."""
    channels = input_data if isinstance(input_data, Mapping) else {"input": input_data}
    paths = {name: value for name, value in channels.items() if isinstance(value, str | os.PathLike)}
    return [
        {"channel": name, "path": os.fspath(path), "name": Path(path).name if os.path.isfile(path) else ""}
        for name, path in paths.items()
        if os.path.exists(path)
    ]


def _entry_point(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", "a function")
    return _ENTRY_POINT.format(name=name, function=_identifier(function))


def _identifier(function: Callable[..., Any]) -> str:
    """Return the name that the function has in the generated module: its own, unless it is a lambda."""
    name = getattr(function, "__name__", "")
    return name if name.isidentifier() and not keyword.iskeyword(name) else "function"


def _file_of(function: Callable[..., Any]) -> Path | None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    path = Path(code.co_filename) if code is not None else Path()
    return path.resolve() if path.is_file() else None


def _uri(function: Callable[..., Any], path: Path | None) -> str:
    if path is not None:
        return path.as_uri()
    module, name = getattr(function, "__module__", "?"), getattr(function, "__qualname__", "?")
    return f"python:{urllib.parse.quote(f'{module}.{name}')}"


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, indent=1).encode()


def _warn_of_left_out(noted: Recorded) -> None:
    if noted.left_out:
        warn(
            f"Not recorded as hyperparameters: {', '.join(noted.left_out)}. Braket takes at most 100, each by its "
            "name; the function gets all of its arguments."
        )
