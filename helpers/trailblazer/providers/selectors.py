"""Where a value stands in the JSON that a program prints: events, conditions on them, and what is taken from them."""

from __future__ import annotations

import functools
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from trailblazer.schemas import refuse_deep

Path = tuple[str, ...]  # the steps of a dotted path; `*` is every value of an object or a list

# JavaScript writes half a character as a lone \ud83d, which JSON readers refuse: whole pairs and \\ stay as they are.
_ESCAPES = re.compile(
    r"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_DOT = re.compile(r"(?<!\\)\.")
_MOST_MENDED = 8 << 20  # bytes; a longer text that is not quite JSON is not JSON


def parse(text: bytes) -> Any:
    """Return what a JSON text holds, with what is no Unicode replaced; None where it is no JSON, or nested deeply."""
    try:
        return _loads(text)
    except ValueError:
        if len(text) > _MOST_MENDED or (text.isascii() and b"\\u" not in text):
            return None
    try:
        return _loads(_ESCAPES.sub(lambda found: found[1] or "\\ufffd", text.decode("utf-8", "replace")).encode())
    except ValueError:
        return None


def _loads(text: bytes) -> Any:
    value = orjson.loads(text)
    refuse_deep(value, text.count(b"[") + text.count(b"{"))
    return value


def events_in(printed: bytes) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of an output: one a line, or one document behind whatever else was printed.

    Lines that are no JSON object are passed over. The time is linear in the length.
    """
    try:
        yield from _objects(_loads(printed))
        return
    except ValueError:
        pass
    nothing = True
    for line in io.BytesIO(printed):
        if line.startswith(b"{") and line.rstrip().endswith(b"}"):
            for event in _objects(parse(line)):
                nothing = False
                yield event
    if nothing:
        yield from document_at_end(printed)


def document_at_end(printed: bytes) -> Iterator[dict[str, Any]]:
    """Yield the one JSON object that an output ends with: it begins at the last `{` that begins a line."""
    start = printed.rfind(b"\n{") + 1
    if printed.startswith(b"{", start):
        yield from _objects(parse(printed[start:]))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    yield from (part for part in (value if isinstance(value, list) else [value]) if isinstance(part, dict))


def read_path(written: str) -> Path:
    """Return the steps of a dotted path; a dot that belongs to a key has a backslash before it."""
    return tuple(step.replace("\\.", ".") for step in _DOT.split(written))


def values_at(document: Any, path: Path) -> list[Any]:
    """Return the values that stand at a path; null counts as not there."""
    if len(path) == 1 and path[0] != "*" and isinstance(document, dict):  # most paths; this is asked for every event
        value = document.get(path[0])
        return [] if value is None else [value]
    found = [document]
    for step in path:
        below: list[Any] = []
        for value in found:
            if isinstance(value, dict):
                below += value.values() if step == "*" else [value[step]] if step in value else []
            elif isinstance(value, list):
                below += value if step == "*" else value[int(step) :][:1] if step.isdecimal() else []
        found = below
    return [value for value in found if value is not None]


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions on an event; all of them must hold, each for at least one of the values at its path."""

    conditions: tuple[tuple[Path, Callable[[list[Any]], bool]], ...]

    def holds(self, event: Any) -> bool:
        """Return whether the event meets every condition."""
        for path, holds in self.conditions:  # noqa: SIM110 - a loop takes half of the time of all()
            if not holds(values_at(event, path)):
                return False
        return True


def read_where(written: Mapping[str, Any]) -> Where:
    """Return the conditions that a mapping from dotted paths to what is wanted there means."""
    return _read_where(json.dumps(written))


@functools.cache
def _read_where(written: str) -> Where:
    """Return one and the same object for the same conditions, so that an event is held against them once."""
    return Where(tuple((read_path(path), _condition(wanted)) for path, wanted in json.loads(written).items()))


def _condition(wanted: Any) -> Callable[[list[Any]], bool]:
    """Return the test for: a value, a list of values, {exists: bool}, {starts: TEXTS} or {has: TEXTS}."""
    if isinstance(wanted, str):
        return lambda found: wanted in found
    if not isinstance(wanted, dict):
        accepted = _listed(wanted)
        return lambda found: any(_same(value, one) for value in found for one in accepted)
    [(word, operand)] = wanted.items()
    if word == "exists":
        return lambda found: bool(found) is operand
    parts = tuple(_listed(operand))
    if word == "starts":
        return lambda found: any(isinstance(value, str) and value.startswith(parts) for value in found)
    return lambda found: any(isinstance(value, str) and part in value for value in found for part in parts)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _same(value: Any, wanted: Any) -> bool:
    """Return whether two scalars are equal; true is not 1, and 404 is 404.0."""
    return isinstance(value, bool) is isinstance(wanted, bool) and value == wanted


@dataclass(frozen=True, slots=True)
class Selector:
    """Which events count, where in them the value stands (the first path that has one), and which values are taken."""

    where: Where
    paths: tuple[Path, ...]
    take: str  # first, last, all, or sum (of numbers)

    def values_in(self, event: Any) -> list[Any]:
        """Return the values of an event that counts."""
        return next((found for path in self.paths if (found := values_at(event, path))), [])


def read_selectors(written: Any) -> tuple[Selector, ...]:
    """Return the selectors that one mapping, or a list of them, means; the first that finds something counts."""
    return tuple(
        Selector(
            read_where(one.get("where", {})),
            tuple(read_path(path) for path in _listed(one["path"])),
            one.get("take", "last"),
        )
        for one in _listed(written)
    )


class Gathering:
    """What selectors find in one pass over the events of a program, however many there are."""

    def __init__(self, selectors: Iterable[Selector]) -> None:
        self._found: dict[Selector, list[Any]] = {selector: [] for selector in selectors}
        by_where: dict[Where, list[tuple[Selector, list[Any]]]] = {}
        for selector, found in self._found.items():
            by_where.setdefault(selector.where, []).append((selector, found))
        self._groups = list(by_where.items())

    def see(self, event: Any) -> None:
        """Take what the selectors want of the next event."""
        for where, wanted in self._groups:
            if where.holds(event):
                for selector, found in wanted:
                    _take(selector.take, selector.values_in(event), found)

    def values(self, selectors: Sequence[Selector]) -> list[Any]:
        """Return what the first of these selectors that found something found."""
        return next((found for selector in selectors if (found := self._found[selector])), [])


def _take(take: str, values: list[Any], found: list[Any]) -> None:
    """Add the values of one event to what was found before."""
    if take == "all":
        found += values
    elif take == "sum":
        if numbers := [value for value in values if is_number(value)]:
            found[:] = [sum(numbers, *found)]
    elif values and not (take == "first" and found):
        found[:] = [values[0] if take == "first" else values[-1]]


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number of zero or more; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
