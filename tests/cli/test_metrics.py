"""`qjob metrics`, of jobs that have ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from qjob.cli.metrics import curves
from qjob.cli.plot import Curve
from recorded import put_on_record, record_of

Invoke = Callable[..., Result]

LOG = b"""begin
Metrics - timestamp=10.5; energy=-1; iteration_number=0;
Metrics - timestamp=10.75; gradient=2; iteration_number=0;
Metrics - timestamp=11.5; energy=nan; iteration_number=1;
Metrics - timestamp=12.5; energy=-3; iteration_number=2;
Metrics - timestamp=12.75; energy=-2; iteration_number=2;
"""
CSV = "timestamp,energy,iteration_number,gradient\n10.75,-1,0,2\n11.5,nan,1,\n12.75,-2,2,\n"


@pytest.fixture
def logged(home: Path) -> None:
    put_on_record(home, record_of(), log=LOG)


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["--by", "iteration", "-o", "csv"], CSV),
        (["--by", "iteration", "-o", "csv", "-n", "1"], "timestamp,energy,iteration_number,gradient\n12.75,-2,2,\n"),
        (
            ["--by", "iteration", "--statistic", "min", "-o", "csv", "-n", "1"],
            "timestamp,energy,iteration_number,gradient\n12.5,-3,2,\n",
        ),
        (
            ["--by", "iteration", "--statistic", "count", "-o", "csv", "-n", "1"],
            "timestamp,energy,iteration_number,gradient\n12.75,2,2,\n",
        ),
        (
            ["--by", "iteration", "--statistic", "mean", "-o", "csv", "-n", "1"],
            "timestamp,energy,iteration_number,gradient\n12.75,-2.5,2,\n",
        ),
        (
            ["--by", "iteration", "--statistic", "last", "-o", "csv", "-n", "1"],
            "timestamp,energy,iteration_number,gradient\n12.75,-2,2,\n",
        ),
        (["-n", "1"], "timestamp  energy  iteration_number  gradient\n    12.75      -2                 2\n"),
        (["-f", "--by", "iteration", "-o", "csv"], CSV),
        (
            ["-f", "--by", "iteration"],
            "timestamp=10.75 energy=-1 iteration_number=0 gradient=2\n"
            "timestamp=11.5 energy=nan iteration_number=1\n"
            "timestamp=12.75 energy=-2 iteration_number=2\n",
        ),
    ],
)
def test_what_is_printed(invoke: Invoke, arguments: list[str], printed: str) -> None:
    result = invoke("metrics", "vqe", *arguments)
    assert (result.stdout, result.exit_code) == (printed, 0)


@pytest.mark.usefixtures("logged")
def test_json_has_columns_and_when_followed_a_row_a_line(invoke: Invoke) -> None:
    assert json.loads(invoke("metrics", "vqe", "--by", "iteration", "-o", "json").stdout) == {
        "timestamp": [10.75, 11.5, 12.75],
        "energy": [-1, None, -2],
        "iteration_number": [0, 1, 2],
        "gradient": [2, None, None],
    }
    lines = invoke("metrics", "vqe", "-f", "--by", "iteration", "-o", "json").stdout.splitlines()
    assert [json.loads(line)["timestamp"] for line in lines] == [10.75, 11.5, 12.75]


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(("arguments", "plots"), [([], 0), (["--plot"], 2), (["--plot", "-o", "csv"], 0)])
def test_curves_are_plotted_when_asked_for(invoke: Invoke, arguments: list[str], plots: int) -> None:
    assert invoke("metrics", "vqe", *arguments).stdout.count("└───") == plots


def test_names_and_tags_of_a_log_do_not_reach_the_terminal_as_they_are(invoke: Invoke, home: Path) -> None:
    put_on_record(home, record_of(), log=b"[\x1b[2J]Metrics - timestamp=1; e\x1b[31m/x y=2;\n")
    for arguments in (["--plot"], ["-f"]):
        printed = invoke("metrics", "vqe", *arguments).stdout
        assert "\x1b" not in printed
        assert r"e\x1b[31m/x y" in printed
        assert r"\x1b[2J" in printed or r"\x1b[2" in printed
    columns = json.loads(invoke("metrics", "vqe", "-o", "json").stdout)
    assert columns == {"timestamp": [1], "e\x1b[31m/x y": [2], "node_id": ["\x1b[2J"]}


def test_a_job_without_metrics(invoke: Invoke, home: Path) -> None:
    put_on_record(home, record_of(), log=b"nothing\n")
    result = invoke("metrics", "vqe", "--plot")
    assert (result.stdout, result.stderr) == ("", "The job has logged no metrics.\n")
    assert json.loads(invoke("metrics", "vqe", "-o", "json").stdout) == {}
    assert invoke("metrics", "vqe", "-f", "-o", "csv").stdout == ""


def test_curves_are_over_iterations_where_all_rows_have_them() -> None:
    columns: dict[str, list[Any]] = {
        "timestamp": [5.0, 6.0, 7.0],
        "e": [1.0, None, 3.0],
        "iteration_number": [0.0, None, 1.0],
    }
    assert list(curves(columns)) == [Curve(title="e", x_label="iteration_number", points=[(0.0, 1.0), (1.0, 3.0)])]
    assert list(curves(columns | {"iteration_number": [None, 1.0, 2.0]})) == [
        Curve(title="e", x_label="seconds", points=[(0.0, 1.0), (2.0, 3.0)])
    ]


def test_each_node_has_its_curve() -> None:
    columns: dict[str, list[Any]] = {"timestamp": [5.0, 6.0], "e": [1.0, 2.0], "node_id": ["a", "b"]}
    assert [(curve.title, curve.points) for curve in curves(columns)] == [
        ("e [a]", [(0.0, 1.0)]),
        ("e [b]", [(0.0, 2.0)]),
    ]


def test_no_columns_are_no_curves() -> None:
    assert list(curves({})) == []
