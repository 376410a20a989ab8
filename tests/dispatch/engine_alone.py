"""A dispatch of the engine alone: its lane makes a file an item, and nothing else is needed to carry it out."""

from __future__ import annotations

import os
from pathlib import Path

from dispatch.told_lane import SEED, Silent
from trailblazer.atomic import make_folder, write_whole
from trailblazer.dispatch.closing import close_dispatch
from trailblazer.dispatch.engine import Limits, carry_out
from trailblazer.events import Words
from trailblazer.paths import Places
from trailblazer.processes.children import Children
from trailblazer.record import folder as record
from trailblazer.record import proof
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import Item, Outcome, Status


class FileLane:
    """A lane whose attempt writes one file, named for item and attempt, and appends one line to a diary outside."""

    def __init__(self, opened: Record, diary: Path | None) -> None:
        self.opened, self.diary = opened, diary

    def gate(self, item: Item) -> None:
        """Refuse nothing."""

    def claim(self, item: Item) -> int:
        """Hold every item."""
        return self.opened.attempts[item.index] + 1

    def attempt(self, item: Item, number: int) -> Outcome:
        """Write the file."""
        self.opened.start(item, number, None)
        if self.diary is not None:
            folder = make_folder(self.opened.folder / f"task_{item.index}" / f"attempt_{number}")
            write_whole(folder / "result.txt", f"{item.id}\n")
            with self.diary.open("a") as lines:
                lines.write(f"{item.index} {number}\n")
        return Outcome(Status.SUCCESS, details={"usage": {"tokens": 1}})

    def give_back(self, item: Item, number: int, outcome: Outcome) -> None:
        """Let go."""

    def look(self) -> None:
        """Keep nothing alive."""


def open_new(places: Places, planned: int) -> Record:
    """Open a dispatch of so many items, with its plan and an archived folder in it."""
    opened = record.open_record(places, SEED, planned=planned, parameters={})
    record.write_plan(opened.folder, [f"item-{index}" for index in range(planned)])
    plan = {"name": "plan.txt", "uri": "list.txt", "digest": {"sha256": proof.digest(opened.folder / "plan.txt")}}
    bundle = make_folder(places.root / "bundle é" / "more")
    for name in ("ready.txt", "more/blocked.txt", "more/line\nbreak \\.md", os.fsdecode(b"no UTF-8 \xff.md")):
        write_whole(bundle.parent / name, "text\n")
    opened.publish(inputs=[plan, *proof.archive(bundle.parent, opened.folder / "plan_preflight")])
    return opened


def carry_to_the_end(opened: Record, diary: Path | None, slots: int = 2) -> int:
    """Carry out what has no good result yet, close and seal; return the exit code."""
    plan = (Item(index, f"item-{index}") for index in range(opened.standing.planned))
    closing = carry_out(plan, FileLane(opened, diary), opened, Children(), Limits(slots), Silent())
    return close_dispatch(opened, closing, Words(quiet=True), "resume")


def go_on_or_begin(places: Places, planned: int, diary: Path | None) -> int:
    """Go on with the newest dispatch, or begin one where none has its plan archived; return the exit code."""
    folders = record.dispatch_folders(places)
    if folders and record.read_manifest(folders[-1])["inputs"]:
        opened = record.reopen_record(folders[-1])
    else:
        opened = open_new(places, planned)
    return carry_to_the_end(opened, diary)


def peak_memory_kib() -> int:
    """Return the most memory that this process itself has had; what its parent had before exec does not count."""
    lines = Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main(root: Path, planned: int) -> int:
    """Carry out so many items that do nothing, and print how much memory that took at most."""
    code = go_on_or_begin(Places(root, root / "var"), planned, None)
    print(peak_memory_kib())
    return code
