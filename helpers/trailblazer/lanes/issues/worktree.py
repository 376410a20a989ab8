"""A git worktree and a branch for each issue: made, filled, looked at, and removed when nothing was done in it."""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trailblazer import schemas
from trailblazer.atomic import make_folder
from trailblazer.errors import AlreadyRunning, Trouble
from trailblazer.lanes.issues.worktree_files import copy_included
from trailblazer.lanes.issues.worktree_git import WorktreeFailed, git, lines
from trailblazer.plain import one_line
from trailblazer.processes.ask import ask
from trailblazer.processes.lock import Lock
from trailblazer.providers.evidence import state_of

LOCK_SECONDS = 120.0
SETUP_SECONDS = 900.0
MOST_COMMITS = 100
MOST_FILES = 1000
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Tree:
    """The worktree of an issue. `base` is the commit that its branch began at, `start` its state at the start.

    `state` is what it was when it was left, and `session` that of the agent which left it; both are empty before.
    `made` are files that are no work: what was copied, and what the setup made. With `is_resumed` an earlier attempt
    worked in it, and it is as that attempt left it.
    """

    path: str
    branch: str
    base: str
    start: str
    made: tuple[str, ...] = ()
    state: str = ""
    session: str = ""
    is_resumed: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What was done in a worktree: commits (the oldest first), files, and the count of lines in git's words."""

    commits: tuple[str, ...]
    files: tuple[str, ...]
    stat: str

    @property
    def is_empty(self) -> bool:
        """Whether nothing was done."""
        return not self.commits and not self.files


class Worktrees:
    """The worktrees of one repository, in `folder`. `setup` is a command that makes a new one ready.

    A lock lets one process at a time add and remove worktrees of a repository. What fails raises WorktreeFailed.
    """

    def __init__(
        self,
        repo: Path,
        folder: Path,
        setup: Sequence[str] = (),
        *,
        setup_seconds: float = SETUP_SECONDS,
        base: str = "HEAD",
    ) -> None:
        self._repo, self._folder, self._setup = repo.resolve(), folder.resolve(), tuple(setup)
        self._setup_seconds, self._base = setup_seconds, base

    def take(self, issue: str, attempt: int) -> Tree:
        """Return a worktree for an attempt at an issue: the last one if it is as it was left, else a new one."""
        make_folder(self._folder)
        with self._locked():
            last = self._last(issue)
            if last is not None and last.state and _state_or_none(last.path) == last.state:
                return replace(last, is_resumed=True)
            if last is not None:
                self._remove_if_empty(last)
            tree = self._add(issue, attempt)
        try:
            tree = self._fill(tree)
        except BaseException:
            with self._locked():
                self._remove(tree)
            raise
        self._keep(issue, tree)
        return tree

    def changes(self, tree: Tree) -> Changes:
        """Return what was done in a worktree since its branch began; also what was not committed."""
        log = lines(git(tree.path, "log", "--format=%h %s", "--reverse", f"-{MOST_COMMITS}", f"{tree.base}..HEAD"))
        diff = ("diff", "--no-ext-diff", "--no-textconv", "--no-renames")
        changed = git(tree.path, *diff, "--name-only", "-z", tree.base).split("\0")
        files = sorted({name for name in [*changed, *_untracked(tree.path)] if name} - set(tree.made))
        return Changes(
            tuple(one_line(line, 200) for line in log),
            tuple(one_line(name, 300) for name in files[:MOST_FILES]),
            one_line(git(tree.path, *diff, "--shortstat", tree.base), 200),
        )

    def leave(self, issue: str, tree: Tree, session: str = "") -> bool:
        """Remove a worktree in which nothing was done, and return whether it stays; one with work in it always does.

        Call it after every process of the attempt has gone. A session is what a retry goes on with.
        """
        with self._locked():
            if self._remove_if_empty(tree):
                self._record(issue).unlink(missing_ok=True)
                return False
        self._keep(issue, replace(tree, state=_state_or_none(tree.path) or "", session=session))
        return True

    # One worktree

    def _add(self, issue: str, attempt: int) -> Tree:
        base = git(self._repo, "rev-parse", "--verify", "-q", "--end-of-options", f"{self._base}^{{commit}}")
        name = free = f"{slug_of(issue)}-{attempt}"
        taken = set(lines(git(self._repo, "for-each-ref", "--format=%(refname:short)", "refs/heads/trailblazer/")))
        for number in range(2, 10_000):
            if f"trailblazer/{free}" not in taken and not (self._folder / free).exists():
                break
            free = f"{name}.{number}"
        path = self._folder / free
        git(self._repo, "worktree", "add", "-q", "-b", f"trailblazer/{free}", str(path), base, seconds=LOCK_SECONDS)
        return Tree(str(path), f"trailblazer/{free}", base, "")

    def _fill(self, tree: Tree) -> Tree:
        """Copy what the new worktree needs into it, make it ready, and return it with its state."""
        copy_included(self._repo, Path(tree.path))
        if self._setup:
            answer = ask(self._setup, seconds=self._setup_seconds, cwd=tree.path)
            if answer.code:
                said = one_line(answer.err.strip() or answer.out.strip(), 200)
                raise WorktreeFailed(f"the setup of a worktree failed (exit {answer.code}): {said}", "Try it by hand.")
        start = state_of(tree.path)
        return replace(tree, start=start, state=start, made=tuple(_untracked(tree.path)))

    def _remove_if_empty(self, tree: Tree) -> bool:
        """Remove a worktree if nothing was done in it; when git does not say so for certain, it stays."""
        try:
            tip = git(self._repo, "rev-parse", "--verify", "-q", f"refs/heads/{tree.branch}")
            if tip != tree.base or state_of(tree.path) != tree.start or not self.changes(tree).is_empty:
                return False
        except Trouble:
            return False
        self._remove(tree)
        return True

    def _remove(self, tree: Tree) -> None:
        """Remove a worktree, and its branch if that is still where it began."""
        with contextlib.suppress(WorktreeFailed):
            git(self._repo, "worktree", "remove", "--force", tree.path, seconds=LOCK_SECONDS)
        with contextlib.suppress(WorktreeFailed):
            git(self._repo, "update-ref", "-d", f"refs/heads/{tree.branch}", tree.base)

    # What is kept of each issue

    def _record(self, issue: str) -> Path:
        return self._folder / f"{slug_of(issue)}.json"

    def _keep(self, issue: str, tree: Tree) -> None:
        document = {
            "path": tree.path, "branch": tree.branch, "base": tree.base, "start": tree.start,
            "made": list(tree.made), "state": tree.state, "session": tree.session,
        }  # fmt: skip
        schemas.publish("worktree", document, self._record(issue))

    def _last(self, issue: str) -> Tree | None:
        """Return the last worktree of an issue, None when there is none, or what is kept of it cannot be read."""
        try:
            document = schemas.read_json(self._record(issue))
            schemas.check("worktree", document, str(self._record(issue)))
        except Trouble:
            return None
        tree = schemas.as_record(Tree, document)
        path = Path(tree.path)
        return tree if path.parent == self._folder and path.is_dir() and not path.is_symlink() else None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Wait for the lock of the repository; after LOCK_SECONDS AlreadyRunning (exit 7)."""
        key = hashlib.sha256(str(self._repo).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        lock = _wait_for(self._folder / f".{key}.lock", self._repo)
        try:
            yield
        finally:
            lock.free()


def _wait_for(file: Path, repo: Path) -> Lock:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return Lock(file, AlreadyRunning(f"another process adds a worktree to {repo}", "Wait, then try again."))
        except AlreadyRunning:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.05)


def slug_of(issue: str) -> str:
    """Return a name for an issue that git and every file system take, the same for the same id."""
    fit = _UNFIT.sub("-", issue).strip("-")[:60]
    return fit if fit == issue else f"{fit or 'issue'}-{hashlib.sha256(issue.encode()).hexdigest()[:8]}"


def _untracked(tree: str) -> list[str]:
    """Return the files that git does not track and does not ignore."""
    return [name for name in git(tree, "ls-files", "--others", "--exclude-standard", "-z").split("\0") if name]


def _state_or_none(path: str) -> str | None:
    try:
        return state_of(path)
    except Trouble:
        return None
