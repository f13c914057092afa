"""Calls, pickled; what the pickles do in a job is in test_hybrid_job.py."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest

from qjob.braket.pickling import pickle_call
from qjob.errors import CannotBePickled, InvalidInput

LOCK = threading.Lock()


class Session:
    def __init__(self) -> None:
        self.connection = {"lock": LOCK}

    def run(self) -> None: ...


SESSION = Session()


def uses_a_global() -> Any:
    return SESSION


def calls_one_that_does() -> Any:
    return [uses_a_global() for _ in range(1)]


def has_a_default(lock: Any = LOCK) -> Any:
    return lock


def plain(*args: Any, **kwargs: Any) -> None: ...


def refusal(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(CannotBePickled) as raised:
        pickle_call(function, args, kwargs)
    assert isinstance(raised.value, RuntimeError)
    assert isinstance(raised.value, InvalidInput)
    assert raised.value.__cause__ is not None
    return str(raised.value)


@pytest.mark.parametrize(
    ("function", "args", "where"),
    [
        (plain, (1, LOCK), "argument 2 is _thread.lock"),
        (plain, ([{"a": LOCK}],), "argument 1[0]['a'] is _thread.lock"),
        (uses_a_global, (), "SESSION (used by uses_a_global()).connection['lock'] is _thread.lock"),
        (calls_one_that_does, (), ".connection['lock'] is _thread.lock"),
        (has_a_default, (), "a default of has_a_default()[0][0] is _thread.lock"),
        (SESSION.run, (), ".__self__.connection['lock'] is _thread.lock"),
        (plain, (iter_of_lines := (line for line in ""),), "argument 1 is generator"),
    ],
)
def test_what_cannot_be_pickled_is_found(function: Callable[..., Any], args: tuple[Any, ...], where: str) -> None:
    assert where in refusal(function, *args)


def test_a_keyword_argument_is_called_by_its_name() -> None:
    assert "argument lock is _thread.lock" in refusal(plain, lock=LOCK)


class Parent:
    lock = LOCK


class Child(Parent):
    def method(self) -> Any:
        return super().lock


def test_what_a_class_holds_is_found_though_the_class_refers_to_itself() -> None:
    assert "job: Parent.lock is _thread.lock" in refusal(plain, Child())


class Odd:
    def __reduce__(self) -> Any:
        raise ZeroDivisionError("by my own code")


def test_an_object_that_raises_by_itself_is_found() -> None:
    said = refusal(plain, [Odd()])
    assert "argument 1[0] is" in said
    assert "(by my own code)" in said


def test_what_holds_itself_is_found_out() -> None:
    loop: list[Any] = [LOCK]
    loop.append(loop)
    assert "argument 1[0] is _thread.lock" in refusal(plain, loop)


def test_what_is_nested_too_deeply_is_told() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert "argument 1 is list, which cannot be pickled" in refusal(plain, deep)
    while deep:  # Python itself would recurse to take it apart
        deep = deep[0]


def test_cloudpickles_list_of_modules_is_as_it_was() -> None:
    before = cloudpickle.list_registry_pickle_by_value()
    pickle_call(uses_no_session, (), {})
    refusal(uses_a_global)
    assert cloudpickle.list_registry_pickle_by_value() == before


def test_what_the_user_has_registered_stays_so() -> None:
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        pickle_call(uses_no_session, (), {})
        assert __name__ in cloudpickle.list_registry_pickle_by_value()
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def test_many_threads_pickle_at_once() -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            for _ in range(20):
                pickle_call(uses_no_session, (), {})
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert __name__ not in cloudpickle.list_registry_pickle_by_value()


def uses_no_session() -> str:
    return pickle.__name__


def test_what_is_installed_stays_by_reference() -> None:
    pickled = pickle_call(pytest.raises, (pickle.dumps, Iterator), {})
    assert (pickled.modules, pickled.texts) == ({}, {})
    assert len(pickled.data) < 300


def test_the_texts_of_the_code_go_along() -> None:
    pickled = pickle_call(uses_no_session, (), {})
    assert pickled.modules[__name__] == {"file": __file__, "package": False, "whole": False}
    assert "def uses_no_session" in pickled.texts[__file__]
