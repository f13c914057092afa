"""A spec: its JSON form keeps everything, and has CreateJob's shape."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from qjob.model.spec import InputChannel, JobSpec, spec_from_json, spec_to_json
from qjob.testing import make_spec
from strategies import specs


@settings(max_examples=100, deadline=None)
@given(spec=specs)
def test_what_is_written_is_read(spec: JobSpec) -> None:
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec


def test_the_json_shares_nothing_with_the_spec() -> None:
    spec = make_spec(tags={"a": "b"}, options={"slots": 2})
    data = spec_to_json(spec)
    data["tags"]["a"] = data["hyperParameters"]["do"] = data["qjob"]["options"]["slots"] = "changed"
    data["instanceConfig"]["instanceCount"] = 7
    assert spec_to_json(spec) == spec_to_json(make_spec(tags={"a": "b"}, options={"slots": 2}))


def test_unknown_fields_are_passed_over() -> None:
    data = spec_to_json(make_spec())
    data["fromLater"] = 1
    data["qjob"]["fromLater"] = 1
    assert spec_from_json(data) == make_spec()


@pytest.mark.parametrize("missing", sorted(spec_to_json(make_spec())))
def test_a_spec_without_one_of_its_fields_is_refused(missing: str) -> None:
    data = spec_to_json(make_spec())
    del data[missing]
    with pytest.raises(KeyError, match=missing):
        spec_from_json(data)


def test_a_content_type_is_only_there_when_it_was_given() -> None:
    spec = make_spec(
        inputs=(InputChannel(name="a", uri="file:///a"), InputChannel(name="b", uri="file:///b", content_type="x/y"))
    )
    assert spec_to_json(spec)["inputDataConfig"] == [
        {"channelName": "a", "dataSource": {"s3DataSource": {"s3Uri": "file:///a"}}},
        {"channelName": "b", "dataSource": {"s3DataSource": {"s3Uri": "file:///b"}}, "contentType": "x/y"},
    ]
