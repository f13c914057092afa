"""The types of Python's own library: containers, numbers, times, bytes, paths.

A class is known by its name, for it and its subclasses: so that no module is imported for the sake of values that
nobody has. A subclass comes back as the class that is named here. Stand-ins are what Braket writes (pydantic's
encoders, https://docs.pydantic.dev/1.10/usage/exporting_models/), and ours where it can write nothing.
"""

from __future__ import annotations

import base64
import binascii
import collections
import datetime
import decimal
import fractions
import pathlib
import re
import uuid
import zoneinfo
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from qjob.runtime.coding import (
    Coded,
    DecodeFunction,
    Decoder,
    EncodeFunction,
    Encoder,
    Form,
    Unreadable,
    Unsavable,
    Where,
)

_PICKLED = "or pass data_format=PersistedJobDataFormat.PICKLED_V4"
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


def encode_as_is(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    """Encode what JSON has itself, and subclasses of it that come back as plain texts and numbers."""
    return value, None


def encode_list(encoder: Encoder, value: Any, where: Where) -> Coded:
    """Encode a list."""
    plain, forms = encoder.encode_items(value, where)
    return plain, {"type": "list", **forms} if forms else None


def encode_dict(encoder: Encoder, value: Any, where: Where) -> Coded:
    """Encode a dict with keys of any kind."""
    if set(map(type, value)) <= {str}:
        plain, forms = encoder.encode_members(value, where)
        return plain, {"type": "dict", **forms} if forms else None
    keys, key_forms = encoder.encode_items(value, where)
    values, forms = encoder.encode_items(value.values(), where)
    form: dict[str, Any] = {"type": "dict", "keys": keys, **forms}
    if key_forms:
        form["key_types"] = key_forms
    written = [key if _is_json_key(key) else _key_text(key) for key in value]
    if len(set(map(_key_text, value))) < len(keys):  # the file has the same text for two of them
        form["values"] = values
    return dict(zip(written, values, strict=True)), form


def encode_unknown(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    """Encode the single number that an object of an array library holds; its shape tells, so none is imported.

    Raises Unsavable for everything else.
    """
    kind = getattr(getattr(value, "dtype", None), "kind", "f")  # PyTorch's dtypes have no kind
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item") and kind in "biuf":
        number = value.item()
        if isinstance(number, (bool, int, float)):
            return number, None
    raise Unsavable("JSON has nothing for it", _remedy(value))


def coded_bytes(value: bytes) -> tuple[str, str]:
    """Return the text that stands for bytes, and the word for their type."""
    try:
        return value.decode(), "bytes"
    except UnicodeDecodeError:
        return base64.b64encode(value).decode("ascii"), "bytes.base64"


def _is_json_key(key: object) -> bool:
    return isinstance(key, (str, int, float, type(None)))


def _key_text(key: Any) -> str:
    """Return the text of a dict's key in JSON; of one that JSON cannot have, what Python prints for it."""
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, (int, float)):
        return int.__repr__(key) if isinstance(key, int) else float.__repr__(key)
    return str(key)


def _remedy(value: Any) -> str:
    if isinstance(value, Iterator):
        return "use list(...)"  # iterators cannot be pickled either
    plain = "use .tolist()" if hasattr(value, "tolist") else "turn it into numbers, strings, lists and dicts"
    return f"{plain}, {_PICKLED}"


def _worded(word: str, stand_in: Callable[[Any], Any]) -> EncodeFunction:
    """Return the encoder of a type whose stand-in, and the word for it, are all there is to say."""

    def encode(_encoder: Encoder, value: Any, _where: Where) -> Coded:
        return stand_in(value), word

    return encode


def _plain(stand_in: Callable[[Any], Any]) -> EncodeFunction:
    """Return the encoder of a type that comes back as its stand-in."""

    def encode(encoder: Encoder, value: Any, where: Where) -> Coded:
        return encoder.encode(stand_in(value), where)[0], None

    return encode


def _encode_set(encoder: Encoder, value: Any, where: Where) -> Coded:
    # Braket builds the set anew, item by item, which can change the order of its items; so do we.
    plain, forms = encoder.encode_items(set(iter(value)), where)
    word = "frozenset" if isinstance(value, frozenset) else "set"
    return plain, {"type": word, **forms} if forms else word


def _encode_deque(encoder: Encoder, value: Any, where: Where) -> Coded:
    plain, forms = encoder.encode_items(value, where)
    return plain, {"type": "deque", "maxlen": value.maxlen, **forms}


def _dict_of_class(word: str) -> EncodeFunction:
    def encode(encoder: Encoder, value: Any, where: Where) -> Coded:
        plain, form = encode_dict(encoder, value, where)
        return plain, {**(form or {}), "type": word} if isinstance(form, dict) else word

    return encode


def _encode_bytes(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    return coded_bytes(value)


def _encode_bytearray(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    plain, word = coded_bytes(bytes(value))
    return plain, {"type": "bytearray", "of": word}


def _encode_decimal(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        return float("nan") if value.is_nan() else float(value), {"type": "Decimal", "text": str(value)}
    if exponent > 4000 or value.adjusted() > 4000:
        return str(value), {"type": "Decimal", "text": str(value)}
    return int(value) if exponent >= 0 else float(value), {"type": "Decimal", "text": str(value)}


def _encode_datetime(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    return value.isoformat(), _time_form("datetime", value)


def _encode_time(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    return value.isoformat(), _time_form("time", value)


def _time_form(word: str, value: Any) -> Form:
    form: dict[str, Any] = {"type": word}
    if (zone := getattr(value.tzinfo, "key", None)) is not None:
        form["zone"] = str(zone)
    if value.fold:
        form["fold"] = 1
    return form if len(form) > 1 else word


def _encode_timedelta(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    seconds = value.total_seconds()
    exact = {"type": "timedelta", "of": [value.days, value.seconds, value.microseconds]}
    try:
        return seconds, "timedelta" if datetime.timedelta(seconds=seconds) == value else exact
    except OverflowError:
        return seconds, exact


def _encode_path(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    if isinstance(value, pathlib.Path):
        return str(value), "Path"
    return str(value), "PureWindowsPath" if isinstance(value, pathlib.PureWindowsPath) else "PurePosixPath"


ENCODERS: dict[str, EncodeFunction] = {
    "str": encode_as_is,
    "int": encode_as_is,
    "float": encode_as_is,
    "list": encode_list,
    "dict": encode_dict,
    "collections.OrderedDict": _dict_of_class("OrderedDict"),
    "collections.Counter": _dict_of_class("Counter"),
    "collections.deque": _encode_deque,
    "set": _encode_set,
    "frozenset": _encode_set,
    "complex": _worded("complex", lambda value: [value.real, value.imag]),
    "bytes": _encode_bytes,
    "bytearray": _encode_bytearray,
    "datetime.datetime": _encode_datetime,
    "datetime.date": _worded("date", lambda value: value.isoformat()),
    "datetime.time": _encode_time,
    "datetime.timedelta": _encode_timedelta,
    "decimal.Decimal": _encode_decimal,
    "fractions.Fraction": _worded("Fraction", lambda value: f"{value.numerator}/{value.denominator}"),
    "uuid.UUID": _worded("UUID", str),
    "pathlib.PurePath": _encode_path,
    "pathlib._local.PurePath": _encode_path,  # Python 3.13
    # What Braket writes and nobody asks back:
    "ipaddress.IPv4Address": _plain(str),
    "ipaddress.IPv4Network": _plain(str),
    "ipaddress.IPv6Address": _plain(str),
    "ipaddress.IPv6Network": _plain(str),
    "pydantic.v1.main.BaseModel": _plain(lambda value: value.dict()),  # Braket's own result and program types
    "re.Pattern": _plain(lambda value: value.pattern if isinstance(value.pattern, str) else value.pattern.decode()),
}


def _decode_list(decoder: Decoder, plain: Any, form: dict[str, Any]) -> Any:
    return decoder.decode_items(plain, form)


def _decode_dict(decoder: Decoder, plain: Any, form: dict[str, Any]) -> dict[Any, Any]:
    if "keys" not in form:
        return decoder.decode_members(plain, form)
    values = decoder.decode_items(form["values"] if "values" in form else list(plain.values()), form)
    keys = decoder.decode_items(form["keys"], form.get("key_types", {}))
    return {_hashable(key): value for key, value in zip(keys, values, strict=True)}


def _hashable(value: Any) -> Hashable:
    """Return a value that can be a key or an item of a set: the text of the stand-in of a class that is not here."""
    try:
        hash(value)
    except TypeError:
        return str(value)
    hashable: Hashable = value
    return hashable


def _decode_set(decoder: Decoder, plain: Any, form: dict[str, Any]) -> Any:
    items = decoder.decode_items(plain, form)
    try:
        return frozenset(items) if form["type"] == "frozenset" else set(items)
    except TypeError:  # stand-ins of a class that is not here cannot be in a set
        return items


def _decode_deque(decoder: Decoder, plain: Any, form: dict[str, Any]) -> Any:
    return collections.deque(decoder.decode_items(plain, form), form["maxlen"])


def _decode_bytes(_decoder: Decoder, plain: Any, form: dict[str, Any]) -> bytes:
    word = form.get("of", form["type"])
    try:
        return plain.encode() if word == "bytes" else base64.b64decode(plain, validate=True)
    except binascii.Error as error:
        raise Unreadable(str(error)) from error


def _decode_time(_decoder: Decoder, plain: Any, form: dict[str, Any]) -> Any:
    cls = datetime.datetime if form["type"] == "datetime" else datetime.time
    moment: Any = cls.fromisoformat(plain).replace(fold=form.get("fold", 0))
    zone = _zone(form["zone"]) if "zone" in form else None
    return moment.replace(tzinfo=zone) if zone is not None else moment


def _zone(key: str) -> datetime.tzinfo | None:
    """Return a time zone; None where this machine does not have it, or the key is none."""
    try:
        return zoneinfo.ZoneInfo(key) if _ZONE.fullmatch(key) else None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _decode_timedelta(_decoder: Decoder, plain: Any, form: dict[str, Any]) -> Any:
    return datetime.timedelta(*form["of"]) if "of" in form else datetime.timedelta(seconds=plain)


def _made_by(make: Callable[[Any], Any]) -> DecodeFunction:
    """Return the decoder of a type that is made of its stand-in."""

    def decode(_decoder: Decoder, plain: Any, _form: dict[str, Any]) -> Any:
        return make(plain)

    return decode


DECODERS: dict[str, DecodeFunction] = {
    "list": _decode_list,
    "dict": _decode_dict,
    "OrderedDict": lambda decoder, plain, form: collections.OrderedDict(_decode_dict(decoder, plain, form)),
    "Counter": lambda decoder, plain, form: collections.Counter(_decode_dict(decoder, plain, form)),
    "deque": _decode_deque,
    "set": _decode_set,
    "frozenset": _decode_set,
    "complex": _made_by(lambda plain: complex(*plain)),
    "bytes": _decode_bytes,
    "bytes.base64": _decode_bytes,
    "bytearray": lambda decoder, plain, form: bytearray(_decode_bytes(decoder, plain, form)),
    "datetime": _decode_time,
    "time": _decode_time,
    "date": _made_by(datetime.date.fromisoformat),
    "timedelta": _decode_timedelta,
    "Decimal": lambda _decoder, _plain, form: decimal.Decimal(form["text"]),
    "Fraction": _made_by(lambda plain: fractions.Fraction(*map(int, plain.split("/")))),
    "UUID": _made_by(uuid.UUID),
    "Path": _made_by(pathlib.Path),
    "PurePosixPath": _made_by(pathlib.PurePosixPath),
    "PureWindowsPath": _made_by(pathlib.PureWindowsPath),
}
