"""Whether code knows that it runs in Braket's container: by the paths there that it names."""

from __future__ import annotations

from qjob.source.generated import GeneratedSource
from qjob.source.packed import PackedSource

_PATHS = (b"/opt/braket", b"/opt/ml", b"/opt/jobs")  # the last holds Braket's default place for checkpoints


def mentions_container_paths(source: PackedSource | GeneratedSource) -> bool:
    """Say whether a file of the source names one of the container's paths.

    Read is what the source's ``texts`` yields. A path that is put together when the job runs is not seen.
    """
    try:
        return any(path in text for text in source.texts() for path in _PATHS)
    except OSError:
        return False  # a file has gone meanwhile, of which the copy will tell
