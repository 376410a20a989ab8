"""How many attempts at once a provider's account stands: found by trying, as one goes."""

from __future__ import annotations

import time
from collections.abc import Callable

CUT_SECONDS = 15.0  # between two cuts: answers to what was asked before a cut say nothing new
CUT, GROWTH, USED = 0.8, 0.05, 0.8


class FoundLimit:
    """The number of slots of one account, from 1 to `most`. `clock` is in seconds.

    A round is as many good answers as there are slots. Until the first answer 429 a round doubles the slots, then it
    adds 5 % (at least one); a 429 takes a fifth away, at most once in 15 s. A server's error pauses growth. A round
    counts only when 80 % of the slots were in use. It has no lock: whoever shares it has one.
    """

    def __init__(self, first: int, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = max(1, most)
        self.slots = min(max(1, first), self.most)
        self.in_use = self.limited = 0
        self._clock = clock
        self._most_in_use = self._good = 0
        self._was_limited = False
        self._cut_at = self._paused_at = -CUT_SECONDS

    def resize(self, most: int) -> None:
        """Allow up to `most` slots. Where as many as allowed were stood until now, so many more are tried at once."""
        is_full = self.slots == self.most and not self._was_limited
        self.most = max(1, most)
        self.slots = self.most if is_full else min(self.slots, self.most)

    def begin(self) -> None:
        """Take a slot."""
        self.in_use += 1
        self._most_in_use = max(self._most_in_use, self.in_use)

    def end(self) -> None:
        """Give a slot back."""
        self.in_use -= 1

    def note_good(self) -> None:
        """Count a good answer; at the end of a round there may be more slots."""
        self._good += 1
        if self._good < self.slots:
            return
        is_used = self._most_in_use >= USED * self.slots
        self._begin_round()
        if is_used and self._clock() - self._paused_at >= CUT_SECONDS:
            more = max(1, int(GROWTH * self.slots)) if self._was_limited else self.slots
            self.slots = min(self.most, self.slots + more)

    def note_limited(self) -> None:
        """Count an answer 429."""
        self._was_limited = True
        self.limited += 1
        self._begin_round()
        if self._clock() - self._cut_at >= CUT_SECONDS:
            self._cut_at = self._clock()
            self.slots = max(1, int(CUT * self.slots))

    def note_server_error(self) -> None:
        """Count an answer 5xx: nothing grows for a while."""
        self._begin_round()
        self._paused_at = self._clock()

    def _begin_round(self) -> None:
        self._good, self._most_in_use = 0, self.in_use
