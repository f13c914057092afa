"""The command ``qjob``, as a user starts it."""

from __future__ import annotations

import subprocess
import sys

COMMAND = (sys.executable, "-m", "qjob.cli")


def why_not(command: str) -> str | None:
    """Return why one of its commands cannot be measured, or None."""
    done = subprocess.run([*COMMAND, command, "--help"], check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    return f"`qjob {command}` does not run: {done.stderr.strip().splitlines()[-1]}"
