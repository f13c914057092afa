"""Query: which jobs to find, and how the index finds them.

Everything that a job is found by is a list in the index, sorted by id: the jobs of a name, of a tag, in a state.
A query walks the shortest of its lists from the newest job on and looks each job up in the others, so that its
cost is that of its rarest part, however many jobs there are. SQLite's own planner would need statistics for that,
which an index that changes all the time does not have.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from qjob.model.naming import TIME_CHARS, job_id
from qjob.model.status import JobStatus

_COUNTED = (500, 4_000, 25_000, 100_000)
"""How far lists are counted to find the shortest: never much further than its own length."""
_ID_LATER = timedelta(minutes=1)
"""An id is made when the job is created; this much earlier is surely too early."""
_Value = str | int


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which jobs to find; what is left out matches everything.

    Attributes:
        statuses: any of these.
        name: exactly this name.
        tags: all of these, key and value.
        device: exactly this device.
        created_after: created at this aware time or later.
        sweep: points of the sweep with this id.
        alone: only jobs that are of no sweep.
        limit: at most so many, the newest; None for all.
    """

    statuses: frozenset[JobStatus] = frozenset()
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    device: str | None = None
    created_after: datetime | None = None
    sweep: str | None = None
    alone: bool = False
    limit: int | None = None


def find_ids(db: sqlite3.Connection, query: Query) -> list[str]:
    """Return the ids of the jobs that match, the newest first."""
    found: list[str] = []
    for alone in _kinds(query):
        found.extend(_ids_of_kind(db, query, alone))
    return sorted(found, reverse=True)[: query.limit]


def find_sweeps(db: sqlite3.Connection, query: Query) -> list[str]:
    """Return the records, as texts, of the sweeps that have a job that matches, the newest first.

    The name may be the sweep's own as well, and the time is that of the sweep. As the jobs of a sweep have one
    device and the same tags, any of them tells those.
    """
    if query.alone:
        return []
    clauses = list(_sweep_clauses(query))
    where = " AND ".join(clause for clause, _ in clauses)
    values = [value for _, values in clauses for value in values]
    sql = f"SELECT record FROM sweep AS s WHERE {where} ORDER BY s.id DESC LIMIT ?"
    return [row[0] for row in db.execute(sql, (*values, _sql_limit(query)))]


@dataclass(frozen=True, kw_only=True)
class _Criterion:
    """One thing that jobs are found by, as one list in the index or, with several values, as several.

    Attributes:
        source: the table, and the index of it that is the list.
        alias: its name in a statement, different for each criterion.
        fixed: what all the rows have in common, by column.
        column: the column of which there are several values.
        any_of: those values.
        id_column: the column of the job's id.
    """

    source: str
    alias: str
    fixed: Mapping[str, _Value]
    column: str
    any_of: Sequence[_Value]
    id_column: str = "id"

    @property
    def table(self) -> str:
        """What stands in a FROM clause."""
        name, _, index = self.source.partition(" ")
        return f"{name} AS {self.alias} INDEXED BY {index}" if index else f"{name} AS {self.alias}"

    @property
    def id(self) -> str:
        """The job's id in a statement."""
        return f"{self.alias}.{self.id_column}"

    def terms(self, among: Sequence[_Value]) -> tuple[str, list[_Value]]:
        """Return the condition for a row that has one of these values."""
        fixed = [f"{self.alias}.{column} = ?" for column in self.fixed]
        several = (
            f"{self.alias}.{self.column} IN ({_places(among)})" if len(among) > 1 else f"{self.alias}.{self.column} = ?"
        )
        return " AND ".join([*fixed, several]), [*self.fixed.values(), *among]


def _kinds(query: Query) -> tuple[int, ...]:
    if query.alone:
        return () if query.sweep is not None else (1,)
    return (0,) if query.sweep is not None else (1, 0)


def _ids_of_kind(db: sqlite3.Connection, query: Query, alone: int) -> Iterator[str]:
    criteria = list(_criteria(query, alone))
    first_id = _first_id(query)
    driver = criteria[0] if query.sweep is not None else _shortest(db, criteria, first_id)
    probes = [criterion for criterion in criteria if criterion is not driver]
    for value in driver.any_of:
        sql, values = _walk(driver, value, probes, query)
        for row in db.execute(sql, values):
            yield row[0]


def _criteria(query: Query, alone: int) -> Iterator[_Criterion]:
    statuses = sorted(map(str, query.statuses or JobStatus))
    if query.sweep is not None:
        yield _of_job("sweep", {"sweep": query.sweep}, "status", statuses)
    elif query.statuses or not (query.name is not None or query.device is not None or query.tags):
        yield _of_job("status", {"alone": alone}, "status", statuses)
    if query.name is not None:
        yield _of_job("name", {"alone": alone}, "name", [query.name])
    if query.device is not None:
        yield _of_job("device", {"alone": alone}, "device", [query.device])
    for number, (key, value) in enumerate(query.tags.items()):
        yield _Criterion(
            source="tag",
            alias=f"tag_{number}",
            fixed={"key": key, "alone": alone},
            column="value",
            any_of=[value],
            id_column="job_id",
        )


def _of_job(by: str, fixed: Mapping[str, _Value], column: str, any_of: Sequence[_Value]) -> _Criterion:
    return _Criterion(source=f"job job_by_{by}", alias=f"by_{by}", fixed=fixed, column=column, any_of=any_of)


def _shortest(db: sqlite3.Connection, criteria: Sequence[_Criterion], first_id: str) -> _Criterion:
    """Return the criterion that fewest jobs meet; any of them when all have very many."""
    if len(criteria) == 1:
        return criteria[0]
    for limit in _COUNTED:
        counted = [_count(db, criterion, first_id, limit) for criterion in criteria]
        if min(counted) < limit:
            break
    return criteria[counted.index(min(counted))]


def _count(db: sqlite3.Connection, criterion: _Criterion, first_id: str, limit: int) -> int:
    """Return how many jobs meet the criterion, or at least ``limit``."""
    total = 0
    for value in criterion.any_of:
        where, values = criterion.terms([value])
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {criterion.table} WHERE {where} AND {criterion.id} >= ? LIMIT ?)"
        total += db.execute(sql, (*values, first_id, limit - total)).fetchone()[0]
        if total >= limit:
            break
    return total


def _walk(driver: _Criterion, value: _Value, probes: Sequence[_Criterion], query: Query) -> tuple[str, list[Any]]:
    """Return the statement that walks one list and looks each job up in the others."""
    where, values = driver.terms([value])
    tables, conditions = [driver.table], [where, f"{driver.id} >= ?"]
    values.append(_first_id(query))
    for probe in probes:
        term, more = probe.terms(probe.any_of)
        tables.append(probe.table)
        conditions += [term, f"{probe.id} = +{driver.id}"]  # without the +, SQLite goes for the range of ids there too
        values += more
    if query.created_after is not None:
        tables.append("job AS row")
        conditions.append(f"row.id = +{driver.id} AND row.created_us >= ?")
        values.append(microseconds(query.created_after))
    # CROSS JOIN is SQLite's word for a join in the order in which it is written.
    sql = f"SELECT {driver.id} FROM {' CROSS JOIN '.join(tables)} WHERE {' AND '.join(conditions)}"
    return f"{sql} ORDER BY {driver.id} DESC LIMIT ?", [*values, _sql_limit(query)]


def _sweep_clauses(query: Query) -> Iterator[tuple[str, Sequence[Any]]]:
    yield "s.id >= ?", [_first_id(query)]
    if query.sweep is not None:
        yield "s.id = ?", [query.sweep]
    if query.created_after is not None:
        yield "s.created_us >= ?", [microseconds(query.created_after)]
    if query.name is not None:
        of_job = "SELECT sweep FROM job INDEXED BY job_by_name WHERE name = ? AND alone = 0"
        yield f"(s.name = ? OR s.id IN ({of_job}))", [query.name, query.name]
    if query.statuses:
        statuses = sorted(map(str, query.statuses))
        yield f"EXISTS (SELECT 1 FROM job WHERE sweep = s.id AND status IN ({_places(statuses)}))", statuses
    any_job = "(SELECT id FROM job WHERE sweep = s.id LIMIT 1)"
    if query.device is not None:
        by_device = f"SELECT 1 FROM job INDEXED BY job_by_device WHERE device = ? AND alone = 0 AND id = {any_job}"
        yield f"EXISTS ({by_device})", [query.device]
    for key, value in query.tags.items():
        by_tag = f"SELECT 1 FROM tag WHERE key = ? AND value = ? AND alone = 0 AND job_id = {any_job}"
        yield f"EXISTS ({by_tag})", [key, value]


def microseconds(time: datetime) -> int:
    """Return a time as the index has it: microseconds since 1970, UTC."""
    return int(time.timestamp() * 1_000_000)


def _first_id(query: Query) -> str:
    """Return the beginning of an id that no older job than was asked for has: ids sort by time."""
    if query.created_after is None:
        return ""
    return job_id(max(0, microseconds(query.created_after - _ID_LATER)), 0)[:TIME_CHARS]


def _sql_limit(query: Query) -> int:
    return -1 if query.limit is None else query.limit


def _places(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
