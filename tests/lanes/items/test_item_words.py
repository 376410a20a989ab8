"""What amounts on the command line of a batch mean (P4)."""

from __future__ import annotations

import pytest

from trailblazer.lanes.items.words import UNSAID, read_limits, read_task

HOW = {**UNSAID, "command": ["true"], "max_workers": 1}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("0.5", 0.5), ("1.5s", 1.5), ("10m", 600), ("2h", 7200), ("1d", 86400)]
)
def test_times(text: str, seconds: float) -> None:
    """A time is seconds, or a number and its unit; parts of a second are not lost."""
    assert seconds == read_task({**HOW, "timeout": text}).limit_seconds
    assert seconds == read_limits({**HOW, "delay": text}).throttle.delay


def test_a_multiple_of_the_median() -> None:
    """`1.5x` is no time but a factor."""
    task = read_task({**HOW, "timeout": "1.5x"})
    assert (None, 1.5) == (task.limit_seconds, task.limit_medians)


@pytest.mark.parametrize(("text", "size"), [("500", 500), ("64K", 64 << 10), ("1.5M", 3 << 19), ("2G", 2 << 30)])
def test_sizes(text: str, size: int) -> None:
    """A size is bytes, or a number and its unit of 1024."""
    assert size == read_task({**HOW, "log_cap": text}).log_cap
    assert size == read_limits({**HOW, "min_free_memory": text}).throttle.min_free_memory
