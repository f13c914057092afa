"""Listing: what the cluster says of our jobs, asked at most once per interval by all processes of a state directory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from qjob.engines.ray.ray_job import RayJob, newest, to_json
from qjob.shared_answer import Answer, SharedAnswer

_FRESH_S = 0.5  # an answer as old as that is not worth another question


class Listing:
    """The cluster's last answer to the question for all our jobs."""

    def __init__(
        self,
        directory: Path,
        ask: Callable[[], Sequence[RayJob]],
        poll_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep the answers of ``ask`` in a directory, which is made when needed, for ``poll_s`` seconds each."""
        self._shared = SharedAnswer(directory, lambda: json.dumps(list(map(to_json, ask()))), poll_s, clock)
        self._clock = clock
        self._parsed: tuple[Answer, dict[str, RayJob]] | None = None

    def jobs(self, refs: Iterable[str]) -> Mapping[str, RayJob]:
        """Return the last attempt of each job that the cluster knows, by ref. Raises EngineUnavailable.

        An answer without one of ``refs`` may be from before that was handed over: it is asked anew then.
        """
        answer = self._shared.read()
        known = self._read(answer)
        if all(ref in known for ref in refs) or self._clock() - answer.asked_at < _FRESH_S:
            return known
        return self._read(self._shared.ask())

    def note_act(self) -> None:
        """Note that something was submitted or stopped: the jobs are worth a look soon."""
        self._shared.note_act()

    def _read(self, answer: Answer) -> dict[str, RayJob]:
        if self._parsed is None or self._parsed[0] != answer:
            self._parsed = answer, newest(RayJob(**job) for job in json.loads(answer.text))
        return self._parsed[1]
