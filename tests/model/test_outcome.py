"""An outcome: what is written is what is read, and it says that the job ended."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings

from qjob.model.outcome import Outcome, outcome_from_json, outcome_to_json
from qjob.model.status import JobStatus
from strategies import outcomes


@settings(max_examples=50, deadline=None)
@given(outcome=outcomes)
def test_what_is_written_is_read(outcome: Outcome) -> None:
    assert outcome_from_json(json.loads(json.dumps(outcome_to_json(outcome)))) == outcome


@pytest.mark.parametrize("status", ["QUEUED", "RUNNING", "CANCELLING", "EXPLODED", None, 0])
def test_an_outcome_says_that_the_job_ended(status: Any) -> None:
    data = outcome_to_json(Outcome(status=JobStatus.COMPLETED, ended_at=datetime(2026, 1, 1, tzinfo=UTC)))
    with pytest.raises(ValueError, match=str(status)):
        outcome_from_json(data | {"status": status})


@pytest.mark.parametrize("missing", ["status", "endedAt", "reason", "traceback", "exitCodes"])
def test_an_outcome_has_all_its_fields(missing: str) -> None:
    data = outcome_to_json(Outcome(status=JobStatus.COMPLETED, ended_at=datetime(2026, 1, 1, tzinfo=UTC)))
    with pytest.raises(KeyError, match=missing):
        outcome_from_json({key: value for key, value in data.items() if key != missing})
