"""What earlier nights came to, by their folders: every night, and what became of each issue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trailblazer.errors import Trouble
from trailblazer.paths import Places
from trailblazer.plain import one_line
from trailblazer.providers.failure_codes import Code
from trailblazer.record.folder import JOURNAL, dispatch_folders
from trailblazer.record.journal import read_journal
from trailblazer.record.lines import LeftRunning, Opened, Resumed, Settled
from trailblazer.record.manifest import Manifest, read_manifest
from trailblazer.record.outcomes import FAILED, Status

LANE = "issues"
MOST_NIGHTS = 400  # older ones are not read


@dataclass(frozen=True, slots=True)
class Ending:
    """What a night did with an issue. `code` and `cause` are empty after a success (N6)."""

    dispatch: str
    at: str
    issue: str
    status: Status
    provider: str = ""
    code: str = ""
    cause: str = ""
    fallback: str = ""

    @property
    def has_failed(self) -> bool:
        """Say whether the issue was tried and not done."""
        return self.status in FAILED


@dataclass(frozen=True, slots=True)
class Night:
    """One dispatch of issues: its folder, its manifest, what became of the issues that it tried, and those it left.

    `pids` are the processes that carried it out, one after the other.
    """

    folder: Path
    manifest: Manifest
    endings: tuple[Ending, ...] = ()
    left: frozenset[str] = frozenset()
    pids: frozenset[int] = frozenset()


LeftOut = Callable[[Path, str], None]
"""Is told of a folder that cannot be read, and why, as one line."""


def read_nights(places: Places, left_out: LeftOut = lambda _folder, _why: None) -> Iterator[Night]:
    """Yield the nights, the newest first. A folder that cannot be read is left out."""
    count = 0
    for folder in reversed(dispatch_folders(places)):
        try:
            manifest = read_manifest(folder)
            if manifest.lane != LANE:
                continue
            night = _read_night(folder, manifest)
        except (Trouble, OSError) as error:
            left_out(folder, one_line(str(error)))
            continue
        yield night
        count += 1
        if count == MOST_NIGHTS:
            return


def _read_night(folder: Path, manifest: Manifest) -> Night:
    """Return a night by its journal, in which a later line about an issue replaces an earlier one."""
    endings: dict[str, Ending] = {}
    left: set[str] = set()
    pids: set[int] = set()
    for line in read_journal(folder / JOURNAL):
        if isinstance(line, Opened | Resumed):
            pids.add(line.pid)
        elif isinstance(line, LeftRunning):
            left.add(line.item)
        elif isinstance(line, Settled):
            left.discard(line.item)
            if line.attempt and line.status in _TRIED:
                known = {name: str(line.details.get(name) or "") for name in ("provider", "code", "cause", "fallback")}
                endings[line.item] = Ending(folder.name, line.at, line.item, Status(line.status), **known)
    return Night(folder, manifest, tuple(endings.values()), frozenset(left), frozenset(pids))


_TRIED = frozenset({Status.SUCCESS, *FAILED})


class History:
    """What became of each issue, the newest night first."""

    def __init__(self, nights: Iterable[Night]) -> None:
        self._of: dict[str, list[Ending]] = {}
        for night in nights:
            for ending in night.endings:
                self._of.setdefault(ending.issue, []).append(ending)

    def failures_in_a_row(self, issue: str) -> int:
        """Return in how many nights an issue failed since it last succeeded.

        A night in which no provider worked on it does not count: its worktree or its providers failed, and not it.
        """
        count = 0
        for ending in self._of.get(issue, ()):
            if not ending.has_failed:
                break
            count += bool(ending.provider) and ending.code != Code.PROVIDER_UNAVAILABLE
        return count

    def last(self, issue: str) -> Ending | None:
        """Return what the newest night did that tried an issue."""
        return next(iter(self._of.get(issue, ())), None)
