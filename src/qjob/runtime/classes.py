"""Enums, dataclasses and named tuples: written by the name of their class, read back without running its code.

A file is read in another process than it was written in, often by somebody else, and must be as harmless as any text.
So reading never imports anything for the sake of a class: it is looked up among the modules that the reading
program has loaded by itself, in their namespaces as they are (no ``__getattr__`` of a lazy module is asked). It must
be of the right kind and go by just that name. Then

- an enum's member is looked up by its name; a combined flag is composed only where the class leaves that to
  `enum.Flag`;
- a dataclass gets an instance with just its fields, and neither ``__new__``, ``__init__``, ``__post_init__``,
  ``__setattr__`` nor a property of it is run; a class with a ``__del__``, which would run later, is left alone;
- a named tuple is a tuple of the class.

What is not found or does not fit is returned as its stand-in: an enum's value, a dict of a dataclass's fields, a
plain tuple. What the reading program's own classes do afterwards with the values in them is up to them.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
from types import MemberDescriptorType, ModuleType
from typing import Any

from qjob.runtime.coding import Coded, DecodeFunction, Decoder, Encoder, Where


def encode_enum(encoder: Encoder, value: Any, where: Where) -> Coded:
    """Encode a member of an enum; its stand-in is its value."""
    plain, form = encoder.encode(value.value, where)
    described = {"type": "enum", "class": _address(type(value)), "name": value.name}
    return plain, described if form is None else described | {"value": form}


def encode_dataclass(encoder: Encoder, value: Any, where: Where) -> Coded:
    """Encode the fields of a dataclass; its stand-in is a dict of them."""
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    plain, forms = encoder.encode_members(fields, where)
    return plain, {"type": "dataclass", "class": _address(type(value)), **forms}


def encode_tuple(encoder: Encoder, value: Any, where: Where) -> Coded:
    """Encode a tuple, also a named one; its stand-in is a list."""
    plain, forms = encoder.encode_items(value, where)
    if hasattr(type(value), "_fields"):
        return plain, {"type": "namedtuple", "class": _address(type(value)), **forms}
    return plain, {"type": "tuple", **forms} if forms else "tuple"


def find_class(address: str) -> type | None:
    """Return the loaded class of an address ``module:qualified.name``; None when there is none."""
    module_name, _, qualified_name = address.partition(":")
    found: Any = sys.modules.get(module_name)
    if not isinstance(found, ModuleType):
        return None
    for name in qualified_name.split("."):
        found = vars(found).get(name)
        if not isinstance(found, type):
            return None
    return found if _address(found) == address else None


def _address(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _decode_enum(decoder: Decoder, plain: Any, form: dict[str, Any]) -> Any:
    value = decoder.decode(plain, form.get("value"))
    cls = find_class(form["class"])
    if cls is None or not issubclass(cls, enum.Enum):
        return value
    if (member := cls._member_map_.get(form["name"])) is not None:
        return member
    return _combined(cls, value)


def _combined(cls: type[enum.Enum], value: Any) -> Any:
    """Return a flag of several members; the value itself where composing it would run the class's own code."""
    composer = next(base for base in cls.__mro__ if "_missing_" in vars(base))
    if composer is not enum.Flag or type(value) is not int:
        return value
    try:
        return cls(value)
    except ValueError:
        return value


def _decode_dataclass(decoder: Decoder, plain: Any, form: dict[str, Any]) -> Any:
    values = decoder.decode_members(plain, form)
    cls = find_class(form["class"])
    if cls is None or not _is_harmless(cls, values):
        return values
    try:
        instance: Any = object.__new__(cls)
    except TypeError:  # abstract, or laid out like a built-in type
        return values
    for name, value in values.items():
        object.__setattr__(instance, name, value)
    return instance


def _is_harmless(cls: type, values: dict[str, Any]) -> bool:
    """Tell whether a class is a dataclass of just these fields, and setting them runs none of its code."""
    if not dataclasses.is_dataclass(cls) or {field.name for field in dataclasses.fields(cls)} != values.keys():
        return False
    if any("__del__" in vars(base) for base in cls.__mro__):
        return False
    return not any(_runs_code_when_set(cls, name) for name in values)


def _runs_code_when_set(cls: type, name: str) -> bool:
    member = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
    return hasattr(type(member), "__set__") and not isinstance(member, MemberDescriptorType)


def _decode_namedtuple(decoder: Decoder, plain: Any, form: dict[str, Any]) -> Any:
    items = decoder.decode_items(plain, form)
    cls = find_class(form["class"])
    if cls is None or not issubclass(cls, tuple) or len(getattr(cls, "_fields", ())) != len(items):
        return tuple(items)
    if any("__del__" in vars(base) for base in cls.__mro__):
        return tuple(items)
    return tuple.__new__(cls, items)


def _decode_tuple(decoder: Decoder, plain: Any, form: dict[str, Any]) -> Any:
    return tuple(decoder.decode_items(plain, form))


DECODERS: dict[str, DecodeFunction] = {
    "enum": _decode_enum,
    "dataclass": _decode_dataclass,
    "namedtuple": _decode_namedtuple,
    "tuple": _decode_tuple,
}
