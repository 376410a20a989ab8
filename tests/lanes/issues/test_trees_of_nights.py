"""Issues that are worked on in worktrees of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lanes.embed.project import read_json, wait_for
from lanes.issues.nights import Nights, issue


def git(folder: Path, *words: str) -> str:
    """Return what git answers."""
    known = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-C", str(folder), *words]
    return subprocess.run(known, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repo(nights: Nights) -> Path:
    """A checkout with one commit, beside the project."""
    folder = nights.folder / "api"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "code.py").write_text("pass\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "Begin")
    return folder


def test_each_issue_has_a_branch_and_what_changed_is_recorded(nights: Nights, repo: Path) -> None:
    """Two agents write the same file at once, each in its own worktree; the checkout itself stays as it was."""
    nights.configure(
        "stub", issues=[issue(1), issue(2)], repos={"api": "api"}, worktree=True, expect="changes", max_parallel=2
    )
    nights.script(rest={"write": "made.txt", "seconds": 0.2})
    night = nights.night()
    assert night.code == 0, night.err
    assert git(repo, "status", "--porcelain") == ""
    branches = set()
    for index in range(2):
        result = read_json(nights.dispatch / f"task_{index}" / "attempt_1" / "result.json")
        assert result["files"] == ["made.txt"]
        branches.add(result["branch"])
    assert len(branches) == 2
    assert all(name.startswith("trailblazer/t-") for name in branches)
    worktrees = {line["cwd"] for line in nights.noted}
    assert len(worktrees) == 2
    assert all((Path(folder) / "made.txt").is_file() for folder in worktrees)


def test_a_success_without_a_change_is_no_success(nights: Nights, repo: Path) -> None:
    """The agent says that it is done, and nothing has changed: no_change; the empty worktree is removed."""
    nights.configure("stub", issues=[issue(1)], repos={"api": "api"}, worktree=True, expect="changes", retries=0)
    night = nights.night()
    assert night.code == 6
    assert "code=runner_error cause=no_change" in night.out
    assert git(repo, "worktree", "list").count("\n") == 0
    assert git(repo, "branch", "--list", "trailblazer/*") == ""


@pytest.mark.usefixtures("repo")
def test_a_retry_goes_on_where_the_first_try_stopped(nights: Nights) -> None:
    """The second attempt works in the worktree of the first, which had left work in it."""
    nights.configure("stub", issues=[issue(1)], repos={"api": "api"}, worktree=True, expect="changes", retries=1)
    nights.script(t_1={"write": "half.txt", "kind": "failed"})
    assert nights.night().code == 6
    folders = [line["cwd"] for line in nights.noted if line["what"] == "begin"]
    assert len(folders) == 2
    assert len(set(folders)) == 1
    assert (Path(folders[0]) / "half.txt").is_file()


def test_a_worktree_that_cannot_be_made_is_no_failure_of_the_issue(nights: Nights, repo: Path) -> None:
    """Three nights say that the setup failed, and by which code; the fourth takes the issue all the same."""
    nights.configure("stub", issues=[issue(1)], repos={"api": str(repo)}, worktree=True, setup=["false"], retries=0)
    for _ in range(3):
        night = nights.night()
        assert night.code == 6
        assert "provider=none code=runner_error cause=worktree error=" in night.out
    nights.configure("stub", issues=[issue(1)], repos={"api": str(repo)}, worktree=True)
    assert nights.night().code == 0
    assert nights.ran == ["t-1"]


@pytest.mark.parametrize(
    ("worktree", "said"), [(False, "its checkout is no folder"), (True, "needs a git checkout with a commit")]
)
def test_an_issue_without_a_checkout_is_not_claimed(nights: Nights, worktree: bool, said: str) -> None:
    """It is refused before anything is claimed, and no provider is blamed."""
    if worktree:
        (nights.folder / "gone").mkdir()
    nights.configure("stub", issues=[issue(1)], repos={"gone": "gone"}, worktree=worktree)
    night = nights.night()
    assert night.code == 0
    assert said in night.err
    assert (nights.dispatches, nights.ran) == ([], [])


def test_a_git_that_is_away_makes_no_failure_of_a_success(nights: Nights, repo: Path) -> None:
    """The agent takes the repository away while it works: its answer counts; its changes are not known."""
    nights.configure("stub", issues=[issue(1)], repos={"api": "api"}, worktree=True, expect="answer", retries=0)
    nights.script(t_1={"seconds": 0.5})
    with nights.running("nightly") as process:
        wait_for(lambda: nights.ran, "an agent runs")
        (repo / ".git").rename(repo / "git away")
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert "files" not in read_json(nights.dispatch / "task_0" / "attempt_1" / "result.json")
