"""Kills a dispatch of the engine at each change of a file, resumes it, and reports what is left.

`python killing.py FOLDER ITEMS` prints a JSON object for each change. Each try is a fork of this process.
"""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import io
import itertools
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "helpers")]

from dispatch.engine_alone import resume_or_begin  # noqa: E402
from trailblazer import schemas  # noqa: E402 - its folder had to be on the path
from trailblazer.paths import Places  # noqa: E402
from trailblazer.record.folder import JOURNAL, dispatch_folders  # noqa: E402
from trailblazer.record.journal import read_journal  # noqa: E402
from trailblazer.record.manifest import read_manifest  # noqa: E402
from trailblazer.record.outcomes import GOOD  # noqa: E402
from trailblazer.record.standing import read_standing  # noqa: E402
from trailblazer.record.verification import verify_folder  # noqa: E402

CHANGES = ("fsync", "fdatasync", "sync", "replace", "rename", "unlink", "mkdir", "ftruncate")


@dataclasses.dataclass(frozen=True, slots=True)
class Killed:
    """What a dispatch left that was killed at the change number `at`; a test says what the rest must be."""

    at: int
    was_killed: bool
    final_code: int
    findings: list[str]
    unread: list[str]
    ran_again: list[int]
    attempts_twice: list[str]
    without_result: list[int]


class Shim:
    """Kills the process with signal 9 before change number `fatal`, or halfway through a write; 0 is never."""

    def __init__(self, fatal: int) -> None:
        self._fatal, self._lock, self.count = fatal, threading.Lock(), 0

    def install(self) -> None:
        """Wrap every system call that writes, syncs, renames, makes or removes."""
        for name in CHANGES:
            setattr(os, name, self._counted(getattr(os, name)))
        os.write = self._writing(os.write)
        io.open = builtins.open = self._opening(io.open)

    def tick(self) -> bool:
        """Count one change and say whether it is the fatal one."""
        with self._lock:
            self.count += 1
            return self.count == self._fatal

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*words: Any, **more: Any) -> Any:
            if self.tick():
                die()
            return call(*words, **more)

        return counted

    def _writing(self, write: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
        def writing(handle: int, content: Any) -> int:
            if self.tick():
                write(handle, content[: len(content) // 2])
                die()
            return write(handle, content)

        return writing

    def _opening(self, opened: Callable[..., Any]) -> Callable[..., Any]:
        shim = self

        class Raw(io.FileIO):
            def write(self, content: Any) -> int:
                if shim.tick():
                    super().write(bytes(content)[: len(content) // 2])
                    die()
                return super().write(content)

        def opening(file: Any, mode: str = "r", *words: Any, **more: Any) -> Any:
            if not set(mode) & set("wax"):
                return opened(file, mode, *words, **more)
            buffered = io.BufferedWriter(Raw(file, mode.replace("b", "").replace("t", "")))
            return buffered if "b" in mode else io.TextIOWrapper(buffered, "utf-8")

        return opening


def die() -> None:
    """End this process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()


def forked(work: Callable[[], int]) -> int:
    """Do work in a process of its own and return the exit code, or minus the signal that killed it."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os._exit(work())
        os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_at(root: Path, at: int, planned: int) -> Killed:
    """Kill a dispatch at a change, kill its resume at the same change, then resume it to the end."""
    places, diary = Places(root, root / "var"), root / "diary"
    root.mkdir()

    def carry(fatal: int) -> int:
        Shim(fatal).install()
        return resume_or_begin(places, planned, diary)

    unread: list[str] = []
    codes, kept = [], dict[int, int]()
    for fatal in (at, at, 0):
        codes.append(forked(partial(carry, fatal)))
        for index in good_so_far(places, planned, unread):
            kept.setdefault(index, ran(diary)[index])
    folder = dispatch_folders(places)[-1]
    summary = schemas.read_json(folder / "summary.json")
    finally_good = {item["index"] for item in summary["items"] if item["status"] == "success"}
    return Killed(
        at,
        codes[0] == -signal.SIGKILL,
        codes[-1],
        verify_folder(folder, None, "nobody").findings,
        unread,
        sorted(index for index, times in kept.items() if ran(diary)[index] != times),
        [pair for pair, times in Counter(lines_of(diary)).items() if times > 1],
        sorted(set(range(planned)) - finally_good),
    )


def good_so_far(places: Places, planned: int, unread: list[str]) -> set[int]:
    """Return the items with a good result in what a killed process left. Errors of reading are added to `unread`."""
    good: set[int] = set()
    for folder in dispatch_folders(places)[-1:]:
        try:
            manifest = read_manifest(folder)
            list(read_journal(folder / JOURNAL))
            standing, _ = read_standing(folder / JOURNAL)
        except Exception as error:  # noqa: BLE001 - the test reports every error
            unread.append(repr(error))
            continue
        if manifest.inputs:
            good = {index for index in range(planned) if standing.of(index) in GOOD}
    return good


def lines_of(diary: Path) -> list[str]:
    """Return the whole lines that attempts wrote outside the dispatch: index and number."""
    text = diary.read_text() if diary.is_file() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def ran(diary: Path) -> Counter[int]:
    """Return how many attempts each item had."""
    return Counter(int(line.split()[0]) for line in lines_of(diary))


def main(folder: Path, planned: int) -> None:
    """Kill at the first change, the second, and so on, until a dispatch ends before the change."""
    for at in itertools.count(1):
        killed = kill_at(folder / str(at), at, planned)
        print(json.dumps(dataclasses.asdict(killed)), flush=True)
        if not killed.was_killed:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
