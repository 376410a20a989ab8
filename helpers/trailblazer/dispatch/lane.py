"""The contract between the engine and a kind of work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trailblazer.record.outcomes import Again, Item, Left, Outcome, Refused

Handle = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """An item that this dispatch holds, and the number of its attempt, which is the fencing token.

    A lane whose claims are numbered elsewhere (in Postgres) says the number; with 0 the dispatch folder numbers it.
    `folder` is where the attempt may write; the engine fills it in, and the lane makes it.
    """

    item: Item
    attempt: int = 0
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What a lane may know of the dispatch that it works for."""

    id: str
    folder: Path
    traceparent: str
    is_resumed: bool = False


class Running(Protocol):
    """Attempts that began together. `handle` is JSON; with it a later process finds them (`Lane.find`)."""

    handle: Handle

    def wait(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        """Yield each attempt once, with its answer, as the answers come. A Trouble answers for all that are left."""

    def end(self, why: str, grace: float) -> None:
        """Ask the work to end, whatever it is, and return at once: `wait` ends within `grace` seconds from now."""


class Lane(Protocol):
    """What differs between kinds of work. The engine calls gate, claim, begin and let_go in many threads at once.

    A Trouble that an answer raises is that item's outcome: ServiceDown is transient, ProviderRefused final.
    """

    group: int
    """How many items one call of `claim` and `begin` gets at most."""

    def check(self) -> None:
        """Ask once, for free, whether work can be done at all (provider, database, tracker); else raise GateClosed."""

    def open(self, dispatch: Dispatch) -> None:
        """Prepare to work for a dispatch: its folder is there now."""

    def gate(self, item: Item) -> Refused | None:
        """Return why an item is refused, or None. Free and without effect: a gate writes nothing and claims nothing."""

    def claim(self, items: Sequence[Item]) -> list[Held | Refused]:
        """Return one answer for each item: the dispatch holds it now, or it is refused."""

    def begin(self, held: Sequence[Held]) -> Running:
        """Start the work and return at once."""

    def find(self, held: Sequence[Held], handle: Handle) -> Running | None:
        """Return attempts of an earlier process that still run or left a result, or None when they are gone."""

    def let_go(self, held: Held, outcome: Outcome) -> None:
        """Release an item that did not succeed, or mark it as failed."""

    def probe(self) -> None:
        """Ask whether the provider still answers, after the same failure again and again; else raise Trouble."""

    def keep_alive(self) -> None:
        """Keep the claims alive; called every now and then."""

    def close(self) -> None:
        """Release what is still held, and close what was opened."""


class OwnedLane:
    """A lane whose items belong to the dispatch alone: nothing to check, claim, probe, keep alive or release."""

    group = 1

    def check(self) -> None:
        """Refuse nothing."""

    def open(self, dispatch: Dispatch) -> None:
        """Prepare nothing."""

    def gate(self, item: Item) -> Refused | None:
        """Refuse nothing."""

    def claim(self, items: Sequence[Item]) -> list[Held | Refused]:
        """Hold every item: the folder's lock keeps others away."""
        return [Held(item) for item in items]

    def find(self, held: Sequence[Held], handle: Handle) -> Running | None:
        """Find nothing: the work ended with the process that began it."""

    def let_go(self, held: Held, outcome: Outcome) -> None:
        """Release nothing."""

    def probe(self) -> None:
        """Ask nobody."""

    def keep_alive(self) -> None:
        """Keep nothing alive."""

    def close(self) -> None:
        """Close nothing."""


class Done:
    """Attempts that need no waiting: their answers are there when they begin."""

    def __init__(self, answers: Sequence[tuple[Held, Outcome | Again | Left]]) -> None:
        self.handle: Handle = {}
        self._answers = answers

    def wait(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        """Yield the answers."""
        return iter(self._answers)

    def end(self, why: str, grace: float) -> None:
        """End nothing."""
