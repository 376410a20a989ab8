"""What git says about a folder."""

from __future__ import annotations

import os
from pathlib import Path


def ask_git(folder: Path, *words: str) -> str | None:
    """Return what git answers about a folder, or None when the folder is not a checkout or there is no git.

    Hooks and the file-system monitor are off: somebody who can write to the folder could plant a program there.
    """
    if "GIT_DIR" not in os.environ and not any(os.path.lexists(place / ".git") for place in (folder, *folder.parents)):
        return None
    from trailblazer.processes.ask import ask  # it loads plumbum, which takes as long as git's answer

    argv = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *words]
    answer = ask(
        argv, environment={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "PAGER": "cat"}
    )
    return answer.out.strip() if answer.code == 0 else None


def commit_of(folder: Path) -> str | None:
    """Return the short name of the commit that is checked out, or None without a checkout, a commit or git."""
    return ask_git(folder, "rev-parse", "--short", "HEAD") or None
