"""A dispatch of the engine alone, with a lane that writes one file for each item."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from dispatch.scripted_lane import SEED, Listed, Silent, items_of
from trailblazer.atomic import digest_of, make_folder, write_whole
from trailblazer.dispatch.engine import carry_out
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.lane import Handle, Held, OwnedLane, Running
from trailblazer.dispatch.settling import Limits
from trailblazer.paths import Places
from trailblazer.record import proof
from trailblazer.record.folder import Record, dispatch_folders, hold, open_record, reopen_record
from trailblazer.record.manifest import Resource, read_manifest
from trailblazer.record.outcomes import Again, Left, Outcome, Status
from trailblazer.reports.summary import Bookkeeper


class FileLane(OwnedLane):
    """A lane whose attempts each write one file, and append one line to a diary outside the dispatch."""

    def __init__(self, diary: Path | None) -> None:
        self.diary = diary

    def begin(self, held: Sequence[Held]) -> Running:
        """Begin to write."""
        return _Writing(self.diary, held[0])


class _Writing:
    def __init__(self, diary: Path | None, held: Held) -> None:
        self.diary, self.held = diary, held
        self.handle: Handle = {}

    def wait(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        if self.diary is not None:
            folder = make_folder(Path(self.held.folder))
            write_whole(folder / "result.txt", f"{self.held.item.id}\n")
            with self.diary.open("a") as lines:
                lines.write(f"{self.held.item.index} {self.held.attempt}\n")
        yield self.held, Outcome(Status.SUCCESS, usage={"tokens": 1})

    def end(self, why: str, grace: float) -> None:
        """End nothing."""


def open_new(places: Places, planned: int) -> Record:
    """Open a dispatch of `planned` items, with its plan and an archived folder."""
    opened = open_record(places, SEED, planned=planned, parameters={})
    write_whole(opened.folder / "plan.txt", "".join(f"item-{index}\n" for index in range(planned)))
    plan = Resource("plan.txt", "list.txt", digest_of(opened.folder / "plan.txt"))
    bundle = make_folder(places.root / "bundle é" / "more")
    for name in ("ready.txt", "more/blocked.txt", "more/line\nbreak \\.md", os.fsdecode(b"no UTF-8 \xff.md")):
        write_whole(bundle.parent / name, "text\n")
    opened.publish(inputs=(plan, *proof.archive(bundle.parent, opened.folder / "plan_preflight")))
    return opened


def carry_to_the_end(opened: Record, diary: Path | None, slots: int = 2) -> int:
    """Carry out the items without a good result, close and seal; return the exit code."""
    plan = Listed(lambda: items_of(opened.standing.planned))
    with contextlib.closing(opened):
        with Bookkeeper(opened):
            closing = carry_out(plan, FileLane(diary), opened, Limits(slots), Silent(), Interrupts())
        opened.complete(closing.exit_code, closing.why)
        Bookkeeper(opened).write()
        opened.seal()
    return closing.exit_code


def resume_or_begin(places: Places, planned: int, diary: Path | None) -> int:
    """Resume the newest dispatch, or begin one if none has its plan archived; return the exit code."""
    folders = dispatch_folders(places)
    is_begun = bool(folders) and bool(read_manifest(folders[-1]).inputs)
    return carry_to_the_end(
        reopen_record(folders[-1], hold(folders[-1])) if is_begun else open_new(places, planned), diary
    )


def peak_memory_kib() -> int:
    """Return the peak memory of this process in KiB, without that of its parent before exec."""
    lines = Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main(root: Path, planned: int) -> int:
    """Carry out `planned` items that do nothing, and print the peak memory in KiB."""
    code = resume_or_begin(Places(root, root / "var"), planned, None)
    print(peak_memory_kib())
    return code
