"""What a dispatch, a provider and an item may spend, and what they have spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that may be spent, in US dollars and in tokens (in and out); None is no limit."""

    cost_usd: float | None = None
    tokens: float | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """The caps of a dispatch and of each of its providers, and of an item in US dollars."""

    dispatch: Cap = field(default_factory=Cap)
    provider: Cap = field(default_factory=Cap)
    item_cost_usd: float | None = None


class Spent:
    """What was spent so far, in US dollars and in tokens."""

    def __init__(self, usage: Mapping[str, float] | None = None) -> None:
        self.cost_usd = self.tokens = 0.0
        self.add(usage or {})

    def add(self, usage: Mapping[str, float]) -> None:
        """Add what one try used; what is no amount of money or tokens is left out."""
        self.cost_usd += usage.get("costUSD", 0.0)
        self.tokens += usage.get("input_tokens", 0.0) + usage.get("output_tokens", 0.0)

    def reaches(self, cap: Cap) -> str:
        """Return in words that a cap is reached; empty while it is not."""
        if cap.cost_usd is not None and self.cost_usd >= cap.cost_usd:
            return f"US$ {self.cost_usd:.4f} of {cap.cost_usd:.4f} is spent"
        if cap.tokens is not None and self.tokens >= cap.tokens:
            return f"{self.tokens:,.0f} of {cap.tokens:,.0f} tokens are spent"
        return ""
