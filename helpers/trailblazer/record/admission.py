"""Whether another attempt may start, and the switches of providers that decide it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Room:
    """How many groups of items may be busy at once, and where that is none: whom they wait for, until when, and why.

    `until` is in epoch seconds; None: nobody knows. `limited` counts the answers 429 so far; `found` is how many at
    once the provider of that `name` stands, 0 while none was refused.
    """

    slots: int
    reason: str = ""
    until: float | None = None
    name: str = ""
    limited: int = 0
    found: int = 0


WIDE = Room(sys.maxsize)  # as many as there are slots


class To(StrEnum):
    """What a provider is switched to."""

    CLOSED = "closed"  # it takes no attempts until a moment
    OPENED = "opened"  # it takes attempts again
    FALLBACK = "fallback"  # it takes the next attempts in the place of another
    WAITING = "waiting"  # nothing starts: the dispatch waits for it
    WAITED = "waited"  # the wait is over
    LIMITED = "limited"  # its account stands so many attempts at once, found by trying


@dataclass(frozen=True, slots=True)
class Switch:
    """A provider was switched, and why. `until` is in epoch seconds; None: there is no such moment.

    `slots` is how many attempts at once it stands, where that was found; else 0.
    """

    provider: str
    to: To
    reason: str = ""
    until: float | None = None
    slots: int = 0
