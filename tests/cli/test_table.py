"""Rows of texts under headers."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from qjob.cli.table import Table, csv_text, fitted_text, plain_text

JOBS = Table(headers=("ID", "NAME", "REASON"), rows=[("1k0", "vqe", ""), ("1k1", "h", "the disk is full")])
cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)


def test_columns_are_aligned_and_nothing_is_cut() -> None:
    assert plain_text(JOBS).split("\n") == ["ID   NAME  REASON", "1k0  vqe", "1k1  h     the disk is full"]


def test_numbers_stand_at_the_right() -> None:
    table = Table(headers=("energy", "i"), rows=[("-1.1", "0"), ("", "10")], numeric=True)
    assert plain_text(table).split("\n") == ["energy   i", "  -1.1   0", "        10"]


def test_a_table_without_rows_has_its_headers() -> None:
    assert plain_text(Table(headers=("ID", "NAME"), rows=[])) == "ID  NAME"


def test_on_a_screen_the_last_column_is_cut() -> None:
    assert fitted_text(JOBS, 20).split("\n") == ["ID   NAME  REASON", "1k0  vqe", "1k1  h     the disk…"]


def test_a_screen_too_narrow_for_the_other_columns_cuts_nothing() -> None:
    assert fitted_text(JOBS, 10) == plain_text(JOBS)


def test_colours_do_not_move_the_columns() -> None:
    painted = fitted_text(JOBS, 80, lambda cell: f"<{cell}>")
    assert painted.split("\n")[2] == "<1k1>  <h   >  <the disk is full>"


@given(st.lists(st.tuples(cells, cells), max_size=5), st.integers(20, 40))
def test_no_line_is_longer_than_the_screen(rows: list[tuple[str, str]], width: int) -> None:
    table = Table(headers=("A", "B"), rows=[tuple("".join(cell.split()) for cell in row) for row in rows])
    assert max(map(len, fitted_text(table, width).split("\n"))) <= width


@given(st.lists(st.tuples(cells, cells), max_size=5))
def test_csv_reads_back(rows: list[tuple[str, str]]) -> None:
    text = csv_text(Table(headers=("A", "B"), rows=rows))
    assert list(csv.reader(io.StringIO(text + "\n", newline=""))) == [["A", "B"], *map(list, rows)]
