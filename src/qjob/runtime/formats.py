"""The two formats of Braket's files of results and checkpoints."""

from __future__ import annotations

from enum import Enum


class PersistedJobDataFormat(str, Enum):  # noqa: UP042  the published class; str() of a StrEnum differs
    """How values are saved.

    ``PLAINTEXT`` is JSON, with what JSON has no word for described beside it. ``PICKLED_V4`` is base64 of
    pickle protocol 4 and takes nearly every Python object, but whoever reads it has to trust the writer.
    """

    PLAINTEXT = "plaintext"
    PICKLED_V4 = "pickled_v4"


_FORMATS = {
    "plaintext": PersistedJobDataFormat.PLAINTEXT,
    "pickle": PersistedJobDataFormat.PICKLED_V4,
    "pickled_v4": PersistedJobDataFormat.PICKLED_V4,
}


def format_of(data_format: object) -> PersistedJobDataFormat:
    """Return the format that a member of our enum or of Braket's, or a word, asks for.

    Raises ValueError for anything else.
    """
    # Braket's own enum is a different class with the same values.
    word = data_format.value if isinstance(data_format, Enum) else data_format
    known = _FORMATS.get(word.lower()) if isinstance(word, str) else None
    if known is None:
        raise ValueError(
            f"data_format {data_format!r} is unknown; use PersistedJobDataFormat.PLAINTEXT or "
            'PersistedJobDataFormat.PICKLED_V4, or one of the words "plaintext", "pickle", "pickled_v4"'
        )
    return known
