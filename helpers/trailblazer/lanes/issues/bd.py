"""The tracker bd (beads), in its old and new versions."""

from __future__ import annotations

from collections.abc import Collection

from trailblazer.lanes.issues.bd_calls import BdCalls
from trailblazer.lanes.issues.claim_files import ClaimFiles
from trailblazer.lanes.issues.issue import Issue, Listing
from trailblazer.lanes.issues.tracker import ClaimAnswer, DuplicatePair, HeldIssue, IsOver, LostClaim, ReleaseAnswer


class BdTracker:
    """The issues of bd."""

    def __init__(
        self,
        calls: BdCalls,
        claims: ClaimFiles,
        lease_seconds: float,
        is_over: IsOver,
        release_command: tuple[str, ...] | None,
    ) -> None:
        self.name = "bd"
        self.keep_alive_seconds = 120.0
        self._calls, self._claims, self._lease, self._is_over = calls, claims, lease_seconds, is_over
        self._release_command = release_command

    def check(self) -> None:
        """See `Tracker`."""
        raise NotImplementedError

    def list_open(self) -> Listing:
        """See `Tracker`."""
        raise NotImplementedError

    def show(self, issue_id: str) -> Issue | None:
        """See `Tracker`."""
        raise NotImplementedError

    def claim(self, issue_id: str, holder: str) -> ClaimAnswer:
        """See `Tracker`."""
        raise NotImplementedError

    def release(self, issue_id: str, holder: str) -> ReleaseAnswer:
        """See `Tracker`."""
        raise NotImplementedError

    def keep_alive(self, issue_ids: Collection[str], holder: str) -> tuple[LostClaim, ...]:
        """See `Tracker`."""
        raise NotImplementedError

    def claimed_by(self, prefix: str) -> tuple[HeldIssue, ...]:
        """See `Tracker`."""
        raise NotImplementedError

    def duplicates(self) -> tuple[DuplicatePair, ...]:
        """See `Tracker`."""
        raise NotImplementedError
