"""A TCP port at which the instances of a job can meet."""

from __future__ import annotations

import os

LOWEST, HIGHEST = 20_000, 29_999
"""Below the ports that systems give to outgoing connections (from 32768 on with Linux, 49152 with macOS), one of which
might take the port before the first instance does."""
_ATTEMPTS = 100


def free_port() -> int:
    """Return a port on which nobody listens now, on any address of this machine.

    Nothing keeps it free: whoever is told of it is expected to listen there soon. Where a hundred ports were
    taken, it is one of the system's choice. Raises OSError when the system has none at all.
    """
    import socket  # only jobs with several instances pay for it

    for _ in range(_ATTEMPTS):
        port = LOWEST + int.from_bytes(os.urandom(4), "big") % (HIGHEST - LOWEST + 1)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
