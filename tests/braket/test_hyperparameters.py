"""Arguments, recorded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qjob.braket.hyperparameters import recorded, shown


def function(first: int, /, second: str, *args: int, third: float = 0.5, **more: Any) -> None: ...


def test_what_can_be_given_by_name_is_recorded() -> None:
    noted = recorded(function, (1, "b"), {"third": 2, "fourth": None})
    assert noted.hyperparameters == {"second": "b", "third": "2", "fourth": "None"}
    assert noted.whole == {"first": "1", "second": "b", "third": "2", "fourth": "None"}
    assert noted.left_out == ("first",)


def test_positional_arguments_are_left_out_and_kept() -> None:
    noted = recorded(function, (1, "b", 7, 8), {})
    assert noted.left_out == ("first", "args")
    assert noted.whole["args"] == "(7, 8)"


def test_only_what_braket_takes_is_recorded() -> None:
    noted = recorded(lambda **more: None, (), {f"p{n}": n for n in range(101)} | {"": 1, "k" * 257: 1})
    assert len(noted.hyperparameters) == 100
    assert noted.left_out == ("p100", "", "k" * 257)
    assert len(noted.whole) == 103


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_object_without_words_is_named_by_its_class() -> None:
    assert recorded(lambda x: None, (Mute(),), {}).hyperparameters == {"x": "<Mute>"}


def test_a_function_without_a_signature_is_called_all_the_same() -> None:
    assert recorded(min, (1, 2), {}).left_out == ("all",)


def test_arguments_must_fit() -> None:
    with pytest.raises(TypeError, match="too many positional"):
        recorded(lambda x: None, (1, 2), {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb", "a b"),
        ("$(x) & `y`", "?{x} + 'y'"),
        ("x" * 2500, "x" * 2500),
        ("x" * 2501, "x" * 2477 + "..." + "x" * 20),
        ("a" * 2000 + "b" * 2000, "a" * 2000 + "b" * 477 + "..." + "b" * 20),
        ("", "''"),
    ],
)
def test_a_value_is_shown_as_published(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(st.text(max_size=6000))
def test_every_value_is_within_brakets_limits(text: str) -> None:
    assert 1 <= len(shown(text)) <= 2500
    assert set("\n$()&`").isdisjoint(shown(text))
