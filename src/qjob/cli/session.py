"""Session: what every command is handed, the settings and the service, each made when first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import click

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qjob.config import Settings
    from qjob.service import Service


@dataclass(kw_only=True)
class Session:
    """One use of the command line.

    Attributes:
        home: the state directory that ``--home`` names.
        traceback: whether to show Python's traceback of an error.
    """

    home: str | None = None
    traceback: bool = False

    @cached_property
    def settings(self) -> Settings:
        """The settings; raises SettingsError."""
        from qjob.config import load_settings  # `qjob --help` needs none

        return load_settings({"home": self.home})

    @cached_property
    def service(self) -> Service:
        """The service over the state directory; raises SettingsError, HomeError."""
        from qjob.app import open_service  # half of the time that `qjob ls` takes

        return open_service(self.settings)


pass_session = click.make_pass_decorator(Session)
