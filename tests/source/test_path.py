"""`pack_source`: what is taken along, what is left out, what is refused, and what the copy looks like."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from qjob.errors import InvalidInput
from qjob.source.path import PackedSource, pack_source

Within = Callable[..., PackedSource]
Dropped = Callable[[], AbstractContextManager[None]]
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def make(folder: Path, *names: str, **contents: str) -> Path:
    """Make files and, for names that end in a slash, folders; keyword arguments are .gitignore files."""
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# {path.name!a}\n")
    for name, content in contents.items():
        assert name == "gitignore"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text(content)
    return folder


def taken(source: Path) -> set[str]:
    """Return the relative paths of what is taken along, without the .gitignore files."""
    files = {file.relative for file in pack_source(source).files}
    return {file for file in files if not file.endswith(".gitignore")}


def problems(source: object) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        pack_source(source)  # type: ignore[arg-type]
    return caught.value.problems


def copied(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What is named.


def test_a_file_is_the_one_entry(tmp_path: Path) -> None:
    make(tmp_path, "vqe.py", "other.py")
    packed = pack_source(tmp_path / "vqe.py")
    assert (packed.name, packed.is_directory, packed.left_out) == ("vqe.py", False, ())
    assert packed.uri == (tmp_path / "vqe.py").resolve().as_uri()
    packed.write_to(tmp_path / "job" / "source")
    assert copied(tmp_path / "job" / "source") == {"vqe.py": b"# 'vqe.py'\n"}


def test_a_folder_is_the_one_entry_with_all_below_it(tmp_path: Path) -> None:
    make(tmp_path / "pkg", "__init__.py", "sub/deep/m.py", "data.csv", ".hidden", "empty/folder/")
    packed = pack_source(tmp_path / "pkg")
    assert (packed.name, packed.is_directory) == ("pkg", True)
    assert packed.directories == ("empty", "empty/folder", "sub", "sub/deep")
    packed.write_to(tmp_path / "job")
    assert set(copied(tmp_path / "job")) == {
        "pkg/__init__.py",
        "pkg/sub/deep/m.py",
        "pkg/data.csv",
        "pkg/.hidden",
    }
    assert (tmp_path / "job/pkg/empty/folder").is_dir()


@pytest.mark.parametrize("named", [".", "./", "../pkg", "../pkg/", "../pkg//", "./.", "sub/..", "../pkg/."])
def test_the_name_is_the_folders_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    make(tmp_path / "pkg", "main.py", "sub/")
    monkeypatch.chdir(tmp_path / "pkg")  # what a relative path means depends on it alone
    packed = pack_source(named)
    assert (packed.name, packed.uri) == ("pkg", (tmp_path / "pkg").resolve().as_uri())
    assert [file.relative for file in packed.files] == ["main.py"]


def test_a_link_keeps_its_own_name_and_is_followed(tmp_path: Path) -> None:
    make(tmp_path / "pkg-2.1", "main.py")
    (tmp_path / "pkg").symlink_to("pkg-2.1")
    (tmp_path / "run.py").symlink_to("pkg/main.py")
    for named, expected in (("pkg", {"pkg/main.py"}), ("pkg/", {"pkg/main.py"}), ("run.py", {"run.py"})):
        packed = pack_source(f"{tmp_path}/{named}")
        assert packed.uri.endswith("/" + named.rstrip("/"))
        packed.write_to(tmp_path / "job" / named.replace("/", "_"))
        assert set(copied(tmp_path / "job" / named.replace("/", "_"))) == expected


def test_two_dots_lead_up_from_where_a_link_leads(tmp_path: Path) -> None:
    make(tmp_path, "main.py", "real/main.py", "real/sub/")
    (tmp_path / "link").symlink_to("real/sub")
    packed = pack_source(f"{tmp_path}/link/../main.py")
    assert packed.uri == (tmp_path / "real/main.py").resolve().as_uri()
    assert os.path.samefile(packed.files[0].absolute, tmp_path / "real/main.py")


@pytest.mark.parametrize("suffix", [".py", ""])
def test_any_name_goes_through_unchanged(tmp_path: Path, nasty_name: str, suffix: str) -> None:
    source = tmp_path / "in" / (nasty_name + suffix)
    inner = source if suffix else source / f"{nasty_name}.txt"
    inner.parent.mkdir(parents=True)
    inner.write_bytes(b"content")
    packed = pack_source(source)
    packed.write_to(tmp_path / "out")
    assert packed.name == source.name
    assert packed.uri.isascii()
    assert unquote_to_bytes(packed.uri.removeprefix("file://")) == os.fsencode(source.resolve())
    assert copied(tmp_path / "out") == {str(inner.relative_to(tmp_path / "in")): b"content"}


def test_a_tilde_is_a_name_and_not_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a relative name is what this is about
    assert "os.path.expanduser" in problems("~/vqe.py")[0]
    make(tmp_path / "~", "vqe.py")
    assert pack_source("~/vqe.py").name == "vqe.py"


# What is left out.


@pytest.mark.parametrize(
    "name",
    [
        *(".git/", ".hg/", ".svn/", "__pycache__/", ".ipynb_checkpoints/", ".mypy_cache/"),
        *(".pytest_cache/", ".ruff_cache/", "node_modules/", "main.pyc", ".#main.py", ".git"),
    ],
)
@pytest.mark.parametrize("where", ["", "sub/"])
def test_caches_and_version_control_are_always_left_out(tmp_path: Path, where: str, name: str) -> None:
    make(tmp_path, "main.py", where + name + ("content" if name.endswith("/") else ""), gitignore="!*\n")
    packed = pack_source(tmp_path)
    assert packed.left_out == (where + name,)
    assert taken(tmp_path) == {"main.py"}


@pytest.mark.parametrize("name", [".venv", "venv", "env-3.11", "tools/py"])
def test_virtual_environments_are_left_out_whatever_they_are_called(tmp_path: Path, name: str) -> None:
    make(tmp_path, "main.py", f"{name}/pyvenv.cfg", f"{name}/lib/site.py")
    assert pack_source(tmp_path).left_out == (name + "/",)
    assert taken(tmp_path) == {"main.py"}


def test_the_folders_of_jobs_are_left_out(tmp_path: Path) -> None:
    job = ("spec.json", "record.json", "hyperparameters.json", "environment.json", "source/main.py")
    make(tmp_path, "main.py", *(f".qjob/jobs/1/{name}" for name in job), "results/spec.json", "results/record.json")
    assert pack_source(tmp_path).left_out == (".qjob/jobs/1/",)
    assert taken(tmp_path) == {"main.py", "results/spec.json", "results/record.json"}


def test_folders_that_are_only_called_venv_are_taken(tmp_path: Path) -> None:
    make(tmp_path, "venv/code.py", ".venv/code.py")
    assert taken(tmp_path) == {"venv/code.py", ".venv/code.py"}


def test_a_folder_that_was_named_is_taken_whatever_it_is(tmp_path: Path) -> None:
    make(tmp_path / "node_modules", "pyvenv.cfg", "main.py")
    assert taken(tmp_path / "node_modules") == {"pyvenv.cfg", "main.py"}


def test_what_is_left_out_is_named_once_at_its_top(tmp_path: Path) -> None:
    make(tmp_path, "a/data/x/1.csv", "a/data/x/2.csv", "b/secret.txt", "main.py", gitignore="data\nsecret.*\n")
    packed = pack_source(tmp_path)
    assert packed.left_out == ("a/data/", "b/secret.txt")
    assert packed.directories == ("a", "b")


def test_gitignore_files_count_without_a_repository_too(tmp_path: Path) -> None:
    source = make(tmp_path / "pkg", "main.py", "out/1.csv", "sub/out/2.csv", gitignore="/out\n")
    make(source / "sub", "keep.log", "drop.log", gitignore="*.log\n!keep.log\n")
    make(tmp_path, gitignore="*.py\n")  # above the source, and in no repository
    assert taken(source) == {"main.py", "sub/keep.log", "sub/out/2.csv"}


def repository(folder: Path) -> Path:
    make(folder / ".git", "HEAD")
    return folder


def test_gitignore_files_above_count_up_to_the_repositorys_root(tmp_path: Path) -> None:
    root = repository(tmp_path / "repo")
    make(tmp_path, gitignore="*.py\n")
    make(root, gitignore="*.csv\n/src/pkg/only_here.txt\n")
    make(root / "src", gitignore="*.log\n!keep.csv\n")
    source = make(root / "src/pkg", "main.py", "a.csv", "keep.csv", "b.log", "only_here.txt", "sub/c.csv")
    assert taken(source) == {"main.py", "keep.csv"}
    assert pack_source(source).left_out == ("a.csv", "b.log", "only_here.txt", "sub/c.csv")


@pytest.mark.parametrize("rule", ["/scratch/", "scratch", "*", "pkg/", "/scratch/pkg"])
def test_a_source_that_is_ignored_itself_is_taken_all_the_same(tmp_path: Path, rule: str) -> None:
    root = make(repository(tmp_path / "repo"), gitignore=f"{rule}\n*.log\n")
    source = make(root / "scratch/pkg", "main.py", "a.log", "b.csv", gitignore="*.csv\n")
    assert taken(source) == {"main.py", "a.log"}


def test_the_repositorys_root_is_a_source_like_any_other(tmp_path: Path) -> None:
    root = make(repository(tmp_path / "repo"), "main.py", "a.log", gitignore="*.log\n")
    assert taken(root) == {"main.py"}
    assert pack_source(root).left_out == (".git/", "a.log")


@needs_git
def test_the_commit_is_that_of_the_repository_around_it(tmp_path: Path) -> None:
    make(tmp_path / "src", "main.py")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e"]
    assert pack_source(tmp_path / "src").git_commit is None
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert pack_source(tmp_path / "src").git_commit == head
    assert pack_source(tmp_path / "src/main.py").git_commit == head


# What is refused.


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("missing.py", "does not exist"),
        ("", "must not be empty"),
        ("a\0b", "null character"),
        (None, "NoneType"),
        (7, "of type int"),
        (b"bytes.py", "of type bytes"),
        ("/", "root of the file system"),
        ("s3://bucket/source.tar.gz", "download it"),
        ("x" * 300, "cannot be reached"),
        ("file.py/inner.py", "does not exist"),
    ],
)
def test_what_cannot_be_a_source_is_refused_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: object, words: str
) -> None:
    monkeypatch.chdir(make(tmp_path, "file.py"))  # a relative name is what this is about
    (problem,) = problems(named)
    assert words in problem
    assert problem.startswith("source ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("code.7z", "ends in '.py'"),
        ("code.rar", "ends in '.py'"),
        ("vqe.ipynb", "nbconvert"),
        ("run.sh", "ends in '.py'"),
        ("main.pyc", "ends in '.py'"),
        ("noending", "ends in '.py'"),
        (".py", "ends in '.py'"),
    ],
)
def test_a_file_that_is_not_python_is_refused(tmp_path: Path, name: str, words: str) -> None:
    make(tmp_path, name)
    (problem,) = problems(tmp_path / name)
    assert words in problem
    assert repr(name) in problem


@pytest.mark.parametrize("name", ["my-script.py", "1st.py", "a.b.py", "import.py", "__main__.py"])
def test_a_file_of_any_stem_is_taken(tmp_path: Path, name: str) -> None:
    make(tmp_path, name)
    assert pack_source(tmp_path / name).name == name


def make_socket(path: Path) -> None:
    # Bound by a short relative name: the path of a socket has room for about 100 bytes.
    here = os.open(".", os.O_RDONLY)
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


SPECIAL: list[tuple[Callable[[Path], object], str]] = [
    (os.mkfifo, "a named pipe"),
    (make_socket, "a socket"),
    (lambda path: path.symlink_to("/dev/null"), "a device"),
]


@pytest.mark.parametrize(("create", "kind"), SPECIAL)
def test_what_is_neither_file_nor_folder_is_refused(
    tmp_path: Path, within: Within, create: Callable[[Path], object], kind: str
) -> None:
    make(tmp_path / "pkg", "main.py", "sub/")
    create(tmp_path / "pkg/sub/thing.py")
    for named in (tmp_path / "pkg/sub/thing.py", tmp_path / "pkg"):
        with pytest.raises(InvalidInput) as caught:
            within(5, pack_source, named)
        (problem,) = caught.value.problems
        assert kind in problem
        assert "sub/thing.py'" in problem


def test_what_is_left_out_is_not_looked_at(tmp_path: Path) -> None:
    make(tmp_path, "main.py", "run/", "__pycache__/", gitignore="run/\ngone\n")
    os.mkfifo(tmp_path / "run/pipe")
    os.mkfifo(tmp_path / "__pycache__/pipe")
    (tmp_path / "gone").symlink_to("nowhere")
    assert taken(tmp_path) == {"main.py"}


def test_links_to_nowhere_and_in_circles_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "main.py")
    (tmp_path / "dangling.py").symlink_to("gone.py")
    (tmp_path / "self").symlink_to("self")
    dangling, circle = problems(tmp_path)
    assert "dangling.py' is a link to 'gone.py', which does not exist" in dangling
    assert "self' is a link that leads round in circles" in circle
    assert "is a link to 'gone.py'" in problems(tmp_path / "dangling.py")[0]
    assert "round in circles" in problems(tmp_path / "self")[0]


@pytest.mark.parametrize("target", [".", "..", "../..", "sub", "../sub/.."])
def test_a_link_back_to_a_folder_around_it_is_refused(tmp_path: Path, within: Within, target: str) -> None:
    make(tmp_path / "pkg", "main.py", "sub/deep/m.py")
    folder = tmp_path / ("pkg" if target == "sub" else "pkg/sub")
    (folder / "again").symlink_to(target if target != "sub" else "../pkg")
    with pytest.raises(InvalidInput, match="link back to a folder that holds it"):
        within(10, pack_source, tmp_path / "pkg")


def test_folders_that_all_link_to_each_other_end_soon(tmp_path: Path, within: Within) -> None:
    names = [f"d{number:02}" for number in range(14)]  # 14! paths
    for name in names:
        make(tmp_path / "pkg" / name, "m.py")
        for other in names:
            (tmp_path / "pkg" / name / f"to_{other}").symlink_to(f"../{other}")
    with pytest.raises(InvalidInput) as caught:
        within(10, pack_source, tmp_path / "pkg")
    assert len(caught.value.problems) >= len(names)  # each one's link to itself, for a start


def test_links_inside_the_source_that_do_not_lead_back_are_followed(tmp_path: Path) -> None:
    make(tmp_path / "pkg", "main.py", "real/m.py")
    make(tmp_path / "shared", "s.py")
    (tmp_path / "pkg/link").symlink_to("real")
    (tmp_path / "pkg/shared").symlink_to(tmp_path / "shared")
    (tmp_path / "pkg/one.py").symlink_to("../shared/s.py")
    pack_source(tmp_path / "pkg").write_to(tmp_path / "job")
    names = {"main.py", "real/m.py", "link/m.py", "shared/s.py", "one.py"}
    assert set(copied(tmp_path / "job")) == {f"pkg/{name}" for name in names}
    assert not any(path.is_symlink() for path in (tmp_path / "job").rglob("*"))


def test_a_link_is_left_out_as_what_it_leads_to(tmp_path: Path) -> None:
    make(tmp_path / "big", "1.csv")
    make(tmp_path / "pkg", "main.py", gitignore="data/\n")
    (tmp_path / "pkg/data").symlink_to("../big")
    assert pack_source(tmp_path / "pkg").left_out == ("data/",)


def test_what_cannot_be_read_is_refused(open_folder: Path, without_privileges: Dropped) -> None:
    source = make(open_folder / "pkg", "main.py", "secret.py", "closed/m.py", "listed/m.py")
    (source / "secret.py").chmod(0)
    (source / "closed").chmod(0)
    (source / "listed").chmod(0o444)
    with without_privileges():
        found = problems(source)
        (single,) = problems(source / "secret.py")
    for path in ("closed", "listed"):
        (source / path).chmod(0o755)
    assert [problem.split("'")[3].rpartition("/")[2] for problem in found] == ["secret.py", "closed", "listed"]
    assert all("cannot be read" in problem and "chmod" in problem for problem in (*found, single))


def test_a_file_may_have_two_problems(open_folder: Path, without_privileges: Dropped) -> None:
    make(open_folder, "run.sh")
    (open_folder / "run.sh").chmod(0)
    with without_privileges():
        suffix, unreadable = problems(open_folder / "run.sh")
    assert "ends in '.py'" in suffix
    assert "cannot be read" in unreadable


def test_rules_that_cannot_be_read_are_a_problem(open_folder: Path, without_privileges: Dropped) -> None:
    root = make(repository(open_folder / "repo"), gitignore="*.log\n")
    source = make(root / "pkg", "main.py", gitignore="*.csv\n")
    for path, chosen in ((root, source), (source, source)):
        (path / ".gitignore").chmod(0)
        with without_privileges():
            found = problems(chosen)
        (path / ".gitignore").chmod(0o644)
        assert any(f"{str(path / '.gitignore')!r} cannot be read" in problem for problem in found)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    make(tmp_path / "pkg", "main.py", "sub/")
    os.mkfifo(tmp_path / "pkg/a")
    os.mkfifo(tmp_path / "pkg/sub/b")
    (tmp_path / "pkg/c").symlink_to("gone")
    found = problems(tmp_path / "pkg")
    assert len(found) == 3
    assert all(problem.startswith("source 'pkg': ") and problem.endswith(".") for problem in found)


# The requirements.


@pytest.mark.parametrize(
    ("named", "expected"),
    [("pkg", b"# 'requirements.txt'\n"), ("pkg/sub", None), ("pkg/main.py", None), ("ignored", None)],
)
def test_the_requirements_are_those_at_the_root(tmp_path: Path, named: str, expected: bytes | None) -> None:
    make(tmp_path, "pkg/requirements.txt", "pkg/main.py", "pkg/sub/deep/requirements.txt", "ignored/requirements.txt")
    make(tmp_path / "ignored", gitignore="*.txt")
    assert pack_source(tmp_path / named).root_requirements() == expected


def test_requirements_that_have_gone_since_are_a_problem(tmp_path: Path) -> None:
    packed = pack_source(make(tmp_path / "pkg", "requirements.txt"))
    (tmp_path / "pkg/requirements.txt").unlink()
    with pytest.raises(InvalidInput, match=r"'requirements\.txt' cannot be read: No such file"):
        packed.root_requirements()


# The copy.


def test_modes_are_kept_as_far_as_the_owner_can_go_on(tmp_path: Path) -> None:
    make(tmp_path / "pkg", "run.py", "plain.py", "private.py", "readonly.py")
    modes = {"run.py": 0o755, "plain.py": 0o644, "private.py": 0o600, "readonly.py": 0o444}
    for name, mode in modes.items():
        (tmp_path / "pkg" / name).chmod(mode)
    before = os.umask(0o022)
    try:
        pack_source(tmp_path / "pkg").write_to(tmp_path / "job")
    finally:
        os.umask(before)
    found = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "job/pkg").iterdir()}
    assert found == modes | {"readonly.py": 0o644}


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    make(tmp_path / "in/pkg", "main.py")
    make(tmp_path / "in", "one.py")
    make(tmp_path / "job", "one.py", "pkg/")
    for name in ("pkg", "one.py"):
        with pytest.raises(FileExistsError):
            pack_source(tmp_path / "in" / name).write_to(tmp_path / "job")
    assert copied(tmp_path / "job") == {"one.py": b"# 'one.py'\n"}


def test_a_file_that_has_gone_since_is_an_error(tmp_path: Path) -> None:
    make(tmp_path / "pkg", "main.py")
    packed = pack_source(tmp_path / "pkg")
    (tmp_path / "pkg/main.py").unlink()
    with pytest.raises(FileNotFoundError):
        packed.write_to(tmp_path / "job")


def test_the_copy_is_of_the_file_as_it_is_when_it_is_written(tmp_path: Path) -> None:
    make(tmp_path, "main.py")
    packed = pack_source(tmp_path / "main.py")
    (tmp_path / "main.py").write_text("later and longer, much longer\n")
    packed.write_to(tmp_path / "job")
    assert (tmp_path / "job/main.py").read_text() == "later and longer, much longer\n"


# Speed.


def test_no_content_is_read(tmp_path: Path, within: Within) -> None:
    for name in ("huge.py", "other.bin"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(1 << 40)  # a tebibyte without a block on the disk
    assert within(5, pack_source, tmp_path / "huge.py").name == "huge.py"
    assert len(within(5, pack_source, tmp_path).files) == 2


def test_one_file_takes_less_than_two_milliseconds(tmp_path: Path) -> None:
    make(repository(tmp_path), "a/b/c/vqe.py")
    times = []
    for _ in range(50):
        start = time.perf_counter()
        pack_source(tmp_path / "a/b/c/vqe.py")
        times.append(time.perf_counter() - start)
    assert sorted(times)[25] < 0.002


def test_ten_thousand_files_take_no_time_to_speak_of(tmp_path: Path) -> None:
    rules = "\n".join(f"*.o{number}\nbuild{number}/\ncache*{number}\n" for number in range(10))
    make(tmp_path, gitignore=rules)
    for folder in range(100):
        (tmp_path / f"d{folder}").mkdir()
        for number in range(100):
            (tmp_path / f"d{folder}/f{number}.py").touch()
    start = time.perf_counter()
    assert len(pack_source(tmp_path).files) == 10_001
    assert time.perf_counter() - start < 3  # 0.15 s where it was measured


def test_a_tree_may_be_deeper_than_pythons_stack(tmp_path: Path) -> None:
    depth = 1100
    for level in range(1, depth + 1):
        os.mkdir(str(tmp_path) + "/d" * level)
    try:
        assert len(pack_source(tmp_path).directories) == depth
    finally:
        for level in range(depth, 0, -1):  # shutil.rmtree recurses
            os.rmdir(str(tmp_path) + "/d" * level)
