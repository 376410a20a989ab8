"""The folder that an agent works in: the checkout itself, or a git worktree of its own for each issue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trailblazer.lanes.issues.selection import Candidate


@dataclass(frozen=True, slots=True)
class Place:
    """A working folder and its branch; `branch` is empty in the checkout itself."""

    path: Path
    branch: str = ""


class Trees(Protocol):
    """Gives out working folders. Its methods may be called in many threads at once."""

    def branch_of(self, issue: str) -> str:
        """Return the branch that an issue is worked on, empty for the one that the checkout is on."""

    def take(self, candidate: Candidate) -> Place:
        """Return the working folder of an issue; one that cannot be made raises Trouble."""

    def changes(self, place: Place) -> Mapping[str, Any]:
        """Return what has changed in a working folder since it was taken, for result.json."""

    def leave(self, place: Place) -> None:
        """Remove a working folder that holds no work."""


class Checkouts:
    """Agents work in the checkout itself, one issue after the other."""

    def __init__(self, repos: Mapping[str, Path]) -> None:
        self._repos = repos

    def branch_of(self, issue: str) -> str:  # noqa: ARG002 - all issues have the same
        """Return none: the checkout stays on its branch."""
        return ""

    def take(self, candidate: Candidate) -> Place:
        """Return the checkout."""
        return Place(self._repos[candidate.repo])

    def changes(self, place: Place) -> Mapping[str, Any]:  # noqa: ARG002 - it is not known who changed what
        """Return nothing: others may work in the checkout too."""
        return {}

    def leave(self, place: Place) -> None:
        """Remove nothing."""
