"""Started by `bench_slurm_watch`, several times: watches held jobs as users do, who know nothing of each other.

Says one line when it is up. Then takes the sweep and the jobs to watch, looks at the sweep and at one of the jobs
every 0.2 s until there is another line, and answers how often it has, and what it saw that was wrong. Everything said
is JSON.
"""

from __future__ import annotations

import itertools
import json
import select
import sys
from collections.abc import Iterator
from typing import Any

from qjob import Job, Sweep, get, get_sweep

_EVERY_S = 0.2


def main() -> None:
    """Watch until the second line."""
    _say("up")
    wanted = json.loads(sys.stdin.readline())
    sweep = get_sweep(wanted["sweep"])
    jobs = [get(each) for each in wanted["jobs"]]
    _say("watching")
    _say(_watched(sweep, itertools.cycle(jobs)))


def _watched(sweep: Sweep, jobs: Iterator[Job]) -> dict[str, Any]:
    looks = 0
    faults: set[str] = set()
    while not select.select([sys.stdin], [], [], _EVERY_S)[0]:
        counts, state = sweep.counts(), next(jobs).state()
        looks += 1
        if counts != {"QUEUED": len(sweep)} or state != "QUEUED":
            faults.add(f"a watcher saw {counts} and {state}")
    return {"looks": looks, "faults": sorted(faults)}


def _say(words: Any) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    main()
