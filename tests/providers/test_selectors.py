"""Where values stand in events: paths, conditions, what is taken, and how events are found in an output."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailblazer.providers.selectors import Gathering, events_in, read_selectors, read_where, values_at

EVENT = {
    "type": "result",
    "ok": True,
    "code": 404,
    "nothing": None,
    "text": "You have hit the limit",
    "models": {"a": {"tokens": 3}, "b": {"tokens": 4}, "c": "odd"},
    "errors": ["first", "second"],
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("type", ["result"]),
        ("models.*.tokens", [3, 4]),
        ("errors.0", ["first"]),
        ("errors.*", ["first", "second"]),
        ("errors.7", []),
        ("errors.x", []),
        ("type.x.y", []),
        ("nothing", []),
        ("missing", []),
    ],
)
def test_a_path_leads_to_values(path: str, expected: list[Any]) -> None:
    """A step is a key, a place in a list, or a star for every value; null and what is missing are no values."""
    assert expected == values_at(EVENT, tuple(path.split(".")))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, True),
        ({"type": "result", "code": 404}, True),
        ({"type": "result", "code": 405}, False),
        ({"code": [401, 404.0]}, True),
        ({"ok": True}, True),
        ({"ok": 1}, False),
        ({"code": True}, False),
        ({"code": 10**30}, False),
        ({"errors.0": {"exists": True}}, True),
        ({"errors.2": {"exists": True}}, False),
        ({"nothing": {"exists": False}}, True),
        ({"text": {"starts": ["We", "You have"]}}, True),
        ({"text": {"starts": "have"}}, False),
        ({"text": {"has": "hit the"}}, True),
        ({"code": {"has": "404"}}, False),
        ({"models.*.tokens": 4}, True),
    ],
)
def test_conditions(where: dict[str, Any], expected: bool) -> None:
    """All conditions must hold, each for one of the values at its path; true is not 1, and a number is no text."""
    assert expected is read_where(where).holds(EVENT)


@pytest.mark.parametrize(
    ("take", "expected"), [("first", [1]), ("last", [4]), ("all", [1, 2, "x", 4]), ("sum", [7]), (None, [4])]
)
def test_what_is_taken(take: str | None, expected: list[Any]) -> None:
    """First, last, all, or the sum of the numbers, over all events that count."""
    selectors = read_selectors({"where": {"type": "n"}, "path": "v.*"} | ({"take": take} if take else {}))
    gathering = Gathering(selectors)
    for event in ({"type": "n", "v": [1, 2]}, {"type": "other", "v": [9]}, {"type": "n", "v": ["x", 4]}, {"type": "n"}):
        gathering.see(event)
    assert expected == gathering.values(selectors)


def test_the_first_place_with_something_counts() -> None:
    """Of several paths the first that has a value, of several places the first that found something."""
    selectors = read_selectors([{"path": "nowhere"}, {"path": ["missing", "code", "type"]}])
    gathering = Gathering(selectors)
    gathering.see(EVENT)
    assert [404] == gathering.values(selectors)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (b'{"a":1}\nnoise\n[1]\n{"a":2}\r\n{"a":', [{"a": 1}, {"a": 2}]),
        (b'{\n  "a": [\n{}\n  ]\n}\n', [{"a": [{}]}]),
        (b'Loading...\n{\n  "a": {\n    "b": 1\n  }\n}\n', [{"a": {"b": 1}}]),
        (b'[{"a":1},7,{"a":2}]', [{"a": 1}, {"a": 2}]),
        (b'{"a":"\xff"}\n{"a":"\\ud83d"}', [{"a": "\ufffd"}, {"a": "\ufffd"}]),
        (b'{"a":"\\ud83d","b":"\\ud83d\\ude00 \\\\ud83d"}', [{"a": "\ufffd", "b": "😀 \\ud83d"}]),
        (b"", []),
        (b"{", []),
    ],
)  # fmt: skip
def test_events_are_found(printed: bytes, expected: list[Any]) -> None:
    """Objects are found one a line, as one document, and behind noise; half a character does not lose its event."""
    assert expected == list(events_in(printed))


@given(st.binary(max_size=300) | st.text(alphabet='{}[]",:\\ud8a0\n', max_size=60).map(str.encode))
def test_any_bytes_are_an_output(printed: bytes) -> None:
    """Whatever is printed, what is found are objects that can be printed again as UTF-8."""
    for event in events_in(printed):
        assert isinstance(event, dict)
        assert json.dumps(event, ensure_ascii=False).encode()


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "1" * 5000, '{"a":1e999}'])
def test_no_depth_and_no_length_is_followed(text: str) -> None:
    """Nesting of 200,000 brackets and numbers that no machine holds are no events."""
    assert [] == list(events_in(text.encode()))
