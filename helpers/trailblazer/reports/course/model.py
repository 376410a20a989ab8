"""What happened in a dispatch, as records: every report is made from them and from nothing else.

They are named tuples with evaluated types: to define so many dataclasses would take 10 ms at the close of every
dispatch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from trailblazer.record.manifest import Manifest
from trailblazer.record.tallies import Tally


class Cause(NamedTuple):
    """How many items ended badly and alike: `reason` is that of the first, `named` are up to three as task_N."""

    status: str
    reason: str
    items: int
    named: tuple[str, ...]
    first: int


class Event(NamedTuple):
    """A line of the journal that a person may look for. `moment` is in seconds from the start, without gaps."""

    at: str
    moment: float
    kind: str
    item: str
    text: str


class Try(NamedTuple):
    """An attempt that was not the last one of its item."""

    attempt: int
    status: str
    reason: str
    provider: str = ""
    cost_usd: float = 0.0


class Retried(NamedTuple):
    """An item with more than one try, and why each earlier one ended."""

    item: str
    number: int
    tries: tuple[Try, ...]


class Bar(NamedTuple):
    """One attempt in the slot where it fits: from `start` to `end`, in seconds from the start of the dispatch."""

    slot: int
    start: float
    end: float
    item: str
    attempt: int
    status: str


class Underway(NamedTuple):
    """An attempt that has begun and has no outcome."""

    item: str
    number: int
    attempt: int
    since: str
    moment: float


class Silence(NamedTuple):
    """The longest time in which no attempt ended although one ran: seconds, when it began, and what ran then."""

    seconds: float = 0.0
    since: str = ""
    items: tuple[str, ...] = ()


class Process(NamedTuple):
    """A process that carried the dispatch out, and after how many seconds without any it came."""

    at: str
    host: str
    pid: int
    gap: float = 0.0
    moment: float = 0.0


class Limit(NamedTuple):
    """From a moment on so many attempts may run at once: `kind` is who says it, `workers` or `found`.

    0 slots: it says nothing any more.
    """

    moment: float
    kind: str
    slots: int


class Timeline(NamedTuple):
    """The time of a dispatch in columns of `width` seconds; time in which no process carried it out is left out.

    `busy` is how many attempts ran on average, `settled` and `failed` how many items got an outcome, `waited` the
    share of time in which everything waited for a provider, `cost` US dollars. `slots` holds a letter for each slot and
    column: `.` idle, `g` good, `f` failed, `o` anything else; of `most_slots` the first are there. `bars` are the
    attempts themselves where there are few. `limits` are the changes of how many attempts may run at once.
    """

    seconds: float
    width: float
    busy: tuple[float, ...]
    settled: tuple[float, ...]
    failed: tuple[float, ...]
    waited: tuple[float, ...]
    cost: tuple[float, ...]
    slots: tuple[str, ...]
    most_slots: int
    bars: tuple[Bar, ...]
    limits: tuple[Limit, ...] = ()


class Durations(NamedTuple):
    """Seconds of the last attempt of each item that ran: percentiles, and counts in the bins that `edges` bound."""

    items: int = 0
    total: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    longest: float = 0.0
    edges: tuple[float, ...] = ()
    bins: tuple[int, ...] = ()


class Row(NamedTuple):
    """One item as it stands. `number` is its place in the plan, `change` is what it made.

    `folder` is that of its attempt, inside the folder of the dispatch.
    """

    number: int
    item: str
    status: str
    attempt: int
    tries: int
    reason: str
    phase: str = ""
    seconds: float | None = None
    memory_kib: int | None = None
    cost_usd: float | None = None
    tokens: float = 0.0
    provider: str = ""
    change: str = ""
    folder: str = ""


class Course(NamedTuple):
    """All that the journal of a dispatch tells.

    `counts` are items by status, with `planned` and `unrun`. `attempts` counts starts, `lines` the journal's lines by
    kind. `wasted` is what the tries that did not succeed used. `events_left_out` is how many are not in `events`.
    """

    counts: Mapping[str, int]
    attempts: int
    causes: tuple[Cause, ...]
    refusals: tuple[Cause, ...]
    providers: tuple[tuple[str, Tally], ...]
    usage: Mapping[str, float]
    wasted: Mapping[str, float]
    processes: tuple[Process, ...]
    underway: tuple[Underway, ...]
    timeline: Timeline
    durations: Durations
    silence: Silence
    retried: tuple[Retried, ...]
    retried_in_all: int
    switches: tuple[Event, ...]
    events: tuple[Event, ...]
    events_left_out: int
    lines: Mapping[str, int]
    rows: tuple[Row, ...]
    rows_left_out: int
    last_at: str

    @property
    def good(self) -> int:
        """How many items have a good result."""
        return self.counts["success"] + self.counts["unchanged"]

    @property
    def bad(self) -> int:
        """How many items failed: errors and time-outs."""
        return self.counts["error"] + self.counts["timeout"]

    @property
    def settled(self) -> int:
        """How many items have an outcome."""
        return self.counts["planned"] - self.counts["unrun"]


class Report(NamedTuple):
    """A dispatch as it stood at the moment `made_at`.

    `before` is the dispatch of the same kind before it. `seal` is the SHA-256 of its SHA256SUMS, empty without one.
    """

    folder: Path
    manifest: Manifest
    course: Course
    made_at: str
    before: Manifest | None = None
    seal: str = ""

    @property
    def status(self) -> str:
        """How the dispatch ended, or `running`, or `lost` where the process that carried it out is gone."""
        return "lost" if self.manifest.is_lost else self.manifest.status

    @property
    def id(self) -> str:
        """The name of the dispatch."""
        return self.manifest.dispatch_id
