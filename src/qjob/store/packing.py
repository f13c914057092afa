"""Packing: how the index holds a record: the JSON of record.json, made small with zlib.

Records are alike, so zlib is given a typical one to refer to, without which it would save half as much. A packed
record is bytes: the number of the dictionary in the first one, then a raw deflate stream. Text is a record that was
not packed, as the first version of the index had them.
"""

from __future__ import annotations

import json
import zlib
from datetime import datetime

from qjob.errors import StoreCorrupt
from qjob.model.record import JobRecord, get_job, record_from_json

_DICTIONARY_1 = (
    b'"FAILED","failureReason":"The script ended with "The job was cancelled"CANCELLED","arn:aws:braket:us-east-1::d'
    b'evice/qpu/arn:aws:braket:::device/quantum-simulator/amazon/sv1"local:none/none"local:pennylane/lightning.qubit'
    b'"s3Uri":"file:///home/"sweep":{"sweep":"","number":,"concurrency":null}{"jobName":"vqe-1767225600000","algorit'
    b'hmSpecification":{"scriptModeConfig":{"entryPoint":"vqe","s3Uri":"file:///home/ada/vqe.py","compressionType":"'
    b'NONE"}},"deviceConfig":{"device":"local:braket/default"},"hyperParameters":{"seed":"1"},"inputDataConfig":[],"'
    b'instanceConfig":{"instanceType":"ml.m5.large","volumeSizeInGb":30,"instanceCount":1},"stoppingCondition":{"max'
    b'RuntimeInSeconds":432000},"checkpointConfig":{"localPath":"/opt/jobs/checkpoints","s3Uri":"file:///checkpoints'
    b'"},"tags":{},"qjob":{"engine":"local","sourceName":"vqe.py","copiedFrom":null,"priority":0,"options":{},"inter'
    b'preter":"/usr/bin/python3.12","requirements":"","containerPaths":false,"distribution":null,"graceSeconds":10.0'
    b',"gitCommit":"0123456789abcdef","leftOut":[],"imports":["__future__","braket.aws","braket.circuits","braket.de'
    b'vices","braket.jobs","braket.tracking","matplotlib","networkx","numpy","pandas","pennylane","qiskit","random",'
    b'"scipy.optimize","torch","json","math","os","sys","time"],"sweep":null,"id":"1j791324sjvwrhv","ref":"local/1j7'
    b'91324sjvwrhv","folder":"","exitCodes":[0],"host":"localhost","python":"3.12.0","cancelRequestedAt":null,"versi'
    b'on":7},"jobArn":"arn:qjob:braket:local:000000000000:job/1j791324sjvwrhv","status":"COMPLETED","roleArn":"arn:q'
    b'job:iam::000000000000:role/local","createdAt":"2026-01-01T00:00:00+00:00","startedAt":"2026-01-01T00:00:00+00:'
    b'00","endedAt":"2026-01-01T00:00:00+00:00","billableDuration":0,"outputDataConfig":{"s3Path":"file:///results"}'
    b',"events":[{"eventType":"QUEUED_FOR_EXECUTION","timeOfEvent":"2026-01-01T00:00:00+00:00","message":""},{"event'
    b'Type":"STARTING_INSTANCE","timeOfEvent":"2026-01-01T00:00:00+00:00","message":""},{"eventType":"DOWNLOADING_DA'
    b'TA","timeOfEvent":"2026-01-01T00:00:00+00:00","message":""},{"eventType":"RUNNING","timeOfEvent":"2026-01-01T0'
    b'0:00:00+00:00","message":""},{"eventType":"COMPLETED","timeOfEvent":"2026-01-01T00:00:00+00:00","message":""}]'
    b',"queueInfo":{"queue":"JOBS_QUEUE","position":"None"},"associations":[]}'
)
"""Never to be changed: what was packed with it could not be read any more. A better one gets the next number."""
_DICTIONARIES = {1: _DICTIONARY_1}
_NEWEST = max(_DICTIONARIES)
_LEVEL, _WINDOW_BITS, _MEMORY = 6, -12, 6  # a raw stream with a window of 4 KiB, which takes little to set up


def pack(record: JobRecord) -> bytes:
    """Return a record as the index holds it."""
    dictionary = _DICTIONARIES[_NEWEST]
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY, zlib.Z_DEFAULT_STRATEGY, dictionary)
    text = _ENCODER.encode(get_job(record, "")).encode()
    return b"%c" % _NEWEST + packer.compress(text) + packer.flush()


def unpack(packed: bytes | str) -> JobRecord:
    """Return the record that was packed; raises StoreCorrupt when it is none."""
    try:
        return record_from_json(json.loads(_text_of(packed)))
    except (ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
        raise StoreCorrupt(
            f"the index holds a row that is no record ({error!r}). The job folders are not touched by that: "
            "'qjob reindex' builds a new index from them."
        ) from error


def _text_of(packed: bytes | str) -> bytes | str:
    if isinstance(packed, str):
        return packed
    return zlib.decompressobj(_WINDOW_BITS, zdict=_DICTIONARIES[packed[0]]).decompress(packed[1:])


def _time_to_json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no JSON form")


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_time_to_json)
