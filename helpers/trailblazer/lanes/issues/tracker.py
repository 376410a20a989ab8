"""What a tracker of issues can be asked: the contract that bd and the issue file keep."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from trailblazer.errors import ServiceDown
from trailblazer.lanes.issues.issue import Issue, Listing
from trailblazer.providers.failure_codes import Cause, Code, Failure

IsOver = Callable[[str, str], bool]
"""From an issue's id and a holder's name to whether that claim may be taken over: `holder.is_dead`, or a stricter one.

A lane that leaves work running after its process says no for as long as that work runs.
"""


class TrackerDown(ServiceDown):
    """The tracker did not answer, or answered what cannot be used. It is no failure of a provider."""

    details = Failure(Code.CLAIM_FAILED, Cause.TRACKER).details


@dataclass(frozen=True, slots=True)
class ClaimAnswer:
    """What a claim came to: held, refused, or held by somebody else (`held_by`). `reason` is one plain line.

    With `has_failed` the tracker did not answer, or answered an error: another try may help.
    """

    is_held: bool
    held_by: str = ""
    reason: str = ""
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseAnswer:
    """Whether the issue is free again. When it is not, `reason` says why, as one plain line."""

    is_released: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HeldIssue:
    """An issue and who holds it, under the name that the holder gave."""

    issue_id: str
    holder: str


@dataclass(frozen=True, slots=True)
class LostClaim:
    """A claim that is no longer ours, and why."""

    issue_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two issues that the tracker takes for the same; `similarity` is between 0 and 1."""

    first: str
    second: str
    similarity: float


class Tracker(Protocol):
    """A tracker of issues. Every call has a time limit, and may be made from many threads at once.

    `check`, `list_open`, `show`, `claimed_by` and `duplicates` raise ServiceDown (exit 8) when the tracker does not
    answer, or answers what is no JSON; PlanUnusable (exit 4) when an issue file cannot be read. `claim`, `release` and
    `keep_alive` never raise those: what went wrong is in their answers.
    """

    name: str
    """What people call it: `bd 1.3.0`, or the path of the issue file. `check` fills in the version."""

    keep_alive_seconds: float
    """How long to wait between two calls of `keep_alive`."""

    def check(self) -> None:
        """Ask once, at no cost, whether the tracker is installed and answers, and which version it is.

        GateClosed (exit 5): it is not installed, or not set up. ServiceDown: it did not answer in time.
        """

    def list_open(self) -> Listing:
        """Return every issue that is not closed, however many, with what blocks each; and those that are refused."""

    def show(self, issue_id: str) -> Issue | None:
        """Return an issue as it is now, also a closed one; None when there is no issue with exactly this id."""

    def claim(self, issue_id: str, holder: str) -> ClaimAnswer:
        """Claim an open issue under a holder's name (`holder.own_holder`), and read back that it is ours.

        Any error means that it is not held. A claim that this holder has already is held again. The claim of a dead
        process is taken over when `IsOver` allows it.
        """

    def release(self, issue_id: str, holder: str) -> ReleaseAnswer:
        """Give a claim back, so that the issue is open again. A claim that is not this holder's is not touched."""

    def keep_alive(self, issue_ids: Collection[str], holder: str) -> tuple[LostClaim, ...]:
        """Give a sign of life for claims of a holder; return those that are no longer his."""

    def claimed_by(self, prefix: str) -> tuple[HeldIssue, ...]:
        """Return the issues whose holder's name begins with a prefix (`holder.own_prefix` is this host's), by id.

        `holder.is_dead` tells which of them a killed night has left.
        """

    def duplicates(self) -> tuple[DuplicatePair, ...]:
        """Return the pairs that the tracker takes for duplicates; none where it cannot be asked that for free."""
