"""Reading a file runs no code of a class that it names, and imports none."""

from __future__ import annotations

import abc
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, Flag
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import pytest

from qjob.runtime.classes import find_class
from qjob.runtime.persisted import add_values, read_values


def read_form(plain: Any, form: Any, directory: Path) -> Any:
    """Read a file that somebody made: a stand-in and a form of his choice."""
    document = {"dataDictionary": {"x": plain}, "dataFormat": "plaintext", "qjob": {"version": 1, "types": {"x": form}}}
    (directory / "made.json").write_text(json.dumps(document))
    return read_values(directory / "made.json", False)["x"]


def named(kind: str, cls: type, **more: Any) -> dict[str, Any]:
    """Return a form that names a class of this module."""
    return {"type": kind, "class": f"{__name__}:{cls.__qualname__}", **more}


class Alarm(Exception):
    """Code ran that a file has chosen."""


def _alarm(*_: object) -> Any:
    raise Alarm


@dataclass
class Loud:
    """A dataclass that does something with its fields when it is made."""

    path: str

    def __post_init__(self) -> None:
        _alarm()

    __new__: ClassVar[Any] = _alarm
    __setattr__ = _alarm
    __delattr__ = _alarm


@dataclass
class Slotted:
    """A dataclass without a dict."""

    __slots__ = ("x",)
    x: int


@dataclass
class WithProperty:
    """A dataclass of which one field is a property."""

    x: int = field(default=0)


WithProperty.x = property(_alarm, _alarm)  # type: ignore[assignment]


@dataclass
class Dying:
    """A dataclass that does something with its fields when it goes."""

    x: int

    def __del__(self) -> None:
        raise AssertionError("a class with __del__ was made")


@dataclass
class Abstract(abc.ABC):
    """A dataclass of which there are no instances."""

    x: int

    @abc.abstractmethod
    def go(self) -> None:
        """Do nothing."""


@dataclass
class OfBuiltIn(Exception):
    """A dataclass that is laid out like a built-in type."""

    x: int


class Plain:
    """No dataclass."""

    x: int


class Colour(Enum):
    """An enum that makes members of anything."""

    RED = 1

    @classmethod
    def _missing_(cls, value: object) -> Any:
        return _alarm()


class Mixed(Flag):
    """A flag that composes by itself."""

    A = 1
    B = 2

    @classmethod
    def _missing_(cls, value: object) -> Any:
        return _alarm()


class Pair(NamedTuple):
    """A named tuple."""

    a: int
    b: int


class LoudPair(Pair):
    """A named tuple that does something when it is made."""

    __new__: ClassVar[Any] = _alarm


def test_a_dataclass_gets_its_fields_and_nothing_else_of_it_runs(tmp_path: Path) -> None:
    with pytest.raises(Alarm):
        Loud("/")
    made = read_form({"path": "/"}, named("dataclass", Loud), tmp_path)
    assert type(made) is Loud
    assert vars(made) == {"path": "/"}


def test_a_dataclass_with_slots_gets_its_fields(tmp_path: Path) -> None:
    assert read_form({"x": 1}, named("dataclass", Slotted), tmp_path) == Slotted(1)


@pytest.mark.parametrize("cls", [WithProperty, Dying, Abstract, OfBuiltIn, Plain, Colour, Pair, dict, Path])
def test_where_that_cannot_be_done_the_fields_are_a_dict(cls: type, tmp_path: Path) -> None:
    assert read_form({"x": 1}, named("dataclass", cls), tmp_path) == {"x": 1}


@pytest.mark.parametrize("fields", [{}, {"path": 1, "more": 2}, {"__class__": 1}])
def test_a_dataclass_with_other_fields_is_another(fields: dict[str, Any], tmp_path: Path) -> None:
    assert read_form(fields, named("dataclass", Loud), tmp_path) == fields


def test_a_member_is_looked_up_by_its_name(tmp_path: Path) -> None:
    assert read_form(1, named("enum", Colour, name="RED"), tmp_path) is Colour.RED


@pytest.mark.parametrize(
    ("cls", "name"), [(Colour, "BLUE"), (Colour, None), (Mixed, "A|B"), (Plain, "x"), (int, "real")]
)
def test_an_enum_makes_no_members_of_what_a_file_says(cls: type, name: str | None, tmp_path: Path) -> None:
    assert read_form(3, named("enum", cls, name=name), tmp_path) == 3


def test_a_named_tuple_is_made_without_its_code(tmp_path: Path) -> None:
    made = read_form([1, 2], named("namedtuple", LoudPair), tmp_path)
    assert type(made) is LoudPair
    assert made == (1, 2)


@pytest.mark.parametrize(("cls", "items"), [(Pair, [1]), (tuple, [1]), (Plain, [1, 2]), (list, [])])
def test_a_named_tuple_that_does_not_fit_is_a_tuple(cls: type, items: list[int], tmp_path: Path) -> None:
    made = read_form(items, named("namedtuple", cls), tmp_path)
    assert type(made) is tuple
    assert made == tuple(items)


# --- finding


class Lazy(ModuleType):
    """A module that imports what it is asked for."""

    def __getattr__(self, name: str) -> Any:
        return _alarm()


def test_a_lazy_module_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lazy", Lazy("lazy"))  # where modules are found
    assert find_class("lazy:Thing") is None


@pytest.mark.parametrize(
    "address",
    ["", ":", "no.such.module:X", "json:JSONDecoder", "os:system", "sys:modules", f"{__name__}:Colour.RED", "json"],
)
def test_what_goes_by_another_name_or_is_no_class_is_not_found(address: str) -> None:
    assert find_class(address) is None  # json's class says that it is of json.decoder


def test_an_inner_class_is_found() -> None:
    assert find_class(f"{__name__}:Outer.Inner") is Outer.Inner


class Outer:
    """A class with a class in it."""

    class Inner(Enum):
        """The one in it."""

        A = 1


_MODULE = """
import dataclasses, enum, pathlib
pathlib.Path({mark!r}).touch()
class Colour(enum.Enum):
    RED = 1
@dataclasses.dataclass
class Thing:
    x: complex
"""
_READ = """
import sys
sys.path.insert(0, sys.argv[1])
if sys.argv[3:]: import novel
from qjob.runtime import load_job_result
print(*(type(value).__name__ for value in load_job_result(sys.argv[2]).values()))
"""


def test_reading_imports_no_module_for_a_class(
    tmp_path: Path, in_new_process: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "novel.py").write_text(_MODULE.format(mark=str(mark)))
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        import novel  # type: ignore[import-not-found]
    add_values(tmp_path / "results.json", {"a": novel.Colour.RED, "b": novel.Thing(1j)}, None)
    del sys.modules["novel"]
    mark.unlink()
    assert in_new_process(_READ, tmp_path, tmp_path / "results.json") == "int dict\n"
    assert not mark.exists()
    assert in_new_process(_READ, tmp_path, tmp_path / "results.json", "import it") == "Colour Thing\n"
    assert mark.exists()
