"""Values as base64 of pickle protocol 4, Braket's other format."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qjob.errors import DamagedResult, ResultError


def pickle_all(values: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the pickles of a dict's values; ``name`` is what the caller calls it.

    Raises TypeError that names every value which cannot be pickled.
    """
    pickled, problems = {}, []
    for key, value in values.items():
        try:
            pickled[key] = base64.encodebytes(pickle.dumps(value, protocol=4)).decode("ascii")
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
            problems.append(f"{name}[{key!r}] cannot be pickled ({error}); save the data that it is made of instead")
    if problems:
        raise TypeError("\n".join(problems))
    return pickled


def unpickle_all(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the values, which runs whatever code the pickles contain.

    Raises DamagedResult, and ResultError when a module is missing.
    """
    unpickled = {}
    for key, text in values.items():
        try:
            unpickled[key] = pickle.loads(base64.decodebytes(text.encode()))
        except ImportError as error:
            raise ResultError(f"{path}: {key!r} needs a module that is not here ({error}); install it") from error
        # What unpickling damaged bytes raises, https://docs.python.org/3/library/pickle.html#pickle.UnpicklingError
        except (pickle.UnpicklingError, ValueError, EOFError, AttributeError, LookupError, TypeError) as error:
            raise DamagedResult(f"{path}: {key!r} cannot be unpickled ({error!r})") from error
    return unpickled
