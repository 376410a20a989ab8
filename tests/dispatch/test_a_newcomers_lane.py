"""A lane written from docs/architecture.md alone: it copies files in threads, under lock files. It proves the page."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dispatch.scripted_lane import DONE, Answer, carry, opened_for
from trailblazer.dispatch.lane import Dispatch, Done, Handle, Held, OwnedLane, Running
from trailblazer.dispatch.settling import Limits
from trailblazer.paths import Places
from trailblazer.record.folder import hold, reopen_record
from trailblazer.record.outcomes import Again, Item, Left, Outcome, Refusal, Refused, Status


class CopyingLane(OwnedLane):
    """Copies each file that an item names to NAME.copy, under NAME.lock, which holds the id of the dispatch."""

    def __init__(self, folder: Path, *, is_patient: bool = True) -> None:
        self.folder, self.is_patient, self.dispatch_id = folder, is_patient, ""
        self.threads: list[_Copying] = []

    def file(self, item: Item, suffix: str = "") -> Path:
        """Return the file of an item, or a file beside it."""
        return self.folder / f"{item.body}{suffix}"

    def open(self, dispatch: Dispatch) -> None:
        """Remember what the lock files hold."""
        self.dispatch_id = dispatch.id

    def gate(self, items: Sequence[Item]) -> list[Refused]:
        """Refuse files that do not exist."""
        return [Refused(item, "no such file") for item in items if not self.file(item).exists()]

    def claim(self, items: Sequence[Item]) -> list[Held | Refused]:
        """Lock each file, unless another dispatch has locked it."""
        return [Held(item) if self._lock(item) else Refused(item, "locked", Refusal.HELD) for item in items]

    def _lock(self, item: Item) -> bool:
        lock = self.file(item, ".lock")
        try:
            with lock.open("x") as file:
                file.write(self.dispatch_id)
        except FileExistsError:
            return lock.read_text() == self.dispatch_id  # a resume claims again what no earlier process finished
        return True

    def begin(self, held: Sequence[Held]) -> Running:
        """Start a thread that copies the file."""
        self.threads.append(copying := _Copying(self, held[0]))
        copying.start()
        return copying

    def find(self, held: Sequence[Held], handle: Handle) -> Running | None:
        """Return the result of an earlier process, if its copy is whole."""
        if not handle or not Path(handle["copy"]).exists():
            return None
        self.file(held[0].item, ".lock").unlink()
        return Done([(held[0], DONE)])

    def let_go(self, held: Held, outcome: Outcome) -> None:  # noqa: ARG002 - the contract's words
        """Unlock a file that was not copied."""
        self.file(held.item, ".lock").unlink()


class _Copying(threading.Thread):
    def __init__(self, lane: CopyingLane, held: Held) -> None:
        super().__init__()
        self.lane, self.held, self.is_ended = lane, held, False
        self.copy = lane.file(held.item, ".copy")
        self.handle: Handle = {"copy": str(self.copy)}

    def run(self) -> None:
        draft = shutil.copyfile(self.lane.file(self.held.item), self.copy.with_suffix(".draft"))
        if not self.is_ended:
            draft.rename(self.copy)

    def wait(self) -> Iterator[tuple[Held, Answer]]:
        yield self.held, self._answer() if self.lane.is_patient else Left("the thread goes on")

    def _answer(self) -> Answer:
        self.join()
        if not self.copy.exists():
            return Outcome(Status.CANCELLED, "ended before the copy was whole")
        if self.copy.read_text() == "half":
            return Again(0, "somebody still writes this file")
        self.lane.file(self.held.item, ".lock").unlink()
        return DONE

    def end(self, why: str, grace: float) -> None:  # noqa: ARG002 - the contract's words
        self.is_ended = True


NAMES = {0: "first", 1: "second"}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A project with two files to copy."""
    for name in NAMES.values():
        (tmp_path / name).write_text("whole")
    return Places(tmp_path, tmp_path / "var")


def test_files_are_copied_and_unlocked(places: Places) -> None:
    """Each file is copied and no lock is left; a file that does not exist is skipped."""
    record = opened_for(places, 3)
    assert 0 == carry(CopyingLane(places.root), record, Limits(2), NAMES | {2: "third"}).exit_code
    assert {"first", "first.copy", "second", "second.copy", "var"} == {file.name for file in places.root.iterdir()}
    assert 1 == record.standing.refused[Refusal.GATE]


def test_a_file_that_another_dispatch_copies_is_skipped(places: Places) -> None:
    """The claim refuses a file that another dispatch has locked, and leaves the lock alone."""
    record, lock = opened_for(places, 2), places.root / "second.lock"
    lock.write_text("another dispatch")
    carry(CopyingLane(places.root), record, Limits(2), NAMES)
    assert (1, "another dispatch") == (record.standing.refused[Refusal.HELD], lock.read_text())


def test_a_file_that_is_still_written_is_copied_later(places: Places) -> None:
    """Again releases the file and puts it back into the queue; the next attempt copies it."""

    class Finishing(CopyingLane):
        def let_go(self, held: Held, outcome: Outcome) -> None:
            super().let_go(held, outcome)
            self.file(held.item).write_text("whole")

    (places.root / "first").write_text("half")
    record = opened_for(places, 2)
    carry(Finishing(places.root), record, Limits(1), NAMES)
    assert "whole" == (places.root / "first.copy").read_text()
    assert [2, 1] == [record.standing.attempt_of(index) for index in NAMES]


def test_a_resume_finds_the_copies_of_an_earlier_process(places: Places) -> None:
    """A resume finds finished copies by their handles, and copies nothing twice."""
    record, lane = opened_for(places, 2), CopyingLane(places.root, is_patient=False)
    carry(lane, record, Limits(1), NAMES)
    record.close()
    for thread in lane.threads:
        thread.join()
    record, lane = reopen_record(record.folder, hold(record.folder)), CopyingLane(places.root)
    carry(lane, record, Limits(1), NAMES)
    assert (2, []) == (record.standing.good, lane.threads)
