"""The line that says how a plan stands (P3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from trailblazer.events import Words
from trailblazer.outcomes import Outcome, Standing, Status
from trailblazer.progress import Progress, in_words, percent, progress_line


def _standing(planned: int, **counts: int) -> Standing:
    standing = Standing(planned)
    statuses = [status for status in Status for _ in range(counts.get(status.value, 0))]
    for index, status in enumerate(statuses):
        standing.settle(index, Outcome(status))
    return standing


def test_the_line_is_the_one_that_was_promised() -> None:
    """P3: the example of the requirements, letter for letter."""
    standing = _standing(50, success=12, unchanged=1, error=2)
    expected = "[Progress] 15/50 completed (30%) | Success: 13/15 (87%) | Errors: 2 | Timeouts: 0 | Runtime: 5m 32s"
    assert expected == progress_line(standing, 332.9)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (59.99, "59s"),
        (60, "1m 00s"),
        (3599, "59m 59s"),
        (3600, "1h 00m"),
        (7500, "2h 05m"),
        (360000, "100h 00m"),
    ],
)
def test_a_duration_is_in_words(seconds: float, words: str) -> None:
    """P3: seconds, minutes and hours, in whole numbers."""
    assert words == in_words(seconds)


@pytest.mark.parametrize(
    ("part", "whole", "share"), [(0, 0, 0), (0, 7, 0), (7, 7, 100), (1, 200, 1), (1, 201, 0), (1, 3, 33), (2, 3, 67)]
)
def test_a_share_is_rounded_half_up(part: int, whole: int, share: int) -> None:
    """P3: whole percents; nothing of nothing is 0."""
    assert share == percent(part, whole)


@given(some.lists(some.tuples(some.integers(0, 9), some.sampled_from(Status)), max_size=40), some.floats(0, 10**6))
def test_the_counts_always_agree(outcomes: list[tuple[int, Status]], seconds: float) -> None:
    """P6: an item counts once, with its newest outcome, however often it is settled."""
    standing, newest = Standing(10), dict[int, Status]()
    for index, status in outcomes:
        standing.settle(index, Outcome(status))
        newest[index] = status
    line = progress_line(standing, seconds)
    good = sum(status in {Status.SUCCESS, Status.UNCHANGED} for status in newest.values())
    assert (len(newest), 10 - len(newest), good) == (standing.settled, standing.unrun, standing.good)
    assert f"[Progress] {len(newest)}/10 completed ({10 * len(newest)}%) | Success: {good}/{len(newest)} (" in line
    errors, timeouts = (list(newest.values()).count(status) for status in (Status.ERROR, Status.TIMEOUT))
    assert f" | Errors: {errors} | Timeouts: {timeouts} | Runtime: {in_words(seconds)}" in line


def test_elsewhere_than_on_a_terminal_lines_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """P3, G3: an interval of 0 shows the last line alone, and without a terminal nothing is drawn over."""
    progress = Progress(Words(), interval=0)
    progress.look(_standing(2))
    progress.say("in between")
    progress.end(_standing(2, success=2))
    first, last = capsys.readouterr().err.splitlines()
    shown = progress_line(_standing(2, success=2), 0).partition("Runtime")[0]
    assert ("in between", shown) == (first, last.partition("Runtime")[0])
