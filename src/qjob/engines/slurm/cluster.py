"""Cluster: what a Slurm is like: its version, its limits, its partitions. From text; the facts last for minutes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from qjob.engine import Fact
from qjob.engines.slurm.time_limit import limit_s

_SETTING = re.compile(r"^(\w+) *= *(.*?) *$", re.MULTILINE)  # a value may be empty: blanks are no line ends
_KEPT_SHARE = 0.7  # of MinJobAge: jobs are purged in rounds, and questions take their time
_PAIR = re.compile(r"(\w+)=(\S*)")


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition.

    Attributes:
        name: its name.
        is_default: whether jobs go there that name none.
        limit_s: its longest run in seconds; None for no limit.
        state: Slurm's word: UP starts jobs.
    """

    name: str
    is_default: bool
    limit_s: float | None
    state: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What qjob has to know of a cluster.

    Attributes:
        name: its name.
        version: of Slurm.
        array_size: indices of arrays are less than this; less than 2 where there are no arrays.
        has_accounting: whether sacct knows jobs that have left the queue.
        ended_kept_s: for how long squeue surely lists a job that has ended, in seconds.
        partitions: those that there are.
    """

    name: str
    version: str
    array_size: int
    has_accounting: bool
    ended_kept_s: float
    partitions: tuple[Partition, ...]

    def partition(self, name: str | None) -> Partition | None:
        """Return a partition, of a list the one of the longest runs; the default one for None; None if unknown."""
        names = (name or "").split(",")
        found = [each for each in self.partitions if (each.name in names if name else each.is_default)]
        return max(found, key=lambda each: float("inf") if each.limit_s is None else each.limit_s, default=None)


def parse_cluster(configuration: str, partitions: str) -> Cluster:
    """Return the cluster from what ``scontrol show config`` and ``scontrol --oneliner show partition`` print."""
    settings = dict(_SETTING.findall(configuration))
    return Cluster(
        name=settings.get("ClusterName", ""),
        version=settings.get("SLURM_VERSION", "unknown"),
        array_size=_array_size(settings),
        has_accounting="slurmdbd" in settings.get("AccountingStorageType", ""),
        ended_kept_s=_KEPT_SHARE * float(settings.get("MinJobAge", "0").split(" ")[0]),
        partitions=tuple(_partitions(partitions)),
    )


def _array_size(settings: dict[str, str]) -> int:
    """Return one more than the tasks that an array may have: by its highest index, and by its number of tasks."""
    most = re.search(r"max_array_tasks=(\d+)", settings.get("SchedulerParameters", ""))
    highest = int(settings.get("MaxArraySize", "0"))
    return min(highest, int(most[1])) if most else highest


def _partitions(text: str) -> Iterable[Partition]:
    for line in text.splitlines():
        pairs = dict(_PAIR.findall(line))
        if "PartitionName" in pairs:
            yield Partition(
                name=pairs["PartitionName"],
                is_default=pairs.get("Default") == "YES",
                limit_s=limit_s(pairs.get("MaxTime", "UNLIMITED")),
                state=pairs.get("State", "UP"),
            )


def facts(cluster: Cluster, nodes: str, licenses: str) -> list[Fact]:
    """Return what a cluster offers; ``nodes`` is what sinfo says and ``licenses`` what scontrol does."""
    accounting = "with accounting" if cluster.has_accounting else "without accounting: ended jobs are soon forgotten"
    arrays = f"arrays of {cluster.array_size - 1} at most" if cluster.array_size > 1 else "no arrays"
    head = Fact("Slurm", f"{cluster.version}, cluster {cluster.name}, {accounting}, {arrays}")
    return [head, *_partition_facts(cluster, nodes), *_license_facts(licenses)]


def _partition_facts(cluster: Cluster, nodes: str) -> Iterable[Fact]:
    rows = [line.split("|") for line in nodes.splitlines() if line.count("|") == 3]
    for partition in cluster.partitions:
        own = [row for row in rows if row[0] == partition.name]
        counts = ", ".join(f"{count} {state}" for state, count in _counts(own).items()) or "none"
        gres = sorted({row[3] for row in own} - {"(null)"})
        resources = f"; {', '.join(gres)}" if gres else ""
        limit = "no time limit" if partition.limit_s is None else f"{partition.limit_s / 60:g} min at most"
        default = " (default)" if partition.is_default else ""
        text = f"{partition.state.lower()}, {limit}; nodes: {counts}{resources}"
        yield Fact(f"partition {partition.name}{default}", text, well=partition.state == "UP")


def _counts(rows: Iterable[list[str]]) -> dict[str, int]:
    """Return how many nodes there are of each state."""
    counts: dict[str, int] = {}
    for _, state, count, _ in rows:
        counts[state] = counts.get(state, 0) + (int(count) if count.isdecimal() else 0)
    return counts


def _license_facts(text: str) -> Iterable[Fact]:
    for line in text.splitlines():
        pairs = dict(_PAIR.findall(line))
        if "LicenseName" in pairs:
            yield Fact(f"license {pairs['LicenseName']}", f"{pairs.get('Free', '?')} of {pairs.get('Total', '?')} free")
