"""Every published case: qjob's outcome, and that of the installed amazon-braket-sdk, in the same test."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from conformance.rows import Row, Table, agrees, outcome
from conformance.sides import has_braket, ours, published
from conformance.tables import TABLES

CASES = [pytest.param(table, row, id=f"{table.title}: {row.case}") for table in TABLES for row in table.rows]


@pytest.fixture(scope="session")
def names() -> dict[str, dict[str, Any]]:
    return {"ours": ours(), "published": published() if has_braket() else {}}


@pytest.mark.parametrize(("table", "row"), CASES)
def test_the_outcomes_are_those_of_the_row(table: Table, row: Row, names: dict[str, dict[str, Any]]) -> None:
    found = outcome(row.case, names["ours"])
    assert agrees(found, row.ours), f"qjob: {found!r}"
    assert agrees(found, row.published) is not bool(row.why), "a row differs just when it says why"
    if table.askable and has_braket():
        theirs = outcome(row.case, names["published"])
        assert agrees(theirs, row.published), f"Braket: {theirs!r}"


def test_no_case_stands_twice() -> None:
    cases = [row.case for row in chain.from_iterable(table.rows for table in TABLES)]
    assert sorted(set(cases)) == sorted(cases)
