"""Each issue has a worktree and a branch of its own; one with work in it is never removed."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trailblazer.errors import AlreadyRunning
from trailblazer.lanes.issues import worktree
from trailblazer.lanes.issues.worktree import Changes, Worktrees, slug_of
from trailblazer.lanes.issues.worktree_git import WorktreeFailed

HOLDER = """
import fcntl, sys
held = open(sys.argv[1])
fcntl.flock(held, fcntl.LOCK_EX)
print(1, flush=True)
sys.stdin.read()
"""


def git(folder: Path | str, *words: str) -> str:
    """Run git with a name of its own, and return what it prints."""
    who = ["-c", "user.name=T", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True, text=True).stdout


def commit(folder: Path | str, message: str) -> None:
    """Commit everything."""
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with one commit, a file that git ignores, and a hook that must never run."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.txt").write_text("one\n")
    (folder / ".gitignore").write_text(".env\nnode_modules/\n")
    commit(folder, "Begin")
    hook = folder / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    hook.chmod(0o755)
    return folder


@pytest.fixture
def trees(repo: Path, tmp_path: Path) -> Worktrees:
    """The worktrees of that repository."""
    return Worktrees(repo, tmp_path / "trees")


def branches(repo: Path) -> list[str]:
    """Return the branches of a repository."""
    return git(repo, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()


def test_an_issue_has_a_tree_and_a_branch(trees: Worktrees, repo: Path, tmp_path: Path) -> None:
    """The branch has the issue's name and begins at the commit of the repository; no hook runs."""
    tree = trees.take("bd-12", 1)
    assert "trailblazer/bd-12-1" == tree.branch
    assert "one\n" == Path(tree.path, "a.txt").read_text()
    assert git(repo, "rev-parse", "HEAD").strip() == tree.base
    assert not (tmp_path / "hook-ran").exists()
    assert trees.changes(tree).is_empty


def test_an_empty_tree_is_removed_with_its_branch(trees: Worktrees, repo: Path) -> None:
    """Nothing stays of an attempt that did nothing."""
    tree = trees.take("bd-1", 1)
    assert not trees.leave("bd-1", tree)
    assert not Path(tree.path).exists()
    assert ["main"] == branches(repo)


@pytest.mark.parametrize("work", ["commit", "change", "new", "branch", "broken"])
def test_a_tree_with_work_in_it_stays(trees: Worktrees, repo: Path, work: str) -> None:
    """A commit, a changed or new file, a commit on its branch while another one is checked out; and any doubt."""
    tree = trees.take("bd-1", 1)
    Path(tree.path, "a.txt" if work == "change" else "b.txt").write_text("two\n")
    if work in {"commit", "branch"}:
        commit(tree.path, "Do it")
    if work == "branch":
        git(tree.path, "checkout", "-q", "--detach", tree.base)
    if work == "broken":
        Path(tree.path, "b.txt").unlink()
        Path(tree.path, ".git").write_text("gitdir: /nowhere\n")
    assert trees.leave("bd-1", tree)
    assert Path(tree.path).is_dir()
    assert tree.branch in branches(repo)


def test_what_was_done_is_told(trees: Worktrees) -> None:
    """Commits, files (also those that are not committed) and git's count of lines."""
    tree = trees.take("bd-1", 1)
    Path(tree.path, "b.txt").write_text("x\n")
    commit(tree.path, "Add b\x1b[31m")
    Path(tree.path, "a.txt").write_text("two\n")
    Path(tree.path, "new").write_text("x\n")
    short = git(tree.path, "rev-parse", "--short", "HEAD").strip()
    expected = Changes(
        (f"{short} Add b^[[31m",), ("a.txt", "b.txt", "new"), "2 files changed, 2 insertions(+), 1 deletion(-)"
    )
    assert expected == trees.changes(tree)


def test_a_retry_goes_on_where_the_tree_is_as_it_was_left(trees: Worktrees) -> None:
    """The same worktree and the session of the agent that left it."""
    first = trees.take("bd-1", 1)
    Path(first.path, "b.txt").write_text("half\n")
    trees.leave("bd-1", first, "session-7")
    again = trees.take("bd-1", 2)
    assert (first.path, "session-7", True) == (again.path, again.session, again.is_resumed)


@pytest.mark.parametrize("change", ["file", "commit"])
def test_a_retry_begins_anew_where_somebody_changed_the_tree(trees: Worktrees, change: str) -> None:
    """Another person's work is neither built upon nor removed."""
    first = trees.take("bd-1", 1)
    Path(first.path, "b.txt").write_text("half\n")
    trees.leave("bd-1", first, "session-7")
    if change == "file":
        Path(first.path, "b.txt").write_text("by hand\n")
    else:
        commit(first.path, "By hand")
    again = trees.take("bd-1", 2)
    assert ("trailblazer/bd-1-2", "", False) == (again.branch, again.session, again.is_resumed)
    assert Path(first.path).is_dir()


def test_a_number_that_comes_again_has_another_name(trees: Worktrees) -> None:
    """Attempts are numbered anew each night; an older branch is never reused."""
    first = trees.take("bd-1", 1)
    Path(first.path, "b.txt").write_text("x\n")
    trees.leave("bd-1", first)
    commit(first.path, "Later")
    assert "trailblazer/bd-1-1.2" == trees.take("bd-1", 1).branch


@pytest.mark.parametrize("issue", ["a/../../b", "-x", "a.lock", "..", "ü", "a b", "x" * 300, "a:b~^?*[\\"])
def test_any_id_becomes_a_valid_name(trees: Worktrees, tmp_path: Path, issue: str) -> None:
    """An id cannot lead out of the folder, nor be a name that git refuses."""
    tree = trees.take(issue, 1)
    assert tmp_path / "trees" == Path(tree.path).parent
    assert slug_of(issue) != slug_of(f"{issue}.")


def test_what_is_included_is_copied(trees: Worktrees, repo: Path, tmp_path: Path) -> None:
    """Untracked files that match; links only where they stay inside; it is no work that anybody did."""
    (tmp_path / "secret").write_text("outside\n")
    (repo / ".worktreeinclude").write_text(".env\nconfig/*.local\n!config/not.local\nlink*\nout/\n")
    (repo / ".env").write_text("KEY=1\n")
    (repo / ".env").chmod(0o600)
    (repo / "config").mkdir()
    for name in ("a.local", "not.local", "a.txt"):
        (repo / "config" / name).write_text("x\n")
    (repo / "link-inside").symlink_to("a.txt")
    (repo / "link-outside").symlink_to("../secret")
    (repo / "link-whole").symlink_to(tmp_path / "secret")
    (repo / "out").symlink_to(tmp_path)
    subprocess.run(["mkfifo", repo / "link-pipe"], check=True)
    tree = trees.take("bd-1", 1)
    found = {str(file.relative_to(tree.path)) for file in Path(tree.path).rglob("*") if not file.is_dir()}
    assert {".git", ".gitignore", "a.txt", ".env", "config/a.local", "link-inside"} == found
    assert 0o600 == Path(tree.path, ".env").stat().st_mode & 0o777
    assert trees.changes(tree).is_empty
    assert not trees.leave("bd-1", tree)


def test_setup_makes_a_tree_ready(repo: Path, tmp_path: Path) -> None:
    """It runs in the worktree; what it makes is no work."""
    made = Worktrees(repo, tmp_path / "trees", ["sh", "-c", "mkdir node_modules; echo x > node_modules/x; echo y > y"])
    tree = made.take("bd-1", 1)
    assert Path(tree.path, "node_modules", "x").exists()
    assert made.changes(tree).is_empty
    assert not made.leave("bd-1", tree)


@pytest.mark.parametrize(
    ("setup", "said"),
    [(["sh", "-c", "echo no >&2; exit 3"], "exit 3): no"), (["sleep", "600"], "did not answer within")],
)
def test_a_setup_that_fails_leaves_nothing(repo: Path, tmp_path: Path, setup: list[str], said: str) -> None:
    """A setup that fails, or takes too long, is said; its worktree goes."""
    with pytest.raises(WorktreeFailed) as failed:
        Worktrees(repo, tmp_path / "trees", setup, setup_seconds=0.5).take("bd-1", 1)
    assert said in failed.value.what
    assert ["main"] == branches(repo)


def test_many_at_once(repo: Path, tmp_path: Path) -> None:
    """One lock a repository: what adds and removes at the same time disturbs nobody."""

    def work(number: int) -> bool:
        own = Worktrees(repo, tmp_path / "trees")
        return own.leave(f"bd-{number}", own.take(f"bd-{number}", 1))

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(work, range(6)))
    assert [False] * 6 == found
    assert ["main"] == branches(repo)


def test_a_lock_that_is_held_is_waited_for(trees: Worktrees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time limit it is refused with who holds it; a dead holder holds nothing."""
    trees.leave("bd-1", trees.take("bd-1", 1))
    (lock,) = (tmp_path / "trees").glob(".*.lock")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert "1\n" == holder.stdout.readline()
    monkeypatch.setattr(worktree, "LOCK_SECONDS", 0.3)
    with pytest.raises(AlreadyRunning, match="adds a worktree"):
        trees.take("bd-1", 1)
    holder.kill()
    holder.communicate()
    assert trees.take("bd-1", 1).branch


def test_a_folder_that_is_no_repository_is_said(tmp_path: Path) -> None:
    """Git's own words are the reason."""
    with pytest.raises(WorktreeFailed, match="git rev-parse failed"):
        Worktrees(tmp_path, tmp_path / "trees").take("bd-1", 1)
