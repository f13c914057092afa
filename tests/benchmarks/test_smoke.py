"""Every benchmark runs, with tiny sizes, and its answers are those of what it is compared with; no time is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slurm_cluster import slurm_problem

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
NAMES = sorted(path.stem.removeprefix("bench_").replace("_", "-") for path in BENCHMARKS.glob("bench_*.py"))

pytestmark = pytest.mark.live


def run(*arguments: str) -> dict[str, Any]:
    """Run benchmarks with tiny sizes; return what they found."""
    command = [sys.executable, str(BENCHMARKS / "run.py"), *arguments, "--smoke", "--no-peers", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_it_measures_and_its_answers_are_right(name: str) -> None:
    if name.startswith("slurm-") and (problem := slurm_problem()):
        pytest.skip(problem)
    rows = run(name)["rows"]
    assert rows
    for row in rows:
        assert not row["fault"]
        assert "NOT the same" not in row["note"]
        assert row["our_samples"] or "--no-peers" in row["note"]
    assert any(row["our_samples"] for row in rows)


def test_what_the_pictures_show_is_measured() -> None:
    charts = run("scaling")["charts"]
    assert [chart["file_name"] for chart in charts] == ["sweep.svg", "metrics.svg", "index.svg"]
    for chart in charts:
        assert all([size for size, _ in series["points"]] == [1, 3] for series in chart["series"])
