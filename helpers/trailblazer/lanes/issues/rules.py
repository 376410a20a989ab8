"""The rules of a night: which issues may be taken, and the checkouts that agents work in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trailblazer.config import Config
from trailblazer.errors import ConfigWrong
from trailblazer.processes.git import commit_of

REPO_LABEL = "repo:"


@dataclass(frozen=True, slots=True)
class Repos:
    """The checkouts by name. `default` is the name for an issue without a label `repo:NAME`.

    `problems` says by name why nobody can work in a checkout.
    """

    folders: Mapping[str, Path]
    default: str
    problems: Mapping[str, str] = field(default_factory=dict)

    def problem_with(self, labels: Sequence[str]) -> str:
        """Return why nobody can work in the checkout that the labels of an issue ask for; empty when one can."""
        name = self.name_for(labels)
        if name not in self.folders:
            return f"nightly.repos has no {name or 'repo for it'}"
        return self.problems.get(name, "")

    def name_for(self, labels: Sequence[str]) -> str:
        """Return the name of the checkout that the labels of an issue ask for; it may be unknown."""
        named = (label.removeprefix(REPO_LABEL) for label in labels if label.startswith(REPO_LABEL))
        return next(named, self.default)


@dataclass(frozen=True, slots=True)
class IssueRules:
    """Which issues may be taken. Issues in `only` are taken whatever earlier nights came to; empty means any issue.

    An issue must have one of `labels` where there are some, and none of `exclude_labels`. After `park_after` failures
    in a row an issue is parked; 0 is never.
    """

    repos: Repos
    labels: frozenset[str] = frozenset()
    exclude_labels: frozenset[str] = frozenset()
    park_after: int = 0
    only: tuple[str, ...] = ()


def read_issue_rules(config: Config, only: Sequence[str]) -> IssueRules:
    """Return the rules of the configuration, for the issues that were named, if any."""
    repos = read_repos(config)
    problems = {name: _problem(folder, config["nightly.worktree"]) for name, folder in repos.folders.items()}
    return IssueRules(
        repos=replace(repos, problems=problems),
        labels=frozenset(config["nightly.labels"]),
        exclude_labels=frozenset(config["nightly.exclude_labels"]),
        park_after=config["gates.park_after"],
        only=tuple(dict.fromkeys(only)),
    )


def _problem(folder: Path, worktree: bool) -> str:
    """Return why nobody can work in a checkout, empty when one can. Worktrees need a commit to begin at."""
    if not folder.is_dir():
        return f"its checkout is no folder: {folder}"
    if worktree and commit_of(folder) is None:
        return f"nightly.worktree needs a git checkout with a commit, and {folder} is none"
    return ""


def read_repos(config: Config) -> Repos:
    """Return the checkouts of the configuration; without any it is the folder that holds config/.

    A default that `nightly.repos` does not have is refused with ConfigWrong (exit 3).
    """
    root = config.places.root
    folders = {name: (root / path).resolve() for name, path in config["nightly.repos"].items()}
    default = config["nightly.repo"]
    if not folders:
        return Repos({default or root.name: root}, default or root.name)
    if default is None and len(folders) == 1:
        default = next(iter(folders))
    if default is not None and default not in folders:
        origin = config.settings["nightly.repo"].origin
        raise ConfigWrong(f"{origin}: nightly.repo: nightly.repos has no {default}", f"It has: {', '.join(folders)}.")
    return Repos(folders, default or "")
