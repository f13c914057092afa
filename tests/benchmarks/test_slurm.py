"""The benchmarks with a Slurm: where there is none a line says so, and calls of its commands are counted."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Module = Callable[[str], Any]


@pytest.mark.parametrize("name", ["bench_slurm_start", "bench_slurm_submit", "bench_slurm_watch"])
def test_without_a_slurm_a_line_says_why(
    module: Module, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    benchmark = module(name)
    monkeypatch.setattr(benchmark, "why_no_slurm", lambda: "it needs sbatch")  # there is one where these tests run
    (row,) = benchmark.run(tmp_path, quick=True)
    assert row.note == "not measured: it needs sbatch"
    assert row.goal
    assert not list(tmp_path.iterdir())


def test_each_call_of_a_command_is_counted_and_made(
    module: Module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "squeue").write_text('#!/bin/sh\necho "real $*"\nexit 3\n')
    (real / "squeue").chmod(0o700)
    monkeypatch.setenv("PATH", f"{real}:{os.environ['PATH']}")
    before = time.time()
    with module("slurm_room").counted_calls(tmp_path / "it's counted") as log:
        done = subprocess.run(["squeue", "--me", "a b"], capture_output=True, text=True, check=False)
        at, command = log.read_text().split()
    assert (done.stdout, done.returncode) == ("real --me a b\n", 3)
    assert before <= float(at) <= time.time()
    assert command == "squeue"
    assert os.environ["PATH"].startswith(f"{real}:")


def test_a_rate_is_that_between_the_first_call_and_the_last(module: Module) -> None:
    watch = module("bench_slurm_watch")
    calls = [watch._Call(command="squeue", at_s=at) for at in (70.0, 100.0, 130.0)]
    assert watch._per_minute(calls, within_s=75) == 2
    assert watch._per_minute(calls[:1], within_s=40) == 1.5
    assert watch._per_minute([], within_s=40) == 0
