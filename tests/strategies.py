"""Specs, events and records as hypothesis draws them, within the limits that GetJob has."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from qjob.model.config import CheckpointConfig, InstanceConfig, StoppingCondition
from qjob.model.event import JobEvent
from qjob.model.naming import job_id
from qjob.model.outcome import Outcome
from qjob.model.record import MAX_EVENT_MESSAGE_CHARS, MAX_EVENTS, MAX_FAILURE_REASON_CHARS, JobRecord
from qjob.model.spec import InputChannel, JobSpec
from qjob.model.status import EventType, JobStatus

times = st.datetimes(datetime(1971, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))
texts = st.text(max_size=12)
jsonable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
text_maps = st.dictionaries(texts, texts, max_size=3)
channels = st.builds(InputChannel, name=texts, uri=texts, content_type=st.none() | texts)
specs = st.builds(
    JobSpec,
    name=texts,
    entry_point=texts,
    source_name=texts,
    source_uri=texts,
    device=texts,
    engine=texts,
    hyperparameters=text_maps,
    inputs=st.lists(channels, max_size=3).map(tuple),
    instance_config=st.builds(
        InstanceConfig, instanceType=texts, volumeSizeInGb=st.integers(), instanceCount=st.integers()
    ),
    stopping_condition=st.builds(StoppingCondition, maxRuntimeInSeconds=st.integers()),
    checkpoint_config=st.builds(
        CheckpointConfig, localPath=texts, s3Uri=st.none() | texts | texts.map(lambda text: f"file:///{text}")
    ),
    copied_from=st.none() | texts,
    tags=text_maps,
    priority=st.integers(),
    options=st.dictionaries(texts, jsonable, max_size=3),
    python=texts,
    grace_s=st.floats(0, 1e6),
    git_commit=st.none() | texts,
    left_out=st.lists(texts, max_size=3).map(tuple),
)
recorded_events = st.builds(
    JobEvent,
    type=st.sampled_from([each for each in EventType if each is not EventType.CANCELLING]),
    time=times,
    message=st.text(max_size=MAX_EVENT_MESSAGE_CHARS),
)
"""Events as a record keeps them: their details have gone into its fields."""
ids = st.builds(job_id, st.integers(0, 2**55 - 1), st.integers(0, 2**20 - 1))
exit_codes = st.lists(st.none() | st.integers(-64, 255), max_size=3).map(tuple)
records = st.builds(
    JobRecord,
    id=ids,
    spec=specs,
    created_at=times,
    status=st.sampled_from(JobStatus),
    started_at=st.none() | times,
    ended_at=st.none() | times,
    failure_reason=st.none() | st.text(min_size=1, max_size=MAX_FAILURE_REASON_CHARS),
    events=st.lists(recorded_events, max_size=MAX_EVENTS).map(tuple),
    ref=st.none() | texts,
    exit_codes=exit_codes,
    host=st.none() | texts,
    python=st.none() | texts,
    cancel_requested_at=st.none() | times,
    version=st.integers(1, 10**6),
)
events = st.builds(
    JobEvent,
    type=st.sampled_from(EventType),
    time=times,
    message=texts,
    detail=st.dictionaries(texts, jsonable, max_size=3),
)
outcomes = st.builds(
    Outcome,
    status=st.sampled_from([status for status in JobStatus if status.ended]),
    ended_at=times,
    reason=st.none() | texts,
    traceback=st.none() | texts,
    exit_codes=exit_codes,
)
