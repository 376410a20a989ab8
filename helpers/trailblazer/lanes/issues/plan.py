"""The plan of a night: the issues that may be taken, in their order, until as many are taken as the night may take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trailblazer.atomic import write_lines
from trailblazer.lanes.issues.issue import read_issue
from trailblazer.lanes.issues.selection import Candidate, NotTaken
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import Item
from trailblazer.schemas import read_lines

ISSUES = "issues.ndjson"
NOT_TAKEN = "not_taken.ndjson"
SPARE = 100  # candidates beyond those that a night may take: some are refused when their turn comes


def write_candidates(folder: Path, candidates: Iterable[Candidate], refused: Iterable[NotTaken]) -> None:
    """Write the issues of a night into its folder: those that may be taken, and why the others may not."""
    write_lines(folder / ISSUES, map(_document, candidates))
    write_lines(folder / NOT_TAKEN, ({"issue": one.issue, "gate": one.gate, "reason": one.reason} for one in refused))


def _document(candidate: Candidate) -> dict[str, Any]:
    return {"issue": candidate.issue.document(), "repo": candidate.repo, "conflicts": sorted(candidate.conflicts)}


def read_candidates(folder: Path) -> Iterator[Candidate]:
    """Yield the issues of a night that may be taken."""
    for line in read_lines(folder / ISSUES):
        yield Candidate(read_issue(line["issue"]), line["repo"], frozenset(line["conflicts"]))


class IssuesPlan:
    """Hands out issues until `most` of them have begun. Two with a conflict key in common never run together.

    A resume begins with the issues that an earlier process began. With `settles_only` nothing new begins at all.
    """

    def __init__(self, record: Record, most: int, *, settles_only: bool = False) -> None:
        self._record, self._most, self._settles_only = record, most, settles_only
        self._items = [Item(index, one.issue.id, one) for index, one in enumerate(read_candidates(record.folder))]

    def items(self) -> Iterator[Item]:
        """Yield every issue that may be taken."""
        return iter(self._items)

    def turns(self) -> Iterator[Item | None]:
        """Yield the issues in the order in which they start; None while those that run decide what comes next."""
        if self._settles_only:
            return
        begun = [item for item in self._items if self._has_begun(item)]
        waiting = [item for item in begun if not self._record.has_good_result(item.index)]
        waiting += [item for item in self._items if not self._has_begun(item)]
        taken = len(begun)
        handed_out: list[Item] = []
        while waiting:
            running = [item for item in handed_out if self._record.standing.of(item.index) is None]
            fresh = [item for item in handed_out if item not in begun]
            taken = len(begun) + sum(1 for item in fresh if self._has_begun(item))
            coming = sum(1 for item in running if not self._has_begun(item))
            item = _first_free(waiting, running)
            may_begin = item is not None and (item in begun or taken + coming < self._most)
            if item is not None and may_begin:
                waiting.remove(item)
                handed_out.append(item)
                yield item
            elif taken >= self._most and not any(item in begun for item in waiting):
                return
            else:
                yield None

    def _has_begun(self, item: Item) -> bool:
        return self._record.standing.attempt_of(item.index) > 0


def _first_free(waiting: list[Item], running: list[Item]) -> Item | None:
    """Return the first issue that has no conflict key in common with one that runs."""
    busy: frozenset[str] = frozenset().union(*(item.body.conflicts for item in running))
    return next((item for item in waiting if not busy & item.body.conflicts), None)
