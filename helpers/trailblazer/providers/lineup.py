"""The providers of a dispatch in the order of their chain: which of them makes the next attempt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from trailblazer.errors import GateClosed, ServiceDown
from trailblazer.plain import one_line
from trailblazer.providers.answers import Answer, Kind
from trailblazer.providers.breaker import OF_THE_PROVIDER, Closure, Pass
from trailblazer.providers.budget import Spent
from trailblazer.providers.chain import Choice
from trailblazer.providers.failure_codes import Cause
from trailblazer.providers.preflight import check_provider
from trailblazer.providers.seats import Listener, Member, OnQuota, Rules, Seat, Turn, ignore, refusal_of
from trailblazer.record.admission import WIDE, Room, Switch, To
from trailblazer.record.outcomes import Again, Outcome, Status, Usage

MOST_RATE_TRIES = 10  # of one item: a request that is too large for the account is answered 429 for ever
LONGEST_BACK_OFF = 60.0


class Lineup:
    """One for each dispatch, shared by its slots. A lineup of one command that is no agent lets everything through."""

    def __init__(self, seats: Sequence[Seat], rules: Rules, clock: Callable[[], float] = time.time) -> None:
        self.members = tuple(Member(seat, place, rules, clock) for place, seat in enumerate(seats))
        self.is_plain = all(seat.is_command for seat in seats)
        self._rules, self._clock = rules, clock
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._current = first = self.members[0]
        self._always = Turn(first, first.command, -1, Pass(0, 0, is_probe=False), "", {}) if self.is_plain else None
        self._listener: Listener | None = None
        self._early: list[Switch | str] = []  # what happened before anybody listened
        self._spent = Spent()
        self._unserved: dict[int, int] = {}
        self._spent_on: dict[int, float] = {}

    # -- before the dispatch, and around it ----------------------------------------------------------------------

    def check(self) -> None:
        """Preflight the chain in its order until one can work, for free.

        When none can, this raises ServiceDown (exit 8) with a line for each, or GateClosed (exit 5) where none is
        installed. A quota that is to be waited for is no refusal.
        """
        if self.is_plain:
            return
        self._look_for_work()
        closures = [member.breaker.closure for member in self.members]
        if all(closure is not None and closure.cause is Cause.NOT_INSTALLED for closure in closures):
            names = ", ".join(dict.fromkeys(member.seat.provider.program for member in self.members))
            raise GateClosed(f"there is no {names} on the PATH", "Install it, or choose another --provider.")
        self.room()

    def choice(self) -> Choice | None:
        """Return who would make the next attempt, and why not the first, as far as is known; it asks nobody."""
        with self._lock:
            member = next((one for one in self._in_turn() if one.is_checked and one.breaker.is_free), None)
            return None if member is None else Choice(member.name, self._fallback(member), ())

    def listen(self, listener: Listener) -> None:
        """Tell somebody what happens from now on, and what happened until now."""
        with self._lock:
            self._listener = listener
            self._spent.add(listener.spent)
            for member in self.members:
                member.spent.add(listener.spent_by.get(member.name, {}))
            early, self._early = self._early, []
        for one in early:
            self._tell(one)

    def widen(self, slots: int) -> None:
        """Allow so many attempts at once at each provider."""
        with self._lock:
            for member in self.members:
                member.limit.resize(slots)

    def close(self) -> None:
        """End a preflight that runs."""
        self._over.set()

    def _tell(self, what: Switch | str) -> None:
        if self._listener is None:
            self._early.append(what)
        elif isinstance(what, Switch):
            self._listener.switched(what)
        else:
            self._listener.say(what)

    # -- whether another attempt may start -----------------------------------------------------------------------

    def overspent(self) -> str:
        """Return in words that the budget of the dispatch is spent; empty while it is not."""
        return self._spent.reaches(self._rules.budget.dispatch)

    def room(self) -> Room:
        """Return how many attempts may run at once. ServiceDown: none is open, and there is nothing to wait for.

        It asks the preflight of a provider whose turn it is, which may take as long as that preflight may.
        """
        if self.is_plain:
            return WIDE
        at_work = self._look_for_work()
        with self._lock:
            in_use = sum(member.limit.in_use for member in self.members)
            if at_work is not None:
                probes = sum(1 for one in self._in_turn() if one.breaker.closure is not None and one.breaker.is_free)
                free = 0 if at_work.breaker.closure else max(0, at_work.limit.slots - at_work.limit.in_use)
                slots, limited = in_use + probes + free, sum(member.limit.limited for member in self.members)
                found = at_work.limit.slots if at_work.limit.limited else 0
                reason = f"{at_work.name}: {at_work.limit.slots} at once"
                return Room(slots, reason, name=at_work.name, limited=limited, found=found)
            if in_use:
                return Room(in_use, "every provider is closed")
            return self._wait_or_stop()

    def _look_for_work(self) -> Member | None:
        """Return the first provider that takes attempts now; those before it are asked when their pause is over."""
        for member in self._in_turn():
            if not member.is_checked or member.breaker.is_due:
                self._ask(member)
            if member.breaker.closure is None:
                return member
        return next((member for member in self._in_turn() if member.breaker.is_free), None)

    def _in_turn(self) -> Iterator[Member]:
        """Yield the providers in order, up to the one whose quota is waited for."""
        for member in self.members:
            yield member
            closure = member.breaker.closure
            if closure is not None and closure.cause is Cause.QUOTA and self._rules.on_quota is OnQuota.WAIT:
                return

    def _ask(self, member: Member) -> None:
        """Preflight a provider: once a dispatch, and again before a probe."""
        health = check_provider(
            member.seat.provider, model=member.seat.model, log=self._tell if not member.is_checked else ignore,
            over=self._over,
        )  # fmt: skip
        cause, reason, resets_at = refusal_of(health, self._clock())
        with self._lock:
            if not member.is_checked:
                member.command, member.version = member.command.for_version(health.version), health.version
            was_checked, member.is_checked = member.is_checked, True
            before = member.breaker.closure
            if cause is not None:
                member.breaker.close(cause, reason, resets_at)
            elif was_checked:
                member.breaker.allow_probe()
        self._tell_change(member, before)

    def _wait_or_stop(self) -> Room:
        """Return for whom everything waits; with nobody to wait for raise ServiceDown with a line for each."""
        waited = [(closure.until, member.name, closure.reason) for member in self._in_turn()
                  if (closure := member.breaker.closure) is not None and closure.until is not None
                  and self._is_waited_for(closure)]  # fmt: skip
        if waited:
            until, name, reason = min(waited)
            return Room(0, reason, until, name)
        names = ", ".join(member.name for member in self.members)
        lines = [f"{member.name}: {member.breaker.closure.reason}" for member in self.members if member.breaker.closure]
        if any(member.breaker.closure and member.breaker.closure.cause is Cause.QUOTA for member in self.members):
            lines.append("To wait until the quota resets: --wait-for-quota.")
        raise ServiceDown(f"no provider is available: {names}", "\n".join(lines))

    def _is_waited_for(self, closure: Closure) -> bool:
        if closure.cause is Cause.QUOTA:
            return self._rules.on_quota is OnQuota.WAIT
        is_short = closure.until is not None and closure.until - self._clock() <= self._rules.pauses.refused
        return closure.cause is Cause.UNREACHABLE and is_short

    # -- attempts ------------------------------------------------------------------------------------------------

    def take(self, item: int) -> Turn | None:
        """Return whose turn an attempt at an item (its index) is; None when every provider closed meanwhile."""
        if self._always is not None:
            return self._always
        with self._lock:
            for member in self._in_turn():
                granted = member.breaker.begin() if member.is_checked else None
                if granted is None:
                    continue
                member.limit.begin()
                fallback = self._fallback(member)
                turn = Turn(member, member.command, item, granted, fallback, self._words(item))
                switch = self._moved_to(member, granted, fallback)
                break
            else:
                return None
        if switch is not None:
            self._tell(switch)
        return turn

    def take_again(self, item: int, name: str) -> Turn:
        """Return the turn of an attempt that an earlier process began with a provider, and that still runs."""
        with self._lock:
            member = next(member for member in self.members if member.name == name)
            member.limit.begin()
            granted = member.breaker.begin() or Pass(0, -1, is_probe=False)
            return Turn(member, member.command, item, granted, "", {})

    def _fallback(self, member: Member) -> str:
        first = self.members[0]
        if member is first or first.breaker.closure is None:
            return ""
        return f"{first.name} unavailable: {first.breaker.closure.reason}"

    def _moved_to(self, member: Member, granted: Pass, fallback: str) -> Switch | None:
        if member is self._current or granted.is_probe:
            return None
        self._current = member
        return Switch(member.name, To.FALLBACK, f"fallback ({fallback})") if fallback else None

    def _words(self, item: int) -> dict[str, str]:
        cap = self._rules.budget.item_cost_usd
        return {} if cap is None else {"budget_usd": f"{max(0.0001, cap - self._spent_on.get(item, 0.0)):.4f}"}

    def end(self, turn: Turn, outcome: Outcome, answer: Answer | None) -> Again | None:
        """Take in what an attempt came to, and return Again where the provider is to blame and the item is not.

        Without an answer nothing is said about the provider. An item that a provider did not serve again and again, as
        no other item, is to blame itself.
        """
        if self.is_plain:
            return None
        member, kind, reason, resets_at = turn.member, None, outcome.reason, None
        if answer is not None and outcome.status is not Status.CANCELLED:
            kind, resets_at = answer.kind, answer.resets_at
            reason = answer.reason.removeprefix(f"{turn.name}: ") or reason
        with self._lock:
            before = member.breaker.closure
            self._spend(turn, outcome.usage)
            self._note(member, kind)
            member.limit.end()
            member.breaker.end(turn.granted, kind, reason, resets_at)
            over = member.spent.reaches(self._rules.budget.provider)
            if over and (before is None or before.cause is not Cause.BUDGET):
                member.breaker.close(Cause.BUDGET, f"its budget: {over}")
            is_good = outcome.status is Status.SUCCESS
            again = None if is_good else self._again(turn, kind, f"{turn.name}: {reason}", outcome.usage)
        self._tell_change(member, before)
        return again

    def _spend(self, turn: Turn, usage: Usage) -> None:
        self._spent.add(usage)
        turn.member.spent.add(usage)
        if self._rules.budget.item_cost_usd is not None and "costUSD" in usage:
            self._spent_on[turn.item] = self._spent_on.get(turn.item, 0.0) + usage["costUSD"]

    def _note(self, member: Member, kind: Kind | None) -> None:
        if kind is Kind.RATE:
            member.limit.note_limited()
        elif kind is Kind.TRANSIENT:
            member.limit.note_server_error()
        elif kind in {Kind.OK, Kind.REFUSED, Kind.CAPPED}:
            member.limit.note_good()

    def _again(self, turn: Turn, kind: Kind | None, reason: str, usage: Usage) -> Again | None:
        if kind not in OF_THE_PROVIDER:
            self._unserved.pop(turn.item, None)
            return None
        if kind not in {Kind.RATE, Kind.TRANSIENT}:
            return Again(0.0, reason, usage, turn.name)
        tries = self._unserved[turn.item] = self._unserved.get(turn.item, 0) + 1
        most = MOST_RATE_TRIES if kind is Kind.RATE else self._rules.pauses.unreachable_after
        if tries > most:
            return None
        after = min(self._rules.back_off_seconds * 2.0 ** (tries - 1), LONGEST_BACK_OFF)
        return Again(after, reason, usage, turn.name)

    def is_past_its_cap(self, item: int) -> bool:
        """Say whether an item has spent what an item may."""
        cap = self._rules.budget.item_cost_usd
        return cap is not None and self._spent_on.get(item, 0.0) >= cap

    def _tell_change(self, member: Member, before: Closure | None) -> None:
        after = member.breaker.closure
        if after is before:
            return
        if after is None:
            self._tell(Switch(member.name, To.OPENED, "a probe was answered"))
        else:
            self._tell(Switch(member.name, To.CLOSED, one_line(after.reason, 200), after.until))
