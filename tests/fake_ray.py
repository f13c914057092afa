"""FakeRay: plays the dashboard of a Ray cluster in memory, as far as the engine ``ray`` talks to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qjob.engines.ray.capacity import Node
from qjob.engines.ray.ray_job import RayJob
from qjob.errors import EngineUnavailable, SubmitError

WAITS = "Job has not started yet. It may be waiting for resources."


class FakeRay:
    """A cluster whose jobs do what the test says; submissions wait until `put` moves them.

    Attributes:
        requests: the submissions that it took, by id.
        stopped: the submission ids that it was told to stop.
        questions: how often it was asked for all jobs.
        away: whether it answers nobody.
        refuses: what it says to those who submit; empty: it takes everything.
        packages: those that it was given, by name.
        node_logs: by node, the directory of its logs.
    """

    def __init__(self, *nodes: Mapping[str, float]) -> None:
        """Play a cluster with these nodes, which have memory besides."""
        totals = [{"memory": 8e9, **total} for total in nodes or ({"CPU": 2.0},)]
        self._nodes = [Node(id=f"node{number}", total=total) for number, total in enumerate(totals)]
        self._jobs: dict[str, RayJob] = {}
        self.requests: dict[str, Mapping[str, Any]] = {}
        self.stopped: list[str] = []
        self.questions = 0
        self.away = False
        self.refuses = ""
        self.packages: dict[str, bytes] = {}
        self.node_logs: dict[str, Path] = {}

    def put(self, submission: str, status: str, **fields: str) -> None:
        """Have a submission in another state."""
        self._jobs[submission] = replace(self._jobs[submission], status=status, **fields)

    def join(self, total: Mapping[str, float]) -> None:
        """Have one node more."""
        self._nodes.append(Node(id=f"node{len(self._nodes)}", total={"memory": 8e9, **total}))

    def forget_all(self) -> None:
        """Know nothing of any job, as after the head was started anew."""
        self._jobs.clear()

    def submit(self, request: Mapping[str, Any]) -> None:
        self._answer()
        if self.refuses:
            raise SubmitError(self.refuses)
        submission = request["submission_id"]
        if submission not in self._jobs:
            self.requests[submission] = request
            self._jobs[submission] = RayJob(submission_id=submission, status="PENDING", message=WAITS)

    def jobs(self) -> Sequence[RayJob]:
        self._answer()
        self.questions += 1
        return list(self._jobs.values())

    def stop(self, submission_id: str) -> None:
        self._answer()
        self.stopped.append(submission_id)

    def nodes(self) -> Sequence[Node]:
        self._answer()
        return self._nodes

    def usage(self) -> Mapping[str, tuple[float, float]]:
        self._answer()
        return {"CPU": (1.0, 2.0), "myQpu": (1.0, 1.0)}

    def version(self) -> str:
        self._answer()
        return "2.60.0"

    def has_package(self, name: str) -> bool:
        self._answer()
        return name in self.packages

    def put_package(self, name: str, data: bytes) -> None:
        self._answer()
        self.packages[name] = data

    def read(self, node_id: str, name: str, lines: int = -1) -> Iterator[bytes]:
        self._answer()
        directory = self.node_logs.get(node_id)
        if directory is None:
            raise EngineUnavailable(f"Agent for node id: {node_id} doesn't exist")
        data = (directory / name).read_bytes()
        yield b"".join(data.splitlines(keepends=True)[-lines:]) if lines > 0 else data

    def _answer(self) -> None:
        if self.away:
            raise EngineUnavailable("The Ray cluster does not answer.")
