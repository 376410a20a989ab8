"""What earlier nights left: claims whose night was killed, and nights that are not closed or left work running."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from trailblazer.lanes.issues.history import History, Night
from trailblazer.lanes.issues.holder import Life, read_holder


class Claims:
    """Says of the claims that earlier nights left whether they are over."""

    def __init__(self, nights: Iterable[Night]) -> None:
        self.reread(nights)

    def reread(self, nights: Iterable[Night]) -> None:
        """Read what the folders of nights say now."""
        found = list(nights)
        self.history = History(found)
        self._known = {(night.folder.name, pid) for night in found for pid in night.pids}
        self._left = {(night.folder.name, issue) for night in found for issue in night.left}

    def is_over(self, issue: str, holder: str) -> bool:
        """Say whether a claim may be taken over: its process is dead, the issue is not done, and nothing was left.

        The claim of a process that carried out no night of this checkout is never over: another checkout, in which a
        night of the same second has the same name, may have done the issue, and a folder may be unreadable.
        """
        known = read_holder(holder)
        if known is None or (known.dispatch, known.pid) not in self._known or known.life() is not Life.DEAD:
            return False
        return not self.done_in(issue, holder) and (known.dispatch, issue) not in self._left

    def done_in(self, issue: str, holder: str) -> str:
        """Return the night that did an issue when the holder is of that night: the claim stays. Empty when none did."""
        last, known = self.history.last(issue), read_holder(holder)
        is_done = last is not None and not last.has_failed and known is not None and known.dispatch == last.dispatch
        return last.dispatch if last is not None and is_done else ""


def unsettled(nights: Iterable[Night]) -> Iterator[Path]:
    """Yield the folders of nights that were killed, or that left work running, the oldest first."""
    folders = [night.folder for night in nights if night.manifest.is_lost or night.left]
    yield from reversed(folders)
