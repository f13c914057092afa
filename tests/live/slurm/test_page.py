"""docs/clusters.md: what it shows is what happens on a real Slurm, and its tables are the engine's."""

from __future__ import annotations

import json
import runpy
from collections.abc import Mapping
from pathlib import Path

import pytest

from documents import ROOT, read
from test_snippets import matches, play, steps_of


def test_the_tables_are_the_engines() -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_clusters.py"))
    text = read("docs/clusters.md")
    assert text == generator["page"](text), "run: python docs/generate_clusters.py"


@pytest.mark.live
@pytest.mark.examples
def test_what_is_shown_is_what_happens(slurm_environment: Mapping[str, str], tmp_path: Path) -> None:
    pytest.importorskip("braket.devices")
    pytest.importorskip("pennylane")
    steps = [step for step in steps_of("clusters.md", read("docs/clusters.md")) if step.kind == "console"]
    assert len(steps) >= 8
    done = play(steps, tmp_path)
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('["')]
    results = {name: (code, output) for name, code, output in told}
    for step in steps:
        assert step.name in results, done.stdout + done.stderr
        code, output = results[step.name]
        assert code == 0, f"{step.name}: {step.text}\n{output}"
        assert not step.output or matches(step.output, output), f"{step.name}: {step.text}\n{output}"
