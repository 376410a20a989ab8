"""What is made ahead comes in order, no further ahead than allowed, and ends with whoever asked for it."""

from __future__ import annotations

import threading

import pytest

from trailblazer.pipeline.making import make_ahead


@pytest.mark.parametrize("ahead", [0, 1, 4, 100])
def test_batches_come_in_order(ahead: int) -> None:
    """Each batch comes with what was made of it, however many are made ahead."""
    assert [(number, number * number) for number in range(10)] == list(make_ahead(range(10), lambda n: n * n, ahead))


@pytest.mark.parametrize("ahead", [0, 3])
def test_no_more_is_made_than_was_allowed(ahead: int) -> None:
    """Whoever stops after the first batch has begun `ahead` others at the most."""
    made: list[int] = []
    batches = make_ahead(range(10), made.append, ahead)
    assert (0, None) == next(batches)
    batches.close()
    assert made == list(range(len(made)))
    assert len(made) <= ahead + 1


def test_an_error_comes_in_the_place_of_its_batch() -> None:
    """The batches before a failure are yielded, and the failure is raised once."""

    def make(number: int) -> int:
        if number == 2:
            raise ValueError("no room")
        return number

    seen = []
    with pytest.raises(ValueError, match="no room"):
        for number, _ in make_ahead(range(10), make, 1):
            seen.append(number)
    assert [0, 1] == seen


@pytest.mark.parametrize(("ahead", "is_same"), [(0, True), (2, False)])
def test_nothing_ahead_is_made_by_the_caller_himself(ahead: int, is_same: bool) -> None:
    """With 0 there is no thread: an interrupt reaches what is being made."""
    threads = [thread for _, thread in make_ahead(range(3), lambda _: threading.get_ident(), ahead)]
    assert is_same == (threads[0] == threading.get_ident())
