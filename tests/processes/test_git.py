"""The commit of a folder is asked for where there is a checkout, and nowhere else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from trailblazer.processes import ask
from trailblazer.processes.git import commit_of


def test_a_checkout_has_a_commit(tmp_path: Path) -> None:
    """The commit is that of the checkout, also for a folder deep in it."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    (tmp_path / "a" / "b").mkdir(parents=True)
    found = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == commit_of(tmp_path / "a" / "b")


def test_a_checkout_without_a_commit_has_none(tmp_path: Path) -> None:
    """A checkout in which nothing was committed has no commit."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert commit_of(tmp_path) is None


def test_no_checkout_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a checkout git is not started."""
    monkeypatch.setattr(ask, "ask", lambda *_, **__: pytest.fail("git was asked"))
    assert commit_of(tmp_path) is None
