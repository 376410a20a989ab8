"""What each provider of a dispatch did, by the lines of the journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trailblazer.record.admission import To
from trailblazer.record.lines import Closed, Line, Postponed, Resumed, Retried, Settled, Switched
from trailblazer.record.outcomes import FAILED, GOOD, Status


@dataclass(slots=True)
class Tally:
    """What one provider did. `fallbacks` are the items that it settled in the place of an earlier one of its chain.

    `failed` counts its attempts that failed, also where the item was good later; `closed` is in seconds.
    """

    attempts: int = 0
    good: int = 0
    failed: int = 0
    fallbacks: int = 0
    closed: float = 0.0
    closed_at: str = ""
    usage: dict[str, float] = field(default_factory=dict)

    @property
    def tokens(self) -> float:
        """How many tokens went in and out."""
        return self.usage.get("input_tokens", 0) + self.usage.get("output_tokens", 0)

    @property
    def cost_usd(self) -> float:
        """What it cost, in US dollars."""
        return self.usage.get("costUSD", 0.0)

    def row(self, name: str) -> dict[str, Any]:
        """Return the row of summary.json."""
        return {
            "name": name, "attempts": self.attempts, "good": self.good, "failed": self.failed,
            "fallbacks": self.fallbacks, "costUSD": round(self.cost_usd, 6), "tokens": self.tokens,
            "secondsClosed": round(self.closed, 1),
        }  # fmt: skip

    def line(self, name: str) -> str:
        """Return the row for people."""
        more = [f"{self.fallbacks} as fallback"] if self.fallbacks else []
        more += [f"US$ {self.cost_usd:.4f}"] if self.cost_usd else []
        more += [f"{self.tokens:,.0f} tokens"] if self.tokens else []
        more += [f"closed for {self.closed:.0f} s"] if self.closed else []
        attempts = f"{self.attempts} attempt{'s' * (self.attempts != 1)}"
        return f"{name}: {', '.join([attempts, f'{self.good} good', f'{self.failed} failed', *more])}"


class Tallies:
    """The tallies of all providers. Only the standing of a journal changes them."""

    def __init__(self) -> None:
        self.of: dict[str, Tally] = {}

    def follow(self, line: Line) -> None:
        """Take in one line of the journal."""
        match line:
            case Settled():
                tally = self._attempt(str(line.details["provider"]), line.usage)
                tally.good += Status(line.status) in GOOD
                tally.failed += Status(line.status) in FAILED
                tally.fallbacks += "fallback" in line.details
            case Retried() | Postponed() if line.provider:
                self._attempt(line.provider, line.usage).failed += 1
            case Switched(to=To.CLOSED | To.OPENED):
                self._switch(self.of.setdefault(line.provider, Tally()), line)
            case Closed():
                for tally in self.of.values():
                    _end_closure(tally, line.at)
            case Resumed():
                for tally in self.of.values():  # nobody knows when the process that closed it was killed
                    tally.closed_at = ""
            case _:
                pass

    def _attempt(self, provider: str, usage: Any) -> Tally:
        tally = self.of.setdefault(provider, Tally())
        tally.attempts += 1
        for name, amount in usage.items():
            tally.usage[name] = tally.usage.get(name, 0) + amount
        return tally

    def _switch(self, tally: Tally, line: Switched) -> None:
        if line.to == To.OPENED:
            _end_closure(tally, line.at)
        elif not tally.closed_at:
            tally.closed_at = line.at

    def rows(self) -> tuple[dict[str, Any], ...]:
        """Return the rows of summary.json."""
        return tuple(tally.row(name) for name, tally in list(self.of.items()))

    def lines(self) -> list[str]:
        """Return the rows for people."""
        return [tally.line(name) for name, tally in self.of.items()]


def _end_closure(tally: Tally, at: str) -> None:
    if tally.closed_at:
        seconds = (datetime.fromisoformat(at) - datetime.fromisoformat(tally.closed_at)).total_seconds()
        tally.closed, tally.closed_at = tally.closed + max(0.0, seconds), ""
