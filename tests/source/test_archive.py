"""Archives as a source: what lies in the job, what is refused, and what the entry point is."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qjob.errors import InvalidInput
from qjob.source.archive import PackedArchive
from qjob.source.entry_point import default_entry_point, entry_point_problem, missing_siblings
from qjob.source.path import pack_source

KINDS = {
    "code.tar": "tar",
    "code.tar.gz": "gztar",
    "code.tgz": "gztar",
    "CODE.TAR.GZ": "gztar",
    "code.tar.bz2": "bztar",
    "code.tar.xz": "xztar",
    "code.zip": "zip",
    "code.whl": "zip",
}
PACKAGE = {
    "pkg/__init__.py": "",
    "pkg/main.py": "from pkg.sub.tool import tool\ndef train(): ...\nif __name__ == '__main__': ...\n",
    "pkg/sub/tool.py": "def tool(): ...\n",
    "pkg/data.csv": "1,2\n",
}
BUNDLE = {
    "vqe.py": "import helper\n",
    "helper.py": "def f(): ...\n",
    "lib/__init__.py": "",
    "lib/m.py": "",
    "x.csv": "",
}


@dataclass(frozen=True, kw_only=True)
class Member:
    """An entry of a tar archive, as a hostile author may write it."""

    name: str
    type: bytes = tarfile.REGTYPE
    content: bytes = b""
    target: str = ""
    mode: int = 0o644
    size: int | None = None


def lay_out(folder: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def archive_of(folder: Path, files: Mapping[str, str], name: str = "code.tar.gz") -> Path:
    """Make an archive by the standard library's own function."""
    with tempfile.TemporaryDirectory() as scratch:
        content = lay_out(Path(scratch) / "in", files)
        made = shutil.make_archive(f"{scratch}/out", KINDS[name], content)
        return Path(shutil.move(made, folder / name))


def tar_of(path: Path, *members: Member) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.linkname, info.mode = member.type, member.target, member.mode
            info.size = len(member.content) if member.size is None else member.size
            if member.size is None:
                archive.addfile(info, io.BytesIO(member.content))
            else:  # a header without what it promises, which addfile may refuse to write
                assert archive.fileobj is not None
                archive.fileobj.write(info.tobuf())
    return path


def packed_of(path: Path) -> PackedArchive:
    packed = pack_source(path)
    assert isinstance(packed, PackedArchive)
    return packed


def problem_of(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        pack_source(path)
    (problem,) = caught.value.problems
    return problem


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return what files hold, and None for each folder."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


# What lies in the job.


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("files", [PACKAGE, BUNDLE, {"vqe.py": "x = 1\n"}], ids=["folder", "bundle", "file"])
def test_a_job_has_what_the_published_container_unpacks(tmp_path: Path, files: Mapping[str, str], name: str) -> None:
    path = archive_of(tmp_path, files, name)
    packed_of(path).write_to(tmp_path / "ours")
    kind = KINDS[name]
    how: dict[str, Any] = {} if kind == "zip" else {"filter": "fully_trusted"}  # Python's default before 3.14
    shutil.unpack_archive(path, tmp_path / "published", kind, **how)
    assert contents(tmp_path / "ours") == contents(tmp_path / "published")
    assert any((tmp_path / "ours").rglob("*.py"))
    assert sorted(os.listdir(tmp_path)) == sorted([name, "ours", "published"])  # nothing beside the archive


@pytest.mark.parametrize(
    ("files", "name", "is_directory", "is_bundle", "entry_point"),
    [
        (PACKAGE, "pkg", True, False, "pkg"),
        (PACKAGE | {"requirements.txt": "", "README.md": "", "docs/x.md": ""}, "pkg", True, False, "pkg"),
        ({"vqe.py": "", "data/x.csv": ""}, "vqe.py", False, False, "vqe"),
        (BUNDLE, "code.tar.gz", True, True, "code"),
        ({"data/x.csv": ""}, "data", True, False, "data"),
        ({"a.csv": "", "b.csv": ""}, "code.tar.gz", True, True, "code"),
    ],
)
def test_the_source_is_the_one_entry_of_code(
    tmp_path: Path, files: Mapping[str, str], name: str, is_directory: bool, is_bundle: bool, entry_point: str
) -> None:
    packed = packed_of(archive_of(tmp_path, files))
    assert (packed.name, packed.is_directory, packed.is_bundle) == (name, is_directory, is_bundle)
    assert packed.uri == (tmp_path / "code.tar.gz").resolve().as_uri()
    assert default_entry_point(packed) == entry_point


def test_modes_are_kept_as_far_as_is_safe(tmp_path: Path) -> None:
    modes = {"run.py": 0o755, "plain.py": 0o644, "private.py": 0o400, "root.py": 0o4755, "open.py": 0o777}
    for_zip = tmp_path / "code.zip"
    with zipfile.ZipFile(for_zip, "w") as archive:
        for name, mode in modes.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(info, "")
    members = [Member(name=name, mode=mode) for name, mode in modes.items()]
    before = os.umask(0o022)
    try:
        for path in (for_zip, tar_of(tmp_path / "code.tgz", *members)):
            packed_of(path).write_to(tmp_path / "job" / path.suffix)
    finally:
        os.umask(before)
    for kind in (".zip", ".tgz"):
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "job" / kind).iterdir()}
        expected = {name: 0o755 if mode & 0o100 else 0o644 for name, mode in modes.items()}
        assert found == expected


def test_links_inside_are_links_in_the_job(tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "code.tgz",
        Member(name="pkg/link", type=tarfile.SYMTYPE, target="real"),
        Member(name="pkg/main.py", type=tarfile.SYMTYPE, target="link/m.py"),
        Member(name="pkg/real/m.py", content=b"def f(): ...\n"),
        Member(name="pkg/hard.py", type=tarfile.LNKTYPE, target="pkg/real/m.py"),
    )
    packed = packed_of(path)
    for entry_point in ("pkg.main:f", "pkg.link.m:f", "pkg.hard:f", "pkg.real.m:f"):
        assert entry_point_problem(packed, entry_point) is None
    packed.write_to(tmp_path / "job")
    assert os.readlink(tmp_path / "job/pkg/link") == "real"
    assert (tmp_path / "job/pkg/main.py").read_text() == (tmp_path / "job/pkg/hard.py").read_text()


def test_the_later_of_two_files_of_a_name_is_taken(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "code.tgz", Member(name="a.py", content=b"old"), Member(name="./a.py", content=b"newer"))
    packed = packed_of(path)
    packed.write_to(tmp_path / "job")
    assert contents(tmp_path / "job") == {"a.py": b"newer"}
    assert packed.read(packed.files[0]) == b"newer"


def test_a_zip_may_have_links(tmp_path: Path) -> None:
    for target, words in (("m.py", ""), ("../../etc", "outside of the archive")):
        with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
            archive.writestr("m.py", "x = 1")
            info = zipfile.ZipInfo("link.py")
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
        if words:
            assert words in problem_of(tmp_path / "code.zip")
            continue
        packed_of(tmp_path / "code.zip").write_to(tmp_path / "job")
        assert os.readlink(tmp_path / "job/link.py") == "m.py"


def test_any_name_goes_through_unchanged(tmp_path: Path, nasty_name: str) -> None:
    path = tar_of(tmp_path / "code.tgz", Member(name=f"{nasty_name}/{nasty_name}.txt", content=b"content"))
    packed_of(path).write_to(tmp_path / "job")
    assert contents(tmp_path / "job") == {nasty_name: None, f"{nasty_name}/{nasty_name}.txt": b"content"}


def test_large_files_and_empty_ones_are_whole(tmp_path: Path) -> None:
    noise = os.urandom(3 << 20) + b"end"
    path = tar_of(tmp_path / "code.tgz", Member(name="a.bin", content=noise), Member(name="empty"), Member(name="z.py"))
    packed_of(path).write_to(tmp_path / "job")
    assert contents(tmp_path / "job") == {"a.bin": noise, "empty": b"", "z.py": b""}


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    lay_out(tmp_path / "job", {"vqe.py": "mine"})
    with pytest.raises(FileExistsError):
        packed_of(archive_of(tmp_path, {"vqe.py": "theirs"})).write_to(tmp_path / "job")
    assert (tmp_path / "job/vqe.py").read_text() == "mine"


# The entry point and what else is asked of a source.


@pytest.mark.parametrize(
    ("files", "entry_point", "words"),
    [
        (PACKAGE, "pkg.main:train", None),
        (PACKAGE, "pkg.main", None),
        (PACKAGE, "pkg", "no 'pkg/__main__.py'; name the module to run: 'pkg.main', or add"),
        (PACKAGE, "main", "did you mean 'pkg.main'?"),
        (PACKAGE | {"pkg/__main__.py": ""}, "pkg", None),
        ({"vqe.py": ""}, "vqe", None),
        ({"vqe.py": "", "x.csv": ""}, "vqe:f", "'vqe.py' does not define 'f'"),
        (BUNDLE, "vqe", None),
        (BUNDLE, "helper:f", None),
        (BUNDLE, "lib.m", None),
        (BUNDLE, "lib", "there is no 'lib/__main__.py'"),
        (BUNDLE, "vqe:f", "'vqe.py' does not define 'f'"),
        (BUNDLE, "code", "no module 'code', and a name begins with that of a file or folder in it; there is '"),
        (BUNDLE | {"queue.py": ""}, "queue", None),
        (BUNDLE | {"queue.py": "def f(): ..."}, "queue:f", "Python has a module 'queue' of its own"),
        (BUNDLE | {"json/m.py": ""}, "json.m", "rename the folder"),
        (BUNDLE | {"__main__.py": ""}, "__main__", None),
        ({"pkg-1.0/main.py": ""}, "pkg-1.0.main", "'.' or ':' in its name"),
        ({"a.csv": ""}, "a", "no Python file in it"),
        ({"pkg/m.py": "x = = 1"}, "pkg.m", "'pkg/m.py' is not valid Python, line 1"),
    ],
)
@pytest.mark.parametrize("name", ["code.tar.gz", "code.zip"])
def test_the_entry_point_is_checked_without_unpacking(
    tmp_path: Path, files: Mapping[str, str], entry_point: str, words: str | None, name: str
) -> None:
    problem = entry_point_problem(packed_of(archive_of(tmp_path, files, name)), entry_point)
    assert (problem is None) == (words is None), problem
    assert words is None or words in str(problem)
    assert os.listdir(tmp_path) == [name]


def test_code_that_is_too_large_to_be_kept_is_read_again(tmp_path: Path) -> None:
    packed = packed_of(archive_of(tmp_path, {"pkg/main.py": "def f(): ...\n" + "#" * (2 << 20)}))
    assert packed.kept == {}
    assert entry_point_problem(packed, "pkg.main:f") is None
    assert "does not define" in str(entry_point_problem(packed, "pkg.main:g"))


def test_what_lies_beside_the_archive_is_not_missed(tmp_path: Path) -> None:
    lay_out(tmp_path, {"helper.py": ""})
    assert missing_siblings(packed_of(archive_of(tmp_path, {"vqe.py": "import helper\n"}))) == ()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (PACKAGE, None),
        (PACKAGE | {"requirements.txt": "top"}, b"top"),
        (PACKAGE | {"pkg/requirements.txt": "inner"}, b"inner"),
        (PACKAGE | {"pkg/requirements.txt": "inner", "requirements.txt": "top"}, b"top"),
        (PACKAGE | {"pkg/requirements.txt": "inner", "requirements.txt": ""}, b""),
        (PACKAGE | {"pkg/sub/requirements.txt": "deep"}, None),
        ({"vqe.py": "", "requirements.txt": "top"}, b"top"),
    ],
)
def test_the_requirements_are_those_at_the_root(
    tmp_path: Path, files: Mapping[str, str], expected: bytes | None
) -> None:
    assert packed_of(archive_of(tmp_path, files)).root_requirements() == expected


# What is refused.

HOSTILE = {
    "absolute": (Member(name="/tmp/evil.py"), "absolute path"),
    "up": (Member(name="../evil.py"), "leads up by '..'"),
    "a link outside": (Member(name="a", type=tarfile.SYMTYPE, target="/etc/passwd"), "outside of the archive"),
    "a hard link outside": (Member(name="a", type=tarfile.LNKTYPE, target="../x"), "leads up"),
    "a device": (Member(name="null", type=tarfile.CHRTYPE), "is a device or a named pipe"),
    "a pipe": (Member(name="pipe", type=tarfile.FIFOTYPE), "is a device or a named pipe"),
    "what nobody knows": (Member(name="odd", type=b"Q"), "of an unknown kind"),
    "a size": (Member(name="huge.bin", size=1 << 40), "would unpack to more than"),
    "a long name": (Member(name="x" * 300), "longer name"),
}


@pytest.mark.parametrize(("member", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_refused_with_one_sentence(tmp_path: Path, member: Member, words: str) -> None:
    path = tar_of(tmp_path / "code.tgz", Member(name="vqe.py", content=b"x = 1"), member)
    problem = problem_of(path)
    assert words in problem
    assert problem.startswith("source 'code.tgz': ")
    assert "unpack it and name the folder" in problem
    assert os.listdir(tmp_path) == ["code.tgz"]


@pytest.mark.parametrize(("name", "words"), [("/abs.py", "absolute"), ("../up.py", "leads up"), ("a/../../b", "up")])
def test_a_hostile_zip_is_refused(tmp_path: Path, name: str, words: str) -> None:
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr(name, "x = 1")
    assert words in problem_of(tmp_path / "code.zip")


def test_a_bomb_of_many_files_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"{number}.bin", bytes(1 << 20))
    # Each says that it holds 256 MiB, in its own header and in the directory at the end.
    path.write_bytes(path.read_bytes().replace((1 << 20).to_bytes(4, "little"), (1 << 28).to_bytes(4, "little")))
    assert "would unpack to more than 1,073,741,824 bytes" in problem_of(tmp_path / "code.zip")


def test_a_name_of_a_gigabyte_is_not_read_into_memory(tmp_path: Path) -> None:
    """GNU's long names and pax headers have a size that the archive declares."""
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = kind, 1 << 34
        with gzip.open(tmp_path / "code.tgz", "wb") as file:
            file.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))
        assert "a header of 17179869184 bytes" in problem_of(tmp_path / "code.tgz")


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def of_another_kind(path: Path) -> None:
    path.write_bytes(b"PNG? " * 1000)


@pytest.mark.parametrize("damage", [truncated, emptied, of_another_kind])
@pytest.mark.parametrize("name", ["code.tar", "code.tar.gz", "code.tar.bz2", "code.tar.xz", "code.zip"])
def test_what_cannot_be_unpacked_is_refused(tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    files = {f"pkg/m{number}.py": os.urandom(2000).hex() for number in range(20)}
    path = archive_of(tmp_path, files, name)
    damage(path)
    assert "it cannot be unpacked, as it is damaged or of a kind that Python" in problem_of(path)


def test_a_damaged_header_in_the_middle_is_not_the_end(tmp_path: Path) -> None:
    path = archive_of(tmp_path, {f"m{number}.py": "x" * 600 for number in range(4)}, "code.tar")
    content = bytearray(path.read_bytes())
    where = content.index(b"m2.py\0")
    content[where : where + 100] = b"\xff" * 100
    path.write_bytes(content)
    assert "damaged" in problem_of(path)


@pytest.mark.parametrize("name", ["code.tar.gz", "code.tar.bz2", "code.tar.xz"])
def test_a_wrong_checksum_is_told(tmp_path: Path, name: str) -> None:
    """It lies behind all that tarfile reads; without it, nobody knows whether the code is what was packed."""
    path = archive_of(tmp_path, {"vqe.py": "x = 1\n"}, name)
    content = bytearray(path.read_bytes())
    where = {"gz": -8, "bz2": -3, "xz": -24}[name.rpartition(".")[2]]
    content[where] ^= 0xFF
    path.write_bytes(content)
    assert "damaged" in problem_of(path)


def test_damage_that_shows_only_when_it_is_unpacked_is_told(tmp_path: Path) -> None:
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("vqe.py", "x = 1\n")
        archive.writestr("data.bin", b"A" * 5000)
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"ABBA", 1))
    with pytest.raises(InvalidInput, match="Bad CRC-32"):
        packed_of(path).write_to(tmp_path / "job")


def test_a_zip_with_a_password_is_refused(tmp_path: Path) -> None:
    path = archive_of(tmp_path, {"vqe.py": "x = 1\n"}, "code.zip")
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1  # the flag in the directory at the end
    path.write_bytes(content)
    assert "password" in problem_of(path)


def test_an_archive_that_was_changed_since_is_refused(tmp_path: Path) -> None:
    packed = packed_of(archive_of(tmp_path, {"vqe.py": "x = 1\n"}))
    archive_of(tmp_path, {"vqe.py": "x = 2\n", "more.py": ""})
    with pytest.raises(InvalidInput, match="was changed while it was submitted"):
        packed.write_to(tmp_path / "job")


def test_an_archive_that_has_gone_since_is_an_error(tmp_path: Path) -> None:
    packed = packed_of(archive_of(tmp_path, {"vqe.py": "x = 1\n"}))
    (tmp_path / "code.tar.gz").unlink()
    with pytest.raises(FileNotFoundError):
        packed.write_to(tmp_path / "job")


def test_a_folder_with_an_archives_name_is_a_folder(tmp_path: Path) -> None:
    packed = pack_source(lay_out(tmp_path / "code.tar.gz", {"__main__.py": ""}))
    assert (packed.name, packed.is_directory, packed.is_bundle) == ("code.tar.gz", True, False)


def test_a_python_file_does_not_cost_the_import_of_archives() -> None:
    code = "import sys, qjob.source.path, qjob.source.entry_point; print({'tarfile', 'zipfile'} & set(sys.modules))"
    assert run_python(code) == "set()\n"


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
