"""Started by `peer_submitit` with the Python that has submitit: submits a job for each line of its input.

Says one line when it is up, and answers each line with the seconds from the submit to the first thing that the
submitted function does. Everything said is JSON.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any


def main(directory: Path) -> None:
    """Answer until the input ends."""
    submitit: Any = import_module("submitit")
    executor = submitit.LocalExecutor(folder=directory)
    print(json.dumps("up"), flush=True)
    for _ in sys.stdin:
        started = time.monotonic()
        first: float = executor.submit(time.monotonic).result()
        print(json.dumps(first - started), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
