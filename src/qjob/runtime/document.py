"""A file of results or of a checkpoint: Braket's document, with a key of our own beside Braket's.

::

    {"braketSchemaHeader": {...}, "dataDictionary": {...}, "dataFormat": "plaintext",
     "qjob": {"version": 1, "types": {...}}}

``dataDictionary`` holds what Braket would have written. ``"qjob"`` is there only when some value is more than JSON: it
says what the values were (`qjob.runtime.coding`). Braket's reader skips it and returns the plain stand-ins; Braket's
writer, when it adds to such a file, leaves it out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qjob.errors import DamagedResult, ResultError
from qjob.runtime.formats import PersistedJobDataFormat

_HEADER = {"name": "braket.jobs_data.persisted_job_data", "version": "1"}
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a file says.

    Attributes:
        values: by key, the plain stand-ins, or base64 of pickles.
        types: by key, the forms of those that are more than JSON.
        data_format: which of the two they are.
    """

    values: dict[str, Any] = field(default_factory=dict)
    types: dict[str, Any] = field(default_factory=dict)
    data_format: PersistedJobDataFormat = PersistedJobDataFormat.PLAINTEXT

    def to_bytes(self) -> bytes:
        """Return the file's bytes; raises TypeError, ValueError or RecursionError for what JSON cannot have."""
        document: dict[str, Any] = {
            "braketSchemaHeader": _HEADER,
            "dataDictionary": self.values,
            "dataFormat": self.data_format.value,
        }
        if self.types:
            document["qjob"] = {"version": _VERSION, "types": self.types}
        return json.dumps(document).encode("ascii")


def read_document(path: Path) -> Document:
    """Read a file.

    Raises DamagedResult when it is none of this kind, ResultError when a newer qjob wrote it; OSError when it is
    missing or cannot be opened.
    """
    return parse(path.read_bytes(), path)


def parse(data: bytes, path: Path) -> Document:
    """Return what the bytes of a file say; raises as `read_document` does."""
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedResult(f"{path} is damaged ({error}); move it away, or take an earlier copy of it") from error
    if not _is_persisted(document):
        raise DamagedResult(f"{path} is JSON, but no file of save_job_result or save_job_checkpoint")
    # The schema allows any word here, and every reader takes an unknown one for plain text: Braket's own
    # save_job_checkpoint(..., data_format="pickle") writes plain text under that word.
    is_pickled = document["dataFormat"] == "pickled_v4"
    return Document(
        values=document["dataDictionary"],
        types={} if is_pickled else _types(document.get("qjob"), path),
        data_format=PersistedJobDataFormat.PICKLED_V4 if is_pickled else PersistedJobDataFormat.PLAINTEXT,
    )


def _is_persisted(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and document.get("braketSchemaHeader", _HEADER) == _HEADER
        and isinstance(document.get("dataDictionary"), dict)
        and isinstance(document.get("dataFormat"), str)
    )


def _types(ours: Any, path: Path) -> dict[str, Any]:
    if ours is None:
        return {}
    if not isinstance(ours, dict) or not isinstance(ours.get("types"), dict):
        raise DamagedResult(f'{path}: what it has under "qjob" is not what qjob writes')
    if ours.get("version") != _VERSION:
        raise ResultError(f"{path} was written by a newer qjob; update qjob to read it")
    types: dict[str, Any] = ours["types"]
    return types
