"""Why items ended badly, grouped: reasons that differ in numbers alone are one cause."""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection

from trailblazer.reports.course.model import Cause

MOST_CAUSES = 2_000  # later ones are counted together
MOST_NAMED = 3
OTHERS = "other reasons"
_NUMBER = re.compile(r"(?<!^exit )\d+")


def alike(status: str, reason: str) -> str:
    """Return what two endings of one cause have in common: the words without the numbers, but with the exit code."""
    return f"{status}: {_NUMBER.sub('#', reason)}"


class Causes:
    """The newest cause of each item: four bytes an item, and what is kept of each cause."""

    def __init__(self) -> None:
        self._of = array("i")
        self._numbers: dict[str, int] = {}
        self._said: list[tuple[str, str]] = []

    def grow(self, more: int) -> None:
        """Take in that the plan has so many more items."""
        self._of.extend(array("i", [-1]) * more)

    def note(self, index: int, status: str, reason: str) -> None:
        """Take in how an item ended; a later ending replaces an earlier one. Good ones have no cause."""
        if status in {"success", "unchanged"}:
            self._of[index] = -1
            return
        key = alike(status, reason)
        number = self._numbers.get(key)
        if number is None:
            if len(self._said) >= MOST_CAUSES:
                key, reason = alike(status, OTHERS), OTHERS
            number = self._numbers.setdefault(key, len(self._said))
            if number == len(self._said):
                self._said.append((status, reason))
        self._of[index] = number

    def of(self, index: int) -> tuple[str, str]:
        """Return the status and the reason of an item's cause; two empty texts without one."""
        return self._said[self._of[index]] if self._of[index] >= 0 else ("", "")

    def ranked(self, statuses: Collection[str]) -> tuple[Cause, ...]:
        """Return the causes of these statuses, the most frequent first."""
        counts, named = [0] * len(self._said), dict[int, list[int]]()
        for index, number in enumerate(self._of):
            if number >= 0:
                counts[number] += 1
                if counts[number] <= MOST_NAMED:
                    named.setdefault(number, []).append(index)
        found = [
            Cause(
                *self._said[number], counts[number], tuple(f"task_{index}" for index in named[number]), named[number][0]
            )
            for number in named
            if self._said[number][0] in statuses
        ]
        return tuple(sorted(found, key=lambda cause: (-cause.items, cause.first)))
