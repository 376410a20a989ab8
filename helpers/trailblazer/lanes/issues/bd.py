"""The tracker bd (beads), in its old and new versions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trailblazer.errors import Trouble
from trailblazer.lanes.issues.bd_calls import BdCalls
from trailblazer.lanes.issues.bd_claims import BdClaims
from trailblazer.lanes.issues.bd_fence import BdFence, fence_in
from trailblazer.lanes.issues.bd_version import BdCommands, find_number, refuse_when_not_set_up
from trailblazer.lanes.issues.claim_files import ClaimFiles
from trailblazer.lanes.issues.issue import (
    CLOSED,
    OPEN,
    Issue,
    Listing,
    read_issues,
    settle_blockers,
    wrong_with_id,
)
from trailblazer.lanes.issues.tracker import ClaimAnswer, DuplicatePair, HeldIssue, IsOver, LostClaim, ReleaseAnswer
from trailblazer.plain import one_line
from trailblazer.providers.selectors import is_number

ALIVE_SECONDS = 120.0  # a claim of bd 1.2 and later has a lease of five minutes


class BdTracker:
    """The issues of bd, which is called for every question.

    Up to 0.57 a claim of bd has no lease: it stays until somebody releases it. Later versions take a claim back five
    minutes after its last heartbeat when somebody calls `bd reclaim`; the fence outlives that.
    """

    def __init__(
        self,
        calls: BdCalls,
        claims: ClaimFiles,
        lease_seconds: float,
        is_over: IsOver,
        release_command: Sequence[str] | None,
    ) -> None:
        self.name = "bd"
        self.keep_alive_seconds = ALIVE_SECONDS
        self._calls, self._files = calls, claims
        self._commands = BdCommands(calls)
        self._fence = BdFence(calls, self._commands, claims, lease_seconds, is_over)
        self._claims = BdClaims(calls, self._commands, self._fence, is_over, release_command)

    def check(self) -> None:
        """Ask bd for its version, its commands and one issue."""
        self.name = f"bd {find_number(self._calls)}"
        refuse_when_not_set_up(self._calls)
        self._files.sweep()

    def list_open(self) -> Listing:
        """Return every issue that is not closed. `is_ready` is what `bd ready` says."""
        listing = settle_blockers(read_issues(self._calls.records("list", "--limit", "0")))
        listing = replace(listing, issues=tuple(issue for issue in listing.issues if issue.status != CLOSED))
        ready = {_id_of(record) for record in self._calls.records("ready", "--limit", "0")}
        if any(issue.status == OPEN and not issue.blocked_by and issue.id not in ready for issue in listing.issues):
            blockers = dict(self._blockers())  # old versions list no dependencies
            listing = replace(listing, issues=tuple(_with_blockers(issue, blockers) for issue in listing.issues))
        issues = (replace(issue, is_ready=issue.is_ready and issue.id in ready) for issue in listing.issues)
        return replace(listing, issues=tuple(issues))

    def show(self, issue_id: str) -> Issue | None:
        """Return an issue as `bd show` has it; None for an id that bd only completes to another one."""
        if wrong_with_id(issue_id):
            return None
        return self._claims.look(issue_id)

    def claim(self, issue_id: str, holder: str) -> ClaimAnswer:
        """Claim an issue in bd, within the fence."""
        return self._claims.claim(issue_id, holder)

    def release(self, issue_id: str, holder: str) -> ReleaseAnswer:
        """Give a claim back, in the holder's name."""
        return self._claims.release(issue_id, holder)

    def keep_alive(self, issue_ids: Collection[str], holder: str) -> tuple[LostClaim, ...]:
        """Refresh the lease of each claim where bd has leases; look whether each is still ours where it has none."""
        found = ((issue_id, self._keep(issue_id, holder)) for issue_id in issue_ids)
        return tuple(LostClaim(issue_id, reason) for issue_id, reason in found if reason)

    def _keep(self, issue_id: str, holder: str) -> str:
        """Return why a claim is lost; empty while it is ours, and when bd cannot be asked now."""
        try:
            self._fence.refresh(issue_id, holder)
            if self._commands.has("heartbeat"):
                answer = self._calls.ask("heartbeat", issue_id, actor=holder)
                if answer.code == 0:
                    return ""
            issue = self._claims.look(issue_id)
        except Trouble:
            return ""
        if issue is None:
            return "the issue is gone"
        if issue.assignee == holder:
            return ""
        return f"it is claimed by {one_line(issue.assignee)}" if issue.assignee else "it was released"

    def claimed_by(self, prefix: str) -> tuple[HeldIssue, ...]:
        """Return what holders of this prefix have: issues, fences without an issue, and claim files."""
        held = {(claim.issue, claim.holder) for claim in self._files.held()}
        for record in self._calls.records("list", "--limit", "0"):
            issue_id = _id_of(record)
            if issue_id and record.get("status") != CLOSED:
                held |= {(issue_id, str(record.get("assignee") or "")), (issue_id, fence_in(record))}
        return tuple(HeldIssue(issue_id, name) for issue_id, name in sorted(held) if name.startswith(prefix))

    def duplicates(self) -> tuple[DuplicatePair, ...]:
        """Return the pairs of `bd find-duplicates`, by similar words, which costs nothing; none in older versions."""
        if not self._commands.has("find-duplicates"):
            return ()
        document = self._calls.document("find-duplicates", "--method", "mechanical", "--limit", "0")
        inside = document.get("data", document) if isinstance(document, Mapping) else None
        pairs = inside.get("pairs") if isinstance(inside, Mapping) else None
        return tuple(_pairs(pairs if isinstance(pairs, list) else []))

    def _blockers(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the id of each blocked issue with the ids of what blocks it."""
        for record in self._calls.records("blocked"):
            by = record.get("blocked_by") if isinstance(record, Mapping) else None
            if isinstance(by, list):
                yield _id_of(record), tuple(one for one in by if not wrong_with_id(one))


def _id_of(record: Any) -> str:
    """Return the id of a record, empty when it cannot be used."""
    found = record.get("id") if isinstance(record, Mapping) else None
    return "" if wrong_with_id(found) else str(found)


def _with_blockers(issue: Issue, blockers: Mapping[str, tuple[str, ...]]) -> Issue:
    """Return an issue with what blocks it, where the issue itself does not say that."""
    blocked_by = issue.blocked_by or blockers.get(issue.id, ())
    return replace(issue, blocked_by=blocked_by, dependencies=issue.dependencies or blocked_by)


def _pairs(pairs: Sequence[Any]) -> Iterator[DuplicatePair]:
    for pair in pairs:
        if isinstance(pair, Mapping):
            first, second, similarity = pair.get("issue_a_id"), pair.get("issue_b_id"), pair.get("similarity", 0)
            if not wrong_with_id(first) and not wrong_with_id(second):
                yield DuplicatePair(str(first), str(second), float(similarity) if is_number(similarity) else 0.0)
