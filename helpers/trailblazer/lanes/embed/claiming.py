"""The claims of one dispatch on its runs: taken in groups, and the next group with each completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trailblazer.database import claims
from trailblazer.database.claims import Claim, Counts, HeldBy, Phase
from trailblazer.database.holdings import Holdings
from trailblazer.dispatch.lane import Held
from trailblazer.errors import StaleClaim
from trailblazer.lanes.embed.ahead import Ahead
from trailblazer.record.outcomes import Item, Outcome, Refusal, Refused, Status

# A run that waits and was not taken was released a moment after the claim was tried: it is asked for again.
WAITING = {"chunk": ("normalized", "reset"), "embed": ("chunked", "reset")}


class RunClaims:
    """Claims runs in processed_runs for the phases of a dispatch.

    With `waiting_only` a run is taken only while it waits for its phase, and those of `ahead` are claimed with each
    completion. A run that failed in this dispatch (`failed`) is taken all the same.
    """

    def __init__(self, holdings: Holdings, phases: Sequence[str], ahead: Ahead, *, waiting_only: bool) -> None:
        self._holdings, self._phases, self._ahead, self._waiting_only = holdings, phases, ahead, waiting_only
        self.failed: set[tuple[str, str]] = set()

    def take(self, items: Sequence[Item]) -> list[Held | Refused]:
        """Claim runs; one that somebody else holds is refused with the holder's name."""
        answers: list[Held | Refused] = []
        for phase in claims.PHASES:
            for again in (False, True):
                wanted = {item.id: item for item in items if item.phase == phase and self._again(item) is again}
                if wanted:
                    self._ahead.note_asked(phase, wanted)
                    taken = self._holdings.take(list(wanted), phase, again=again)
                    if reset := self._reset_runs(taken, phase):
                        taken = {**taken, **self._holdings.take(reset, phase, again=True)}
                    answers += [_answer(wanted[run], answer) for run, answer in taken.items()]
        return answers

    def _again(self, item: Item) -> bool:
        return not self._waiting_only or (item.id, item.phase) in self.failed

    def _reset_runs(self, taken: Mapping[str, Claim | HeldBy], phase: str) -> list[str]:
        """Return runs that wait for chunking after a reset, where only embedding was asked for: they have chunks."""
        if phase == "chunk" or "chunk" in self._phases:
            return []
        refused = {run: answer for run, answer in taken.items() if isinstance(answer, HeldBy)}
        return [run for run, answer in refused.items() if answer.status == "reset" and answer.claimed_by is None]

    def complete(self, phase: Phase, counts: Mapping[str, Counts]) -> Mapping[str, StaleClaim]:
        """Complete the claims on runs that are done, claim the next ones, and return the claims that were lost."""
        ahead = self._ahead.next_runs(phase) if self._waiting_only else []
        lost = self._holdings.settle(counts, [run for run in ahead if (run, phase) not in self.failed], phase)
        if phase == "chunk":
            self._ahead.note_chunked(counts)
        return lost

    def refuse(self, refused: Refused) -> Refused:
        """Give a run back that may have been claimed ahead, and is refused now."""
        self._holdings.release_ahead(refused.item.id)
        return refused

    def let_go(self, held: Held, outcome: Outcome) -> None:
        """Release the run: it has failed when it failed, and is as before when it was only interrupted."""
        if outcome.status is Status.ERROR:
            self.failed.add((held.item.id, held.item.phase))
            self._holdings.fail(held.item.id, held.attempt, outcome.reason)
        elif outcome.refusal is not Refusal.HELD:
            self._holdings.release([held.item.id])

    def keep_alive(self) -> None:
        """Move the expiry of the claims forward."""
        self._holdings.keep_alive()

    def close(self) -> None:
        """Release what was claimed ahead, and close the connection."""
        self._holdings.close()


def _answer(item: Item, answer: Claim | HeldBy) -> Held | Refused:
    if isinstance(answer, Claim):
        return Held(item, answer.attempt)
    if answer.claimed_by is not None or answer.status in WAITING.get(item.phase, ()):
        return Refused(item, str(answer), Refusal.HELD)
    if answer.status in {"failed", "unknown"}:
        return Refused(item, f"the run is {answer}")
    return Refused(item, f"it is {answer.status} by now", status=Status.UNCHANGED)
