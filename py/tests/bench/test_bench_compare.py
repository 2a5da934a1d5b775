"""Comparing revisions: the other one's files are there for the run and gone afterwards."""

import subprocess
from pathlib import Path

import pytest
from bench.compare import RevisionError, worktree


def git(repository: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    argv = ["git", "-C", str(repository), *identity, *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    for text in ("old", "new"):
        (tmp_path / "file").write_text(text)
        git(tmp_path, "add", "file")
        git(tmp_path, "commit", "-q", "-m", text)
    return tmp_path


def test_the_worktree_holds_the_revision_and_leaves_nothing(repository: Path) -> None:
    with worktree(repository, "HEAD~1") as path:
        assert (path / "file").read_text() == "old"
        assert path.parent == repository / "build"
    assert (repository / "file").read_text() == "new"
    assert not path.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_a_worktree_left_by_a_killed_run_is_replaced(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD").strip()
    git(repository, "worktree", "add", "--detach", f"build/bench-{commit[:12]}", commit)
    with worktree(repository, "HEAD") as path:
        assert (path / "file").read_text() == "new"


def test_an_unknown_revision_is_refused_by_name(repository: Path) -> None:
    with (
        pytest.raises(RevisionError, match="no-such-branch"),
        worktree(repository, "no-such-branch"),
    ):
        pass
