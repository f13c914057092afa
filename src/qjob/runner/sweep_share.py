"""What the jobs of a sweep share comes into the folder of each when it starts."""

from __future__ import annotations

import json
import shutil

from qjob.atomic import TEMPORARY_SUFFIX, write_unsynced
from qjob.folder import JobFolder
from qjob.model.spec import JobSpec
from qjob.sweep_folder import SweepFolder, sweep_folder


def take_share(folder: JobFolder, spec: JobSpec) -> None:
    """Copy the sweep's source into the job's folder, let ``input`` there lead to the sweep's, write what is its own.

    The source is the job's working directory, so each job has its own; input data is read-only and may be large.
    Raises OSError.
    """
    if spec.sweep_point is None:
        return
    write_unsynced(folder.hyperparameters, json.dumps(dict(spec.hyperparameters), indent=2).encode() + b"\n")
    shared = _shared(folder, spec.sweep_point.sweep)
    if not folder.source.is_dir():  # it is there in a later attempt
        unfinished = folder.source.with_name(f".source{TEMPORARY_SUFFIX}")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(shared.source, unfinished, symlinks=True, copy_function=shutil.copy)
        unfinished.rename(folder.source)
    if spec.inputs and not folder.input.is_symlink():
        folder.input.symlink_to(shared.input, target_is_directory=True)


def tell_sweep(folder: JobFolder, spec: JobSpec) -> None:
    """Let whoever waits for the sweep know that this job has ended."""
    if spec.sweep_point is not None:
        _shared(folder, spec.sweep_point.sweep).tell_ended(folder.id)


def _shared(folder: JobFolder, sweep_id: str) -> SweepFolder:
    return sweep_folder(folder.path.parent, sweep_id)
