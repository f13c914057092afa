"""What a job needs, in packages for Ray: zip files by the hash of their content, which a node unpacks.

Ray unpacks a zip without modes and links, so each has one tar file, which `qjob.engines.ray.carry` unpacks.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qjob.folder import JobFolder

JOB = "job.tar"
SHARE = "qjob-share.tar"
LONGEST_BYTES = 95 << 20
"""Ray's dashboard takes requests of up to 100 MiB."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """A zip file; two with the same content have the same name."""

    data: bytes

    @property
    def name(self) -> str:
        """How Ray names it."""
        return f"_ray_pkg_{hashlib.sha256(self.data).hexdigest()[:32]}.zip"

    @property
    def uri(self) -> str:
        """How a runtime environment names it."""
        return f"gcs://{self.name}"


def job_package(folder: JobFolder, python: str | None) -> Package:
    """Return what is the job's own: ``python`` is its interpreter there, None: that of whoever unpacks it."""
    paths = [folder.hyperparameters, folder.requirements, folder.environment, folder.cancel_mark]
    spec = _with_interpreter(json.loads(folder.spec.read_bytes()), python)
    return _package(
        JOB, {folder.spec.name: json.dumps(spec).encode()}, [*paths, folder.source, folder.input, folder.checkpoints]
    )


def share_package(paths: Iterable[Path]) -> Package:
    """Return what the jobs of a sweep share."""
    return _package(SHARE, {}, paths)


def runner_package(directory: Path) -> Package:
    """Return the package qjob, which lies in a directory, as it is to be imported."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.rglob("*.py")):
            archive.writestr(_member(str(path.relative_to(directory))), path.read_bytes())
    return Package(buffer.getvalue())


def _with_interpreter(spec: dict[str, Any], python: str | None) -> dict[str, Any]:
    return {**spec, "qjob": {**spec["qjob"], "interpreter": python or ""}}


def _package(name: str, texts: dict[str, bytes], paths: Iterable[Path]) -> Package:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in texts.items():
            info = tarfile.TarInfo(member)
            info.size, info.mode = len(data), 0o600
            archive.addfile(info, io.BytesIO(data))
        for path in paths:
            if os.path.lexists(path):
                archive.add(path, arcname=path.name)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as outer:
        outer.writestr(_member(name), buffer.getvalue())
    return Package(zipped.getvalue())


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o600 << 16
    return member
