"""From what a user gives as input data to `PackedInputs`: what goes into a job's ``input/``.

The layout is Braket's: a folder's contents lie in ``<channel>/``, a file at ``<channel>/<name>``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from qjob.errors import InvalidInput
from qjob.model.spec import InputChannel
from qjob.source.location import Location, locate
from qjob.source.tree import TakeAll, Tree, copy_files, read_file, read_tree

DEFAULT_CHANNEL = "input"
MAX_CHANNELS = 20  # this limit and the pattern are those of Braket's service model
CHANNEL_PATTERN = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,64}")


class S3Source(Protocol):
    """Input data on S3: `qjob.model.config.S3DataSourceConfig`, or Braket's class of that name."""

    config: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PackedInputs:
    """Input data that can be copied into a job's folder: where it lies, not its contents.

    Attributes:
        channels: every channel, in the order they were given.
        trees: the files of each channel that lies on this machine, by the channel's name.
    """

    channels: tuple[InputChannel, ...] = ()
    trees: tuple[tuple[str, Tree], ...] = ()

    def write_to(self, directory: Path) -> None:
        """Copy each channel's files to ``directory/<channel>/``; a channel on S3 has none.

        The directory is made if need be. Raises OSError: FileExistsError when a channel is there already,
        FileNotFoundError when a file has gone since it was packed; what was copied until then stays.
        """
        for channel, tree in self.trees:
            target = directory / channel
            directory.mkdir(parents=True, exist_ok=True)
            target.mkdir()
            copy_files(tree.files, tree.directories, str(target))


def pack_inputs(
    input_data: str | os.PathLike[str] | S3Source | Mapping[str, str | os.PathLike[str] | S3Source] | None,
) -> PackedInputs:
    """Return the input data, ready to be copied; no file's content is read and what is passed is not changed.

    One path is the channel ``input``; a mapping names its channels. Links are followed and nothing is left
    out. An ``s3://`` URI or `S3Source` becomes a channel with nothing to copy; the engine may refuse it.

    Raises InvalidInput with every problem: too many channels, a channel's name, a value of a wrong type,
    and for each path what `qjob.source.location.locate` and `qjob.source.tree.read_tree` find.
    """
    channels = _channels(input_data)
    problems = _channel_problems(channels)
    packed = [_pack_channel(name, value, problems) for name, value in channels.items()]
    if problems:
        raise InvalidInput(problems)
    return PackedInputs(
        channels=tuple(channel for channel, _ in packed),
        trees=tuple((channel.name, tree) for channel, tree in packed if tree is not None),
    )


def _channels(input_data: object) -> Mapping[Any, object]:
    if input_data is None:
        return {}
    return input_data if isinstance(input_data, Mapping) else {DEFAULT_CHANNEL: input_data}


def _channel_problems(channels: Mapping[Any, object]) -> list[str]:
    problems = [
        f"input channel {name!r}: a channel's name is 1 to 64 letters, digits, '.', '_' and '-', "
        "and not '.' or '..'; rename it."
        for name in channels
        if not (isinstance(name, str) and CHANNEL_PATTERN.fullmatch(name))
    ]
    if len(channels) > MAX_CHANNELS:
        problems.append(
            f"input data has {len(channels)} channels: at most {MAX_CHANNELS} are allowed; put several into one folder."
        )
    return problems


def _pack_channel(name: str, value: object, problems: list[str]) -> tuple[InputChannel, Tree | None]:
    """Return the channel and its files; what is wrong with it is added to ``problems``."""
    s3_channel = _s3_channel(name, value)
    if s3_channel is not None:
        return s3_channel, None
    what = f"input channel {name!r}:"
    try:
        location = locate(what, value)
    except InvalidInput as error:
        problems.extend(error.problems)
        return InputChannel(name=name, uri=""), None
    tree = _tree(location)
    problems.extend(f"{what} {problem}" for problem in tree.problems)
    return InputChannel(name=name, uri=location.uri), tree


def _s3_channel(name: str, value: object) -> InputChannel | None:
    """Return the channel if its data lies on S3."""
    if isinstance(value, str):
        return InputChannel(name=name, uri=value) if value[:5].lower() == "s3://" else None
    try:
        config: Any = value.config  # type: ignore[attr-defined]
        uri = config["dataSource"]["s3DataSource"]["s3Uri"]
        content_type = config.get("contentType")
    except (AttributeError, KeyError, TypeError):
        return None
    return InputChannel(name=name, uri=uri, content_type=content_type) if isinstance(uri, str) else None


def _tree(location: Location) -> Tree:
    if location.is_directory:
        return read_tree(location.path, TakeAll())
    return read_file(location.path, location.name)
