"""A real Slurm of several nodes on loopback, for the tests: up in a tenth of a second, and ended without a trace."""

from __future__ import annotations

import os
import pwd
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from living import processes_naming, wait_until

# Below those that Linux gives to outgoing connections: a node that a test has killed must find its port free again.
PORTS = range(10_000, 32_000)
# Of the 107 bytes that Linux allows for a socket's path, Slurm and we add up to 36: /run/n3/n3_<job>.<step>.
LONGEST_DIRECTORY_BYTES = 70
# Debian has the daemons where only root looks.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

SLURM_PACKAGES = {
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
    "scontrol": "slurm-client",
    "munged": "munge",
    "slurm-wlm/select_cons_tres.so": "slurm-wlm-basic-plugins",
}
ACCOUNTING_PACKAGES = {
    "slurmdbd": "slurmdbd",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "slurm-wlm/accounting_storage_mysql.so": "slurm-wlm-mysql-plugin",
}

Settings = Mapping[str, str | int]


class SlurmFailed(Exception):
    """A command of Slurm, or one of its daemons, did not do what it was to do; the message has its own words."""


def slurm_problem() -> str | None:
    """Say why a real Slurm cannot be started here, and what to do about it; None if it can."""
    if sys.platform != "linux":
        return f"The tests with a real Slurm need Linux, and this is {sys.platform}."
    return _missing("A real Slurm", SLURM_PACKAGES)


def accounting_problem() -> str | None:
    """Say why a real Slurm with its accounting database cannot be started here; None if it can."""
    return slurm_problem() or _missing("Slurm's accounting", ACCOUNTING_PACKAGES)


class SlurmCluster:
    """A running Slurm cluster that belongs to the process that started it, and ends with it.

    Its nodes n1, n2, … are daemons of this machine, which claim the processors and the memory that they are told to.
    They share its name and its files: a job knows its node by SLURMD_NODENAME. Node n1 has one ``qpu``. Over all nodes
    there are the partitions main, the default; short, of 2 minutes at most; low; and high, for which jobs of low are
    requeued. It has its own munge key and ports on loopback. Nothing here needs cgroups, so no limit of processors or
    memory is enforced.

    It runs as whoever starts it: root, or any user, who is then SlurmUser, SlurmdUser, and the only one with jobs.
    """

    def __init__(self, files: _Files) -> None:
        """Take the files of a cluster that is not running; `start` makes one that is."""
        self._files = files
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        nodes: int = 3,
        cpus: int = 4,
        memory_mb: int = 4000,
        licenses: str = "qpu1:1,qpu2:1",
        accounting: bool = False,
        **lines: str | int,
    ) -> SlurmCluster:
        """Start a cluster in a directory with a plain name, and return it when all its nodes are idle.

        ``cpus`` and ``memory_mb`` are those of each node. Other keyword arguments are lines of slurm.conf, in place of
        those that it would have: ``SlurmdTimeout=3``. With accounting there is a database, for sacct, and it takes 2 s.
        Raises `SlurmFailed` with the last words of a daemon that does not start; nothing is left running then.
        """
        files = _Files.choose(directory.absolute(), nodes)
        storage = files.accounting() if accounting else NO_ACCOUNTING
        files.write({**SETTINGS, **files.settings(), **storage, "Licenses": licenses, **lines}, cpus, memory_mb)
        cluster = cls(files)
        try:
            cluster._start_all(accounting)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @property
    def nodes(self) -> Sequence[str]:
        """The names of the nodes."""
        return list(self._files.node_ports)

    @property
    def environment(self) -> dict[str, str]:
        """What makes Slurm's commands talk to this cluster, to be merged into a process's environment."""
        return {"SLURM_CONF": str(self._files.configuration)}

    def run(self, *command: str, timeout_s: float = 60.0) -> str:
        """Run one of Slurm's commands and return what it prints; raise `SlurmFailed` with its complaint.

        Without a controller most commands take 9 s or more to complain.
        """
        environment = {**os.environ, "PATH": PATH, **self.environment}
        done = subprocess.run(
            command,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        if done.returncode:
            raise SlurmFailed(f"{shlex.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def node_state(self, node: str) -> str:
        """Return a node's state in Slurm's words: ``idle``, ``mixed``, ``down*``, where * is: it does not answer."""
        return self._node_states()[node]

    def wait_until_idle(self, deadline_s: float = 45.0) -> None:
        """Return as soon as all nodes are up and have nothing to do."""
        wait_until(self._all_idle, deadline_s)

    def start_slurmd(self, node: str) -> None:
        """Start a node's daemon, and return when it answers. A node that was down is not idle by then, but soon."""
        self._spawn(node, "slurmd", "-D", "-N", node, "-f", str(self._files.configuration))
        self._wait_for_port(node, self._files.node_ports[node])

    def kill_slurmd(self, node: str) -> None:
        """Kill a node's daemon, as a crash would: the processes of its jobs go on.

        Slurm takes about 32 s to find the node down and to requeue those jobs, and 8 s if the cluster was started with
        ``SlurmdTimeout=2, MessageTimeout=2``.
        """
        self._end(node, signal.SIGKILL)

    def start_controller(self) -> None:
        """Start the controller, with the queue that it saved, and return when it answers.

        It starts no batch job in its first 3 s, and looks at the queue once a second from then on. After a restart its
        nodes are ``unknown`` for some 4 s.
        """
        self._spawn("slurmctld", "slurmctld", "-D", "-f", str(self._files.configuration))
        self._wait_for_port("slurmctld", self._files.controller_port)

    def stop_controller(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the controller, and return when it is gone. With SIGTERM it saves its queue, with SIGKILL it does not."""
        self._end("slurmctld", how)

    def restore(self) -> None:
        """Have the cluster as after its start: no jobs, all daemons running, all nodes idle; harmless when it is."""
        if not self._running("slurmctld"):
            self.start_controller()
        self.run("scancel", f"--user={_user()}")
        for node in self.nodes:
            if not self._running(node):
                self.start_slurmd(node)
        wait_until(self._all_idle_again, 45.0)

    def stop(self) -> None:
        """Kill the cluster with all that its jobs started, and return when it is gone; harmless when repeated."""
        for name in reversed(list(self._daemons)):  # the keeper last: it must outlive the rest if we die on the way
            self._end(name, signal.SIGKILL)
        _end_processes(self._files.configuration)
        self._files.remove_sockets()

    def _start_all(self, accounting: bool) -> None:
        self._spawn("keeper", sys.executable, __file__, str(self._files.configuration), stdin=subprocess.PIPE)
        self._start_munge()
        if accounting:
            self._start_accounting()
        self.start_controller()
        for node in self.nodes:
            self.start_slurmd(node)
        self.wait_until_idle()

    def _start_munge(self) -> None:
        # Forced, because it finds fault with directories below /tmp.
        self._spawn("munged", "munged", "--foreground", "--force", *self._files.munge_options())
        wait_until(lambda: self._alive("munged") and self._files.munge_socket.exists())

    def _start_accounting(self) -> None:
        self.run("mariadb-install-db", "--no-defaults", "--skip-test-db", *self._files.database_options())
        options = (*self._files.database_options(), *self._files.sql_options())
        self._spawn("mariadbd", "mariadbd", "--no-defaults", *options)
        self._wait_for_port("mariadbd", self._files.database_port)
        self._spawn("slurmdbd", "slurmdbd", "-D")
        self._wait_for_port("slurmdbd", self._files.accounting_port)
        self.run("sacctmgr", "--immediate", "add", "cluster", CLUSTER)

    def _spawn(self, name: str, *command: str, stdin: int = subprocess.DEVNULL) -> None:
        """Start a daemon in the foreground, as a child whose end we see, but that no Ctrl-C reaches.

        Its environment is its own: a test that ends whatever has its directory in the environment must not end it too.
        """
        with self._files.output(name).open("ab") as output:
            self._daemons[name] = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=output,
                stderr=output,
                env={"PATH": PATH, **self.environment},
                cwd=self._files.directory,
                start_new_session=True,
            )

    def _running(self, name: str) -> bool:
        return name in self._daemons and self._daemons[name].poll() is None

    def _alive(self, name: str) -> bool:
        """Tell that a daemon runs; raise with its last words if it does not, for then nobody need wait for it."""
        if self._running(name):
            return True
        last_words = self._files.output(name).read_text(errors="replace").splitlines()[-10:]
        raise SlurmFailed("\n".join([f"{name} is not running, and said at last:", *last_words]))

    def _wait_for_port(self, name: str, port: int) -> None:
        wait_until(lambda: self._alive(name) and _answers(port))

    def _node_states(self) -> dict[str, str]:
        # Of all nodes: asked for one only, Slurm 22.05 answers mixed long after the last job has left it.
        told = self.run("sinfo", "--noheader", "--Node", "--partition=main", "--format=%N %T")
        return dict(line.split() for line in told.splitlines())

    def _all_idle(self) -> bool:
        return all(self._alive(node) and state in NOTHING_TO_DO for node, state in self._node_states().items())

    def _all_idle_again(self) -> bool:
        """Tell whether all nodes are idle, and resume those that are not to be: after a restart that may show late."""
        for node, state in self._node_states().items():
            if state.startswith(UNUSABLE):
                self._resume(node)
        return self._all_idle()

    def _resume(self, node: str) -> None:
        try:
            self.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
        except SlurmFailed:  # so it does if the node has come back by itself
            if self.node_state(node).startswith(UNUSABLE):
                raise

    def _end(self, name: str, how: signal.Signals) -> None:
        daemon = self._daemons.pop(name)
        daemon.send_signal(how)
        daemon.wait(30)
        if daemon.stdin is not None:
            daemon.stdin.close()


CLUSTER = "test"
NOTHING_TO_DO = {"idle", "planned"}  # planned for the next job, also when that has been cancelled since
UNUSABLE = ("down", "drain")

SETTINGS: Settings = {
    "ClusterName": CLUSTER,
    "AuthType": "auth/munge",
    "GresTypes": "qpu",
    "MailProg": "/bin/true",
    "MpiDefault": "none",
    "ProctrackType": "proctrack/linuxproc",
    "TaskPlugin": "task/none",
    "JobAcctGatherType": "jobacct_gather/linux",
    "JobAcctGatherFrequency": 2,
    "SelectType": "select/cons_tres",
    "SelectTypeParameters": "CR_CPU_Memory",
    "DefMemPerCPU": 100,  # or else a job that asks for no memory gets all that its node has
    "SchedulerParameters": "sched_interval=5,bf_interval=5,batch_sched_delay=0,sched_min_interval=0",
    "PreemptType": "preempt/partition_prio",
    "PreemptMode": "REQUEUE",
    "SlurmdParameters": "config_overrides",  # the processors that a node claims need not be there
    "ReturnToService": 2,
    "SlurmctldTimeout": 10,
    "SlurmdTimeout": 15,
    "KillWait": 5,
    "MinJobAge": 300,
    "MaxArraySize": 1001,
    "JobRequeue": 1,
}
NO_ACCOUNTING: Settings = {"AccountingStorageType": "accounting_storage/none", "JobCompType": "jobcomp/none"}
PARTITIONS = """\
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=60 PreemptMode=OFF
PartitionName=short Nodes=ALL MaxTime=2 PreemptMode=OFF
PartitionName=low Nodes=ALL PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF
"""
FIRST_SQL = """\
CREATE DATABASE slurm;
CREATE USER slurm@'127.0.0.1' IDENTIFIED BY 'slurm';
CREATE USER slurm@localhost IDENTIFIED BY 'slurm';
GRANT ALL ON slurm.* TO slurm@'127.0.0.1';
GRANT ALL ON slurm.* TO slurm@localhost;
"""


@dataclass(frozen=True, kw_only=True)
class _Files:
    """The files and the ports of a cluster, and what its daemons are told of them."""

    directory: Path
    sockets: Path
    """The directory of what has sockets in it: run, or one with a shorter path elsewhere."""
    controller_port: int
    accounting_port: int
    database_port: int
    node_ports: Mapping[str, int]

    @classmethod
    def choose(cls, directory: Path, nodes: int) -> _Files:
        """Choose ports that are free, and directories, and make these."""
        controller, accounting, database, *ports = _free_ports(nodes + 3)
        names = [f"n{number}" for number in range(1, nodes + 1)]
        files = cls(
            directory=directory,
            sockets=_socket_directory(directory),
            controller_port=controller,
            accounting_port=accounting,
            database_port=database,
            node_ports=dict(zip(names, ports, strict=True)),
        )
        for made in (
            *(directory / name for name in ("etc", "log", "run", "state")),
            *map(files.sockets.joinpath, names),
        ):
            made.mkdir(parents=True, exist_ok=True)
        return files

    @property
    def configuration(self) -> Path:
        return self.directory / "etc" / "slurm.conf"

    @property
    def munge_socket(self) -> Path:
        return self.sockets / "munge"

    def output(self, name: str) -> Path:
        """Return the file of what a daemon prints; in the foreground that is its whole log."""
        return self.directory / "log" / f"{name}.out"

    def remove_sockets(self) -> None:
        """Remove what is not in the cluster's directory."""
        if not self.sockets.is_relative_to(self.directory):
            shutil.rmtree(self.sockets, ignore_errors=True)

    def write(self, settings: Settings, cpus: int, memory_mb: int) -> None:
        """Write all files that the daemons read."""
        etc = self.configuration.parent
        nodes = "".join(
            f"NodeName={node} NodeHostname={_host()} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory={memory_mb}"
            f"{' Gres=qpu:1' if node == 'n1' else ''}\n"
            for node, port in self.node_ports.items()
        )
        self.configuration.write_text(_lines(settings) + nodes + PARTITIONS)
        (etc / "gres.conf").write_text("NodeName=n1 Name=qpu Count=1\n")
        if _version() >= (23, 11):  # since then slurmd wants cgroups even where nothing uses them
            (etc / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        _write_secret(etc / "slurmdbd.conf", _lines(self.accounting_daemon()).encode())
        _write_secret(etc / "munge.key", random.randbytes(128))
        (etc / "first.sql").write_text(FIRST_SQL)

    def settings(self) -> Settings:
        """Return the lines of slurm.conf that say who and where the daemons are."""
        return {
            "SlurmctldHost": f"{_host()}(127.0.0.1)",
            "SlurmctldPort": self.controller_port,
            "SlurmUser": _user(),
            "SlurmdUser": _user(),
            # The job of a lost node is not started again before this has passed, by default 120 s.
            "AuthInfo": f"socket={self.munge_socket},cred_expire=10",
            "StateSaveLocation": str(self.directory / "state"),
            "SlurmdSpoolDir": f"{self.sockets}/%n",
            "SlurmctldPidFile": f"{self.directory}/run/slurmctld.pid",
            "SlurmdPidFile": f"{self.directory}/run/slurmd.%n.pid",
            "SlurmdLogFile": f"{self.directory}/log/%n.log",  # has what slurmstepd says, too
        }

    def accounting(self) -> Settings:
        """Return the lines of slurm.conf for a cluster with accounting."""
        return {
            "AccountingStorageType": "accounting_storage/slurmdbd",
            "AccountingStorageHost": "127.0.0.1",
            "AccountingStoragePort": self.accounting_port,
            "AccountingStoragePass": str(self.munge_socket),
            "JobCompType": "jobcomp/none",
        }

    def accounting_daemon(self) -> Settings:
        """Return the lines of slurmdbd.conf."""
        return {
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={self.munge_socket}",
            "DbdHost": _host(),
            "DbdAddr": "127.0.0.1",
            "DbdPort": self.accounting_port,
            "SlurmUser": _user(),
            "StorageType": "accounting_storage/mysql",
            "StorageHost": "127.0.0.1",
            "StoragePort": self.database_port,
            "StorageUser": "slurm",
            "StoragePass": "slurm",
            "StorageLoc": "slurm",
            "PidFile": f"{self.directory}/run/slurmdbd.pid",
        }

    def munge_options(self) -> list[str]:
        return [
            f"--socket={self.munge_socket}",
            f"--key-file={self.directory}/etc/munge.key",
            f"--pid-file={self.directory}/run/munged.pid",
            f"--log-file={self.directory}/log/munged.log",
            f"--seed-file={self.directory}/run/munged.seed",
        ]

    def database_options(self) -> list[str]:
        return [f"--user={_user()}", f"--datadir={self.directory}/database"]

    def sql_options(self) -> list[str]:
        return [
            "--bind-address=127.0.0.1",
            f"--port={self.database_port}",
            f"--socket={self.sockets}/sql",
            f"--pid-file={self.directory}/run/mariadbd.pid",
            f"--init-file={self.directory}/etc/first.sql",
            "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=2",  # nothing of it need survive
        ]


def _socket_directory(directory: Path) -> Path:
    if len(os.fsencode(directory)) <= LONGEST_DIRECTORY_BYTES:
        return directory / "run"
    return Path(tempfile.mkdtemp(prefix="slurm-"))


def _free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody has; by chance others than a cluster that starts at the same time."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().choice(PORTS)
        if port not in found and _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def _lines(settings: Settings) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(content)


def _version() -> tuple[int, ...]:
    said = subprocess.run(["slurmd", "-V"], env={"PATH": PATH}, capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.findall(r"\d+", said)[:2]))


def _host() -> str:
    return socket.gethostname().split(".")[0]


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _missing(what: str, packages: Mapping[str, str]) -> str | None:
    missing = [name for name in packages if not _is_here(name)]
    if not missing:
        return None
    needed = " ".join(dict.fromkeys(packages.values()))
    return f"{what} needs {', '.join(missing)}: apt-get install --no-install-recommends {needed}"


def _is_here(name: str) -> bool:
    if name.endswith(".so"):
        return any(path.exists() for path in (Path("/usr/lib") / name, *Path("/usr/lib").glob(f"*-linux-gnu/{name}")))
    return shutil.which(name, path=PATH) is not None


def _end_processes(configuration: Path) -> None:
    """Kill the processes of a cluster and of its jobs until there are none.

    They are known by SLURM_CONF, which Slurm also gives to jobs that take no environment along.
    """
    wait_until(lambda: not _kill_all(pid for pid in processes_naming(str(configuration)) if pid != os.getpid()))


def _kill_all(pids: Iterable[int]) -> list[int]:
    return [pid for pid in pids if _killed(pid)]


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _keep(configuration: Path) -> None:
    """Wait until the process that started a cluster is gone, however it went, and end the cluster."""
    sys.stdin.read()
    _end_processes(configuration)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
