"""ClusterFacts: what a cluster is like, remembered for some minutes by all processes of a state directory."""

from __future__ import annotations

from pathlib import Path

from qjob.engines.slurm.cluster import Cluster, parse_cluster
from qjob.engines.slurm.commands import Slurm
from qjob.shared_answer import Answer, SharedAnswer

_KEPT_S = 600.0
_BETWEEN = "\n--- partitions\n"


class ClusterFacts:
    """Asks for a cluster's configuration, seldom."""

    def __init__(self, slurm: Slurm, state: Path) -> None:
        """Remember it in the engine's own directory."""
        self._shared = SharedAnswer(
            state / "cluster", lambda: f"{slurm.configuration()}{_BETWEEN}{slurm.partitions()}", _KEPT_S
        )
        self._known: tuple[float, Cluster] | None = None

    def read(self) -> Cluster:
        """Return what is known, at most some minutes old. Raises EngineUnavailable."""
        return self._parsed(self._shared.read())

    def ask(self) -> Cluster:
        """Return what is so now. Raises EngineUnavailable."""
        return self._parsed(self._shared.ask())

    def _parsed(self, answer: Answer) -> Cluster:
        if self._known is None or self._known[0] != answer.asked_at:
            configuration, _, partitions = answer.text.partition(_BETWEEN)
            self._known = (answer.asked_at, parse_cluster(configuration, partitions))
        return self._known[1]
