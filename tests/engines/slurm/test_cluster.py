"""What a cluster is like, from what scontrol and sinfo print."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qjob.engine import Fact
from qjob.engines.slurm.cluster import Cluster, Partition, facts, parse_cluster

CONFIGURATION = """\
Configuration data as of 1795772465
AccountingStorageBackupHost = (null)
AccountingStorageType   = accounting_storage/slurmdbd
AccountingStorageUser   = N/A
BOOT_TIME               = 1795772458
ClusterName             = test
InteractiveStepOptions  = --interactive --preserve-env --pty $SHELL
PowerPlugin             =
MaxArraySize            = 1001
MinJobAge               = 300 sec
PowerParameters         = (null)
SLURM_CONF              = /tmp/c/etc/slurm.conf
SLURM_VERSION           = 22.05.8

Slurmctld(primary) at here is UP
"""
"""Some lines as 22.05.8 prints them; in its order there is no MaxArraySize after the setting without a value."""
PARTITIONS = (
    "PartitionName=main AllowGroups=ALL AllocNodes=ALL Default=YES QoS=N/A DefaultTime=01:00:00 MaxNodes=UNLIMITED "
    "MaxTime=UNLIMITED MinNodes=0 Nodes=n[1-3] State=UP TotalCPUs=12 TRES=cpu=12,mem=12000M,node=3,billing=12\n"
    "PartitionName=short AllowGroups=ALL AllocNodes=ALL Default=NO QoS=N/A DefaultTime=NONE MaxTime=00:02:00 "
    "Nodes=n[1-3] State=UP TotalCPUs=12\n"
    "PartitionName=long AllowGroups=ALL Default=NO MaxTime=7-00:00:00 Nodes=n4 State=DRAIN TotalCPUs=4\n"
)
MAIN = Partition(name="main", is_default=True, limit_s=None, state="UP")
SHORT = Partition(name="short", is_default=False, limit_s=120.0, state="UP")
LONG = Partition(name="long", is_default=False, limit_s=604_800.0, state="DRAIN")
CLUSTER = Cluster(
    name="test",
    version="22.05.8",
    array_size=1001,
    has_accounting=True,
    ended_kept_s=210.0,
    partitions=(MAIN, SHORT, LONG),
)
NODES = """\
main|mixed|1|qpu:1
main|idle|2|(null)
short|mixed|1|qpu:1
short|idle|2|gpu:a100:4,qpu:1
short|idle|1|(null)
half a line|idle
"""
LICENSES = """\
LicenseName=qpu1 Total=1 Used=0 Free=1 Reserved=0 Remote=no
LicenseName=site@server Total=40
No licenses configured in Slurm.
"""


def test_a_cluster_from_what_scontrol_prints() -> None:
    assert parse_cluster(CONFIGURATION, PARTITIONS) == CLUSTER


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("AccountingStorageType   = accounting_storage/none", "has_accounting", False),
        ("AccountingStorageType   = (null)", "has_accounting", False),
        ("MaxArraySize            = 0", "array_size", 0),
        ("MinJobAge               = 2 sec", "ended_kept_s", 1.4),
        ("SLURM_VERSION           = 26.05.5", "version", "26.05.5"),
        ("ClusterName=tight", "name", "tight"),
    ],
)
def test_a_line_of_the_configuration(line: str, field: str, value: object) -> None:
    name = line.split("=")[0].strip()
    others = [old for old in CONFIGURATION.splitlines() if old.split("=")[0].strip() != name]
    assert getattr(parse_cluster("\n".join([*others, line]), ""), field) == value


def test_what_is_not_told_is_not_there() -> None:
    assert parse_cluster("", "") == Cluster(
        name="", version="unknown", array_size=0, has_accounting=False, ended_kept_s=0.0, partitions=()
    )


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (None, MAIN),
        ("", MAIN),
        ("short", SHORT),
        ("short,long", LONG),
        ("short,main", MAIN),
        ("short,none-such", SHORT),
        ("none-such", None),
    ],
)
def test_the_partition_that_a_job_goes_to(name: str | None, found: Partition | None) -> None:
    assert CLUSTER.partition(name) == found


def test_without_a_default_there_is_none() -> None:
    assert replace(CLUSTER, partitions=(SHORT,)).partition(None) is None


def test_what_a_cluster_offers() -> None:
    assert facts(CLUSTER, NODES, LICENSES) == [
        Fact("Slurm", "22.05.8, cluster test, with accounting, arrays of 1000 at most"),
        Fact("partition main (default)", "up, no time limit; nodes: 1 mixed, 2 idle; qpu:1"),
        Fact("partition short", "up, 2 min at most; nodes: 1 mixed, 3 idle; gpu:a100:4,qpu:1, qpu:1"),
        Fact("partition long", "drain, 10080 min at most; nodes: none", well=False),
        Fact("license qpu1", "1 of 1 free"),
        Fact("license site@server", "? of 40 free"),
    ]


def test_what_a_cluster_lacks() -> None:
    bare = replace(CLUSTER, array_size=1, has_accounting=False, partitions=())
    [fact] = facts(bare, "", "")
    assert "without accounting: ended jobs are soon forgotten" in fact.text
    assert fact.text.endswith("no arrays")
