"""Whether another attempt may start, and the switches of providers that decide it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Room:
    """How many groups of items may be busy at once, and where that is none: whom they wait for, until when, and why.

    `until` is in epoch seconds; None: nobody knows. `limited` counts the answers 429 so far.
    """

    slots: int
    reason: str = ""
    until: float | None = None
    name: str = ""
    limited: int = 0


WIDE = Room(sys.maxsize)  # as many as there are slots


class To(StrEnum):
    """What a provider is switched to."""

    CLOSED = "closed"  # it takes no attempts until a moment
    OPENED = "opened"  # it takes attempts again
    FALLBACK = "fallback"  # it takes the next attempts in the place of another
    WAITING = "waiting"  # nothing starts: the dispatch waits for it
    WAITED = "waited"  # the wait is over


@dataclass(frozen=True, slots=True)
class Switch:
    """A provider was switched, and why. `until` is in epoch seconds; None: there is no such moment."""

    provider: str
    to: To
    reason: str = ""
    until: float | None = None
