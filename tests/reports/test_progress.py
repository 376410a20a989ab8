"""Progress in single lines, and the warning about a stall (P3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailblazer.events import Console
from trailblazer.record.lines import Settled
from trailblazer.record.outcomes import Status
from trailblazer.record.standing import Standing
from trailblazer.reports import progress
from trailblazer.reports.progress import Progress, in_words, percent, progress_line


def settle(standing: Standing, index: int, status: Status) -> None:
    """Give an item an outcome."""
    standing.follow(Settled(item=str(index), index=index, attempt=1, status=status.value))


def standing_of(planned: int, *statuses: Status) -> Standing:
    """Return the standing of a plan whose first items have these outcomes."""
    standing = Standing(planned)
    for index, status in enumerate(statuses):
        settle(standing, index, status)
    return standing


def test_the_progress_line_is_exactly_as_promised() -> None:
    """The progress line has the words and the order of P3."""
    standing = standing_of(50, *[Status.SUCCESS] * 13, *[Status.ERROR] * 2)
    expected = "[Progress] 15/50 completed (30%) | Success: 13/15 (87%) | Errors: 2 | Timeouts: 0 | Runtime: 5m 32s"
    assert expected == progress_line(standing, 332.4)


def test_a_cancelled_item_is_not_completed() -> None:
    """An item that was ended, or never run, does not count as completed."""
    standing = standing_of(4, Status.SUCCESS, Status.TIMEOUT, Status.CANCELLED, Status.CANCELLED)
    assert "2/4 completed (50%) | Success: 1/2 (50%) | Errors: 0 | Timeouts: 1" in progress_line(standing, 0)


@given(outcomes=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(Status)), max_size=40))
def test_an_item_counts_once_with_its_newest_outcome(outcomes: list[tuple[int, Status]]) -> None:
    """The counts are those of the newest outcome of each item, also when an item is settled again (P6)."""
    standing, newest = Standing(10), dict[int, Status]()
    for index, status in outcomes:
        settle(standing, index, status)
        newest[index] = status
    good = sum(status in {Status.SUCCESS, Status.UNCHANGED} for status in newest.values())
    completed = sum(status is not Status.CANCELLED for status in newest.values())
    assert (len(newest), 10 - len(newest), good) == (standing.settled, standing.unrun, standing.good)
    assert progress_line(standing, 0).startswith(
        f"[Progress] {completed}/10 completed ({10 * completed}%) | Success: {good}/"
    )


@given(part=st.integers(0, 10**6), more=st.integers(0, 10**6))
def test_percents_are_rounded_half_up(part: int, more: int) -> None:
    """A percentage is never off by more than a half, but 100 is said of all alone: 1,699 of 1,700 is 99 %."""
    whole = part + more
    found = percent(part, whole)
    assert (found == 100) is (part == whole > 0)
    assert not whole or found == 99 or -0.5 < 100 * part / whole - found + 1e-9 <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.9, "0s"), (59.9, "59s"), (60, "1m 00s"), (3599, "59m 59s"), (7500, "2h 05m")]
)
def test_durations_are_for_people(seconds: float, expected: str) -> None:
    """A duration is in seconds, in minutes and seconds, or in hours and minutes."""
    assert expected == in_words(seconds)


def test_a_stall_is_one_warning_each_time(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one warning while nothing completes, and another one only after something has completed (P3)."""
    shown = Progress(Console(), interval=0)
    standing = standing_of(5)
    shown.show(standing)
    assert "" == capsys.readouterr().err
    monkeypatch.setattr(progress, "STALL_SECONDS", 0.0)
    for _ in range(3):
        shown.show(standing)
    assert 1 == capsys.readouterr().err.count("Warning: nothing has completed for 0s")
    settle(standing, 0, Status.SUCCESS)
    for _ in range(3):
        shown.show(standing)
    assert 1 == capsys.readouterr().err.count("Warning")


def test_the_interval_0_shows_the_last_line_only(capsys: pytest.CaptureFixture[str]) -> None:
    """With the interval 0 only the last progress line is shown (P3)."""
    shown = Progress(Console(), interval=0)
    for _ in range(3):
        shown.show(standing_of(1, Status.SUCCESS))
    shown.end(standing_of(1, Status.SUCCESS))
    assert 1 == capsys.readouterr().err.count("[Progress]")


def test_skipped_items_have_a_count_of_their_own() -> None:
    """Skipped items are counted, and do not lower the share of successes."""
    standing = standing_of(4, Status.SUCCESS, Status.SKIPPED, Status.SKIPPED, Status.SUCCESS)
    assert "4/4 completed (100%) | Success: 2/2 (100%) | Errors: 0" in progress_line(standing, 0)
    assert "| Timeouts: 0 | Skipped: 2 | Runtime" in progress_line(standing, 0)
