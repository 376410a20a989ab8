"""Who is informed of issues: a line on stdout for each outcome, in the form that filters know (N6)."""

from __future__ import annotations

from trailblazer.providers.failure_codes import outcome_line
from trailblazer.record.outcomes import FAILED, GOOD, Item, Outcome, Refusal
from trailblazer.record.standing import Standing
from trailblazer.reports.audience import Audience
from trailblazer.streams import put_out


class IssueAudience(Audience):
    """Shows issues as every audience does, and prints DISPATCH_SUCCESS or DISPATCH_FAILURE for each that was tried."""

    def settled(self, item: Item, outcome: Outcome, standing: Standing) -> None:
        """Show an outcome, and print its line. A gate that refuses an issue is no failure."""
        super().settled(item, outcome, standing)
        if outcome.status in GOOD | FAILED or outcome.refusal is Refusal.HELD or "provider" in outcome.details:
            provider = str(outcome.details.get("provider") or "none")
            milliseconds = float(outcome.details.get("duration_ms") or 0)
            with self._shown.progress.room():
                put_out(outcome_line(item.id, provider, outcome, milliseconds) + "\n")
