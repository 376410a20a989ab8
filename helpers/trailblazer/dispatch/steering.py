"""The words by which a dispatch is steered while it runs, and who may say them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trailblazer.errors import Trouble, WordsWrong

MOST_SLOTS = 10_000

ACTIONS = {
    "pause": "start nothing new; what runs goes on",
    "resume": "go on after a pause",
    "drain": "let what runs finish, then end; --resume runs the rest",
    "stop": "end what runs, then end, as Ctrl-C does",
    "workers N": "carry out N items at once",
    "cancel ITEM": "end an item that runs, or take it from the queue",
    "retry ITEM": "try an item again at once that failed, was skipped or was cancelled",
    "first ITEM": "move a waiting item to the head of the queue",
    "add FILE": "put more items at the end of a batch (-: stdin)",
}


class Refusal(Trouble):
    """A steering that cannot be done now. Nothing was changed."""

    exit_code = 5


@dataclass(frozen=True, slots=True)
class Operator:
    """Who steers: the user's name and number, and the process."""

    name: str
    uid: int
    pid: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Start nothing new."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on after a pause."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Let what runs finish, and start nothing more."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End what runs, as an interrupt does."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Carry out `count` items at once."""

    count: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """End an item, or take it from the queue. An item is named by its id, its number or `task_N`."""

    item: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Try an item again that has no good result."""

    item: str


@dataclass(frozen=True, slots=True)
class First:
    """Move a waiting item to the head of the queue."""

    item: str


@dataclass(frozen=True, slots=True)
class Add:
    """Put the items of a file at the end of the plan. The file holds one JSON value a line.

    `source` is where the items come from, for the record.
    """

    file: Path
    source: str


Steering = Pause | Resume | Drain | Stop | Workers | Cancel | Retry | First | Add
_ALONE: dict[str, Steering] = {"pause": Pause(), "resume": Resume(), "drain": Drain(), "stop": Stop()}
_OF_ITEMS: dict[str, type[Cancel | Retry | First]] = {"cancel": Cancel, "retry": Retry, "first": First}


def read_steering(words: Sequence[str]) -> Steering:
    """Return what `ACTION` or `ACTION WORD` asks for; anything else is WordsWrong, which lists the actions."""
    action, rest = words[0] if words else "", words[1:]
    if action in _ALONE and not rest:
        return _ALONE[action]
    if len(rest) == 1 and rest[0]:
        if action in _OF_ITEMS:
            return _OF_ITEMS[action](rest[0])
        if action == "workers" and rest[0].isascii() and rest[0].isdecimal() and 0 < int(rest[0]) <= MOST_SLOTS:
            return Workers(int(rest[0]))
    if action == "add" and rest and len(rest) <= 2 and rest[0]:
        return Add(Path(rest[0]), rest[-1])
    wanted = next((known for known in ACTIONS if known.split()[0] == action), "")
    what = f"{action} is said as: {wanted}" if wanted else f"{action!r} is not an action" if action else "no action"
    if action == "workers":
        what += f" (1 to {MOST_SLOTS:,})"
    raise WordsWrong(what, "\n".join(f"{known:<12} {meaning}" for known, meaning in ACTIONS.items()))


def words_of(steering: Steering) -> tuple[str, str]:
    """Return the action of a steering and its word, empty without one: the reverse of `read_steering`."""
    match steering:
        case Workers(count):
            return "workers", str(count)
        case Cancel(item) | Retry(item) | First(item):
            return type(steering).__name__.lower(), item
        case Add(_, source):
            return "add", source
        case _:
            return type(steering).__name__.lower(), ""
