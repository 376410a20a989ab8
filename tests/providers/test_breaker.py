"""One provider: open, or closed until a moment. The clock is the test's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from trailblazer.providers.answers import Kind
from trailblazer.providers.breaker import OF_THE_PROVIDER, Breaker, Pass, Pauses
from trailblazer.providers.failure_codes import Cause

PAUSES = Pauses(refused=600, quota=3600, unreachable=60, unreachable_after=3)
DAY = 86400.0


class Time:
    """A clock that a test turns."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """Return the moment."""
        return self.now


def _breaker() -> tuple[Breaker, Time]:
    clock = Time()
    return Breaker(PAUSES, clock), clock


def _granted(breaker: Breaker) -> Pass:
    granted = breaker.begin()
    assert granted is not None
    return granted


def _after_the_pause(breaker: Breaker, clock: Time) -> Pass:
    """Turn the clock to the end of the pause, and return the pass of the probe."""
    assert breaker.closure is not None
    assert breaker.closure.until is not None
    clock.now = breaker.closure.until
    assert breaker.is_due
    breaker.allow_probe()
    return _granted(breaker)


@pytest.mark.parametrize(
    ("kind", "cause", "seconds"),
    [
        (Kind.AUTH, Cause.NOT_LOGGED_IN, 600),
        (Kind.BILLING, Cause.NO_CREDIT, 600),
        (Kind.MODEL, Cause.MODEL_MISSING, 600),
        (Kind.QUOTA, Cause.QUOTA, 3600),
    ],
)
def test_a_refusal_closes_at_once(kind: Kind, cause: Cause, seconds: float) -> None:
    """A provider that is not logged in, has no credit, model or quota takes no attempts for its pause."""
    breaker, clock = _breaker()
    breaker.end(_granted(breaker), kind, "no")
    assert breaker.closure is not None
    assert (cause, clock.now + seconds) == (breaker.closure.cause, breaker.closure.until)
    assert breaker.begin() is None


@pytest.mark.parametrize(("resets_in", "closed_for"), [(7200, 7200), (5, 60), (-300, 60), (30 * DAY, 8 * DAY)])
def test_a_reset_is_believed_within_bounds(resets_in: float, closed_for: float) -> None:
    """A quota lasts until it resets: at least 60 s and at most 8 days, whatever the hint says."""
    breaker, clock = _breaker()
    breaker.end(_granted(breaker), Kind.QUOTA, "spent", clock.now + resets_in)
    assert breaker.closure is not None
    assert clock.now + closed_for == breaker.closure.until


def test_two_that_fail_at_the_same_time_close_once() -> None:
    """The second failure is of an attempt that began before the switch: it does not make the pause longer."""
    breaker, clock = _breaker()
    first, second = _granted(breaker), _granted(breaker)
    breaker.end(first, Kind.AUTH, "no")
    closure, clock.now = breaker.closure, clock.now + 100
    breaker.end(second, Kind.AUTH, "no")
    assert closure is breaker.closure


def test_a_burst_counts_once() -> None:
    """Ten attempts that are limited at the same time are one sign, not ten in a row."""
    breaker, _ = _breaker()
    for one in [_granted(breaker) for _ in range(10)]:
        breaker.end(one, Kind.RATE, "429")
    assert breaker.closure is None


def test_three_in_a_row_close() -> None:
    """Attempts one after another that were not served close the provider for 60 s; a good one begins the count anew."""
    breaker, clock = _breaker()
    for kind in (Kind.TRANSIENT, Kind.RATE, Kind.OK, Kind.TRANSIENT, Kind.TRANSIENT):
        breaker.end(_granted(breaker), kind)
    assert breaker.closure is None
    breaker.end(_granted(breaker), Kind.RATE, "429")
    assert breaker.closure is not None
    assert (Cause.UNREACHABLE, clock.now + 60) == (breaker.closure.cause, breaker.closure.until)


def test_one_probe_opens() -> None:
    """After the pause one attempt goes through, and no second one beside it; its good answer opens the provider."""
    breaker, clock = _breaker()
    breaker.end(_granted(breaker), Kind.AUTH, "no")
    probe = _after_the_pause(breaker, clock)
    assert breaker.begin() is None
    breaker.end(probe, Kind.OK)
    assert breaker.closure is None


def test_a_probe_that_says_nothing_is_made_again() -> None:
    """A probe that was ended leaves the provider closed, and the next attempt is a probe."""
    breaker, clock = _breaker()
    breaker.end(_granted(breaker), Kind.AUTH, "no")
    breaker.end(_after_the_pause(breaker, clock), Kind.STOPPED)
    assert breaker.closure is not None
    assert _granted(breaker).is_probe


def test_the_pause_doubles_until_a_probe_is_good() -> None:
    """600 s, 1,200 s, 2,400 s; after a good probe 600 s again."""
    breaker, clock = _breaker()
    seen = []
    breaker.end(_granted(breaker), Kind.AUTH, "no")
    for kind in (Kind.AUTH, Kind.AUTH, Kind.OK):
        assert breaker.closure is not None
        assert breaker.closure.until is not None
        seen.append(breaker.closure.until - clock.now)
        breaker.end(_after_the_pause(breaker, clock), kind, "no")
    breaker.end(_granted(breaker), Kind.AUTH, "no")
    assert breaker.closure is not None
    assert breaker.closure.until is not None
    assert [600, 1200, 2400, 600] == [*seen, breaker.closure.until - clock.now]


def test_a_spent_budget_closes_for_the_rest() -> None:
    """Nothing opens a provider whose budget is spent."""
    breaker, clock = _breaker()
    breaker.close(Cause.BUDGET, "spent")
    clock.now += 365 * DAY
    assert not breaker.is_due
    assert breaker.begin() is None


@given(some.lists(some.tuples(some.sampled_from([*Kind, "begin", "later"]), some.floats(1, 10 * DAY)), max_size=60))
def test_whatever_happens_the_breaker_keeps_its_word(steps: list[tuple[Kind | str, float]]) -> None:
    """Closed means no pass but one probe's, for 60 s to 8 days; only a provider's own failure closes it."""
    breaker, clock = _breaker()
    running: list[Pass] = []
    for step, amount in steps:
        before = breaker.closure
        if step == "later":
            clock.now += amount
            if breaker.is_due:
                breaker.allow_probe()
        elif step == "begin":
            granted = breaker.begin()
            running += [granted] if granted else []
            assert granted is None or granted.is_probe == (before is not None)
        elif running:
            kind = Kind(step)
            breaker.end(running.pop(0), kind, "why", clock.now + amount)
            if breaker.closure is not before and breaker.closure is not None:
                assert kind in OF_THE_PROVIDER
                assert breaker.closure.until is not None
                assert clock.now + 60 <= breaker.closure.until <= clock.now + 8 * DAY
        probes = [one for one in running if one.is_probe and one.era == breaker._era]
        assert len(probes) <= 1
