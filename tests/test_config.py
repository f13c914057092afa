"""Settings: which place wins, what is refused and in which words, and what a state directory must be."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from qjob.config import Device, Settings, file_system, load_settings, prepare_home, submitter_environment, wants_colour
from qjob.errors import HomeError, SettingsError
from qjob.folder import JobFolder

ARN = "arn:aws:braket:us-east-1::device/qpu/acme/one"


class Places:
    """The places where settings may stand, below one directory."""

    def __init__(self, root: Path) -> None:
        self.home = root / "ü home"
        self.project = root / "pro'ject" / "deep" / "er"
        self.project.mkdir(parents=True)
        self.variables = {"HOME": str(self.home)}

    @property
    def project_file(self) -> Path:
        return self.project.parent.parent / "qjob.toml"

    @property
    def pyproject(self) -> Path:
        return self.project.parent / "pyproject.toml"

    @property
    def user_file(self) -> Path:
        return self.home / ".config" / "qjob" / "config.toml"

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def load(self, flags: dict[str, Any] | None = None, **variables: str) -> Settings:
        return load_settings(flags, environment=self.variables | variables, directory=self.project)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def problems_of(load: Callable[[], object]) -> list[str]:
    with pytest.raises(SettingsError) as error:
        load()
    return str(error.value).splitlines()


# Which place wins

VALUES = {"flag": 5, "environment": 4, "project": 3, "user": 2, "default": os.cpu_count() or 1}


@pytest.mark.parametrize("first", VALUES)
def test_the_first_place_that_says_something_wins(places: Places, first: str) -> None:
    places_that_speak = list(VALUES)[list(VALUES).index(first) :]
    flags = {"slots": 5 if "flag" in places_that_speak else None}
    variables = {"QJOB_SLOTS": "4"} if "environment" in places_that_speak else {}
    if "project" in places_that_speak:
        places.write(places.project_file, "slots = 3")
    if "user" in places_that_speak:
        places.write(places.user_file, "slots = 2")
    settings = places.load(flags, **variables)
    origins = {"project": str(places.project_file), "user": str(places.user_file)}
    assert settings.slots == VALUES[first]
    assert settings.sources["slots"] == origins.get(first, first)
    assert settings.sources["idle_s"] == "default"


def test_without_anything_the_defaults_hold(places: Places) -> None:
    settings = places.load()
    assert settings.home == settings.index == places.home / ".local" / "share" / "qjob"
    assert (settings.engine, settings.grace_s, settings.idle_s, settings.devices) == ("local", 10.0, 300.0, {})
    assert set(settings.sources.values()) == {"default"}
    assert settings.jobs == settings.home / "jobs"
    assert settings.index_file == settings.index / "index.db"
    assert settings.local_state == settings.index / "local"


def test_the_xdg_directories_are_kept(places: Places, tmp_path: Path) -> None:
    places.write(tmp_path / "conf" / "qjob" / "config.toml", "slots = 9")
    settings = places.load(XDG_DATA_HOME=str(tmp_path / "data"), XDG_CONFIG_HOME=str(tmp_path / "conf"))
    assert settings.home == tmp_path / "data" / "qjob"
    assert settings.slots == 9


def test_every_setting_can_stand_in_a_variable_but_devices(places: Places) -> None:
    settings = places.load(
        QJOB_HOME="/h",
        QJOB_INDEX="/i",
        QJOB_ENGINE="slurm",
        QJOB_SLOTS="7",
        QJOB_GRACE_S="0",
        QJOB_IDLE_S="1.5",
        QJOB_DEVICES="nonsense",
        QJOB_INSTANCE="0",
    )
    assert settings == Settings(
        home=Path("/h"), index=Path("/i"), engine="slurm", slots=7, grace_s=0.0, idle_s=1.5, devices={}
    )


def test_an_empty_variable_says_nothing(places: Places) -> None:
    places.write(places.user_file, "slots = 2")
    assert places.load(QJOB_SLOTS="", QJOB_HOME="").slots == 2


def test_devices_come_from_files(places: Places) -> None:
    places.write(places.project_file, f'[devices."{ARN}"]\ncapacity = 3\n[devices."x"]\n')
    assert places.load().devices == {ARN: Device(capacity=3), "x": Device(capacity=1)}


def test_the_nearest_file_of_a_project_is_read_and_no_other(places: Places) -> None:
    places.write(places.project_file, "slots = 3\nidle_s = 1")
    places.write(places.pyproject, "[tool.qjob]\nslots = 6")
    settings = places.load()
    assert (settings.slots, settings.idle_s) == (6, 300.0)
    places.write(places.project / "qjob.toml", "slots = 7")
    assert places.load().slots == 7


@pytest.mark.parametrize("text", ["", "[tool.other]\nslots = 1", "[project]\nname = 'qjob'", "tool = 5 # qjob"])
def test_a_pyproject_without_our_table_is_passed_by(places: Places, text: str) -> None:
    places.write(places.pyproject, text)
    places.write(places.project_file, "slots = 3")
    assert places.load().slots == 3


def test_settings_cannot_be_changed(places: Places) -> None:
    with pytest.raises(FrozenInstanceError):
        places.load().slots = 3  # type: ignore[misc]


# Paths


def test_a_relative_path_is_meant_from_where_it_stands(places: Places, tmp_path: Path) -> None:
    places.write(places.project_file, 'home = "state"')
    assert places.load().home == places.project_file.parent / "state"
    places.write(places.user_file, 'index = "../index"')
    assert places.load().index == places.user_file.parent / ".." / "index"
    assert places.load({"home": "here"}).home == Path.cwd() / "here"
    assert places.load(QJOB_HOME="here").home == Path.cwd() / "here"


def test_a_tilde_is_the_home_directory(places: Places) -> None:
    places.write(places.project_file, 'home = "~/state"')
    assert places.load().home == Path("~/state").expanduser()
    assert places.load({"home": "~/flag"}).home == Path("~/flag").expanduser()


def test_the_index_is_in_the_home_unless_it_is_elsewhere(places: Places) -> None:
    assert places.load(QJOB_HOME="/h").index == Path("/h")
    assert places.load(QJOB_HOME="/h", QJOB_INDEX="/i").index == Path("/i")


def test_the_home_of_a_stranger_is_a_problem(places: Places) -> None:
    [problem] = problems_of(lambda: places.load(QJOB_HOME="~no-such-user/x"))
    assert problem.startswith("environment: home = '~no-such-user/x': nobody knows where that home directory is")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user that nobody knows")
def test_a_user_without_a_home_directory_needs_qjob_home() -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setuid(54321)
            del os.environ["HOME"]
            [problem] = problems_of(lambda: load_settings(environment={}, directory=Path("/")))
            assert problem.startswith("default: home = '~/.local/share/qjob': nobody knows where")
            code = int(load_settings(environment={"QJOB_HOME": "/h"}, directory=Path("/")).home != Path("/h"))
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


# What is refused


BAD: list[tuple[str, list[Any], str]] = [
    ("slots", [0, -1, 1.5, 2.0, True, "x", "0", "1.5", "", []], "a whole number from 1 is expected"),
    ("grace_s", [-1, "x", True, "nan", "inf", "-1", []], "a number of seconds from 0 is expected"),
    ("idle_s", [-1, "x", True, "nan", "inf", "-1", []], "a number of seconds from 0 is expected"),
    ("warm", ["maybe", 2, "", []], "true or false is expected"),
    ("home", [5, "", []], "a path is expected"),
    ("index", [5, "", []], "a path is expected"),
    ("engine", [5, "", []], "a word is expected"),
    ("devices", [5, "x", [], {"x": 5}], "tables are expected"),
    ("devices", [{ARN: {"capacity": count}} for count in (0, "x", 1.5, None, True)], "a whole number from 1"),
    (
        "devices",
        [{ARN: {"capasity": 1, "b": 2}}],
        f"device '{ARN}' has no b, capasity; there are capacity, slurm, ray, lease",
    ),
]


@pytest.mark.parametrize(("name", "value", "rule"), [(name, value, rule) for name, bad, rule in BAD for value in bad])
def test_a_value_that_cannot_be_is_named_with_its_rule(places: Places, name: str, value: Any, rule: str) -> None:
    [problem] = problems_of(lambda: places.load({name: value}))
    assert problem.startswith(f"flag: {name} = {value!r}: ")
    assert rule in problem


def test_everything_wrong_is_told_at_once_with_its_place(places: Places) -> None:
    places.write(places.project_file, "idle_s = -1\nslot = 3\n")
    places.write(places.user_file, 'engine = ""\nslots = 0\nhome = 5\n')
    found = problems_of(lambda: places.load({"grace": 1}, QJOB_SLOTS="many"))
    names = "home, index, engine, slots, grace_s, idle_s, warm, devices, engines"
    assert found == [
        f"flag: 'grace' is no setting; there are {names}.",
        "environment: slots = 'many': a whole number from 1 is expected.",
        f"{places.project_file}: idle_s = -1: a number of seconds from 0 is expected.",
        f"{places.project_file}: 'slot' is no setting; there are {names}.",
        f"{places.user_file}: engine = '': a word is expected.",
        f"{places.user_file}: home = 5: a path is expected.",
    ]


@pytest.mark.parametrize("which", ["project_file", "pyproject", "user_file"])
@pytest.mark.parametrize("content", [b"qjob = [", b"qjob = 'a\nb", b"# qjob\n[a]\n[a]", b"# qjob \xff"])
def test_a_file_that_is_no_toml_is_named(places: Places, which: str, content: bytes) -> None:
    path: Path = getattr(places, which)
    places.write(path, "")
    path.write_bytes(content)
    [problem] = problems_of(places.load)
    assert problem.startswith(f"{path} is not valid TOML: ")


def test_a_file_is_utf_8_whatever_the_locale(places: Places) -> None:
    places.write(places.project_file, "")
    places.project_file.write_bytes('home = "/ü"'.encode())
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from qjob.config import load_settings\n"
        "print(ascii(str(load_settings(environment={'HOME': '/'}, directory=Path(sys.argv[1])).home)))"
    )
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", program, str(places.project_file.parent)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert done.stdout == "'/\\xfc'\n"


def test_our_table_in_a_pyproject_must_be_one(places: Places) -> None:
    places.write(places.pyproject, "[tool]\nqjob = 3")
    [problem] = problems_of(places.load)
    assert problem == f"{places.pyproject}: tool.qjob = 3: a table is expected, as in [tool.qjob]."


# The state directory


def settings_for(home: Path, index: Path | None = None) -> Settings:
    return Settings(home=home, index=index or home)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_state_directories_are_their_owners_alone(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "a" / "home", tmp_path / "index")
    prepare_home(settings)
    prepare_home(settings)
    assert [mode_of(path) for path in (settings.home, settings.jobs, settings.index)] == [0o700] * 3


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    prepare_home(settings_for(tmp_path))
    assert mode_of(tmp_path) == 0o750
    assert mode_of(tmp_path / "jobs") == 0o700


@pytest.mark.parametrize("in_the_way", ["home", "home/jobs", "index", "."])
def test_a_file_in_the_way_is_named(tmp_path: Path, in_the_way: str) -> None:
    root = tmp_path / "x"
    path = root / in_the_way
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(HomeError, match=r"cannot be used: (File exists|Not a directory)\. .*QJOB_HOME") as error:
        prepare_home(settings_for(root / "home", root / "index"))
    assert str(path) in str(error.value)


@pytest.fixture
def not_root() -> Iterator[None]:
    """Be somebody whom permissions bind."""
    if os.getuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_a_directory_that_may_not_be_made_or_written_is_named(not_root: None) -> None:
    # / is nobody's to write, and no test has to remove anything.
    with pytest.raises(HomeError, match=r"/no-such-home cannot be used: (Permission denied|Read-only file system)"):
        prepare_home(settings_for(Path("/no-such-home")))


MOUNTS = """\
rootfs / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
tmpfs /home/me/local tmpfs rw 0 0
//server/share /mnt/with\\040blank cifs rw 0 0
server:/ü /mnt/ü nfs rw 0 0
server:/back\\134slash /mnt/back\\134slash nfs rw 0 0
host:/x /mnt/ssh fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/homeless", "ext4"),
        ("/home", "nfs4"),
        ("/home/me/x", "nfs4"),
        ("/home/me/local", "tmpfs"),
        ("/home/me/local/x", "tmpfs"),
        ("/mnt/with blank/x", "cifs"),
        ("/mnt/ü/x", "nfs"),
        ("/mnt/back\\slash", "nfs"),
        ("/mnt/ssh/x", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_mount_above_it(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_what_was_mounted_last_counts() -> None:
    assert file_system(Path("/x"), "a /x autofs rw 0 0\nb /x nfs rw 0 0\n") == "nfs"
    assert file_system(Path("/x"), "") is None


def test_an_index_on_a_network_disk_is_refused_with_the_remedy(tmp_path: Path) -> None:
    home, index = tmp_path / "home", tmp_path / "index"
    mounts = f"a / ext4 rw 0 0\nb {home} nfs4 rw 0 0\n"
    prepare_home(settings_for(home, index), mounts)
    with pytest.raises(HomeError, match=r"lies on a network disk \(nfs4\).*QJOB_INDEX"):
        prepare_home(settings_for(home), mounts)


def test_a_link_is_followed_to_its_disk(tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    (tmp_path / "link").symlink_to("remote")
    with pytest.raises(HomeError, match="nfs"):
        prepare_home(settings_for(tmp_path / "link"), f"b {tmp_path}/remote nfs rw 0 0\n")


# Colours


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "variables", "wanted"),
    [
        (Terminal(), {}, True),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"JPY_PARENT_PID": "1"}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (io.StringIO(), {"NO_COLOR": "1", "JPY_PARENT_PID": "1", "CLICOLOR_FORCE": "1"}, False),
        (io.StringIO(), {"CLICOLOR_FORCE": "1"}, True),
        (io.StringIO(), {"CLICOLOR_FORCE": "0"}, False),
        (io.StringIO(), {"CLICOLOR_FORCE": ""}, False),
    ],
)
def test_colours_are_for_terminals_and_notebooks(stream: io.StringIO, variables: dict[str, str], wanted: bool) -> None:
    assert wants_colour(stream, variables) is wanted


def test_the_environment_for_a_job_is_a_copy() -> None:
    variables = submitter_environment()
    assert variables == dict(os.environ)
    variables["QJOB_TEST_ONLY"] = "1"
    assert "QJOB_TEST_ONLY" not in os.environ


def test_a_removed_working_directory_has_no_configuration(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); import qjob; print(len(qjob.find()))"
    environment = os.environ | {"QJOB_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_home_that_the_index_cannot_name_is_refused(tmp_path: Path) -> None:
    home = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    with pytest.raises(HomeError, match="its path is no UTF-8, as the index needs it to be"):
        prepare_home(settings_for(home))
    assert not home.exists()


def test_the_runner_finds_the_environments_where_the_settings_have_them(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    assert JobFolder(settings.jobs / "id").environments == settings.environments
