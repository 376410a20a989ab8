"""What earlier nights left: claims whose night was killed, and nights that are not closed or left work running."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from trailblazer.lanes.issues.history import History, Night
from trailblazer.lanes.issues.holder import Life, read_holder
from trailblazer.places.local import mark_of
from trailblazer.processes.marks import is_carried
from trailblazer.record.folder import JOURNAL
from trailblazer.record.journal import read_journal
from trailblazer.record.lines import Started


class Claims:
    """Says of the claims that earlier nights left whether they are over."""

    def __init__(self, nights: Iterable[Night]) -> None:
        self.reread(nights)

    def reread(self, nights: Iterable[Night]) -> None:
        """Read what the folders of nights say now."""
        found = list(nights)
        self.history = History(found)
        self._folders = {(night.folder.name, pid): night.folder for night in found for pid in night.pids}
        self._left = {(night.folder.name, issue) for night in found for issue in night.left}

    def is_over(self, issue: str, holder: str) -> bool:
        """Say whether a claim may be taken over: its process is dead, the issue is not done, and nothing works on it.

        What a killed night left running works on, until a resume or the next night ends it. The claim of a process that
        carried out no night of this checkout is never over: another checkout, in which a night of the same second has
        the same name, may have done the issue, and a folder may be unreadable.
        """
        known = read_holder(holder)
        folder = self._folders.get((known.dispatch, known.pid)) if known is not None else None
        if known is None or folder is None or known.life() is not Life.DEAD:
            return False
        if self.done_in(issue, holder) or (known.dispatch, issue) in self._left:
            return False
        return not _is_worked_on(folder, issue)

    def done_in(self, issue: str, holder: str) -> str:
        """Return the night that did an issue when the holder is of that night: the claim stays. Empty when none did."""
        last, known = self.history.last(issue), read_holder(holder)
        is_done = last is not None and not last.has_failed and known is not None and known.dispatch == last.dispatch
        return last.dispatch if last is not None and is_done else ""


def _is_worked_on(folder: Path, issue: str) -> bool:
    """Say whether a process of a night still lives that works on an issue."""
    lines = read_journal(folder / JOURNAL)
    places = {line.index for line in lines if isinstance(line, Started) and line.item == issue}
    return any(is_carried(f"{mark_of(folder)}{index}.") for index in places)


def unsettled(nights: Iterable[Night]) -> Iterator[Path]:
    """Yield the folders of nights that were killed, or that left work running, the oldest first."""
    folders = [night.folder for night in nights if night.manifest.is_lost or night.left]
    yield from reversed(folders)
