"""The slots of an account are found by trying; the clock and the service are the test's."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as some

from trailblazer.providers.found_limit import FoundLimit


class Time:
    """A clock that a test turns."""

    now = 0.0

    def __call__(self) -> float:
        """Return the moment."""
        return self.now


class Service(ThreadingHTTPServer):
    """Answers so many requests of a round, and 429 to those behind them."""

    allowed = 4

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.rounds: dict[str, int] = {}

    def ask(self, number: int) -> int:
        """Send one request of a round, and return the status."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.server_port}/{number}", timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


class Answers(BaseHTTPRequestHandler):
    """Counts the requests of each round."""

    server: Service

    def do_GET(self) -> None:
        """Answer 200 or 429."""
        rounds = self.server.rounds
        rounds[self.path] = rounds.get(self.path, 0) + 1
        self.send_response(200 if rounds[self.path] <= self.server.allowed else 429)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    """A service on the loopback address."""
    server = Service()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def _round(limit: FoundLimit, service: Service, number: int) -> int:
    """Use all slots once, and return how many there were."""
    slots = limit.slots
    for _ in range(slots):
        limit.begin()
    for _ in range(slots):
        if service.ask(number) == 200:
            limit.note_good()
        else:
            limit.note_limited()
        limit.end()
    return slots


def test_slots_double_until_the_first_429(service: Service) -> None:
    """1, 2, 4, 8: then the service says no, and a fifth goes."""
    limit = FoundLimit(1, 100, Time())
    assert [1, 2, 4, 8, 6] == [_round(limit, service, number) for number in range(5)]


def test_slots_rise_again_after_a_sustained_limit(service: Service) -> None:
    """A service that stands nothing for an hour, then everything: the slots fall to 1, and rise to the whole again."""
    clock = Time()
    limit = FoundLimit(20, 20, clock)
    service.allowed = 0
    for number in range(240):
        clock.now += 15
        _round(limit, service, number)
    assert 1 == limit.slots
    service.allowed = 1_000
    slots = []
    for number in range(1_000, 1_040):
        clock.now += 15
        slots.append(_round(limit, service, number))
    assert sorted(slots) == slots
    assert 20 == limit.slots


def test_slots_stay_near_a_sustained_limit(service: Service) -> None:
    """A service that stands 4 is asked by 3 to 6 at once, round after round."""
    clock = Time()
    limit = FoundLimit(20, 20, clock)
    slots = []
    for number in range(60):
        clock.now += 15
        slots.append(_round(limit, service, number))
    assert set(slots[20:]) <= {3, 4, 5, 6}
    assert max(slots[20:]) > min(slots[20:])


def test_many_429_at_once_cut_once() -> None:
    """What was asked before a cut says nothing new for 15 s."""
    clock = Time()
    limit = FoundLimit(40, 40, clock)
    for _ in range(20):
        limit.note_limited()
    assert 32 == limit.slots
    clock.now = 15
    limit.note_limited()
    assert 25 == limit.slots


def test_a_server_error_pauses_growth() -> None:
    """A round that ends within 15 s of a 5xx adds nothing; a later one does."""
    clock = Time()
    limit = FoundLimit(1, 8, clock)
    limit.begin()
    limit.note_server_error()
    limit.note_good()
    assert 1 == limit.slots
    clock.now = 15
    limit.note_good()
    assert 2 == limit.slots


def test_a_round_that_was_not_full_does_not_count() -> None:
    """Good answers to one attempt at a time say nothing about four at once."""
    limit = FoundLimit(4, 100, Time())
    for _ in range(40):
        limit.begin()
        limit.note_good()
        limit.end()
    assert 4 == limit.slots


@given(
    some.lists(some.sampled_from(["begin", "good", "limited", "error", "later"]), max_size=200), some.integers(1, 50)
)
def test_whatever_happens_the_slots_stay_in_bounds(steps: list[str], most: int) -> None:
    """There is always one slot, never more than asked for, and one step changes no more than its rule says."""
    clock = Time()
    limit = FoundLimit(2, most, clock)
    for step in steps:
        before = limit.slots
        if step == "begin":
            limit.begin()
        elif step == "later":
            clock.now += 15
        elif step == "error":
            limit.note_server_error()
        elif step == "limited":
            limit.note_limited()
            assert limit.slots in {before, max(1, int(0.8 * before))}
        elif limit.in_use:
            limit.note_good()
            limit.end()
            assert before <= limit.slots <= 2 * before
        assert 1 <= limit.slots <= most
