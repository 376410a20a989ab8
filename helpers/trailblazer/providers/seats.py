"""The providers of a chain as a dispatch knows them: their seats, the rules for all, and whose turn it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trailblazer.providers.breaker import Breaker, Pass, Pauses
from trailblazer.providers.budget import Budget, Spent
from trailblazer.providers.command import Command
from trailblazer.providers.failure_codes import Cause
from trailblazer.providers.found_limit import FoundLimit
from trailblazer.providers.preflight import COMMAND, Health, Provider
from trailblazer.record.admission import Switch
from trailblazer.record.outcomes import Usage


class OnQuota(StrEnum):
    """What happens when a provider's quota is used up."""

    WAIT = "wait"
    FALL_BACK = "fall_back"


@dataclass(frozen=True, slots=True)
class Seat:
    """One provider of a chain: how it is asked whether it can work, and how its orders are made and judged.

    `model` is the one that is wanted; None is the provider's own.
    """

    provider: Provider
    command: Command
    model: str | None = None

    @property
    def name(self) -> str:
        """The name that the chain has for it."""
        return self.provider.name

    @property
    def is_command(self) -> bool:
        """Whether it is any command: nobody can say of one what its failure means."""
        return self.provider.kind == COMMAND


@dataclass(frozen=True, slots=True)
class Rules:
    """How a lineup behaves. `back_off_seconds` is the pause of an item that a provider did not serve; it doubles."""

    on_quota: OnQuota = OnQuota.FALL_BACK
    pauses: Pauses = field(default_factory=Pauses)
    budget: Budget = field(default_factory=Budget)
    slots: int = 1
    back_off_seconds: float = 1.0


def ignore(_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told of switches and of single lines.

    `spent` is what earlier processes of the dispatch have used, in all and by provider.
    """

    switched: Callable[[Switch], None] = ignore
    say: Callable[[str], None] = ignore
    spent: Usage = field(default_factory=dict)
    spent_by: Mapping[str, Usage] = field(default_factory=dict)


class Member:
    """A provider of a running lineup. Only its lineup changes it."""

    def __init__(self, seat: Seat, place: int, rules: Rules, clock: Callable[[], float]) -> None:
        self.seat, self.place, self.command = seat, place, seat.command
        self.breaker = Breaker(rules.pauses, clock)
        self.limit = FoundLimit(rules.slots, rules.slots)
        self.spent = Spent()
        self.is_checked = seat.is_command
        self.version: str | None = None  # of its program, as the preflight heard it

    @property
    def name(self) -> str:
        """The name that the chain has for it."""
        return self.seat.name


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to make one attempt with one provider.

    `fallback` says why it is not the first of the chain, empty when it is. `words` are those that the lineup knows for
    the agent (budget_usd).
    """

    member: Member
    command: Command
    item: int
    granted: Pass
    fallback: str
    words: Mapping[str, str]

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.member.name


def refusal_of(health: Health, now: float) -> tuple[Cause | None, str, float | None]:
    """Return why a provider cannot work by its preflight, and when its quota resets; a used-up quota is a refusal."""
    quota = health.quota
    is_used_up = quota is not None and quota.left_percent <= 0 and quota.resets_at is not None and quota.resets_at > now
    if health.is_available and not is_used_up:
        return None, "", None
    cause = Cause.QUOTA if is_used_up and health.is_available else health.cause or Cause.UNKNOWN
    reason = health.reason or "its quota is used up"
    return cause, reason, quota.resets_at if quota is not None else None
