"""When a dispatch stops before its plan is done: all items fail, too many fail, or they fail for the same reason."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trailblazer.errors import Trouble, WordsWrong
from trailblazer.plain import counted
from trailblazer.record.outcomes import FAILED, Outcome, Refusal, Status
from trailblazer.record.standing import Standing


class Halted(Trouble):
    """The plan stops the dispatch: no item starts any more."""

    exit_code = 6


_RULE = re.compile(r"(soon|now),(fail|same)=(\d{1,9})(%?)", re.ASCII)
_LEAST_FOR_SHARE = 3  # a share of fewer settled items than this says nothing


@dataclass(frozen=True, slots=True)
class Rule:
    """When to stop: at `limit` failures, with `share` at `limit` percent, with `same` at `limit` equal ones in a row.

    With `now` the running items are ended; without it they finish.
    """

    now: bool
    same: bool
    limit: int
    share: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a dispatch stops, its exit code, and whether the running items are ended."""

    why: str
    exit_code: int
    now: bool


def read_rule(text: str) -> Rule:
    """Return the rule that words like `soon,fail=10`, `now,fail=30%` or `soon,same=3` mean."""
    found = _RULE.fullmatch(text)
    if not found or not int(found[3]) or (found[4] and (found[2] == "same" or int(found[3]) > 100)):
        raise WordsWrong(f"{text!r} is not a rule to halt by", "soon,fail=N  soon,fail=P%  now,fail=N  soon,same=N")
    return Rule(now=found[1] == "now", same=found[2] == "same", limit=int(found[3]), share=bool(found[4]))


class Streak:
    """Counts items in a row that failed with one text, or because a service did not answer; `limit` 0 is never."""

    def __init__(self, limit: int) -> None:
        self._limit, self._count, self._last = limit, 0, Outcome(Status.SUCCESS)

    def is_reached(self, outcome: Outcome) -> bool:
        """Take in an outcome, and say whether there are as many as `limit`; then the count begins anew."""
        if outcome.status is Status.SUCCESS:
            self._count = 0
        elif outcome.status in FAILED:
            is_same = outcome.reason == self._last.reason or (
                outcome.refusal is self._last.refusal is Refusal.TRANSIENT
            )
            self._count, self._last = (self._count + 1 if is_same else 1), outcome
        if not self._limit or self._count < self._limit:
            return False
        self._count = 0
        return True


class Halts:
    """Judges each outcome as it is settled. `fail_fast` 0 is never."""

    def __init__(self, fail_fast: int = 0, rule: Rule | None = None) -> None:
        self._fail_fast, self._rule = fail_fast, rule
        self._failed = self._settled = self._in_a_row = 0
        self._has_succeeded = False
        self._last = ""

    def judge(self, outcome: Outcome, standing: Standing) -> Verdict | None:
        """Return why the dispatch stops with this outcome, or None when it goes on."""
        has_failed = outcome.status in FAILED
        self._settled += 1
        self._failed += has_failed
        self._has_succeeded |= outcome.status is Status.SUCCESS
        self._in_a_row = (self._in_a_row + 1 if outcome.reason == self._last else 1) if has_failed else 0
        self._last = outcome.reason if has_failed else ""
        if not has_failed and outcome.refusal is Refusal.NONE:
            return None
        code = 8 if outcome.refusal in {Refusal.TRANSIENT, Refusal.FINAL} else 6
        if outcome.refusal is Refusal.FINAL:
            return Verdict(f"stopped: {outcome.reason}", code, now=False)
        if has_failed and self._fail_fast and self._failed >= self._fail_fast and not self._has_succeeded:
            first = "item failed" if self._failed == 1 else f"{self._failed} items all failed; the last one"
            return Verdict(f"stopped: the first {first}: {outcome.reason}", code, now=True)
        if has_failed and self._rule is not None and self._is_reached(self._rule, standing):
            in_a_row = f"{counted(self._in_a_row, 'failure')} in a row with the same text"
            how = in_a_row if self._rule.same else "too many failures"
            return Verdict(
                f"stopped: {how} ({self._failed} of {self._settled}): {outcome.reason}", code, self._rule.now
            )
        return None

    def _is_reached(self, rule: Rule, standing: Standing) -> bool:
        if rule.same:
            return self._in_a_row >= rule.limit
        if rule.share:
            return (
                self._settled >= min(_LEAST_FOR_SHARE, standing.planned)
                and 100 * self._failed >= rule.limit * self._settled
            )
        return self._failed >= rule.limit
