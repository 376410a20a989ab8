"""What amounts on the command line of a batch mean (P4)."""

from __future__ import annotations

import pytest

from trailblazer.config import load_config
from trailblazer.errors import WordsWrong
from trailblazer.lanes.items.chain import read_lineup
from trailblazer.lanes.items.request import ItemsRequest
from trailblazer.lanes.items.words import read_command, read_limits, read_time_limit
from trailblazer.lanes.orders import TimeLimit

REQUEST = ItemsRequest(command=("true",))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("0.5", 0.5), ("1.5s", 1.5), ("10m", 600), ("2h", 7200), ("1d", 86400)]
)
def test_times(text: str, seconds: float) -> None:
    """A time is a number of seconds, or a number and its unit, with fractions."""
    assert TimeLimit(seconds) == read_time_limit(REQUEST.with_words({"timeout": text}), 60)
    assert seconds == read_limits(REQUEST.with_words({"delay": text}), 1).throttle.delay


@pytest.mark.parametrize(("words", "seconds"), [({}, 3600), ({"timeout": "0"}, None)])
def test_without_a_time_the_configured_limit_applies(words: dict[str, str], seconds: float | None) -> None:
    """Items have the configured time limit by default, and none with 0 (P1)."""
    assert TimeLimit(seconds) == read_time_limit(REQUEST.with_words(words), 60)


@pytest.mark.parametrize("name", ["timeout", "delay", "log_cap", "min_free_memory"])
def test_an_amount_that_no_machine_has_is_refused(name: str) -> None:
    """A time or a size with twenty digits is exit 2, not an overflow in mid-batch."""
    request = REQUEST.with_words({name: "9" * 20})
    with pytest.raises(WordsWrong, match="out of range"):
        (read_limits(request, 1), read_time_limit(request, 60), read_lineup(request, load_config(), 1))


def test_a_multiple_of_the_median() -> None:
    """`1.5x` is a factor and not a time."""
    assert TimeLimit(medians=1.5) == read_time_limit(REQUEST.with_words({"timeout": "1.5x"}), 60)


@pytest.mark.parametrize(("text", "size"), [("500", 500), ("64K", 64 << 10), ("1.5M", 3 << 19), ("2G", 2 << 30)])
def test_sizes(text: str, size: int) -> None:
    """A size is a number of bytes, or a number and a unit of 1024."""
    assert size == read_command(REQUEST.with_words({"log_cap": text}), [], load_config()).log_cap
    assert size == read_limits(REQUEST.with_words({"min_free_memory": text}), 1).throttle.min_free_memory


def test_braces_are_the_item_as_in_other_tools() -> None:
    """`{}` is the item if the command has no double braces."""
    provider = read_command(ItemsRequest(command=("cp", "{}", "{}.bak")), [], load_config())
    assert ("cp", "a b", "a b.bak") == provider.argv({"item": "a b"}, {})
