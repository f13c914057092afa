"""The index's tables: made, made anew, and brought up to date from an earlier version."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 2


def version_of(db: sqlite3.Connection) -> int:
    """Return the version of the tables that are there; 0 when there are none."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def make_tables(db: sqlite3.Connection) -> None:
    """Make the tables and, as what fills them is sorted only then, not yet their indexes."""
    for statement in _statements():
        if not statement.startswith("CREATE INDEX"):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def make_indexes(db: sqlite3.Connection) -> None:
    """Make the indexes; quicker, and smaller, when the tables are full."""
    for statement in _statements():
        if statement.startswith("CREATE INDEX"):
            db.execute(statement)


def drop_tables(db: sqlite3.Connection) -> None:
    """Remove all that there is."""
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        db.execute(f'DROP TABLE "{name}"')


def migrate(db: sqlite3.Connection) -> None:
    """Bring tables of version 1 up to date, within a transaction.

    The records stay as they are, as texts: `qjob reindex` makes them small.
    """
    db.execute("ALTER TABLE job RENAME TO job_1")
    db.execute("ALTER TABLE tag RENAME TO tag_1")
    make_tables(db)
    db.executemany(
        "INSERT INTO job (id, name, status, device, created_us, alone, engine, ref, version, record)"
        " VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?)",
        _rows_of_version_1(db),
    )
    db.execute("INSERT INTO tag SELECT key, value, 1, job_id FROM tag_1 ORDER BY 1, 2, 4")
    db.execute("DROP TABLE job_1")
    db.execute("DROP TABLE tag_1")
    make_indexes(db)


def _rows_of_version_1(db: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    rows = db.execute("SELECT id, name, status, device, created_us, version, record FROM job_1 ORDER BY id")
    for *columns, version, text in rows:
        yield (*columns, *_engine_and_ref(text), version, text)


def _engine_and_ref(text: str) -> tuple[str, str | None]:
    try:
        ours = json.loads(text)["qjob"]
        return str(ours["engine"]), ours["ref"]
    except (ValueError, KeyError, TypeError):  # damaged: whoever reads the record is told so
        return "", None


@lru_cache(maxsize=1)
def _statements() -> tuple[str, ...]:
    lines = Path(__file__).with_name("schema.sql").read_text().splitlines()
    text = "\n".join(line.partition("--")[0] for line in lines)
    return tuple(statement.strip() for statement in text.split(";") if statement.strip())
