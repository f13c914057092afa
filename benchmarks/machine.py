"""What was measured on: facts that say how fast a machine is, and none that say whose it is."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import qjob


def machine() -> dict[str, str]:
    """Return what was measured, with what, on what and when."""
    return {
        "qjob": qjob.__version__,
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "CPU": _cpu_model(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {_leading_version(platform.release())}, {platform.machine()}",
        "file system": _file_system(Path(tempfile.gettempdir()).resolve()),
        "date": datetime.now(UTC).date().isoformat(),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def _cpu_model() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except FileNotFoundError:
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]  # macOS
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip() or "unknown"
    return found[1] if found else platform.processor() or "unknown"


def _leading_version(release: str) -> str:
    """Return the numbers that a kernel's release begins with: what follows is whoever built it."""
    found = re.match(r"[\d.]*\d", release)
    return found[0] if found else ""


def _file_system(directory: Path) -> str:
    """Return the type of the file system that a directory is on."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except FileNotFoundError:
        return "unknown"
    above = [(Path(point), kind) for _, point, kind, *_ in mounts if directory.is_relative_to(point)]
    return max(above, key=lambda mount: len(mount[0].parts), default=(directory, "unknown"))[1]
