"""What .worktreeinclude names: files that git does not track and that a new worktree needs, such as .env."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from trailblazer.lanes.issues.worktree_git import WorktreeFailed, git

INCLUDE = ".worktreeinclude"
MOST_FILES = 20_000
MOST_BYTES = 1 << 30


def copy_included(repo: Path, tree: Path) -> int:
    """Copy the untracked files of a repository that its .worktreeinclude matches; return how many.

    The patterns are those of .gitignore. What is no file or link is passed over, and so is a link that leads out of the
    repository; a file that is there already stays. Too many or too large files raise WorktreeFailed.
    """
    patterns = repo / INCLUDE
    if patterns.is_symlink() or not patterns.is_file():
        return 0
    words = ("ls-files", "--others", "--ignored", f"--exclude-from={INCLUDE}", "-z")
    names = [name for name in git(repo, *words).split("\0") if name]
    if len(names) > MOST_FILES:
        raise WorktreeFailed(f"{INCLUDE} names {len(names)} files", f"At most {MOST_FILES}: name less.")
    copied = size = 0
    for name in names:
        taken = _copy(repo, tree, name, MOST_BYTES - size)
        if taken is not None:
            copied, size = copied + 1, size + taken
    return copied


def _copy(repo: Path, tree: Path, name: str, most: int) -> int | None:
    """Copy one file or link, and return its size; None when it is passed over."""
    source, target = repo / name, tree / name
    try:
        if not source.parent.resolve().is_relative_to(repo) or target.is_symlink() or target.exists():
            return None
        about = source.lstat()
        if about.st_size > most:
            raise WorktreeFailed(f"what {INCLUDE} names is larger than {MOST_BYTES >> 20} MiB", "Name less.")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(tree.resolve()):
            return None
        if stat.S_ISLNK(about.st_mode):
            return _copy_link(repo, source, target)
        if not stat.S_ISREG(about.st_mode):
            return None
        handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as read, target.open("xb") as written:
            shutil.copyfileobj(read, written)
        target.chmod(about.st_mode & 0o777)
    except FileNotFoundError:  # it has gone since, or its name is no text
        return None
    except OSError as error:
        raise WorktreeFailed(f"cannot copy {name} into a worktree: {error.strerror}", "Look at that file.") from error
    return about.st_size


def _copy_link(repo: Path, source: Path, target: Path) -> int | None:
    """Copy a relative link that stays within the repository."""
    points_to = source.readlink()
    if points_to.is_absolute() or not source.resolve().is_relative_to(repo):
        return None
    target.symlink_to(points_to)
    return 0
