"""Who is informed of a suite: as of every dispatch, and of each transition of a signal or a batch."""

from __future__ import annotations

from typing import Any

from trailblazer.reports.audience import Audience
from trailblazer.signals.documents import Change


class SignalAudience(Audience):
    """Informs of signals."""

    def changed(self, change: Change) -> None:
        """Emit a transition: the events hold the whole history of every signal and batch."""
        known = {
            "batch_id": change.batch_id,
            "signal_id": change.dispatch_id,
            "step": change.step,
            "msg": change.error,
        }
        more: dict[str, Any] = {name: value for name, value in known.items() if value}
        self._shown.emitter.emit("signals.change", "tick", run_id=change.case_id or None, to=change.to.value, **more)
