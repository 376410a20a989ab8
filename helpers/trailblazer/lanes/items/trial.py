"""The pre-flight: the first item runs alone, and then a flag or a person decides whether the others run."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trailblazer.dispatch.halting import Halted
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.errors import DocumentInvalid
from trailblazer.lanes.items.lane import first_words
from trailblazer.lanes.items.request import ItemsRequest
from trailblazer.lanes.result_file import RESULT
from trailblazer.plain import one_line
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import Item
from trailblazer.reports.progress import Progress
from trailblazer.schemas import read_json

SHOWN_CHARACTERS = 500
QUESTION_SECONDS = 30 * 60
TICK_SECONDS = 0.1


class Trial:
    """Decides after the first item whether the others run (P2). At a question Enter is yes only after a success."""

    def __init__(self, request: ItemsRequest, record: Record, progress: Progress, interrupts: Interrupts) -> None:
        self._request, self._record, self._progress, self._interrupts = request, record, progress, interrupts

    def begin(self, first: Item) -> None:
        """Say which item runs first."""
        self._progress.say(f"Pre-flight: trying {first.id} alone, before the others")

    def decide(self, first: Item, is_good: bool, others: int) -> Halted | None:
        """Return why the batch stops here, or None when the `others` (a count) run."""
        if self._interrupts.signal:
            return self._halted("interrupted after pre-flight", others)
        attempt = self._record.standing.attempt_of(first.index)
        result = self._result(first.index, attempt)
        is_agent = "provider" in result
        said = first_words(self._record.folder, first.index, attempt, SHOWN_CHARACTERS, is_agent=is_agent)
        if not is_good:
            reason = str(result.get("reason", "no result"))
            kind = reason.partition(":")[0]  # "exit 3", "timeout": what it printed follows
            said = one_line(reason if said == "(no output)" else f"{kind}: {said}", SHOWN_CHARACTERS)
        what = f"Pre-flight: {first.id}: {'success' if is_good else 'failed'}: {said}"
        self._progress.say(what, "green" if is_good else "red")
        if not others:
            return None
        rule = self._request.preflight or ("ask" if sys.stderr.isatty() else "stop")
        if rule == "go" or (is_good and (rule == "stop" or self._request.yes)):
            return None
        if rule == "ask" and self._is_agreed(is_good, others):
            return None
        return self._halted("stopped after pre-flight" if is_good else "the first item failed in pre-flight", others)

    def _result(self, index: int, attempt: int) -> Mapping[str, Any]:
        """Return what result.json says of the first item; nothing where there is none."""
        folder = Path(self._record.attempt_folder(index, attempt))
        try:
            result = read_json(folder / RESULT)
        except DocumentInvalid:
            return {}
        return result if isinstance(result, dict) else {}

    def _halted(self, why: str, others: int) -> Halted:
        was = "was" if others == 1 else "were"
        return Halted(f"{why}; {_named(others)} {was} not run", "To run the rest: resume with --preflight go.")

    def _is_agreed(self, is_good: bool, others: int) -> bool:
        """Ask on the terminal, for half an hour at most. An interrupt, or a terminal that closes, means no."""
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            with self._progress.room():
                os.write(terminal, f"Run {_named(others)}? {'[Y/n]' if is_good else '[y/N]'} ".encode())
                answer = self._read_answer(terminal)
        except OSError:
            return False
        finally:
            os.close(terminal)
        if answer is None:
            return False
        return answer in {"y", "yes"} or (is_good and answer == "")

    def _read_answer(self, terminal: int) -> str | None:
        deadline, typed = time.monotonic() + QUESTION_SECONDS, b""
        while b"\n" not in typed:
            if self._interrupts.signal or time.monotonic() > deadline:
                return None
            if select.select([terminal], [], [], TICK_SECONDS)[0]:
                piece = os.read(terminal, 1024)
                if not piece:
                    return None
                typed += piece
        return typed.decode(errors="replace").strip().lower()


def _named(others: int) -> str:
    return f"the other {'item' if others == 1 else f'{others:,} items'}"
