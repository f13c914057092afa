"""The tests of tests/live/ray, run with a real Ray of two nodes in namespaces of its own.

They are one process, for the cluster takes a quarter of a minute to start.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import pytest

from ray_cluster import ray_problem, run_inside

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted(path.name for path in (ROOT / "tests/live/ray").glob("test_*.py"))
LONGEST_S = 900.0

pytestmark = [pytest.mark.live, pytest.mark.fault]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What the tests inside have said.

    Attributes:
        output: all that they printed.
        results: by file, the name of each test and its failure; empty where it passed.
    """

    output: str
    results: dict[str, dict[str, str]]


def test_with_a_real_ray(tmp_path: Path) -> None:
    """One test for all of theirs: with two workers of pytest-xdist there is one cluster all the same."""
    if problem := ray_problem():
        pytest.skip(problem)
    suite = run_suite(tmp_path / "report.xml")
    assert set(suite.results) == set(FILES), suite.output
    failed = {f"{file}: {name}": text for file in FILES for name, text in suite.results[file].items() if text}
    tests = sum(map(len, suite.results.values()))
    assert not failed, f"{len(failed)} of {tests} failed: {', '.join(failed)}\n" + "\n".join(failed.values())


def run_suite(report: Path) -> Suite:
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--junitxml={report}", f"--rootdir={ROOT}"]
    done = run_inside([sys.executable, "-m", "pytest", *options, str(ROOT / "tests/live/ray")], LONGEST_S)
    return Suite(output=done.stdout, results=_results(report) if report.exists() else {})


def _results(report: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        # What went wrong before there was a test has no class; it is in the output.
        module = next((part for part in case.get("classname", "").split(".") if part.startswith("test_")), "elsewhere")
        troubles = [each.text or "no reason is given" for each in case if each.tag in ("failure", "error")]
        found.setdefault(f"{module}.py", {})[case.get("name", "")] = "\n".join(troubles)
    return found
