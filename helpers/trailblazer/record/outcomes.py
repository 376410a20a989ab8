"""Items, and what an attempt at an item came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trailblazer.errors import ProviderRefused, ServiceDown, Trouble
from trailblazer.plain import one_line

Usage = Mapping[str, float]


class Status(StrEnum):
    """What an item came to. The first two are good: a resume does not run those items again."""

    SUCCESS = "success"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    ERROR = "error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


GOOD = frozenset({Status.SUCCESS, Status.UNCHANGED})
FAILED = frozenset({Status.ERROR, Status.TIMEOUT})


class Refusal(StrEnum):
    """The kinds of refusal, and who refuses."""

    NONE = ""
    GATE = "gate"  # a free check refuses the item
    HELD = "held"  # somebody else works on the item
    TRANSIENT = "transient"  # asking again later may help
    FINAL = "final"  # asking again helps no item


@dataclass(frozen=True, slots=True)
class Item:
    """A unit of work. `index` is its place in the plan (from 0), `body` its content, `phase` empty without phases."""

    index: int
    id: str
    body: Any = None
    phase: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to.

    `reason` is one line. `usage` holds amounts by name (tokens, costUSD). `details` are the lane's own facts about the
    attempt; the journal keeps them beside the outcome.
    """

    status: Status
    reason: str = ""
    refusal: Refusal = Refusal.NONE
    usage: Usage = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A gate or a claim refuses an item: `status` is skipped, or unchanged when there is nothing to do."""

    item: Item
    reason: str
    refusal: Refusal = Refusal.GATE
    status: Status = Status.SKIPPED

    @property
    def outcome(self) -> Outcome:
        """The outcome that settles the item."""
        return Outcome(self.status, one_line(self.reason), self.refusal)


@dataclass(frozen=True, slots=True)
class Again:
    """The item goes back to the queue for `after` seconds and spends no attempt; `usage` is what the try cost.

    Examples are a spent quota, a closed provider, and a claim that was lost to nobody. `provider` is whose try it was.
    """

    after: float
    reason: str
    usage: Usage = field(default_factory=dict)
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """The work goes on without the dispatcher. The item stays claimed and unsettled, and a resume finds the work."""

    reason: str = ""


def is_open(status: Status | None, *, only_failed: bool = False) -> bool:
    """Say whether a resume carries an item of this status out; with `only_failed`, whether a retry of failures does."""
    return status in FAILED if only_failed else status not in GOOD


def outcome_of(trouble: Trouble) -> Outcome:
    """Return the outcome that a trouble means: ServiceDown is transient, ProviderRefused is final."""
    refusal = Refusal.NONE
    if isinstance(trouble, ProviderRefused):
        refusal = Refusal.FINAL
    elif isinstance(trouble, ServiceDown):
        refusal = Refusal.TRANSIENT
    return Outcome(Status.ERROR, one_line(trouble.what), refusal, details=dict(trouble.details))
