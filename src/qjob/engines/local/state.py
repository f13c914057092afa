"""LocalState: names every file of the local engine's own memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LocalState:
    """The files of the local engine, all below one directory on a local disk.

    Attributes:
        path: that directory.
    """

    path: Path

    @property
    def queue(self) -> Path:
        """What waits and what runs; see `Queue`."""
        return self.path / "queue.db"

    @property
    def lock(self) -> Path:
        """Locked by the dispatcher as long as it lives; holds its pid."""
        return self.path / "dispatcher.lock"

    @property
    def starting(self) -> Path:
        """Locked by whoever starts a dispatcher, so that a hundred submits start one."""
        return self.path / "starting.lock"

    @property
    def doorbell(self) -> Path:
        """See `Doorbell`."""
        return self.path / "doorbell"

    @property
    def log(self) -> Path:
        """What the dispatcher and the runners have to say to whoever looks for a fault."""
        return self.path / "dispatcher.log"

    @property
    def warm(self) -> Path:
        """Which processes are ready to become jobs, and which imports rule that out; see `WarmPool`."""
        return self.path / "warm.json"

    @property
    def late_imports(self) -> Path:
        """What sources were seen to import late; see `LateImports`."""
        return self.path / "imports.json"
