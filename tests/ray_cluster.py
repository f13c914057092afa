"""A throw-away Ray of two nodes, real, for tests. Ray listens on all interfaces whatever it is told, and `kill` by
name would meet the neighbours: so it lives in network and process namespaces of its own, which end with the tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from living import wait_until
from qjob.engines.ray.engine import RayDevice, RayEngine

ADDRESS = "http://127.0.0.1:8299"
QPU = "arn:aws:braket:::device/qpu/any/one"
"""A device that one job may have at a time; the custom resource ``qpu`` stands for it."""
AGENT_PORT = 8297
"""Where the second node's agent serves. Ray's own default is among the ports that the kernel gives to anybody: when
another socket of Ray has got it, the node is without an agent for good."""
INSIDE = "QJOB_TEST_RAY_NAMESPACE"
"""Set in the environment of what runs inside the namespaces."""
_HEADS_AGENT = 8298
_UP_WITHIN_S = 120.0
_IN_NAMESPACES = ["unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
_AS_INIT = 'ip link set lo up; "$@"; exit $?'  # a shell as process 1 buries the orphans: no zombie passes for alive
_EVERY_NODE = ("--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1", "--object-store-memory=100000000")


def ray_problem() -> str | None:
    """Say why such a cluster cannot be started here, and what to do about it; None if it can."""
    if find_spec("ray") is None:
        return "The tests with a real Ray need it: pip install 'ray[default]'."
    if not (shutil.which("unshare") and shutil.which("ip")):
        return "The tests with a real Ray need unshare and ip: apt install util-linux iproute2."
    tried = subprocess.run([*_IN_NAMESPACES, "true"], check=False, capture_output=True, text=True)
    return f"No namespaces for a real Ray: {tried.stderr.strip()}; be root." if tried.returncode else None


def run_inside(command: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a command in new namespaces, with a loopback of their own; nothing it starts outlives it."""
    inside = [*_IN_NAMESPACES, "sh", "-c", _AS_INIT, "sh", *command]
    environment = os.environ | {INSIDE: "1"}
    return subprocess.run(
        inside,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        timeout=timeout_s,
    )


class RayCluster:
    """Two nodes with two CPUs each; the second has the custom resource ``qpu``, one piece."""

    address = ADDRESS

    def __init__(self) -> None:
        """Make a directory for it, short: Ray's sockets lie in it, and their names have 107 characters at most."""
        self.directory = Path(tempfile.mkdtemp(prefix="qjob-ray-", dir="/tmp"))
        self.token = secrets.token_hex(32)
        (self.directory / "token").touch(mode=0o600)
        (self.directory / "token").write_text(self.token)
        self._head: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None
        self._environment: Mapping[str, str] = {}

    def start(self) -> None:
        """Start both nodes and wait until they are there."""
        self.start_head()
        self.start_node()

    def start_head(self) -> None:
        """Start the head: the GCS, the dashboard, and a node without a QPU."""
        self._head = self._ray(
            "head",
            "--head",
            "--port=6399",
            "--dashboard-host=127.0.0.1",
            "--dashboard-port=8299",
            "--num-cpus=2",
            f"--dashboard-agent-listen-port={_HEADS_AGENT}",
            f"--temp-dir={self.directory}/t",
        )
        wait_until(lambda: self._is_up(self._head, "head") and self._served(self.live_nodes()), _UP_WITHIN_S)

    def start_node(self, *, agent: bool = True) -> None:
        """Start the second node, the one with the QPU; ``agent``: wait until files there can be read."""
        before = self.live_nodes()
        _end(self._node)
        self._node = self._ray(
            "node",
            "--address=127.0.0.1:6399",
            "--num-cpus=2",
            '--resources={"qpu": 1}',
            f"--dashboard-agent-listen-port={AGENT_PORT}",
            f"--temp-dir={self.directory}/n",
        )

        def is_up() -> object:
            new = self._is_up(self._node, "node") and self.live_nodes() - before
            return self._served(new) if new and agent else new

        wait_until(is_up, _UP_WITHIN_S)

    def stop_node(self) -> None:
        """Kill the second node, and wait until the head has seen that."""
        before = self.live_nodes()
        _end(self._node)
        self._node = None
        wait_until(lambda: len(self.live_nodes()) == len(before) - 1, _UP_WITHIN_S)

    def stop(self) -> None:
        """Kill all of it, with whatever it had started."""
        for pid in _pids("raylet") + _pids("gcs_server"):
            os.kill(pid, signal.SIGKILL)
        for process in (self._node, self._head):
            _end(process)
        wait_until(lambda: not _pids("raylet") + _pids("gcs_server"))

    def remove(self) -> None:
        """Stop it and remove its directory."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def restart(self, environment: Mapping[str, str] | None = None) -> None:
        """Kill all of it and start a new one, which knows nothing of the old one's jobs; Ray is set by variables."""
        self.stop()
        self._environment = environment or {}
        shutil.rmtree(self.directory / "t", ignore_errors=True)
        self.start()

    def kill_second_raylet(self) -> None:
        """Kill the daemon of the node with the QPU, as the kernel does when memory runs out."""
        for pid in _pids("raylet"):
            if b"qpu,1" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    def kill_gcs(self) -> None:
        """Kill the process that knows of all nodes and jobs."""
        for pid in _pids("gcs_server"):
            os.kill(pid, signal.SIGKILL)

    def engine(self, home: Path, devices: Mapping[str, RayDevice] | None = None, **words: Any) -> RayEngine:
        """Return an engine of this cluster, with everything below a directory; ``words`` are those of the settings."""
        return RayEngine(
            home / "ray",
            home / "jobs",
            runners=home / "runners",
            leases=home / "devices",
            words={"address": self.address, "token": self.token, "poll_s": 0.2, **words},
            devices=devices,
        )

    def live_nodes(self) -> set[str]:
        """Return the ids of the nodes that the head takes for alive; none while it does not answer."""
        try:
            found = self.get("/nodes?view=summary")["data"]["summary"]
        except (OSError, KeyError, ValueError):
            return set()
        return {node["raylet"]["nodeId"] for node in found if node["raylet"].get("state") == "ALIVE"}

    def get(self, path: str) -> Any:
        """Return what the dashboard says at a path; raises OSError."""
        request = urllib.request.Request(ADDRESS + path, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def _served(self, nodes: set[str]) -> set[str]:
        """Return those of the nodes whose files can be read."""
        return {node for node in nodes if self._reads_from(node)}

    def _reads_from(self, node: str) -> bool:
        try:
            self.get(f"/api/v0/logs?node_id={node}&glob=*")
        except (OSError, ValueError):
            return False
        return True

    def _ray(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *_EVERY_NODE, *options]
        own = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.directory / "token"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # a minute, else: nodes wait for a lost GCS
        }
        with (self.directory / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **own, **self._environment},
                start_new_session=True,
            )

    def _is_up(self, process: subprocess.Popen[bytes] | None, name: str) -> bool:
        assert process is not None
        assert process.poll() is None, (self.directory / f"{name}.log").read_text()
        return True


def _end(process: subprocess.Popen[bytes] | None) -> None:
    """Kill a command with its process group; one that has ended is buried."""
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _pids(program: str) -> list[int]:
    """Return the pids of the processes of a program, by the file that they execute."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == program:
                found.append(int(pid))
        except OSError:
            continue
    return found
