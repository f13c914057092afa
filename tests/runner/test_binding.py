"""Hyperparameters become typed arguments, or a sentence that says why not."""

from __future__ import annotations

import contextlib
import enum
import inspect
import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qjob.runner.binding import bind, call_with_hyperparameters, convert

if typing.TYPE_CHECKING:
    from decimal import Decimal


class Ansatz(enum.Enum):
    HARDWARE_EFFICIENT = "hea"
    UCCSD = "uccsd"
    COUPLED_CLUSTER = "uccsd"  # noqa: PIE796 - an alias is the case


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


Angle = NewType("Angle", float)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "3", 3),
        (int, "-3", -3),
        (int, " 7 ", 7),
        (int, "1_000", 1000),
        (float, "0.5", 0.5),
        (float, "1e-3", 1e-3),
        (float, "3", 3.0),
        (float, "-inf", -float("inf")),
        (complex, "1+2j", 1 + 2j),
        (complex, "-1", -1 + 0j),
        (bool, "True", True),
        (bool, "yes", True),
        (bool, "1", True),
        (bool, "FALSE", False),
        (bool, "no", False),
        (bool, "0", False),
        (str, "", ""),
        (str, "None", "None"),
        (str, "3", "3"),
        (Path, "/tmp/a b", Path("/tmp/a b")),
        (list, "[1, 2.5, null]", [1, 2.5, None]),
        (list, "(1, 2)", [1, 2]),
        (list, "{1}", [1]),
        (list[float], "[0.1, 0.2]", [0.1, 0.2]),
        (tuple, "[1, 2]", (1, 2)),
        (tuple[int, ...], "(1, 2)", (1, 2)),
        (set, "[1, 1, 2]", {1, 2}),
        (frozenset, "[1, 1, 2]", frozenset({1, 2})),
        (dict, '{"a": true}', {"a": True}),
        (dict, "{'a': True}", {"a": True}),
        (dict[str, int], "{}", {}),
        (Sequence[float], "[1.5]", [1.5]),
        (Iterable[int], "[1]", [1]),
        (Mapping[str, int], '{"a": 1}', {"a": 1}),
        (Optional[int], "None", None),  # noqa: UP045 - the old spelling is a type of its own
        (Optional[int], "3", 3),  # noqa: UP045
        (int | None, "None", None),
        (int | None, "3", 3),
        (str | None, "None", None),
        (str | None, "x", "x"),
        (Union[int, str], "3", 3),  # noqa: UP007
        (str | int, "3", 3),
        (str | int, "three", "three"),
        (int | float, "3.5", 3.5),
        (list[int] | None, "[1]", [1]),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
        (Literal["a"] | None, "None", None),
        (Ansatz, "hea", Ansatz.HARDWARE_EFFICIENT),
        (Ansatz, "UCCSD", Ansatz.UCCSD),
        (Ansatz, "COUPLED_CLUSTER", Ansatz.UCCSD),
        (Ansatz, str(Ansatz.UCCSD), Ansatz.UCCSD),
        (Ansatz | None, "Ansatz.UCCSD", Ansatz.UCCSD),
        (list, str([0.5, float("inf"), -float("inf")]), [0.5, float("inf"), -float("inf")]),
        (tuple, "(1, np.float64(0.5), np.int64(-2), np.float64(inf))", (1, 0.5, -2, float("inf"))),
        (dict, "{'x0': [np.float32(0.5)], 'y': np.True_}", {"x0": [0.5], "y": True}),
        (frozenset, str(frozenset({1})), frozenset({1})),
        (MutableSequence, "[1]", [1]),
        (MutableMapping[str, int], "{'a': 1}", {"a": 1}),
        (Level, "2", Level.HIGH),
        (Level, "LOW", Level.LOW),
        (Any, "x", "x"),
        (object, "x", "x"),
        (Angle, "0.5", 0.5),
    ],
)
def test_a_text_becomes_a_value_of_the_annotated_type(kind: Any, text: str, value: Any) -> None:
    found = convert(text, kind)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (int, "3.5", "is no int"),
        (int, "", "is no int"),
        (float, "one", "is no float"),
        (complex, "1 + 2j", "is no complex"),
        (bool, "maybe", "is no bool: true or false is expected"),
        (bool, "2", "true or false is expected"),
        (list, "1", "a list is expected"),
        (list, "[1", "is no list"),
        (list[float], "[1", "is no list[float]"),
        (list, "x" * 30 + "(", "is no list"),
        (list, "[" * 2400, "is no list"),
        (set, "[[1]]", "is no set"),
        (set, "{[]}", "is no set"),
        (dict, "[1]", "a dict is expected"),
        (dict, "{[]: 1}", "is no dict"),
        (dict, "__import__('os').getpid()", "is no dict"),
        (list, "[np.load('x')]", "is no list"),
        (list, "[np.float64(__import__('os').getpid())]", "is no list"),
        (Ansatz, "HEA", "is no Ansatz: one of hea, uccsd, HARDWARE_EFFICIENT, UCCSD, COUPLED_CLUSTER is expected"),
        (Level, "3", "one of 1, 2, LOW, HIGH is expected"),
        (Literal["a", "b"], "c", "one of a, b is expected"),
        (int | None, "none", "is no int | None"),
        (Optional[int], "x", "is no"),  # noqa: UP045
        (int | float, "x", "is no int | float"),
    ],
)
def test_a_text_that_does_not_fit_is_told_in_one_sentence(kind: Any, text: str, said: str) -> None:
    def main(x: Any) -> None: ...

    main.__annotations__["x"] = kind
    with pytest.raises(TypeError) as refusal:
        bind(main, {"x": text})
    message = str(refusal.value)
    assert message.startswith(f"hyperparameter x={text[:200]!r}"[:-1])
    assert said in message
    assert "\n" not in message
    assert len(message) < 400
    assert refusal.value.__suppress_context__


def annotated_as_text(theta: float, steps: int = 1, names: list[str] | None = None) -> None:
    """Its annotations are strings, as this module's ``from __future__`` makes them."""


def of_another_time(theta: float, cost: Decimal | None = None) -> None:
    """One of its annotations exists for type checkers only."""


def wrapped(function: Callable[..., object]) -> Callable[..., object]:
    def inner(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    inner.__wrapped__ = function  # type: ignore[attr-defined]
    return inner


def test_annotations_that_are_strings_count() -> None:
    assert isinstance(annotated_as_text.__annotations__["theta"], str)
    assert bind(annotated_as_text, {"theta": "1", "names": "['a']"}) == {"theta": 1.0, "names": ["a"]}


def test_annotations_for_type_checkers_only_do_no_harm() -> None:
    assert bind(of_another_time, {"theta": "1"}) == {"theta": 1.0}
    assert bind(of_another_time, {"theta": "1", "cost": "2"}) == {"theta": 1.0, "cost": "2"}


def test_a_decorated_function_is_seen_through() -> None:
    assert bind(wrapped(annotated_as_text), {"theta": "1", "steps": "2"}) == {"theta": 1.0, "steps": 2}


def no_parameters() -> None: ...


def all_optional(theta: float = 1.0) -> None: ...


def unannotated(theta, *, n=1):  # type: ignore[no-untyped-def]
    return theta, n


def takes_the_rest(n: int, **kwargs: float) -> None: ...


def positional(theta: float, /) -> None: ...


def star(*args: float) -> None: ...


def keyword_only(*, theta: Annotated[float, "rad"]) -> None: ...


def implicit_none(n: int = None) -> None: ...  # type: ignore[assignment] # noqa: RUF013


class Algorithm:
    def __init__(self, theta: float) -> None:
        self.theta = theta

    def __call__(self, n: int) -> int:
        return n


@pytest.mark.parametrize(
    ("function", "given", "bound"),
    [
        (no_parameters, {}, {}),
        (no_parameters, {"theta": "1"}, {}),
        (all_optional, {}, {}),
        (all_optional, {"theta": "2"}, {"theta": 2.0}),
        (unannotated, {"theta": "1"}, {"theta": "1"}),
        (unannotated, {"theta": "1", "n": "2"}, {"theta": "1", "n": "2"}),
        (takes_the_rest, {"n": "1", "a": "2", "return": "3"}, {"n": 1, "a": "2", "return": "3"}),
        (takes_the_rest, {"n": "1", "kwargs": "x"}, {"n": 1, "kwargs": "x"}),
        (star, {}, {}),
        (keyword_only, {"theta": "1"}, {"theta": 1.0}),
        (Algorithm, {"theta": "1"}, {"theta": 1.0}),
        (Algorithm(1.0), {"n": "1"}, {"n": 1}),
    ],
)
def test_every_kind_of_signature(
    function: Callable[..., object], given: dict[str, str], bound: dict[str, object]
) -> None:
    assert bind(function, given) == bound


@pytest.mark.parametrize(
    ("function", "given", "said"),
    [
        (all_optional, {"phi": "1"}, "all_optional(theta: 'float' = 1.0)"),
        (unannotated, {}, "missing a required argument: 'theta'"),
        (unannotated, {}, "given (none)"),
        (takes_the_rest, {"a": "2"}, "missing a required argument: 'n'"),
        (positional, {"theta": "1"}, "positional(theta: 'float', /)"),
        (star, {"theta": "1"}, "star(*args: 'float')"),
        (implicit_none, {"n": "None"}, "hyperparameter n='None' is no int"),
        (Algorithm, {}, "Algorithm(theta: 'float')"),
    ],
)
def test_what_does_not_fit_a_signature_is_told_in_one_sentence(
    function: Callable[..., object], given: dict[str, str], said: str
) -> None:
    with pytest.raises(TypeError) as refusal:
        bind(function, given)
    assert said.replace("'float'", "float") in str(refusal.value).replace("'float'", "float")
    assert "\n" not in str(refusal.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_lists_come_back_from_json_and_from_python(value: object) -> None:
    for text in (json.dumps([value]), repr([value])):
        assert convert(text, list) == [value]


@given(
    st.text(),
    st.sampled_from([int, float, complex, bool, str, list, tuple, set, dict, int | None, Ansatz, Literal["a", 1]]),
)
def test_any_text_gives_a_value_or_a_sentence(text: str, kind: Any) -> None:
    def main(x: Any) -> None: ...

    main.__annotations__["x"] = kind
    with contextlib.suppress(ValueError):
        value = convert(text, kind)
        assert bind(main, {"x": text}) == {"x": value} or value != value
        return
    with pytest.raises(TypeError, match=r"^hyperparameter x="):
        bind(main, {"x": text})


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module of entry points; the hyperparameter file is told by the environment only, as published."""
    file = tmp_path / "hyperparameters.json"
    file.write_text(json.dumps({"theta": "0.5"}))
    monkeypatch.setenv("AMZN_BRAKET_HP_FILE", str(file))
    return inspect.getmodule(entry_point) or pytest.fail("this module")


def entry_point(theta: float) -> float:
    return theta * 2


async def coroutine(theta: float) -> float:
    return theta


def test_the_entry_point_is_called_with_the_jobs_hyperparameters(module: types.ModuleType) -> None:
    assert call_with_hyperparameters(module.__name__, "entry_point") == 1.0


def test_a_coroutine_function_is_refused_and_not_silently_done_with(module: types.ModuleType) -> None:
    with pytest.raises(TypeError, match=r"coroutine is a coroutine function.*asyncio\.run"):
        call_with_hyperparameters(module.__name__, "coroutine")
