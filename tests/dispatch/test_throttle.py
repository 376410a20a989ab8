"""When the next item may start (P1)."""

from __future__ import annotations

import os
import threading
import time

import pytest

from trailblazer.dispatch.throttle import Throttle, available_memory


def test_without_limits_nothing_waits() -> None:
    """Without a limit every item starts at once, also the hundredth."""
    throttle, stopping = Throttle(), threading.Event()
    for _ in range(100):
        throttle.wait(stopping)


@pytest.mark.parametrize("throttle", [Throttle(max_load=-1), Throttle(min_free_memory=1 << 60), Throttle(delay=600)])
def test_a_start_waits_for_a_strained_machine_until_the_dispatch_stops(throttle: Throttle) -> None:
    """Nothing starts while a limit is not met, and the wait ends when the dispatch stops."""
    throttle._next = time.monotonic() + throttle.delay
    stopping = threading.Event()
    waiting = threading.Thread(target=throttle.wait, args=(stopping,))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    stopping.set()
    waiting.join(30)
    assert not waiting.is_alive()


def test_available_memory_is_what_the_kernel_says() -> None:
    """The available memory is more than nothing and less than the machine has."""
    assert 0 < available_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
