"""The commit that is checked out, against what git says."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from qjob.source.git import commit_of, repository_root

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git, which is the oracle, is not installed")
NO_CONFIGURATION = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
OPTIONS = ["user.name=n", "user.email=e", "protocol.file.allow=always", "init.defaultBranch=main"]


def git(folder: Path, *arguments: str) -> str:
    options = [word for option in OPTIONS for word in ("-c", option)]
    command = ["git", "-C", str(folder), *options, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | NO_CONFIGURATION)
    return done.stdout.strip()


def head(folder: Path) -> str:
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, in a folder with a nasty name."""
    folder = tmp_path.resolve() / "a'; echo foo\nψ"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "src").mkdir()
    (folder / "src/main.py").write_text("")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    return folder


def detach(folder: Path) -> None:
    git(folder, "checkout", "-q", "--detach")


def pack_refs(folder: Path) -> None:
    git(folder, "branch", "main-2")  # a name that begins like the one looked for
    git(folder, "pack-refs", "--all")


def branch_with_slashes(folder: Path) -> None:
    git(folder, "checkout", "-qb", "feature/ψ/1.0+x")
    git(folder, "commit", "-qm", "two", "--allow-empty")


def packed_branch_with_slashes(folder: Path) -> None:
    branch_with_slashes(folder)
    pack_refs(folder)


def packed_then_moved(folder: Path) -> None:
    pack_refs(folder)
    git(folder, "commit", "-qm", "two", "--allow-empty")


def symbolic_branch(folder: Path) -> None:
    git(folder, "symbolic-ref", "refs/heads/alias", "refs/heads/main")
    git(folder, "symbolic-ref", "HEAD", "refs/heads/alias")


def head_is_a_link(folder: Path) -> None:
    """Lay HEAD out as git did before 2005, and still reads it."""
    (folder / ".git/HEAD").unlink()
    (folder / ".git/HEAD").symlink_to("refs/heads/main")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: None,
        detach,
        pack_refs,
        branch_with_slashes,
        packed_branch_with_slashes,
        packed_then_moved,
        symbolic_branch,
        head_is_a_link,
    ],
)
def test_the_commit_is_gits_head(repository: Path, change: Callable[[Path], None]) -> None:
    change(repository)
    for path in (repository, repository / "src", repository / "src/main.py"):
        assert commit_of(path) == head(repository)
        assert repository_root(path) == repository


def test_a_worktree_has_its_own_head_and_shares_the_refs(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    git(tmp_path / "tree", "commit", "-qm", "two", "--allow-empty")
    assert commit_of(tmp_path / "tree/src") == head(tmp_path / "tree") != head(repository)
    git(repository, "pack-refs", "--all")
    assert commit_of(tmp_path / "tree/src") == head(tmp_path / "tree")
    assert repository_root(tmp_path / "tree/src") == (tmp_path / "tree").resolve()


def test_a_submodule_is_a_repository_of_its_own(repository: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "--quiet", "add", str(repository), "inner")
    git(outer, "commit", "-qm", "outer")
    assert (outer / "inner/.git").is_file()
    assert commit_of(outer / "inner/src/main.py") == head(repository) != commit_of(outer) == head(outer)


def test_a_link_belongs_to_the_repository_of_what_it_leads_to(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repository / "src")
    assert commit_of(tmp_path / "link") == commit_of(tmp_path / "link/main.py") == head(repository)


def test_a_repository_with_longer_hashes(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256")
    git(tmp_path, "commit", "-qm", "one", "--allow-empty")
    assert commit_of(tmp_path) == head(tmp_path)


def test_no_repository_and_no_commit_yet(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    assert repository_root(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert commit_of(tmp_path) is None
    assert repository_root(tmp_path) == tmp_path.resolve()


def test_an_empty_dot_git_is_no_repository(repository: Path) -> None:
    (repository / "src/.git").mkdir()
    assert (
        repository_root(repository / "src")
        == repository
        == Path(git(repository / "src", "rev-parse", "--show-toplevel"))
    )


@pytest.mark.parametrize("content", [b"ref: refs/heads/gone", b"nonsense", b"", b"\xff\0", b"ref: a\0b", b"ref: HEAD"])
def test_a_head_that_says_nothing_is_no_commit(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_bytes(content)
    assert commit_of(tmp_path) is None


@pytest.mark.parametrize("content", [b"gitdir: nowhere", b"", b"gitdir: \0", b"\xff\xfe"])
def test_a_dot_git_file_that_leads_nowhere_is_no_repository(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".git").write_bytes(content)
    assert commit_of(tmp_path) is None
    assert repository_root(tmp_path) is None
