"""The plan of a night: the issues that may be taken, in their order, until as many are taken as the night may take."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trailblazer.atomic import write_lines
from trailblazer.dispatch.queue import GivenPlan
from trailblazer.lanes.issues.issue import Issue
from trailblazer.lanes.issues.selection import Candidate, NotTaken
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import Item
from trailblazer.schemas import as_record, read_lines

ISSUES = "issues.ndjson"
NOT_TAKEN = "not_taken.ndjson"
SPARE = 100  # candidates beyond those that a night may take: some are refused when their turn comes


def write_candidates(folder: Path, candidates: Iterable[Candidate], refused: Iterable[NotTaken]) -> None:
    """Write the issues of a night into its folder: those that may be taken, and why the others may not."""
    write_lines(folder / ISSUES, map(_document, candidates))
    write_lines(folder / NOT_TAKEN, ({"issue": one.issue, "gate": one.gate, "reason": one.reason} for one in refused))


def _document(candidate: Candidate) -> dict[str, Any]:
    return {
        "issue": dataclasses.asdict(candidate.issue),
        "repo": candidate.repo,
        "conflicts": sorted(candidate.conflicts),
    }


def read_candidates(folder: Path) -> Iterator[Candidate]:
    """Yield the issues of a night that may be taken."""
    for line in read_lines(folder / ISSUES):
        yield Candidate(as_record(Issue, line["issue"]), line["repo"], frozenset(line["conflicts"]))


class IssuesPlan(GivenPlan):
    """Hands out issues until `most` of them have begun. Two with a conflict key in common never run together.

    A resume begins with the issues that an earlier process began. With `settles_only` nothing new begins at all.
    """

    def __init__(self, record: Record, most: int, *, settles_only: bool = False) -> None:
        self._record, self._most, self._settles_only = record, most, settles_only
        self._items = [Item(index, one.issue.id, one) for index, one in enumerate(read_candidates(record.folder))]
        self._running: dict[int, int] = {}
        self._early: set[int] = set()
        self._taken_early = 0

    def items(self) -> Iterator[Item]:
        """Yield every issue that may be taken."""
        return iter(self._items)

    def turns(self) -> Iterator[Item | None]:
        """Yield the issues in the order in which they start; None while those that run decide what comes next."""
        if self._settles_only:
            return
        begun = {item.index for item in self._items if self._has_begun(item)}
        due = [item for item in self._items if self._record.is_due(item.index)]
        waiting = sorted(due, key=lambda item: item.index not in begun)
        before = {item.index: self._place(item.index) for item in waiting}
        taken, coming = len(begun), list[Item]()
        while waiting:
            # An issue that began out of its turn, or got an outcome before its turn came, has no turn.
            waiting = [item for item in waiting if item.index not in self._early and self._is_at(item, before)]
            taken += sum(1 for item in coming if self._has_begun(item))
            running = self._still_running()
            coming = [item for item in coming if item.index in running and not self._has_begun(item)]
            item = _first_free(waiting, [self._items[index] for index in running])
            all_taken = taken + self._taken_early
            is_due = item is not None and (item.index in begun or all_taken + len(coming) < self._most)
            if item is not None and is_due:
                waiting.remove(item)
                running[item.index] = self._place(item.index)
                coming += [item] if item.index not in begun else []
                yield item
            elif all_taken >= self._most and not any(item.index in begun for item in waiting):
                return
            else:
                yield None

    def may_start(self, item: Item) -> bool:
        """Let an issue start that has no conflict key in common with one that runs. It counts as taken."""
        running = self._still_running()
        if _first_free([item], [self._items[index] for index in running if index != item.index]) is None:
            return False
        self._early.add(item.index)
        self._taken_early += item.index not in running and not self._has_begun(item)
        running[item.index] = self._place(item.index)
        return True

    def _is_at(self, item: Item, places: Mapping[int, int]) -> bool:
        return self._place(item.index) == places[item.index]

    def _still_running(self) -> dict[int, int]:
        self._running = {index: place for index, place in self._running.items() if self._place(index) == place}
        return self._running

    def _place(self, index: int) -> int:
        """Return where the journal has the newest outcome of an issue: it changes when the issue is settled."""
        return self._record.standing.place_of(index)

    def _has_begun(self, item: Item) -> bool:
        return self._record.standing.attempt_of(item.index) > 0


def _first_free(waiting: Iterable[Item], running: Iterable[Item]) -> Item | None:
    """Return the first issue that has no conflict key in common with one that runs."""
    busy: frozenset[str] = frozenset().union(*(item.body.conflicts for item in running))
    return next((item for item in waiting if not busy & item.body.conflicts), None)
