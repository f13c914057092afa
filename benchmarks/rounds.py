"""Rounds: several things measured in turn, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from room import is_smoke_test

Measure = Callable[[], float]


def interleaved(measures: Mapping[str, Measure], rounds: int) -> dict[str, list[float]]:
    """Take each measurement ``rounds`` times, in turn and every other round backwards.

    One round before that fills the caches and does not count. A smoke test takes one round and none before.
    """
    samples: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(1) if is_smoke_test() else range(-1, rounds):
        names = list(measures) if number % 2 else list(measures)[::-1]
        for name in names:
            value = measures[name]()
            if number >= 0:
                samples[name].append(value)
    return samples


def milliseconds(samples: Sequence[float]) -> list[float]:
    """Return seconds as milliseconds."""
    return [sample * 1000 for sample in samples]


def percentile(percent: float) -> Callable[[Sequence[float]], float]:
    """Return a function to the sample that so many percent of all do not exceed (the nearest rank)."""
    return lambda samples: sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]


def run_time_s(command: Sequence[str]) -> float:
    """Run a command to its end, its output thrown away; return how long that took."""
    started = time.monotonic()
    null = subprocess.DEVNULL
    subprocess.run(command, check=True, stdin=null, stdout=null, stderr=null)
    return time.monotonic() - started
