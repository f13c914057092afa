"""Which types are saved without pickle, and how a whole dict of values is encoded and decoded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qjob.errors import DamagedResult, MissingExtra
from qjob.runtime import arrays, circuits, classes, frames, standard
from qjob.runtime.coding import (
    DecodeFunction,
    Decoder,
    EncodeFunction,
    Encoder,
    Form,
    Unavailable,
    Unreadable,
    Where,
    text_of,
    type_name,
)

ENCODERS: dict[str, EncodeFunction] = {
    **standard.ENCODERS,
    "tuple": classes.encode_tuple,
    **arrays.ENCODERS,
    **frames.ENCODERS,
    **circuits.ENCODERS,
}
"""By the name of a class, for it and its subclasses."""

DECODERS: dict[str, DecodeFunction] = {
    **standard.DECODERS,
    **classes.DECODERS,
    **arrays.DECODERS,
    **frames.DECODERS,
    **circuits.DECODERS,
}
"""By the type in a form."""

_MISFITS = (
    Unreadable,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)
"""What the makers of all the types raise for data that they cannot be made of."""
_JSON_NATIVE = (str, int, float, list, tuple, dict)


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Values in the form in which they stand in a document.

    Attributes:
        values: the stand-ins.
        types: the forms of those that are not plain.
        arrays: what goes to files of its own, by the name that the document has for it.
    """

    values: dict[str, Any]
    types: dict[str, Form]
    arrays: dict[str, Any]


def encode(data: Mapping[Any, Any], name: str, array_name: Callable[[int], str]) -> Encoded:
    """Encode the values of a dict; ``name`` is what the caller calls it.

    Raises TypeError that names all (up to ten) of the places that cannot be saved.
    """
    encoder = Encoder(encoder_of, array_name)
    try:
        coded = {key: encoder.encode(value, (name, key)) for key, value in data.items()}
    except RecursionError:
        raise TypeError(f"{name} is nested too deeply to be saved; make it flatter, or save it in parts") from None
    if encoder.problems:
        raise TypeError("\n".join(encoder.problems))
    values = {key: plain for key, (plain, _) in coded.items()}
    types: dict[str, Form] = {key: form for key, (_, form) in coded.items() if form is not None}
    return Encoded(values=values, types=types, arrays=encoder.arrays)


def encoder_of(cls: type) -> EncodeFunction:
    """Return the function that encodes the instances of a class."""
    if known := _known.get(cls):
        return known
    found = _known[cls] = _encoder_of(cls)
    return found


def decode(values: Mapping[str, Any], types: Mapping[str, Form], path: Path, read_array: Callable[[str], Any]) -> Any:
    """Return the values of a document that was read from ``path``.

    Raises DamagedResult that names the key; MissingExtra that names all the keys that need a package which is not
    installed; OSError when an array's file cannot be read.
    """
    decoder = Decoder(DECODERS, read_array)
    decoded, missing = {}, []
    for key, plain in values.items():
        try:
            decoded[key] = decoder.decode(plain, types.get(key))
        except Unavailable as error:
            missing.append((key, error.package))
        except _MISFITS as error:
            raise DamagedResult(f"{path}: {key!r} is damaged ({error}); {_PLAIN_REMEDY}") from error
    if missing:
        raise MissingExtra(_missing_text(path, missing))
    return decoded


def unwritable(values: Any, where: Where) -> Iterator[str]:
    """Yield a line for each plain value that JSON's writer refuses: an integer with too many digits."""
    if isinstance(values, (dict, list, tuple)):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from unwritable(value, (where, key))
        return
    try:
        json.dumps(values)
    except ValueError as error:
        yield f"{text_of(where)} cannot be saved as plain text: {error}; save it as text, as with hex(...)"


_known: dict[type, EncodeFunction] = {}
_PLAIN_REMEDY = "qjob.runtime.read_plain(path) returns all keys as they stand in the file"


def _encoder_of(cls: type) -> EncodeFunction:
    names = [type_name(base) for base in cls.__mro__]
    if "enum.Enum" in names:
        return classes.encode_enum
    if hasattr(cls, "__dataclass_fields__") and not issubclass(cls, _JSON_NATIVE):
        return classes.encode_dataclass
    return next((ENCODERS[name] for name in names if name in ENCODERS), standard.encode_unknown)


def _missing_text(path: Path, missing: list[tuple[str, str]]) -> str:
    packages = sorted({package for _, package in missing})
    keys = ", ".join(repr(key) for key, _ in missing)
    return (
        f"{path}: {keys} cannot be read without {' and '.join(packages)}: pip install {' '.join(packages)}; "
        f"{_PLAIN_REMEDY}"
    )
