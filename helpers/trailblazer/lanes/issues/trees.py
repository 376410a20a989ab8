"""The folder that an agent works in: the checkout itself, or a git worktree of its own for each issue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trailblazer.lanes.issues.selection import Candidate
from trailblazer.lanes.issues.worktree import Tree, Worktrees


@dataclass(frozen=True, slots=True)
class WorkingFolder:
    """A working folder, its branch (empty in the checkout itself), and the sessions that agents left there."""

    path: str
    branch: str = ""
    sessions: Mapping[str, str] = field(default_factory=dict)


class Trees(Protocol):
    """Gives out working folders. Its methods may be called in many threads at once."""

    def take(self, candidate: Candidate, attempt: int) -> WorkingFolder:
        """Return the working folder of an attempt; one that cannot be made raises Trouble."""

    def changes(self, candidate: Candidate) -> Mapping[str, Any]:
        """Return what was done in the working folder of an issue, for result.json."""

    def leave(self, candidate: Candidate, sessions: Mapping[str, str]) -> None:
        """Remove the working folder of an issue if it holds no work; a retry goes on with `sessions` (by provider)."""


class Checkouts:
    """Agents work in the checkout itself, one issue after the other."""

    def __init__(self, repos: Mapping[str, Path]) -> None:
        self._repos = repos

    def take(self, candidate: Candidate, attempt: int) -> WorkingFolder:  # noqa: ARG002 - all attempts share it
        """Return the checkout."""
        return WorkingFolder(str(self._repos[candidate.repo]))

    def changes(self, candidate: Candidate) -> Mapping[str, Any]:  # noqa: ARG002 - it is not known who changed what
        """Return nothing: others may work in the checkout too."""
        return {}

    def leave(self, candidate: Candidate, sessions: Mapping[str, str]) -> None:
        """Remove nothing."""


class OwnTrees:
    """Each issue has a worktree and a branch of its own; a retry goes on in it."""

    def __init__(self, worktrees: Mapping[str, Worktrees]) -> None:
        self._worktrees = worktrees
        self._taken: dict[str, Tree] = {}

    def take(self, candidate: Candidate, attempt: int) -> WorkingFolder:
        """Return the worktree of an issue: the last one where it is as an earlier attempt left it, else a new one."""
        tree = self._worktrees[candidate.repo].take(candidate.issue.id, attempt)
        self._taken[candidate.issue.id] = tree
        provider, _, session = tree.session.partition(" ")
        return WorkingFolder(tree.path, tree.branch, {provider: session} if tree.is_resumed and session else {})

    def changes(self, candidate: Candidate) -> Mapping[str, Any]:
        """Return the branch, the commits and the files of the worktree."""
        tree = self._taken.get(candidate.issue.id)
        if tree is None:
            return {}
        changes = self._worktrees[candidate.repo].changes(tree)
        return {
            "branch": tree.branch,
            "commits": list(changes.commits),
            "files": list(changes.files),
            "diffstat": changes.stat,
        }

    def leave(self, candidate: Candidate, sessions: Mapping[str, str]) -> None:
        """Remove the worktree if nothing was done in it."""
        tree = self._taken.pop(candidate.issue.id, None)
        if tree is not None:
            self._worktrees[candidate.repo].leave(candidate.issue.id, tree, " ".join(next(iter(sessions.items()), ())))
