"""What makes the orders of a provider and judges them: a command, an agent, or what a lane has of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from trailblazer.providers.answers import Answer
from trailblazer.providers.order import Expectation, Finished, Order
from trailblazer.record.outcomes import Outcome

# Returns what is wrong with a document, empty when nothing is; it may take so many seconds, None is no limit.
Check = Callable[[Any, float | None], str]


@dataclass(frozen=True, slots=True)
class Judged:
    """What an order that has run came to, and what its agent said; None for a command, and where nothing was read."""

    outcome: Outcome
    answer: Answer | None = None


class Maker(Protocol):
    """Makes the orders of a provider, and judges what they came to."""

    @property
    def expects(self) -> Expectation:
        """What the output must be."""

    def order(
        self,
        values: Mapping[str, Any],
        folder: str,
        limit_seconds: float | None,
        words: Mapping[str, str] | None = None,
        tree: str = "",
    ) -> Order:
        """Return what to run for the values of one item; a Trouble, ValueError or OSError is the item's error."""

    def argv(self, values: Mapping[str, Any], known: Mapping[str, str]) -> tuple[str, ...]:
        """Return the words of the order alone, for a preview."""

    def judge(self, order: Order, ended: Finished, check: Check) -> Judged:
        """Return what an order that has run came to; what cannot be read may raise OSError."""

    def for_version(self, version: str | None) -> Maker:
        """Return the maker for the version of the provider that is installed; None: nobody knows it."""
