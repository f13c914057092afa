"""Which jobs a query finds: the same as looking at each of them, by lists alone and however many there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.model.naming import job_id
from qjob.model.record import JobRecord
from qjob.model.spec import SweepPoint
from qjob.model.status import JobStatus
from qjob.model.sweep import SweepRecord
from qjob.store import query as query_module
from qjob.store.query import Query, find_ids
from qjob.store.store import Store
from qjob.testing import make_spec

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
SWEEPS = [job_id(int((START + timedelta(days=days)).timestamp() * 1e6), 0) for days in (1, 2)]
NAMES = ("vqe", "qaoa", "sweep")
DEVICES = ("local:none/none", "local:braket/sv")
TAGS: tuple[Mapping[str, str], ...] = ({}, {"owner": "ada"}, {"owner": "ada", "n": "1"}, {"owner": "bob"})


def job_of(number: int, status: JobStatus, name: str, device: str, tags: Mapping[str, str], sweep: int) -> JobRecord:
    """Return a job; ``sweep`` is the number of its sweep from 1, or 0. All of a sweep have device and tags alike."""
    created_at = START + timedelta(hours=number)
    point = SweepPoint(sweep=SWEEPS[sweep - 1], number=number) if sweep else None
    if sweep:
        device, tags = DEVICES[sweep - 1], TAGS[sweep + 1]
    spec = replace(make_spec(name=name, device=device, tags=tags), sweep_point=point)
    return JobRecord(id=job_id(int(created_at.timestamp() * 1e6), 7), spec=spec, created_at=created_at, status=status)


jobs = st.builds(
    job_of,
    number=st.integers(0, 60),
    status=st.sampled_from(JobStatus),
    name=st.sampled_from(NAMES),
    device=st.sampled_from(DEVICES),
    tags=st.sampled_from(TAGS),
    sweep=st.integers(0, 2),
)
queries = st.builds(
    Query,
    statuses=st.frozensets(st.sampled_from(JobStatus), max_size=3),
    name=st.none() | st.sampled_from([*NAMES, "other"]),
    device=st.none() | st.sampled_from([*DEVICES, "local:other/other"]),
    tags=st.sampled_from([{}, {"owner": "ada"}, {"n": "1", "owner": "ada"}, {"owner": "nobody"}]),
    created_after=st.none() | st.integers(-100, 100).map(lambda hours: START + timedelta(hours=hours)),
    sweep=st.none() | st.sampled_from([*SWEEPS, "none"]),
    alone=st.booleans(),
    limit=st.none() | st.integers(0, 5),
)


def matches(job: JobRecord, query: Query) -> bool:
    """Say what `Query` promises, for one job."""
    sweep = None if job.spec.sweep_point is None else job.spec.sweep_point.sweep
    return (
        (not query.statuses or job.status in query.statuses)
        and query.name in (None, job.spec.name)
        and query.device in (None, job.spec.device)
        and query.tags.items() <= job.spec.tags.items()
        and (query.created_after is None or job.created_at >= query.created_after)
        and query.sweep in (None, sweep)
        and not (query.alone and sweep)
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path = tmp_path_factory.mktemp("index")
    store = Store(path / "index.db", path / "jobs")
    yield store
    store.close()


@pytest.fixture(params=[(500,), (1, 3)], ids=["the shortest list", "any list"])
def counted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Count lists far enough, and not: then any of them must do. To have longer lists would take minutes."""
    monkeypatch.setattr(query_module, "_COUNTED", request.param)


@pytest.mark.usefixtures("counted")
@settings(max_examples=60, deadline=None)
@given(many=st.lists(jobs, max_size=25, unique_by=lambda job: job.id), query=queries)
def test_what_is_found_is_what_matches(store: Store, many: list[JobRecord], query: Query) -> None:
    sweeps = [SweepRecord(id=key, name="sweep", created_at=START + timedelta(days=1), points=1) for key in SWEEPS]
    store.rebuild(lambda known: [*sweeps, *many])
    newest_first = sorted(many, key=lambda job: job.id, reverse=True)
    assert store.find(query) == [job for job in newest_first if matches(job, query)][: query.limit]
    assert (
        store.find_sweeps(query)
        == [
            sweep
            for sweep in sorted(sweeps, key=lambda sweep: sweep.id, reverse=True)
            if sweep_matches(sweep, [job for job in many if job.spec.sweep_point], query)
        ][: query.limit]
    )


def sweep_matches(sweep: SweepRecord, points: list[JobRecord], query: Query) -> bool:
    """Say what `find_sweeps` promises, for one sweep."""
    if query.alone or query.sweep not in (None, sweep.id):
        return False
    if query.created_after is not None and sweep.created_at < query.created_after:
        return False
    mine = [job for job in points if job.spec.sweep_point and job.spec.sweep_point.sweep == sweep.id]
    if query.name not in (None, sweep.name, *(job.spec.name for job in mine)):
        return False
    of_jobs = replace(query, name=None, sweep=None, created_after=None)
    needs_none = of_jobs == Query(limit=query.limit)
    return needs_none or any(matches(job, of_jobs) for job in mine)


class Explained(sqlite3.Connection):
    """A connection that keeps how SQLite goes about each statement."""

    plans: list[list[str]]

    def execute(self, sql: str, values: object = (), /) -> sqlite3.Cursor:
        rows = super().execute("EXPLAIN QUERY PLAN " + sql, values)  # type: ignore[arg-type]
        self.plans.append([row[3] for row in rows])
        return super().execute(sql, values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "query",
    [
        Query(limit=20),
        Query(alone=True, limit=20),
        Query(sweep=SWEEPS[0], limit=20),
        Query(statuses=frozenset({JobStatus.FAILED, JobStatus.RUNNING}), name="vqe", limit=20),
        Query(name="vqe", device="d", tags={"a": "b", "c": "d"}, alone=True, created_after=START, limit=20),
        Query(sweep=SWEEPS[0], tags={"a": "b"}, statuses=frozenset({JobStatus.FAILED}), limit=20),
    ],
)
def test_nothing_is_sorted_or_gone_through_as_a_whole(tmp_path: Path, query: Query) -> None:
    store = Store(tmp_path / "index.db", tmp_path / "jobs")
    store.check()
    store.close()
    db = sqlite3.connect(tmp_path / "index.db", factory=Explained)
    assert isinstance(db, Explained)
    db.plans = []
    find_ids(db, query)
    plans = db.plans
    db.close()
    counts = [steps for steps in plans if steps[0].startswith("CO-ROUTINE")]
    walks = [steps for steps in plans if steps not in counts]
    assert walks
    for count in counts:
        assert "COVERING INDEX" in count[1] or "PRIMARY KEY" in count[1]
    for walked, *looked_up in walks:
        assert walked.startswith("SEARCH")
        assert "COVERING INDEX" in walked or "PRIMARY KEY" in walked
        assert all("id=?" in step for step in looked_up), looked_up
        assert not any("TEMP B-TREE" in step for step in looked_up)
