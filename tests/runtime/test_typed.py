"""Values go to a file and come back as what they were; what cannot come back leaves its documented stand-in."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qjob.errors import MissingExtra, ResultError
from qjob.runtime.persisted import add_values, read_values
from qjob.runtime.typed import DECODERS

np: Any = pytest.importorskip("numpy")
BERLIN = ZoneInfo("Europe/Berlin")


class Basis(Enum):
    """An enum whose values are no JSON."""

    X = (1, 0)
    Z = 1j


class Ansatz(StrEnum):
    """An enum of texts."""

    HEA = "hea"


class Level(IntEnum):
    """An enum of numbers."""

    ONE = 1


class Noise(Flag):
    """An enum that can be combined."""

    BITFLIP = 1
    DEPHASING = 2


class Point(NamedTuple):
    """A named tuple."""

    x: float
    y: tuple[int, ...]


@dataclass
class Step:
    """A dataclass with values of many kinds."""

    energy: complex
    at: datetime
    seen: set[Basis] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A dataclass that may be a key."""

    name: str
    inner: tuple[int, ...] = ()


def there_and_back(value: Any, directory: Path) -> Any:
    """Save a value, and return what is read."""
    add_values(directory / "results.json", {"value": value}, None)
    return read_values(directory / "results.json", allow_pickle=False)["value"]


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same to the last bit, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return bool(one.dtype == other.dtype and one.shape == other.shape and _bits(one) == _bits(other))
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=True)
        return len(one) == len(other) and all(same(a, b) for pair in pairs for a, b in zip(*pair, strict=True))
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, (set, frozenset)):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    if is_dataclass(one) and not isinstance(one, type):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return repr(one) == repr(other)


def _bits(array: Any) -> bytes:
    """Return the bytes of an array, with one NaN for all: which bits a NaN has, text does not tell."""
    if array.dtype.kind not in "fc":
        return bytes(array.tobytes())
    parts = [np.where(np.isnan(part), np.nan, part) for part in (array.real, array.imag)]
    return b"".join(part.tobytes() for part in parts)


VALUES: dict[str, Any] = {
    "not a number": [math.nan, math.inf, -math.inf, -0.0],
    "complex": [1 + 2j, complex(math.nan, -math.inf)],
    "tuples": (1, (2.5, ()), [(None,)]),
    "named tuple": Point(0.5, (1, 2)),
    "sets": [{1, "a", (2,)}, frozenset({frozenset({1})}), set()],
    "keys": {1: "a", 2.5: {None: 1}, True + 1: 2, (1, (2,)): 3, 1j: 4, Basis.X: 5, date(2024, 2, 29): 6},
    "keys of the same text": {1: "a", "1": "b", None: "c", "null": "d", (1,): "e", "(1,)": "f"},
    "not a number as a key": {math.nan: 1},
    "ordered": OrderedDict([("b", 1), ("a", (2,))]),
    "counted": Counter({"11": 503, "00": 497}),
    "deque": deque([1, (2,)], maxlen=3),
    "endless deque": deque([1]),
    "bytes": [b"", b"abc", "ü".encode(), b"\xff\x00"],
    "bytearray": [bytearray(b"a"), bytearray(b"\xff")],
    "date": date(1, 1, 1),
    "datetime": datetime(2024, 2, 29, 12, 30, 15, 250),
    "datetime of UTC": datetime(2024, 2, 29, tzinfo=UTC),
    "datetime of an offset": datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=-3, seconds=7))),
    "datetime of a zone": datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
    "time": [time(1, 2, 3, 4), time(1, tzinfo=UTC), time(1, tzinfo=BERLIN), time(2, fold=1)],
    "timedelta": [timedelta(days=1, microseconds=1), timedelta(days=-999_999_999), timedelta.max, timedelta.min],
    "decimal": [Decimal("1.50"), Decimal("1E+400000"), Decimal("-0"), Decimal("NaN"), Decimal("-Infinity")],
    "fraction": [Fraction(1, 3), Fraction(-7)],
    "uuid": UUID(int=7),
    "paths": [Path("a/ü"), PurePosixPath("/a"), PureWindowsPath("C:/a")],
    "enums": [Basis.X, Basis.Z, Ansatz.HEA, Level.ONE, Noise.BITFLIP, Noise.BITFLIP | Noise.DEPHASING, Noise(0)],
    "dataclass": Step(1j, datetime(2024, 2, 29, tzinfo=UTC), {Basis.X}),
    "frozen dataclass": {Frozen("a", (1,)): {Frozen("b")}},
    "numpy's whole numbers": [np.int8(-1), np.uint64(2**64 - 1), np.bool_(True)],
    "numpy's numbers": [np.float16(0.1), np.float32(0.1), np.float64(0.1), np.longdouble("0.1"), np.float64("nan")],
    "numpy's complex numbers": [np.complex64(1j), np.complex128(1 + 2j), np.clongdouble(1j)],
    "numpy's others": [np.str_("ü"), np.bytes_(b"\xff"), np.datetime64("2024-02-29", "D"), np.timedelta64(3, "ns")],
    "numpy's record": np.array([(1, 2.5)], dtype=[("n", "i4"), ("x", "f8")])[0],
    "numpy as a key": {np.int64(1): 2, np.float64(0.5): 3, np.str_("a"): 4},
    "scalar among plain ones": [1, np.float64(2), "a"],
    "nested": {"a": [{"b": ({1: [Basis.Z, {np.float32(1): (b"x",)}]},)}]},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_values_come_back_as_what_they_were(value: Any, tmp_path: Path) -> None:
    assert same(there_and_back(value, tmp_path), value)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_they_stay_it_when_others_are_saved(value: Any, tmp_path: Path) -> None:
    there_and_back(value, tmp_path)
    add_values(tmp_path / "results.json", {"other": 1j}, None)
    assert same(read_values(tmp_path / "results.json", False)["value"], value)


def test_a_plain_value_takes_the_place_of_a_typed_one(tmp_path: Path) -> None:
    there_and_back(1j, tmp_path)
    assert there_and_back([0.0, 1.0], tmp_path) == [0.0, 1.0]
    assert "qjob" not in json.loads((tmp_path / "results.json").read_text())


_SCALARS: list[Any] = [
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.dates(),
    st.datetimes(timezones=st.none() | st.sampled_from([UTC, BERLIN])),
    st.times(),
    st.timedeltas(),
    st.decimals().filter(lambda number: not number.is_snan()),  # it has no hash
    st.fractions(),
    st.uuids(),
    st.sampled_from([*Basis, *Ansatz, *Level, *Noise, Path("a"), Frozen("a", (1,))]),
    st.floats(width=32).map(np.float32),
    st.integers(-128, 127).map(np.int8),
    st.complex_numbers().map(np.complex128),
]
_keys = st.one_of(*_SCALARS).flatmap(lambda scalar: st.sampled_from([scalar, (scalar, 1)]))
_values = st.recursive(
    st.one_of(*_SCALARS) | st.lists(st.floats(), max_size=3).map(np.array),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(_keys, inner, max_size=3)
        | st.sets(_keys, max_size=3)
        | st.builds(Point, inner, inner)
        | st.builds(Step, inner, inner, inner)
    ),
    max_leaves=6,
)


# The directory is the same for every example; each one replaces the value of the one before.
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=_values)
def test_any_values_come_back_as_what_they_were(value: Any, tmp_path: Path) -> None:
    assert same(there_and_back(value, tmp_path), value)


# --- what comes back as something else


def test_a_subclass_of_a_container_comes_back_as_the_container(tmp_path: Path) -> None:
    counts: defaultdict[str, int] = defaultdict(int, a=1)
    assert same(there_and_back(counts, tmp_path), {"a": 1})


def _local_class() -> Any:
    @dataclass(frozen=True)
    class Local:
        x: complex

    return Local(1j)


def test_a_class_that_is_not_to_be_found_leaves_its_fields(tmp_path: Path) -> None:
    assert there_and_back([_local_class()], tmp_path) == [{"x": 1j}]


def test_where_such_fields_cannot_be_a_key_or_in_a_set_there_is_the_nearest_that_can(tmp_path: Path) -> None:
    assert there_and_back({_local_class()}, tmp_path) == [{"x": 1j}]
    assert there_and_back({_local_class(): 1}, tmp_path) == {"{'x': 1j}": 1}


# --- what cannot be read


def _write(path: Path, plain: Any, form: Any, version: int = 1) -> Path:
    document = {
        "dataDictionary": {"fine": 1, "value": plain},
        "dataFormat": "plaintext",
        "qjob": {"version": version, "types": {"value": form}},
    }
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("plain", "form"),
    [
        (1, "no such type"),
        (1, "complex"),
        ([1, 2, 3], "complex"),
        ("x", "datetime"),
        (1, "list"),
        ([1], {"type": "list", "items": {"7": "tuple"}}),
        ([1], {"type": "list", "each": {"no": "type"}}),
        ({"a": 1}, {"type": "dict", "keys": []}),
        ({}, {"type": "dict", "items": {"a": "tuple"}}),
        ("1e999999999", "Fraction"),
        ("1/0", "Fraction"),
        ("?", "bytes.base64"),
        ([1, 2], {"type": "array", "dtype": "O", "shape": [2]}),
        ([1, 2], {"type": "array", "dtype": "<f8", "shape": [3]}),
        ([1, 2], {"type": "array", "npy": "AAAA"}),
        (1, {"type": "array", "file": "../x.npy"}),
        (1, 1),
        (1, []),
    ],
)
def test_a_form_that_does_not_fit_is_reported_by_its_key(plain: Any, form: Any, tmp_path: Path) -> None:
    file = _write(tmp_path / "results.json", plain, form)
    with pytest.raises(ResultError, match=r"results\.json"):
        read_values(file, False)


_words = st.sampled_from(
    [*DECODERS, "type", "class", "each", "items", "keys", "key_types", "values", "dtype", "shape", "npy", "file", "of"]
)
_made_up = st.recursive(
    st.none()
    | st.integers(-3, 3)
    | st.floats()
    | _words
    | st.sampled_from(["O", "<f8", "U3", "json:JSONDecoder", "1/2"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=4),
    max_leaves=8,
)
_forms = st.builds(lambda word, rest: {**rest, "type": word}, _words, st.dictionaries(_words, _made_up, max_size=4))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(plain=_made_up, form=_forms | _made_up)
def test_whatever_a_file_says_it_is_read_or_reported(plain: Any, form: Any, tmp_path: Path) -> None:
    with contextlib.suppress(ResultError, MissingExtra):
        read_values(_write(tmp_path / "results.json", plain, form), False)


def test_a_newer_version_is_reported(tmp_path: Path) -> None:
    file = _write(tmp_path / "results.json", 1, "complex", version=2)
    with pytest.raises(ResultError, match="newer qjob"):
        read_values(file, False)


@pytest.mark.parametrize("zone", ["../../etc/passwd", "/etc/passwd", "No/Where", ""])
def test_a_zone_that_is_not_here_leaves_the_offset(zone: str, tmp_path: Path) -> None:
    file = _write(tmp_path / "results.json", "2024-02-29T00:00:00+01:00", {"type": "datetime", "zone": zone})
    assert read_values(file, False)["value"].utcoffset() == timedelta(hours=1)


# --- what cannot be saved


def _uninitialised() -> Any:
    return object.__new__(Frozen)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([object()]), r"\['value'\]: numpy\.ndarray cannot .*only pickle could.*use \.tolist\(\)"),
        ([np.ma.array([1], mask=[True])], r"\['value'\]\[0\]: .*Masked.*mask would be lost.*save \.data and \.mask"),
        (np.array(["a"], dtype=np.dtypes.StringDType()), r"does not keep its dtype StringDType"),
        ({"a": (1, _uninitialised())}, r"\['value'\]\['a'\]\[1\]: .*Frozen cannot be saved"),
        (np.zeros(1, [(f"{i:0100}", "i1") for i in range(100)]), r"does not keep its dtype"),
    ],
)
def test_what_cannot_come_back_is_not_saved(value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=message):
        there_and_back(value, tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- the table


def _types_in(form: Any) -> set[str]:
    if isinstance(form, str):
        return {form}
    below = form.values() if isinstance(form, dict) else form if isinstance(form, list) else ()
    return {word for part in below for word in _types_in(part)}


def test_every_type_that_can_be_read_is_one_that_was_written_here(tmp_path: Path) -> None:
    seen: set[str] = set()
    for value in [*VALUES.values(), np.zeros(3)]:
        there_and_back(value, tmp_path)
        document = json.loads((tmp_path / "results.json").read_text())
        seen |= _types_in(document.get("qjob", {}).get("types"))
    others = {word for word in DECODERS if word.startswith(("pandas.", "braket.", "qiskit."))}  # have their own tests
    assert set(DECODERS) - others - seen == set()


def test_reading_needs_no_more_than_what_the_values_need(tmp_path: Path, in_new_process: Callable[..., str]) -> None:
    there_and_back([1j, Path("a")], tmp_path)
    code = "import sys; from qjob import runtime; print(runtime.load_job_result(sys.argv[1]), 'numpy' in sys.modules)"
    assert in_new_process(code, tmp_path / "results.json") == "{'value': [1j, PosixPath('a')]} False\n"
