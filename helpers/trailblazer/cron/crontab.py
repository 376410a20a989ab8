"""The crontab of this user: one marked block is ours, and every other byte stays as it is."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailblazer.cron.lines import CronLine
from trailblazer.errors import DocumentInvalid, ServiceDown
from trailblazer.plain import one_line
from trailblazer.processes.ask import Answer, ask

SECONDS = 30.0
_NONE = re.compile(r"no crontab for|can't open .*: No such file")


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of one project between their marks."""

    root: Path

    def render(self, lines: Sequence[CronLine]) -> bytes:
        """Return the block with its lines, or nothing when there are none."""
        if not lines:
            return b""
        inner = [part for line in lines for part in (*line.comment, line.installed)]
        return os.fsencode("\n".join([self._begin, *inner, self._end, ""]))

    def replaced_in(self, crontab: bytes, block: bytes) -> bytes:
        """Return a crontab with this block in the place of the former one, or at its end.

        A crontab with half a block, or two of them, is refused with DocumentInvalid.
        """
        begin, end = os.fsencode(self._begin), os.fsencode(self._end)
        lines = crontab.splitlines(keepends=True)
        marks = [number for number, line in enumerate(lines) if line.rstrip() in {begin, end}]
        if not marks:
            missing = b"\n" if block and crontab and not crontab.endswith(b"\n") else b""
            return crontab + missing + block
        first, last = marks[0], marks[-1]
        if len(marks) != 2 or lines[first].rstrip() != begin or lines[last].rstrip() != end:
            raise DocumentInvalid(
                f"the block of {self.root} in the crontab has lost one of its marks, or is there twice",
                f"Mend it with crontab -e. It begins and ends with:\n{self._begin}\n{self._end}",
            )
        return b"".join([*lines[:first], block, *lines[last + 1 :]])

    @property
    def _begin(self) -> str:
        return f"# BEGIN trailblazer {one_line(str(self.root))}"

    @property
    def _end(self) -> str:
        return f"# END trailblazer {one_line(str(self.root))}"


def read_crontab() -> bytes:
    """Return the crontab of this user, empty when there is none. ServiceDown when crontab is missing or refuses."""
    with tempfile.TemporaryFile() as file:  # a pipe would be read as text, which a crontab need not be
        answer = _ask(["crontab", "-l"], stdout=file)
        file.seek(0)
        content = file.read()
    if answer.code == 0:
        return content
    if _NONE.search(answer.err):
        return b""
    raise _refusal("read", answer)


def write_crontab(content: bytes) -> None:
    """Put a crontab in the place of the user's, and make sure that it is there. An empty one is removed."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        answer = _ask(["crontab", "-"] if content else ["crontab", "-r"], stdin=file)
    if answer.code != 0:
        raise _refusal("write", answer)
    if read_crontab() != content:
        raise ServiceDown(
            "the crontab is not what was written", "Did somebody change it at the same time? Look at it: crontab -l"
        )


def _ask(argv: list[str], **streams: Any) -> Answer:
    return ask(argv, seconds=SECONDS, environment={**os.environ, "LC_ALL": "C"}, **streams)


def _refusal(doing: str, answer: Answer) -> ServiceDown:
    if answer.code == 127:
        return ServiceDown(
            "crontab is not installed",
            "Debian and Ubuntu: apt-get install cron. With systemd: config/trailblazer.timer does without it.",
        )
    return ServiceDown(
        f"cannot {doing} the crontab: {one_line(answer.err) or f'exit code {answer.code}'}", "Try: crontab -l"
    )
