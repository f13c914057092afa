"""The container's paths: the plan as a table, and real mounts, as root and as an ordinary user."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from qjob.folder import JobFolder
from qjob.model.config import CheckpointConfig
from qjob.model.spec import InputChannel
from qjob.runner.container_paths import (
    Act,
    Node,
    Step,
    _local_path_problem,
    container_paths_problem,
    list_folder,
    mount_container_paths,
    plan_mounts,
)
from qjob.runner.process_tree import die_with_parent
from qjob.testing import make_folder, make_spec

NOBODY = 65534
UID = os.getuid()
CLONE_NEWUSER = 0x10000000
CAPABILITY_VERSION_3 = 0x20080522
PR_GET_PDEATHSIG = 2
PR_SET_DUMPABLE = 4
FOLDER = Node(is_folder=True)
FILE = Node()
WANTED = {"/opt/ml/model": "/job/results", "/opt/ml/output": "", "/opt/jobs/checkpoints": "/job/checkpoints"}


# The plan.


def planned(listing: Mapping[str, Mapping[str, Node]], wanted: Mapping[str, str] = WANTED) -> list[tuple[str, ...]]:
    steps = plan_mounts("/opt", wanted, listing.__getitem__)
    return [tuple(filter(None, (step.act.name, step.path, step.source))) for step in steps]


OURS = [
    ("FOLDER", "/opt/ml"),
    ("TMPFS", "/opt/ml"),
    ("BIND", "/opt/ml/model", "/job/results"),
    ("FOLDER", "/opt/ml/output"),
    ("FOLDER", "/opt/jobs"),
    ("BIND", "/opt/jobs/checkpoints", "/job/checkpoints"),
]


def test_an_empty_opt_gets_the_tree() -> None:
    assert planned({"/opt": {}}) == [
        ("TMPFS", "/opt"),
        ("LINK", "/opt/braket", "ml"),
        *OURS,
        ("READ_ONLY", "/opt"),
    ]


def test_what_is_there_is_kept() -> None:
    here = {"conda": FOLDER, "readme": FILE, "python": Node(target="conda/bin/python")}
    assert planned({"/opt": here}) == [
        ("TMPFS", "/opt"),
        ("LINK", "/opt/braket", "ml"),
        ("KEEP_FOLDER", "/opt/conda", "/opt/conda"),
        ("KEEP_FILE", "/opt/readme", "/opt/readme"),
        ("LINK", "/opt/python", "conda/bin/python"),
        *OURS,
        ("READ_ONLY", "/opt"),
    ]


def test_what_is_there_already_of_the_tree_is_kept_around_ours() -> None:
    listing = {
        "/opt": {"ml": FOLDER, "jobs": FOLDER, "braket": Node(target="/opt/ml")},
        "/opt/ml": {"metadata": FOLDER, "model": FOLDER, "output": FOLDER},
        "/opt/jobs": {"checkpoints": FOLDER, "other": FOLDER},
    }
    plan = planned(listing)
    assert ("KEEP_FOLDER", "/opt/ml/metadata", "/opt/ml/metadata") in plan
    assert ("KEEP_FOLDER", "/opt/jobs/other", "/opt/jobs/other") in plan
    assert [step for step in plan if step in OURS] == OURS
    assert len(plan) == len(OURS) + 5
    assert plan.index(("TMPFS", "/opt/ml")) < plan.index(("KEEP_FOLDER", "/opt/ml/metadata", "/opt/ml/metadata"))


def test_a_folder_braket_has_the_tree_as_well() -> None:
    plan = planned({"/opt": {"braket": FOLDER}, "/opt/braket": {"venv": FOLDER}})
    assert [(act, path.replace("/ml", "/braket"), *source) for act, path, *source in OURS[:4]] == [
        step for step in plan if step[1].startswith("/opt/braket") and "venv" not in step[1]
    ]
    assert ("KEEP_FOLDER", "/opt/braket/venv", "/opt/braket/venv") in plan
    assert not any(step[0] == "LINK" for step in plan)


def test_a_file_in_the_way_makes_room() -> None:
    assert [
        step for step in planned({"/opt": {"ml": FILE, "braket": FILE, "jobs": Node(target="/x")}}) if step in OURS
    ] == OURS


def test_what_lies_elsewhere_is_bound_last() -> None:
    plan = planned({"/opt": {}}, WANTED | {"/scratch/ckpt": "/job/checkpoints"})
    assert plan[-2:] == [("READ_ONLY", "/opt"), ("BIND", "/scratch/ckpt", "/job/checkpoints")]


def test_a_folder_is_listed_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("folder")
    assert list_folder(str(tmp_path)) == {"folder": FOLDER, "file": FILE, "link": Node(target="folder")}


def test_a_step_says_what_it_does() -> None:
    assert Step(act=Act.TMPFS, path="/opt").source == ""


# Real mounts.

problem_here = container_paths_problem()
needs_mounts = pytest.mark.skipif(problem_here is not None, reason=str(problem_here))
Inside = Callable[..., str]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own is closed to all but its owner."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder).resolve()


class Source:
    """The source of a job whose script is never run."""

    def write_to(self, directory: Path) -> None:
        (directory / "job.py").write_text("x = 1\n")


@pytest.fixture(params=["as we are", "as an ordinary user"])
def uid(request: pytest.FixtureRequest) -> int:
    """Whom the job belongs to."""
    if request.param == "as we are":
        return os.getuid()
    if os.getuid() != 0:
        pytest.skip("we are an ordinary user")
    return NOBODY


@pytest.fixture
def job(open_folder: Path, uid: int) -> Callable[..., JobFolder]:
    """Make a job's folder that belongs to that user."""

    def make(local_path: str = "/opt/jobs/checkpoints", inputs: bool = False) -> JobFolder:
        channels = (InputChannel(name="input", uri="file:///data"),) if inputs else ()
        spec = make_spec("finish", checkpoint_config=CheckpointConfig(localPath=local_path), inputs=channels)
        folder = make_folder(open_folder, spec, Source())
        if inputs:
            (folder.input / "input").mkdir(parents=True)
            (folder.input / "input/x.csv").write_text("1,2\n")
        for path in [folder.path, *folder.path.rglob("*")]:
            os.chown(path, uid, uid if uid == NOBODY else -1)
        return folder

    return make


def start_inside(folder: JobFolder, uid: int, script: str, output: int) -> int:
    """Fork what becomes a shell that runs the script where the paths are mounted; return its pid."""
    spec = folder.read_spec()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        if uid != os.getuid():
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            # As for every process that has been executed since its user id changed.
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        die_with_parent()
        os.chdir(folder.source)
        problem = mount_container_paths(folder, spec)
        os.write(1, f"{problem}\n".encode())
        os.execv("/bin/sh", ["sh", "-c", script])
    finally:
        os._exit(99)


@pytest.fixture
def inside(uid: int) -> Inside:
    """Run a shell script where the paths of a job are mounted, and return what it prints after the problem."""

    def run(folder: JobFolder, script: str, problem: str = "None") -> str:
        read_fd, write_fd = os.pipe()
        pid = start_inside(folder, uid, script, write_fd)
        os.close(write_fd)
        with open(read_fd) as output:
            told, _, printed = output.read().partition("\n")
        os.waitpid(pid, 0)
        assert told.startswith(problem), told + printed
        return printed

    return run


@needs_mounts
@pytest.mark.parametrize("start", ["/opt/braket", "/opt/ml"])
def test_a_script_finds_everything_where_the_container_has_it(
    job: Callable[..., JobFolder], inside: Inside, start: str
) -> None:
    folder = job(inputs=True)
    script = f"""
        cat {start}/input/data/input/x.csv {start}/input/config/hyperparameters.json
        cat {start}/code/customer_code/extracted/job.py
        echo result > {start}/model/out.txt
        echo state > {start}/checkpoints/c.json
        cat /opt/jobs/checkpoints/c.json
        echo why > {start}/output/failure && cat /opt/ml/output/failure
        mkdir {start}/scratch && echo made
    """
    printed = inside(folder, script)
    assert printed == "1,2\n" + folder.hyperparameters.read_text() + "x = 1\nstate\nwhy\nmade\n"
    assert (folder.results / "out.txt").read_text() == "result\n"
    assert (folder.checkpoints / "c.json").read_text() == "state\n"


@needs_mounts
def test_everything_else_is_as_it_was(job: Callable[..., JobFolder], inside: Inside, uid: int) -> None:
    folder = job()
    before = identities(Path("/opt"))
    printed = inside(folder, "pwd; id -u; id -g; ls -A /opt; echo new > /opt/new || echo refused")
    lines = printed.splitlines()
    assert lines[:3] == [str(folder.source), str(uid), str(uid if uid == NOBODY else os.getgid())]
    assert set(before) <= set(lines)
    assert lines[-1] == "refused"  # lest it be lost
    assert identities(Path("/opt")) == before
    assert not Path("/opt/new").exists()
    assert "qjob" not in Path("/proc/self/mountinfo").read_text().replace(str(folder.path), "")


def identities(folder: Path) -> dict[str, tuple[int, ...]]:
    found = {path.name: path.lstat() for path in folder.iterdir()}
    return {name: (status.st_ino, status.st_mode, status.st_mtime_ns) for name, status in found.items()}


@needs_mounts
def test_what_lies_below_opt_can_be_used(job: Callable[..., JobFolder], inside: Inside) -> None:
    """By its content: the owner of others' files has no name in a user namespace."""
    found = [path for path in Path("/opt").rglob("*") if path.is_file() and os.stat(path).st_mode & 4][:5]
    if not found:
        pytest.skip("nothing lies below /opt here")
    printed = inside(job(), "cat " + " ".join(f"'{path}'" for path in found) + " | cksum")
    expected = subprocess.run(
        ["cksum"], input=b"".join(path.read_bytes() for path in found), capture_output=True, check=True
    )
    assert printed == expected.stdout.decode()


@needs_mounts
def test_processes_of_the_script_see_the_paths(job: Callable[..., JobFolder], inside: Inside) -> None:
    printed = inside(job(), "sh -c 'sh -c \"cd /opt/braket/model && touch x\"' & wait; ls /opt/ml/model")
    assert printed == "x\n"


@needs_mounts
def test_the_job_can_be_killed_and_nothing_is_left(job: Callable[..., JobFolder], uid: int) -> None:
    folder = job()
    read_fd, write_fd = os.pipe()
    pid = start_inside(folder, uid, "echo there; exec sleep 100", write_fd)
    os.close(write_fd)
    with open(read_fd) as output:
        assert output.readline() == "None\n"
        assert output.readline() == "there\n"
        assert kill_as(uid, pid) == 0
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM
    assert not Path("/opt/ml/input/config").exists()


def kill_as(uid: int, pid: int) -> int:
    """Look for the process's mark and send SIGTERM as that user would, from outside; return the exit status."""
    killer = os.fork()
    if killer == 0:
        try:
            if uid != os.getuid():
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            assert b"PATH=" in Path(f"/proc/{pid}/environ").read_bytes()
            os.kill(pid, signal.SIGTERM)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(killer, 0)[1]


@needs_mounts
def test_a_job_still_dies_with_its_runner(job: Callable[..., JobFolder], uid: int) -> None:
    folder = job()
    spec = folder.read_spec()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            libc = ctypes.CDLL(None)
            if uid != os.getuid():
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
            die_with_parent()
            assert mount_container_paths(folder, spec) is None
            number = ctypes.c_int()
            libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
            code = number.value
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == signal.SIGKILL


@needs_mounts
@pytest.mark.parametrize(
    "local_path", ["/opt/mine/deep/ckpt", "/opt/ml/checkpoints", "/opt/braket/checkpoints/", "/opt/ml/own"]
)
def test_checkpoints_are_where_the_spec_has_them(
    job: Callable[..., JobFolder], inside: Inside, local_path: str
) -> None:
    folder = job(local_path)
    inside(folder, f"echo state > {local_path}/c.json")
    assert (folder.checkpoints / "c.json").read_text() == "state\n"


@needs_mounts
def test_checkpoints_may_lie_in_an_empty_folder_anywhere(
    job: Callable[..., JobFolder], inside: Inside, open_folder: Path
) -> None:
    (open_folder / "ckpt").mkdir()
    folder = job(str(open_folder / "ckpt"))
    inside(folder, f"echo state > {open_folder}/ckpt/c.json")
    assert (folder.checkpoints / "c.json").exists()
    assert os.listdir(open_folder / "ckpt") == []


@needs_mounts
@pytest.mark.parametrize(
    ("local_path", "words"),
    [
        ("/opt/ml", "something else"),
        ("/opt/ml/model/x", "something else"),
        ("/opt", "neither"),
        ("/no/such", "neither"),
        ("/", "neither"),
        ("/usr", "neither"),
    ],
)
def test_a_place_for_checkpoints_that_cannot_be_is_told_and_the_rest_is_there(
    job: Callable[..., JobFolder], inside: Inside, local_path: str, words: str
) -> None:
    folder = job(local_path)
    printed = inside(folder, "ls /opt/braket/input/config", f"checkpointConfig.localPath '{local_path}' cannot be")
    assert printed == "hyperparameters.json\n"


@pytest.mark.parametrize("at", ["", "opt"])
def test_an_empty_folder_that_the_containers_paths_are_in_is_no_place_for_checkpoints(tmp_path: Path, at: str) -> None:
    """Some machines have nothing in /opt; what is mounted there would hide /opt/braket."""
    there = str(tmp_path / at)
    assert _local_path_problem(there, there, str(tmp_path / "opt"), {}) is not None


@needs_mounts
def test_a_relative_place_for_checkpoints_is_left_to_the_script(job: Callable[..., JobFolder], inside: Inside) -> None:
    inside(job("checkpoints"), "true")


@needs_mounts
def test_with_a_problem_nothing_has_changed(job: Callable[..., JobFolder], inside: Inside) -> None:
    folder = job()
    namespace = os.readlink("/proc/self/ns/mnt")
    folder.hyperparameters.unlink()
    printed = inside(
        folder,
        "readlink /proc/self/ns/mnt; test -e /opt/ml/output || echo nothing",
        "/opt/braket and /opt/ml cannot be mounted for a job alone ([Errno 2]",
    )
    assert printed.splitlines() == [namespace, "nothing"]


@needs_mounts
def test_where_nothing_is_allowed_it_is_told(tmp_path: Path) -> None:
    """In a user namespace that allows no other, and without the rights of its root."""
    libc = ctypes.CDLL(None, use_errno=True)
    told = tmp_path / "told"
    pid = os.fork()
    if pid == 0:
        try:
            assert libc.unshare(CLONE_NEWUSER) == 0
            Path("/proc/self/uid_map").write_text(f"0 {UID} 1")
            Path("/proc/sys/user/max_user_namespaces").write_text("0")
            header, nothing = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
            assert libc.capset(header, nothing) == 0
            told.write_text(str(container_paths_problem()))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert "raise the sysctl user.max_user_namespaces" in told.read_text()


@needs_mounts
def test_the_question_whether_it_can_be_done_changes_nothing() -> None:
    before = (os.readlink("/proc/self/ns/mnt"), os.listdir("/opt"), os.getcwd())
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)  # another thread is no obstacle
    thread.start()
    try:
        assert container_paths_problem() is None
    finally:
        stop.set()
        thread.join()
    assert (os.readlink("/proc/self/ns/mnt"), os.listdir("/opt"), os.getcwd()) == before


@needs_mounts
@pytest.mark.live
def test_a_job_that_asks_for_the_paths_has_them(run: Callable[..., Any]) -> None:
    ran = run(
        "import json, os\n"
        "print(json.load(open('/opt/braket/input/config/hyperparameters.json')) == "
        "json.load(open(os.environ['AMZN_BRAKET_HP_FILE'])))\n"
        "print(os.path.samefile('/opt/braket/code/customer_code/extracted', '.'))\n"
        "open('/opt/braket/model/out.txt', 'w').write('result')\n"
        "os.system('echo more >> /opt/ml/model/out.txt')\n",
        container_paths=True,
    )
    assert ran.log == "True\nTrue\n"
    assert (ran.folder.results / "out.txt").read_text() == "resultmore\n"
    assert ran.outcome.exit_codes == (0,)


@pytest.mark.skipif(sys.platform == "linux", reason="this is Linux")
def test_elsewhere_it_is_told_that_only_linux_can() -> None:
    assert "only Linux" in str(container_paths_problem())
