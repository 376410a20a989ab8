"""When a dispatch stops, compared with what each rule says in plain words (P4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.test_progress import settle
from trailblazer.dispatch.halting import Halts, Streak, read_rule
from trailblazer.errors import WordsWrong
from trailblazer.record.outcomes import Outcome, Refusal, Status
from trailblazer.record.standing import Standing

CODES = st.lists(st.integers(0, 3), max_size=30)  # 0 is a success, another number a reason to fail


def stopped_at(codes: list[int], halts: Halts) -> int | None:
    """Return after how many outcomes a dispatch stops."""
    standing = Standing(len(codes))
    for place, code in enumerate(codes):
        outcome = Outcome(Status.ERROR, f"exit {code}") if code else Outcome(Status.SUCCESS)
        settle(standing, place, outcome.status)
        if halts.judge(outcome, standing) is not None:
            return place + 1
    return None


def first(codes: list[int], holds: object) -> int | None:
    """Return the length of the shortest beginning that ends with a failure and for which `holds` is true."""
    assert callable(holds)
    return next((size for size in range(1, len(codes) + 1) if codes[size - 1] and holds(codes[:size])), None)


@given(codes=CODES, limit=st.integers(1, 6))
def test_fail_fast_is_about_the_first_ones_only(codes: list[int], limit: int) -> None:
    """fail_fast=N stops after N failures, unless an item has succeeded."""
    expected = first(codes, lambda seen: all(seen) and len(seen) >= limit)
    assert expected == stopped_at(codes, Halts(limit))


@given(codes=CODES, limit=st.integers(1, 6), word=st.sampled_from(["soon", "now"]))
def test_a_count_of_failures(codes: list[int], limit: int, word: str) -> None:
    """fail=N stops at the N-th failure."""
    expected = first(codes, lambda seen: sum(map(bool, seen)) >= limit)
    assert expected == stopped_at(codes, Halts(0, read_rule(f"{word},fail={limit}")))


@given(codes=CODES, share=st.integers(1, 100))
def test_a_share_of_failures(codes: list[int], share: int) -> None:
    """fail=P% stops when that share of the settled items has failed, once three items (or all) are settled."""
    expected = first(
        codes,
        lambda seen: len(seen) >= min(3, len(codes)) and 100 * sum(map(bool, seen)) >= share * len(seen),
    )
    assert expected == stopped_at(codes, Halts(0, read_rule(f"soon,fail={share}%")))


@given(codes=CODES, limit=st.integers(1, 4))
def test_the_same_text_in_a_row(codes: list[int], limit: int) -> None:
    """same=N stops when the last N outcomes are failures with one text."""
    expected = first(codes, lambda seen: len(seen) >= limit and len(set(seen[-limit:])) == 1)
    assert expected == stopped_at(codes, Halts(0, read_rule(f"soon,same={limit}")))


def test_a_final_refusal_stops_at_once() -> None:
    """A final refusal of the provider stops the dispatch with exit 8, and running items may finish."""
    verdict = Halts().judge(Outcome(Status.ERROR, "401", Refusal.FINAL), Standing(1))
    assert verdict is not None
    assert (8, False) == (verdict.exit_code, verdict.now)


def test_failures_alike_in_a_row() -> None:
    """One text, or a service that does not answer, so many times in a row; a success or another text begins anew."""
    streak = Streak(3)
    away = [Outcome(Status.ERROR, f"no answer to {number}", Refusal.TRANSIENT) for number in range(3)]
    same, other = Outcome(Status.ERROR, "exit 1"), Outcome(Status.TIMEOUT, "too slow")
    good, skipped = Outcome(Status.SUCCESS), Outcome(Status.SKIPPED, "refused")
    seen = [*away, same, skipped, same, other, same, same, good, same, same, same, same]
    assert [2, 12] == [place for place, outcome in enumerate(seen) if streak.is_reached(outcome)]
    assert not any(Streak(0).is_reached(same) for _ in range(9))


def test_the_reason_to_stop_counts_in_the_singular() -> None:
    """One failure is named as one item, and one failure in a row as one failure."""
    failure, standing = Outcome(Status.ERROR, "exit 1"), Standing(2)
    first, same = Halts(1).judge(failure, standing), Halts(0, read_rule("now,same=1")).judge(failure, standing)
    assert first is not None
    assert same is not None
    assert "stopped: the first item failed: exit 1" == first.why
    assert "stopped: 1 failure in a row with the same text (1 of 1): exit 1" == same.why


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "later,fail=3",
        "soon,fail=0",
        "soon,fail=101%",
        "soon,same=5%",
        "now,fail=-1",
        "soon,fail=" + "9" * 5000,
    ],
)
def test_a_rule_that_cannot_be_read_is_refused(text: str) -> None:
    """A rule that makes no sense is refused before anything runs (exit 2)."""
    with pytest.raises(WordsWrong):
        read_rule(text)
