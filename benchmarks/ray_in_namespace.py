"""Started by `peer_ray` in new network, process and mount namespaces; the cluster ends with this program.

Says one line when the cluster is up. Then takes the path of a script per line (in JSON), runs it as a Ray job, and
answers with the seconds from the submit to the script's first line. Everything said is JSON.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib import import_module
from pathlib import Path
from typing import Any

_ADDRESS = "http://127.0.0.1:8299"
_UP_WITHIN_S = 120
_POLL_S = 0.05
_OPTIONS = {
    "--node-ip-address": "127.0.0.1",
    "--port": "6399",
    "--dashboard-host": "127.0.0.1",
    "--dashboard-port": "8299",
    "--num-cpus": "2",
    "--object-store-memory": "100000000",
}


def main(directory: Path) -> None:
    """Bring a cluster up and serve it until the input ends."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    directory.mkdir(exist_ok=True)
    _make_token(directory / "token")
    _wait_until_up(_start_head(directory), directory / "head.log")
    module: Any = import_module("ray.job_submission")
    client = module.JobSubmissionClient(_ADDRESS)
    print(json.dumps("up"), flush=True)
    for line in sys.stdin:
        print(json.dumps(_first_line_s(client, json.loads(line), directory / "out")), flush=True)


def _make_token(path: Path) -> None:
    """Use a token of our own: Ray asks for one, and would take the user's."""
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32))
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path), "RAY_USAGE_STATS_ENABLED": "0"}


def _start_head(directory: Path) -> subprocess.Popen[bytes]:
    options = [f"{option}={value}" for option, value in _OPTIONS.items()]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"]
    with (directory / "head.log").open("wb") as log:
        return subprocess.Popen(
            [*command, *options, f"--temp-dir={directory}/t"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _wait_until_up(head: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _UP_WITHIN_S
    while not _answers():
        if head.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"Ray did not start:\n{log.read_text()}")
        time.sleep(_POLL_S)


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"{_ADDRESS}/api/version", timeout=1):
            return True
    except urllib.error.HTTPError:
        return True  # it asks for the token
    except OSError:
        return False


def _first_line_s(client: Any, script: str, out: Path) -> float:
    started = time.monotonic()
    job = client.submit_job(entrypoint=f"{sys.executable} {script}", runtime_env={"env_vars": {"BENCH_OUT": str(out)}})
    while not client.get_job_status(job).is_terminal():
        time.sleep(_POLL_S)
    return float(out.read_text()) - started


if __name__ == "__main__":
    main(Path(sys.argv[1]))
