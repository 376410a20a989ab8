"""Git for worktrees: no hook runs, nothing asks, and each call has a time limit."""

from __future__ import annotations

import os
from pathlib import Path

from trailblazer.errors import Trouble
from trailblazer.plain import one_line
from trailblazer.processes.ask import ask
from trailblazer.providers.failure_codes import Cause, Code, Failure

GIT_SECONDS = 30.0


class WorktreeFailed(Trouble):
    """A worktree cannot be made, filled or looked at."""

    details = Failure(Code.RUNNER_ERROR, Cause.WORKTREE).details


def git(folder: str | Path, *words: str, seconds: float = GIT_SECONDS) -> str:
    """Return what git answers about a folder, without the blanks around it; else raise WorktreeFailed."""
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "PAGER": "cat", "LC_ALL": "C"}
    off = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0"]
    answer = ask(["git", "-C", str(folder), *off, *words], seconds=seconds, environment={**os.environ, **quiet})
    if answer.code:
        raise WorktreeFailed(
            f"git {words[0]} failed: {one_line(answer.err, 200)}", f"Try git {words[0]} in {folder} by hand."
        )
    return answer.out.strip()


def lines(text: str) -> list[str]:
    """Return the lines of a text that are not blank."""
    return [line for line in text.splitlines() if line.strip()]
