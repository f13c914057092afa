"""The table of a sweep, and which of its jobs is the best."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.errors import InvalidInput
from qjob.sweep_table import SweepTable, SweptJob, best_of, number_or_text

NUMBERS = itertools.count()


def job(number: int = 0, **fields: Any) -> SweptJob:
    given = {"hyperparameters": {}, "metrics": {}, "results": {}, "state": "COMPLETED"} | fields
    return SweptJob(number=number, id=f"id{number}", name=f"x-{number}", **given)


def test_a_row_holds_all_that_came_out_of_a_job_and_none_where_there_is_nothing() -> None:
    table = SweepTable(
        [
            job(0, hyperparameters={"theta": 0.5}, metrics={"loss": 2.0}, results={"energy": -1}),
            job(1, hyperparameters={"layers": 3}, results={"note": "a\nb"}, state="FAILED"),
        ]
    )
    assert table.columns == ["number", "job", "state", "theta", "layers", "loss", "energy", "note"]
    assert list(table) == [
        dict(zip(table.columns, (0, "id0", "COMPLETED", 0.5, None, 2.0, -1, None), strict=True)),
        dict(zip(table.columns, (1, "id1", "FAILED", None, 3, None, None, "a\nb"), strict=True)),
    ]
    assert table[1] == table[-1] == table[1:][0]
    assert [row["job"] for row in table[::-1]] == ["id1", "id0"]
    with pytest.raises(IndexError):
        table[2]


def test_a_name_that_an_earlier_column_has_says_what_it_is() -> None:
    names = {"state": 1, "job": 2, "number": 3, "energy": 4}
    table = SweepTable(
        [job(7, hyperparameters=names, metrics={k: -v for k, v in names.items()}, results={"energy": 40, "new": 5})]
    )
    [row] = table
    assert (row["number"], row["job"], row["state"]) == (7, "id7", "COMPLETED")
    assert (row["hyperparameter.state"], row["hyperparameter.job"], row["hyperparameter.number"]) == (1, 2, 3)
    assert (row["energy"], row["metric.energy"], row["result.energy"], row["new"]) == (4, -4, 40, 5)
    assert (row["metric.state"], row["metric.number"]) == (-1, -3)


@settings(max_examples=50)
@given(
    *[
        st.dictionaries(
            st.lists(st.sampled_from(["state", "metric", "result", "a"]), min_size=1).map(".".join), st.none()
        )
        for _ in range(3)
    ]
)
def test_no_column_hides_another_one(first: dict[str, None], second: dict[str, None], third: dict[str, None]) -> None:
    of_own = [{name: next(NUMBERS) for name in names} for names in (first, second, third)]
    [row] = SweepTable([job(-1, hyperparameters=of_own[0], metrics=of_own[1], results=of_own[2])])
    wanted = [value for values in of_own for value in values.values()]
    assert list(row.values())[3:] == wanted


def test_a_table_is_text_and_html() -> None:
    table = SweepTable(
        [job(0, hyperparameters={"<b>": "<i>"}, results={"energy": -1.23456789, "ok": True, "no": None})]
    )
    assert str(table) == repr(table)
    assert str(table).splitlines() == [
        "number  job      state  <b>    energy    ok  no",
        "     0  id0  COMPLETED  <i>  -1.23457  True    ",
    ]
    assert "<th>&lt;b&gt;</th>" in table._repr_html_()
    assert "<td>&lt;i&gt;</td>" in table._repr_html_()


def test_a_table_of_nothing() -> None:
    table = SweepTable([])
    assert (len(table), list(table), table.columns) == (0, [], ["number", "job", "state"])
    assert str(table) == "number  job  state"


def test_a_cell_is_one_line_of_the_text() -> None:
    text = str(SweepTable([job(0, results={"note": "a\nb"}), job(1, results={"note": "c"})]))
    assert len(text.splitlines()) == 3


# The best


def test_the_best_is_the_lowest_or_the_highest_and_of_equals_the_first() -> None:
    jobs = [job(n, results={"e": value}) for n, value in enumerate([3, 1.0, 2, 1, 3.0])]
    assert best_of(jobs, "e").number == 1
    assert best_of(jobs, "e", maximise=True).number == 0


@pytest.mark.parametrize(
    ("values", "lowest", "highest"),
    [
        ([math.nan, 2, 1, math.nan], 2, 1),
        ([None, "0", True, 5], 3, 3),
        ([math.inf, -math.inf, 0], 1, 0),
        ([10**400, -(10**400), 1.5], 1, 0),
        ([2**53 + 1, 2**53], 1, 0),
        ([-0.0, 0.0], 0, 0),
    ],
)
def test_the_best_goes_by_numbers_alone(values: list[Any], lowest: int, highest: int) -> None:
    jobs = [job(n, results={"e": value}) for n, value in enumerate(values)]
    assert best_of(jobs, "e").number == lowest
    assert best_of(jobs, "e", maximise=True).number == highest


def test_a_result_comes_before_a_metric_of_its_name() -> None:
    jobs = [job(0, results={"e": 5}, metrics={"e": 0}), job(1, metrics={"e": 3}), job(2)]
    assert best_of(jobs, "e").number == 1
    assert jobs[0].value("e") == 5
    assert jobs[2].value("e") is None


def test_the_best_of_a_generator() -> None:
    assert best_of((job(n, metrics={"e": -n}) for n in range(3)), "e").number == 2


@pytest.mark.parametrize(
    ("jobs", "known"),
    [
        ([], "none yet"),
        ([job(0)], "none yet"),
        ([job(0, results={"b": 1, "e": "text"}), job(1, metrics={"a": 1, "e": math.nan})], "a, b, e"),
    ],
)
def test_without_a_number_there_is_no_best(jobs: list[SweptJob], known: str) -> None:
    with pytest.raises(InvalidInput, match=f"'e': no job of the sweep .* there is {known}\\."):
        best_of(jobs, "e")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("inf", math.inf),
        ("True", True),
        ("False", False),
        ("true", "true"),
        ("None", "None"),
        ("COBYLA", "COBYLA"),
        ("0x10", "0x10"),
        ("[1, 2]", "[1, 2]"),
        ("", ""),
        ("9" * 30, int("9" * 30)),
    ],
)
def test_what_a_hyperparameter_means(text: str, value: Any) -> None:
    assert number_or_text(text) == value
    assert type(number_or_text(text)) is type(value)


@pytest.mark.parametrize("text", ["1_000", " 3", "3\n", "٣", "007", "1_0.5"])
def test_a_text_that_python_alone_reads_as_a_number_is_a_text(text: str) -> None:
    assert number_or_text(text) == text


def test_not_a_number_is_a_number() -> None:
    assert math.isnan(number_or_text("nan"))
