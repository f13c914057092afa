"""Records in the index: as they were, small, and readable for good."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from qjob.errors import StoreCorrupt
from qjob.model.event import JobEvent
from qjob.model.naming import job_id
from qjob.model.record import JobRecord, apply, record_to_json
from qjob.model.status import EventType
from qjob.store import packing
from qjob.store.packing import pack, unpack
from qjob.testing import make_spec
from strategies import records


@settings(max_examples=60, deadline=None)
@given(record=records)
def test_what_is_packed_comes_out(record: JobRecord) -> None:
    assert unpack(pack(record)) == record
    assert unpack(json.dumps(record_to_json(record, ""))) == record


def test_a_record_is_small() -> None:
    start = datetime(2026, 11, 22, 10, 11, 12, 131415, tzinfo=UTC)
    record = JobRecord(id=job_id(int(start.timestamp() * 1e6), 77), spec=make_spec(name="scan-17"), created_at=start)
    life = ("QUEUED_FOR_EXECUTION", "STARTING_INSTANCE", "DOWNLOADING_DATA", "RUNNING", "COMPLETED")
    for number, word in enumerate(life):
        record = apply(record, JobEvent(type=EventType(word), time=start + timedelta(seconds=1.000017 * number)))
    assert len(pack(record)) < 350
    assert len(json.dumps(record_to_json(record, ""))) > 1500


def test_what_records_were_packed_with_stays() -> None:
    """Or every index that there is could not be read any more: a better dictionary gets a number of its own."""
    digests = {number: hashlib.sha256(text).hexdigest()[:16] for number, text in packing._DICTIONARIES.items()}
    assert digests == {1: "65a6c58543b65a3c"}


@pytest.mark.parametrize("packed", [b"", b"\x01", b"\x01\x00", b"\xff\x00", "", "{", "[]", "{}"])
def test_what_is_no_record_is_said_to_be_none(packed: bytes | str) -> None:
    with pytest.raises(StoreCorrupt, match="a row that is no record"):
        unpack(packed)
