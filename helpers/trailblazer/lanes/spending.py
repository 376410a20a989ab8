"""What any lane says of its providers: what happens at a used-up quota, and how much may be spent."""

from __future__ import annotations

from typing import Protocol

from trailblazer.config import Config
from trailblazer.dispatch.settling import Limits
from trailblazer.errors import WordsWrong
from trailblazer.providers.breaker import Pauses
from trailblazer.providers.budget import Budget, Cap
from trailblazer.providers.seats import OnQuota, Rules
from trailblazer.record.manifest import Caps


class Spending(Protocol):
    """The words of a request about providers. A cap of None is that of the configuration."""

    @property
    def wait_for_quota(self) -> bool:
        """Whether a used-up quota is waited for."""

    @property
    def max_cost_usd(self) -> float | None:
        """The most that the dispatch may spend, in US dollars."""

    @property
    def max_tokens(self) -> float | None:
        """The most tokens that the dispatch may use."""

    @property
    def item_max_cost_usd(self) -> float | None:
        """The most that one item may spend, in US dollars."""


def read_rules(request: Spending, config: Config, slots: int) -> Rules:
    """Return how the providers are used: words come before the configuration."""
    return Rules(
        on_quota=OnQuota.WAIT if request.wait_for_quota else OnQuota(config["providers.on_quota"]),
        pauses=Pauses(
            refused=60 * config["providers.reopen_minutes"],
            quota=60 * config["providers.quota_wait_minutes"],
            unreachable_after=config["providers.unreachable_after"],
        ),
        budget=read_budget(request, config),
        slots=slots,
    )


def caps_of(limits: Limits, seconds: float | None, budget: Budget, medians: float | None = None) -> Caps:
    """Return what a dispatch may use at most, for its manifest; an attempt `seconds`, or so many medians."""
    return Caps(
        workers=limits.slots,
        retries=limits.retries,
        attempt_seconds=seconds,
        attempt_medians=medians,
        max_cost_usd=budget.dispatch.cost_usd,
        max_tokens=budget.dispatch.tokens,
        provider_max_cost_usd=budget.provider.cost_usd,
        provider_max_tokens=budget.provider.tokens,
        item_max_cost_usd=budget.item_cost_usd,
    )


def read_budget(request: Spending, config: Config) -> Budget:
    """Return the caps; a cap below 0 is WordsWrong."""
    said = {
        "max_cost_usd": request.max_cost_usd,
        "max_tokens": request.max_tokens,
        "item_max_cost_usd": request.item_max_cost_usd,
    }
    for name, most in said.items():
        if most is not None and not most >= 0:
            raise WordsWrong(f"--{name.replace('_', '-')} {most} is out of range", "A number from 0 on.")
    caps = {name: config[f"budget.{name}"] if most is None else most for name, most in said.items()}
    return Budget(
        Cap(caps["max_cost_usd"], caps["max_tokens"]),
        Cap(config["budget.provider_max_cost_usd"], config["budget.provider_max_tokens"]),
        caps["item_max_cost_usd"],
    )
