"""The contract between the engine and a kind of work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trailblazer.record.admission import WIDE, Room, Switch
from trailblazer.record.outcomes import Again, Item, Left, Outcome, Refused, Usage

Handle = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """An item that this dispatch holds, and the number of its attempt, which is the fencing token.

    A claim that Postgres numbered brings its number; with 0 the engine takes the next number of the dispatch folder.
    The engine sets `folder`, the absolute path where the attempt may write. The lane makes that folder if it needs one.
    """

    item: Item
    attempt: int = 0
    folder: str = ""


def _ignore(_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What a lane may know of the dispatch that it works for, and whom it tells what happens beside the items.

    `switched` takes a switch of a provider, `say` a line for people. `spent` is what the dispatch has used so far, in
    earlier processes, and `spent_by` the same by provider.
    """

    id: str
    folder: Path
    traceparent: str
    is_resumed: bool = False
    switched: Callable[[Switch], None] = _ignore
    say: Callable[[str], None] = _ignore
    spent: Usage = field(default_factory=dict)
    spent_by: Mapping[str, Usage] = field(default_factory=dict)


class Running(Protocol):
    """Attempts that began together. `handle` is JSON: a later process finds the attempts by it (`Lane.find`)."""

    handle: Handle

    def wait(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        """Yield each attempt once, with its answer, as the answers come.

        A Trouble is the answer of every attempt that has none yet. A success is released before it is yielded.
        """

    def end(self, why: str, grace: float) -> None:
        """Ask the work to end and return at once. `wait` yields the last answer within `grace` seconds."""


class Lane(Protocol):
    """What differs between kinds of work. The engine calls gate, claim, begin and let_go in many threads at once.

    A Trouble that a method raises is the outcome of its items: ServiceDown is transient, ProviderRefused is final.
    """

    group: int
    """The most items that one call of `gate`, `claim` and `begin` gets."""

    def check(self) -> None:
        """Ask once, for free, whether work can be done at all (provider, database, tracker); else raise GateClosed."""

    def open(self, dispatch: Dispatch) -> None:
        """Prepare to work for a dispatch, whose folder exists now."""

    def room(self) -> Room:
        """Return how many groups may be busy now; asked before each group, and again while there is no room.

        One thread asks at a time. A Trouble stops the dispatch: no item starts any more, what runs ends by itself.
        """

    def widen(self, slots: int) -> None:
        """Take in that the dispatch has another number of slots from now on."""

    def gate(self, items: Sequence[Item]) -> list[Refused]:
        """Return the items that are refused. A gate costs nothing, writes nothing and claims nothing.

        When it raises a Trouble for several items, each of them is asked for alone.
        """

    def claim(self, items: Sequence[Item]) -> list[Held | Refused]:
        """Return one answer for each item: the dispatch holds the item now, or the item is refused.

        A resume claims items again: a claim of an earlier process of the same dispatch does not refuse them.
        """

    def begin(self, held: Sequence[Held]) -> Running:
        """Start the work and return at once."""

    def find(self, held: Sequence[Held], handle: Handle) -> Running | None:
        """Return attempts of an earlier process that still run or left a result, or None when they are gone.

        `handle` is empty when that process died before its journal had the handle. Found items are not claimed again.
        """

    def let_go(self, held: Held, outcome: Outcome) -> None:
        """Release an item, or mark it as failed. Called for every answer but a success and `Left`."""

    def probe(self) -> None:
        """Ask whether the provider still answers, after the same failure again and again; else raise Trouble."""

    def keep_alive(self) -> None:
        """Keep the claims alive. Called about ten times a second, in a thread of its own."""

    def close(self) -> None:
        """Release what is still held, and close what was opened."""


class OwnedLane:
    """A lane whose items belong to the dispatch alone: nothing to check, claim, probe, keep alive or release.

    Every slot may be busy.
    """

    group = 1

    def check(self) -> None:
        """Refuse nothing."""

    def open(self, dispatch: Dispatch) -> None:
        """Prepare nothing."""

    def room(self) -> Room:
        """Let every slot be busy."""
        return WIDE

    def widen(self, slots: int) -> None:
        """Need not know."""

    def gate(self, items: Sequence[Item]) -> list[Refused]:  # noqa: ARG002 - the contract's words
        """Refuse nothing."""
        return []

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
    """Attempts whose answers are known when they begin."""

    def __init__(self, answers: Sequence[tuple[Held, Outcome | Again | Left]]) -> None:
        self.handle: Handle = {}
        self._answers = answers

    def wait(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        """Yield the answers."""
        return iter(self._answers)

    def end(self, why: str, grace: float) -> None:
        """End nothing."""
