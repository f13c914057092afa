"""Environments are made once, on top of the one below, by uv and by pip; real processes, no network."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from living import processes_naming, wait_until
from qjob.interpreter.cache import describe, prune

pytestmark = pytest.mark.live

Place = Any  # that of conftest.py, which no module can import
VERSIONS = "import aa, bb; print('versions', aa.version, bb.version)"


def folders(place: Place) -> list[Path]:
    return [each.folder for each in describe(place.environments)]


def test_what_is_missing_is_installed_and_what_is_there_is_used(place: Place, installer: str) -> None:
    place.put_below(place.wheels.make("bb", "1.0"))
    place.wheels.make("aa", "1.0", "bb>=1")
    place.wheels.make("bb", "2.0")
    done = place.run("aa", VERSIONS)
    assert "versions 1.0 1.0" in done.output
    assert done.exit_code == 0
    assert "making an environment for 1 requirement on top of" in done.output
    [folder] = folders(place)
    assert not list(folder.glob("lib/*/site-packages/bb*"))
    assert not (folder / "build").exists()
    assert f'"installer": "{installer}"' in (folder / "environment.json").read_text()


def test_what_is_too_old_below_is_hidden_by_the_new_one(place: Place, installer: str) -> None:
    below = place.wheels.make("bb", "1.0")
    place.put_below(below)
    place.wheels.make("aa", "1.0", "bb>=2")
    place.wheels.make("bb", "2.0")
    code = f"{VERSIONS}; import importlib.metadata as m; print(m.version('bb'))"
    done = place.run("aa", code, PIP_USER="1", PIP_TARGET="/nowhere", UV_SYSTEM_PYTHON="1")
    assert "versions 1.0 2.0\n2.0\n" in done.output
    assert place.run("bb==1.0", "import bb; print('version', bb.version)").output.endswith("version 1.0\n")


def test_what_an_old_installer_left_below_is_seen(place: Place, installer: str) -> None:
    site_packages = next((place.python.parents[1] / "lib").glob("python*/site-packages"))
    for name, file in {"old.one-1.0-py3.11.egg-info": "PKG-INFO", "Old_Two-1.0.dist-info": "METADATA"}.items():
        (site_packages / name).mkdir()
        project = name.partition("-")[0].replace("_", "-")
        (site_packages / name / file).write_text(f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n\nName: x\n")
    place.wheels.make("aa", "1.0", "old-one", "old.two>=1")
    done = place.run("aa", "import aa; print('version', aa.version)")
    assert done.output.endswith("version 1.0\n"), done.output


def test_programs_of_both_environments_are_on_the_path(place: Place, installer: str) -> None:
    (place.python.parent / "below-says").write_text("#!/bin/sh\necho I am below\n")
    (place.python.parent / "below-says").chmod(0o755)
    place.wheels.make("aa", "1.0")
    done = place.run("aa", "import os, sys; print(sys.prefix == os.environ['VIRTUAL_ENV'], flush=True);"
                     "os.system('aa-says; below-says')")  # fmt: skip
    assert done.output.endswith("True\naa 1.0\nI am below\n")


def test_a_second_job_needs_no_installer_and_says_nothing(place: Place, installer: str) -> None:
    wheel = place.wheels.make("aa", "1.0")
    first = place.run("aa  # the one\n\n", "import aa; print(aa.version)")
    assert not first.was_ready
    wheel.unlink()
    (place.path / "bin" / "uv").unlink(missing_ok=True)
    second = place.run("aa", "import aa; print(aa.version)")
    assert second.was_ready
    assert second.output == "1.0\n"


def test_what_is_all_there_needs_no_installer(place: Place) -> None:
    place.put_below(place.wheels.make("aa", "1.5"))
    code = "import aa, sys; print(aa.version, sys.prefix)"
    first = place.run("aa>=1.2,<2", code)
    assert "nothing to install" in first.output
    assert first.output.endswith(f"1.5 {place.python.parents[1]}\n")
    second = place.run("aa>=1.2,<2", code)
    assert second.was_ready
    assert second.output == f"1.5 {place.python.parents[1]}\n"


@pytest.mark.usefixtures("uv")
def test_another_package_below_makes_another_environment(place: Place) -> None:
    place.wheels.make("aa", "1.0", "bb")
    place.wheels.make("bb", "2.0")
    assert "versions 1.0 2.0" in place.run("aa", VERSIONS).output
    place.put_below(place.wheels.make("bb", "1.0"))
    assert "versions 1.0 1.0" in place.run("aa", VERSIONS).output
    assert len(folders(place)) == 2


def test_four_at_once_make_one(place: Place, installer: str, gated: Callable[[], tuple[Path, Path]]) -> None:
    begun, gate = gated()
    code = "import gated; print('version', gated.version)"
    started = [place.start("./gated pkg", code)]
    wait_until(begun.exists)
    started += [place.start("./gated pkg", code) for _ in range(3)]
    wait_until(lambda: all("waiting for it" in each.log.read_text() for each in started[1:]))
    gate.write_text("")
    done = [each.finished() for each in started]
    assert [each.exit_code for each in done] == [0] * 4, done
    assert sum("making an environment" in each.output for each in done) == 1
    assert all(each.output.endswith("version 1.0\n") for each in done)
    assert len(folders(place)) == 1


def test_a_killed_build_is_begun_anew(place: Place, installer: str, gated: Callable[[], tuple[Path, Path]]) -> None:
    begun, gate = gated()
    first = place.start("./gated pkg")
    wait_until(begun.exists)
    first.process.kill()
    assert first.finished().exit_code == -signal.SIGKILL
    begun.unlink()
    second = place.start("./gated pkg", "import gated; print('version', gated.version)")
    wait_until(lambda: "waiting for it" in second.log.read_text())  # for the installer that was left behind
    assert not begun.exists()
    gate.write_text("")
    wait_until(begun.exists)
    gate.write_text("")
    done = second.finished()
    assert (done.exit_code, done.reason) == (0, "")
    assert "making an environment" in done.output
    assert done.output.endswith("version 1.0\n")


def test_a_terminated_build_ends_with_its_installer(
    place: Place, installer: str, gated: Callable[[], tuple[Path, Path]]
) -> None:
    begun, _ = gated()
    started = place.start("./gated pkg")
    wait_until(begun.exists)
    started.process.terminate()
    assert started.finished().exit_code == -signal.SIGTERM
    wait_until(lambda: not [pid for pid in processes_naming(str(place.path)) if pid != os.getpid()])
    assert [each.finished for each in describe(place.environments)] == [False]


@pytest.mark.parametrize(
    ("requirements", "words"),
    [
        pytest.param(
            "nosuch==9", {"uv": "nosuch was not found", "pip": "No matching distribution found for nosuch==9"}
        ),
        pytest.param("aa\nbb==1.0", {"uv": "aa depend on bb>=2", "pip": "aa 1.0 depends on bb>=2"}),
        pytest.param("aa ==== what", {"uv": "aa ==== what", "pip": "aa ==== what"}),
        pytest.param("-r missing.txt", {"uv": "missing.txt", "pip": "missing.txt"}),
    ],
)
def test_a_failed_install_fails_with_the_installers_words(
    place: Place, installer: str, requirements: str, words: dict[str, str]
) -> None:
    place.wheels.make("aa", "1.0", "bb>=2")
    place.wheels.make("bb", "1.0")
    place.wheels.make("bb", "2.0")
    done = place.run(requirements, "print('never')")
    assert done.exit_code == 1
    assert done.reason.startswith("The requirements cannot be installed: ")
    assert words[installer] in done.reason
    assert "\n" not in done.reason
    assert done.reason in done.output
    assert "never" not in done.output
    assert folders(place) == []


def test_files_of_the_source_are_found_and_not_touched(place: Place, installer: str) -> None:
    inner = place.source / "more reqs"
    inner.mkdir()
    place.wheels.make("aa", "1.0").rename(inner / "aa-1.0-py3-none-any.whl")
    place.wheels.make("aa", "2.0").rename(inner / "aa-2.0-py3-none-any.whl")
    (inner / "first.txt").write_text("--find-links .\n-c limits.txt\naa\n")
    (inner / "limits.txt").write_text("aa<2\n")
    before = sorted(place.source.rglob("*"))
    code = "import aa; print('version', aa.version)"
    assert place.run("-r 'more reqs/first.txt'", code).output.endswith("version 1.0\n")
    (inner / "limits.txt").write_text("aa>=2\n")
    assert place.run("-r 'more reqs/first.txt'", code).output.endswith("version 2.0\n")
    assert place.run("-r 'my code/more reqs/first.txt'", code).output.endswith("version 2.0\n")
    assert sorted(place.source.rglob("*")) == before


FORMS = ["./{name}", "-e ./{name}", "--editable={name}/", "{name} @ {uri}", "{uri}"]


def test_packages_of_the_source_are_installed_and_not_touched(place: Place, installer: str) -> None:
    packages = [local_package(place, f"local{number}") for number in range(len(FORMS))]
    lines = [form.format(name=each.name, uri=each.as_uri()) for form, each in zip(FORMS, packages, strict=True)]
    code = "import local0, local1, local2, local3, local4; print('value', local4.value)"
    assert place.run("\n".join(lines), code).output.endswith("value 1\n")
    for package in packages:
        assert sorted(os.listdir(package)) == ["backend.py", "code.txt", "pyproject.toml"]


@pytest.mark.usefixtures("uv")
def test_links_that_lead_out_of_a_package_are_followed(place: Place) -> None:
    package = local_package(place, "local")
    (package / "code.txt").rename(place.source / "shared.txt")
    (package / "code.txt").symlink_to("../shared.txt")
    assert place.run("./local", "import local; print('value', local.value)").output.endswith("value 1\n")
    (place.source / "shared.txt").write_text("value = 2\n")
    assert place.run("./local", "import local; print('value', local.value)").output.endswith("value 2\n")


@pytest.mark.usefixtures("uv")
def test_a_package_around_the_state_directory_is_copied_without_it(place: Place) -> None:
    """``-e .`` where $QJOB_HOME lies in the project: a copy with it would hold itself."""
    project = place.path.parent
    for file in local_package(place, "local").iterdir():
        file.rename(project / file.name)
    (place.path / "jobs").mkdir()
    os.mkfifo(place.path / "doorbell")
    cache = str(place.path / "uv cache")  # which changes, and is in the state directory here
    code = "import local; print('value', local.value)"
    done = place.run(f"-e '{project}'", code, UV_CACHE_DIR=cache)
    assert done.output.endswith("value 1\n"), done.output
    assert place.run(f"-e '{project}'", code, UV_CACHE_DIR=cache).was_ready


@pytest.mark.parametrize(
    "variables",
    [
        {"PIP_PYTHON": "{below}"},
        {"PIP_DRY_RUN": "1"},
        {"PIP_VERSION": "23.2"},
        {"PIP_TARGET": "{below}/../..", "PIP_ROOT": "/nowhere", "UV_TARGET": "/nowhere"},
        {"PYTHONWARNINGS": "error", "PYTHONINSPECT": "1"},
    ],
)
def test_variables_for_an_installer_lead_it_nowhere_else(
    place: Place, installer: str, variables: dict[str, str]
) -> None:
    place.wheels.make("aa", "1.0")
    before = sorted(place.python.parents[1].rglob("*"))
    environ = {name: value.format(below=place.python) for name, value in variables.items()}
    assert "version 1.0\n" in place.run("aa", "import aa; print('version', aa.version)", **environ).output
    assert sorted(place.python.parents[1].rglob("*")) == before


def test_what_the_system_refuses_leaves_nothing_behind(place: Place) -> None:
    os.mkfifo(place.source / "pipe")
    done = place.run("./pipe")
    assert done.exit_code == 1
    assert done.reason.startswith("The environment for the requirements cannot be made: [Errno ")
    assert os.listdir(place.environments) == ["interpreters"]


@pytest.mark.usefixtures("uv")
def test_a_package_of_the_source_goes_by_its_content(place: Place) -> None:
    package = local_package(place, "local")
    code = "import local; print('value', local.value)"
    assert place.run("./local", code).output.endswith("value 1\n")
    (package / "code.txt").write_text("value = 2\n")
    assert place.run("./local", code).output.endswith("value 2\n")


def local_package(place: Place, name: str) -> Path:
    """Make a package whose build needs no other, and leaves something where it is built."""
    package: Path = place.source / name
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\n'
    )
    (package / "code.txt").write_text("value = 1\n")
    (package / "backend.py").write_text(
        f"import zipfile, os\nname = {name!r}\ninfo = name + '-1.0.dist-info'\n"
        "def build_wheel(directory, config_settings=None, metadata_directory=None):\n"
        "    open('left', 'w').close()\n"
        "    files = {\n"
        "        name + '.py': open('code.txt').read(),\n"
        "        info + '/METADATA': f'Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n',\n"
        "        info + '/WHEEL': 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n',\n"
        "    }\n"
        "    files[info + '/RECORD'] = ''.join(f'{file},,\\n' for file in [*files, info + '/RECORD'])\n"
        "    wheel = name + '-1.0-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(os.path.join(directory, wheel), 'w') as archive:\n"
        "        for file, content in files.items():\n"
        "            archive.writestr(file, content)\n"
        "    return wheel\n"
    )
    return package


def test_pth_files_and_paths_below_are_followed(place: Place, installer: str) -> None:
    place.wheels.make("aa", "1.0")
    editable = place.path / "editäble"
    editable.mkdir()
    (editable / "mine.py").write_text("value = 7\n")
    (place.path / "on path").mkdir()
    (place.path / "on path" / "other.py").write_text("value = 8\n")
    site_packages = next((place.python.parents[1] / "lib").glob("python*/site-packages"))
    (site_packages / "mine.pth").write_text(f"{editable}\n", encoding="utf-8")
    code = "import aa, mine, other; print(aa.version, mine.value, other.value)"
    done = place.run("aa", code, PYTHONPATH=str(place.path / "on path"))
    assert done.output.endswith("1.0 7 8\n"), done.output


@pytest.mark.usefixtures("uv")
def test_an_environment_can_lie_on_top_of_another(place: Place) -> None:
    place.put_below(place.wheels.make("aa", "1.0"))
    place.wheels.make("bb", "1.0")
    place.wheels.make("cc", "1.0", "aa", "bb")
    assert place.run("bb").exit_code == 0
    [folder] = folders(place)
    on_top = type(place)(path=place.path, python=folder / "bin" / "python", wheels=place.wheels, environ=place.environ)
    done = on_top.run("cc", "import aa, bb, cc; print(aa.__file__, bb.__file__)")
    assert done.output.endswith(f"{place.python.parents[1]}/lib/{aa_in(place)} {folder}/lib/{aa_in(place, 'bb')}\n")


def aa_in(place: Place, name: str = "aa") -> str:
    lib = place.python.parents[1] / "lib"
    return f"{next(lib.glob('python*/site-packages')).relative_to(lib)}/{name}.py"


@pytest.mark.usefixtures("uv")
def test_one_in_use_is_not_pruned(place: Place) -> None:
    place.wheels.make("aa", "1.0")
    hold = place.path / "hold"
    os.mkfifo(hold)
    started = place.start("aa", f"print('running', flush=True); open({str(hold)!r}).read()")
    wait_until(lambda: "running" in started.log.read_text())
    assert [each.in_use for each in describe(place.environments)] == [True]
    assert prune(place.environments, keep_days=0) == []
    hold.write_text("")
    assert started.finished().exit_code == 0
    assert len(prune(place.environments, keep_days=1)) == 0
    assert len(prune(place.environments, keep_days=0)) == 1
    assert [path.name for path in place.environments.iterdir()] == ["interpreters"]
