"""What the chaos reads of a dispatch from outside: its processes, its journals, its results, its diary."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trailblazer.places.local import mark_of
from trailblazer.processes.spawning import VARIABLE

GOOD = {"success", "unchanged"}
NOT_DEAD_YET = 0.5  # seconds: a process that was killed a moment ago may still be seen


def marked(folder: Path) -> list[int]:
    """Return the processes that carry the mark of a dispatch."""
    wanted = b"\0" + os.fsencode(f"{VARIABLE}={mark_of(folder)}")
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                environment = (process / "environ").read_bytes()
            except OSError:
                continue
            if wanted in b"\0" + environment:
                found.append(int(process.name))
    return sorted(found)


def survivors(folder: Path) -> list[int]:
    """Return the processes of a dispatch that still live although it ended."""
    deadline = time.monotonic() + NOT_DEAD_YET
    while (found := marked(folder)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> bool:
    """Signal a process, and say whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def journal_of(folder: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a journal."""
    file = folder / "journal.ndjson"
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def is_closed(folder: Path) -> bool:
    """Say whether the last process that carried a dispatch out came to its end."""
    lines = journal_of(folder)
    return bool(lines) and lines[-1]["kind"] == "close"


def settled_well(folder: Path) -> set[int]:
    """Return the items whose newest outcome in the journal is good."""
    newest = {line["index"]: line["status"] for line in journal_of(folder) if line["kind"] == "settle"}
    return {index for index, status in newest.items() if status in GOOD}


def whole_on_disk(folder: Path) -> set[int]:
    """Return the items that have a result.json which says success."""
    found = set()
    for file in folder.glob("task_*/attempt_*/result.json"):
        result = json.loads(file.read_bytes())
        if result["status"] == "success":
            found.add(int(result["index"]))
    return found


def started(folder: Path) -> Counter[int]:
    """Return how many attempts of each item the journal knows."""
    return Counter(line["index"] for line in journal_of(folder) if line["kind"] == "start")


class Diary:
    """What items wrote down outside the dispatch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def _lines(self, word: str) -> list[tuple[int, int]]:
        file = self.folder / "diary"
        lines = file.read_text().splitlines() if file.is_file() else []
        found = [line.split() for line in lines if line.startswith(word)]
        return [(int(index), int(attempt)) for _, index, attempt in found]

    def begun(self) -> Counter[int]:
        """Return how many attempts of each item really ran."""
        return Counter(index for index, _ in self._lines("begin"))

    def beside(self) -> list[tuple[int, int]]:
        """Return the attempts that began while another attempt of their item lived: index and number."""
        return self._lines("beside")


def wait_until(is_so: Callable[[], object], seconds: float, pause: float = 0.005) -> bool:
    """Wait until something is so, and say whether it became so in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
