"""Short questions to other programs (G0): an answer within a time limit, or none."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ASK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said: its exit code, stdout and stderr. A time-out has the code 124, a missing program 127."""

    code: int
    out: str
    err: str


def ask(
    argv: Sequence[str],
    *,
    seconds: float = ASK_SECONDS,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> Answer:
    """Return what a program answers. It has a session of its own and reads nothing unless `options` give it a stdin."""
    from plumbum import CommandNotFound, ProcessTimedOut, local

    try:
        command = local[argv[0]][tuple(argv[1:])]
        code, out, err = command.run(
            retcode=None,
            timeout=seconds,
            env=None if environment is None else dict(environment),
            **{"stdin": -3, "new_session": True, **options},  # -3: the null device
        )
    except CommandNotFound:
        return Answer(127, "", f"command not found: {argv[0]}")
    except ProcessTimedOut:
        return Answer(124, "", f"{argv[0]} did not answer within {seconds:g} s")
    except OSError as error:
        return Answer(126, "", f"cannot start {argv[0]}: {error.strerror}")
    return Answer(code, out, err)


def ask_git(folder: Path, *words: str) -> str | None:
    """Return what git answers about a folder, or None when it is no checkout or there is no git.

    Hooks and the file-system monitor are off: a program could be planted in a folder that others write in.
    """
    argv = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *words]
    answer = ask(
        argv, environment={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "PAGER": "cat"}
    )
    return answer.out.strip() if answer.code == 0 else None
