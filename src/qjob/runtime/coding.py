"""Values of any kind as plain JSON and a description of what they were; and back.

`Encoder` turns a value into a pair: a plain stand-in, which is what Braket writes for it wherever Braket can write it
at all, and a *form*, which says what the stand-in was made of. The form of what JSON has itself is None; it is a
word where that is enough (``"complex"``), else an object with the word under ``"type"``. In a form of a container,
``"each"`` is the form of all its items, ``"items"`` has those of single items by key or position.

Which kinds there are is not decided here: both take a table of functions (`qjob.runtime.typed` has it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

Form: TypeAlias = "str | dict[str, Any] | None"
Coded: TypeAlias = tuple[Any, Form]
Where: TypeAlias = "str | tuple[Where, Any]"
"""A place in the caller's data: what he calls it, or (the place of the container, the key in it)."""

JSON_SCALARS = frozenset({str, int, float, bool, type(None)})
_SHOWN = 10


class Unsavable(Exception):
    """A value cannot be saved; the message says why, and the remedy what to do instead."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


class Unreadable(Exception):
    """A form and its stand-in do not fit together, or the form is unknown."""


class Unavailable(Exception):
    """A value needs a package that is not installed here."""

    def __init__(self, package: str) -> None:
        super().__init__(package)
        self.package = package


class Encoder:
    """Encodes values, and notes all those that cannot be encoded.

    Attributes:
        problems: one line for each place that cannot be saved, ten at most and then ``"..."``.
        arrays: the arrays that shall become files, by their paths as the document names them.
    """

    def __init__(self, encoder_of: Callable[[type], EncodeFunction], array_name: Callable[[int], str]) -> None:
        """Encode with the functions that ``encoder_of`` has for a class, and name the files by ``array_name``."""
        self.problems: list[str] = []
        self.arrays: dict[str, Any] = {}
        self._encoder_of = encoder_of
        self._array_name = array_name
        self._above: set[int] = set()

    def encode(self, value: Any, where: Where) -> Coded:
        """Return the stand-in and the form of a value; where there is none, note the problem."""
        if type(value) in JSON_SCALARS:
            return value, None
        if id(value) in self._above:
            self._note(f"{text_of(where)} contains itself; save it without the loop")
            return None, None
        self._above.add(id(value))
        try:
            return self._encoder_of(type(value))(self, value, where)
        # What a value raises that is half built, or too big to be written as text.
        except (Unsavable, ValueError, OverflowError, AttributeError, TypeError) as why:
            remedy = why.remedy if isinstance(why, Unsavable) else "save the data that it is made of instead"
            self._note(f"{text_of(where)}: {type_name(type(value))} cannot be saved ({why}); {remedy}")
            return None, None
        finally:
            self._above.discard(id(value))

    def encode_items(self, values: Iterable[Any], where: Where) -> tuple[list[Any], dict[str, Any]]:
        """Return the stand-ins of a sequence's items, and the part of its form that describes them."""
        items = list(values)
        if set(map(type, items)) <= JSON_SCALARS:
            return items, {}
        coded = [self.encode(item, (where, position)) for position, item in enumerate(items)]
        return [plain for plain, _ in coded], forms_of_items(
            (position, form) for position, (_, form) in enumerate(coded)
        )

    def encode_members(self, values: Mapping[str, Any], where: Where) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the stand-ins of a dict's values, and the part of its form that describes them."""
        if set(map(type, values.values())) <= JSON_SCALARS:
            return dict(values), {}
        coded = {key: self.encode(value, (where, key)) for key, value in values.items()}
        plain = {key: stand_in for key, (stand_in, _) in coded.items()}
        return plain, forms_of_items((key, form) for key, (_, form) in coded.items())

    def add_array(self, array: Any) -> str:
        """Take an array as a file of its own; return the path by which the document names it."""
        name = self._array_name(len(self.arrays))
        self.arrays[name] = array
        return name

    def _note(self, problem: str) -> None:
        if len(self.problems) <= _SHOWN:
            self.problems.append(problem if len(self.problems) < _SHOWN else "...")


class Decoder:
    """Makes values of stand-ins and forms."""

    def __init__(self, decoders: Mapping[str, DecodeFunction], read_array: Callable[[str], Any]) -> None:
        """Decode with the functions of a table, by the types in the forms; ``read_array`` reads a file."""
        self._decoders = decoders
        self.read_array = read_array

    def decode(self, plain: Any, form: Form) -> Any:
        """Return the value.

        Raises Unreadable, or what comes of it when the two do not fit; Unavailable when a package is missing.
        """
        if form is None:
            return plain
        details: dict[str, Any] = {"type": form} if isinstance(form, str) else form
        decode = self._decoders.get(details["type"])
        if decode is None:
            raise Unreadable(f"its type {details['type']!r} is unknown; a newer qjob may know it")
        return decode(self, plain, details)

    def decode_items(self, plain: list[Any], form: Mapping[str, Any]) -> list[Any]:
        """Return the values of a sequence's items."""
        if not isinstance(plain, list):
            raise Unreadable(f"a list was expected, not {plain!r:.40}")
        if "each" in form:
            return [self.decode(item, form["each"]) for item in plain]
        values = list(plain)
        for position, item_form in form.get("items", {}).items():
            values[int(position)] = self.decode(plain[int(position)], item_form)
        return values

    def decode_members(self, plain: dict[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
        """Return a dict with its values."""
        if not isinstance(plain, dict):
            raise Unreadable(f"an object was expected, not {plain!r:.40}")
        if "each" in form:
            return {key: self.decode(value, form["each"]) for key, value in plain.items()}
        return plain | {key: self.decode(plain[key], item_form) for key, item_form in form.get("items", {}).items()}


EncodeFunction: TypeAlias = Callable[[Encoder, Any, Where], Coded]
DecodeFunction: TypeAlias = Callable[[Decoder, Any, dict[str, Any]], Any]


def forms_of_items(forms: Iterable[tuple[object, Form]]) -> dict[str, Any]:
    """Return the part of a container's form that describes its items: nothing when all are plain."""
    by_key = {str(key): form for key, form in forms}
    first = next(iter(by_key.values()), None)
    if first is not None and all(form == first for form in by_key.values()):
        return {"each": first}
    described = {key: form for key, form in by_key.items() if form is not None}
    return {"items": described} if described else {}


def text_of(where: Where) -> str:
    """Return a place as Python writes it: ``result_data['a'][0]``."""
    keys = []
    while isinstance(where, tuple):
        where, key = where
        keys.append(f"[{key!r}]")
    return where + "".join(reversed(keys))


def type_name(cls: type) -> str:
    """Return a class's name with its module, but for built-in ones."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
