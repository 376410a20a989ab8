"""The kinds of lines in a journal: what can happen in a dispatch, one record a fact."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from trailblazer.record.outcomes import Outcome, Refusal, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What every line has. The journal sets `at`, the moment when it wrote the line (UTC)."""

    kind: ClassVar[str]
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Line):
    """A dispatch begins: how many items it plans, and the process that carries it out."""

    kind = "open"
    dispatch: str
    planned: int
    host: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Line):
    """A later process resumes the dispatch. `ended` counts the processes that it found alive and ended.

    With `only_failed` it tries only those items again that had failed.
    """

    kind = "resume"
    unsealed: bool = False
    ended: int = 0
    host: str = ""
    pid: int = 0
    changed: Sequence[str] = ()
    only_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown(Line):
    """The plan has more items now: `planned` in all."""

    kind = "grow"
    planned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Line):
    """An attempt begins. The line is written before the attempt can act; only version 0.1.0 wrote a handle into it."""

    kind = "start"
    item: str
    index: int
    attempt: int
    phase: str = ""
    handle: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun(Line):
    """The handle by which the lane finds attempts again; `attempts` are pairs of index and number."""

    kind = "begun"
    attempts: Sequence[Sequence[int]]
    handle: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(Line):
    """An attempt failed and the item is retried, after `after` seconds at the earliest."""

    kind = "retry"
    item: str
    index: int
    attempt: int
    reason: str
    status: str = "error"
    after: float = 0.0
    usage: Mapping[str, float] = field(default_factory=dict)
    provider: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed(Line):
    """An item went back to the queue and spent no attempt (Again)."""

    kind = "again"
    item: str
    index: int
    attempt: int
    reason: str
    after: float = 0.0
    usage: Mapping[str, float] = field(default_factory=dict)
    provider: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched(Line):
    """A provider was closed, opened, took over, is waited for, or was found to stand `slots` attempts at once.

    `until` is in epoch seconds.
    """

    kind = "switch"
    provider: str
    to: str
    reason: str = ""
    until: float | None = None
    slots: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftRunning(Line):
    """An attempt goes on without the dispatcher (Left)."""

    kind = "left"
    item: str
    index: int
    attempt: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Line):
    """An item has an outcome. `details` are the lane's own facts; in the file they stand beside the others."""

    kind = "settle"
    item: str
    index: int
    attempt: int
    status: str
    reason: str = ""
    refusal: str = ""
    phase: str = ""
    usage: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """The outcome that the line holds."""
        return Outcome(Status(self.status), self.reason, Refusal(self.refusal), self.usage, self.details)


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Line):
    """Something went wrong, and no item is settled by it."""

    kind = "warning"
    reason: str
    item: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered(Line):
    """A person steered the dispatch: what was asked for, by which user and process, and what was answered."""

    kind = "steer"
    action: str
    word: str = ""
    by: str
    uid: int
    pid: int
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed(Line):
    """The dispatch ends."""

    kind = "close"
    status: str
    exit_code: int
    reason: str = ""


KINDS: dict[str, type[Line]] = {
    line.kind: line
    for line in (
        Opened,
        Resumed,
        Grown,
        Started,
        Begun,
        Retried,
        Postponed,
        Switched,
        LeftRunning,
        Settled,
        Warned,
        Steered,
        Closed,
    )
}
_OPTIONAL = (
    "phase",
    "usage",
    "item",
    "changed",
    "only_failed",
    "handle",
    "provider",
    "until",
    "slots",
    "word",
)  # in the kinds where they have a default


def _names_of(kind: type[Line]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the fields that are always written, and those that are written unless they are empty."""
    fields = [field for field in dataclasses.fields(kind) if field.name not in {"at", "details"}]
    optional = [field.name for field in fields if field.name in _OPTIONAL and _has_default(field)]
    return tuple(field.name for field in fields if field.name not in optional), tuple(optional)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


FIELDS = {kind: _names_of(kind) for kind in KINDS.values()}
