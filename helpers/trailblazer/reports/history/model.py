"""What the dispatches of a project came to, as records."""

from typing import NamedTuple


class Past(NamedTuple):
    """One dispatch. `seconds` is its time on the clock, `page` its report.html, empty without one.

    `retry` is the command that tries again what failed in it, empty where nothing failed or nobody knows it.
    """

    id: str
    lane: str
    started_on: str
    seconds: float
    status: str
    exit_code: int | None
    reason: str
    planned: int
    done: int
    failed: int
    skipped: int
    cost_usd: float
    notes: str
    page: str
    retry: str = ""


class Recurring(NamedTuple):
    """A cause of failures by the dispatches in which it appeared; `newest` is the last of them."""

    lane: str
    reason: str
    dispatches: int
    items: int
    newest: str


class Stuck(NamedTuple):
    """An item that failed in so many dispatches in a row, with the reason of the newest.

    `worked` counts those in which a provider worked on it; `is_parked` says that a night takes it no more.
    """

    lane: str
    item: str
    times: int
    reason: str
    newest: str
    worked: int = 0
    is_parked: bool = False


class Week(NamedTuple):
    """What the dispatches that began in one week (ISO: 2026-W47) spent, in US dollars."""

    name: str
    dispatches: int
    failed: int
    cost_usd: float


class LastGood(NamedTuple):
    """The newest dispatch of a lane that ended with exit code 0; `ago` is in seconds, None where there is none."""

    lane: str
    id: str
    ago: float | None


class History(NamedTuple):
    """All of it. `dispatches` are the newest first; of the oldest `unread` ones the causes were not read."""

    dispatches: tuple[Past, ...]
    last_good: tuple[LastGood, ...]
    weeks: tuple[Week, ...]
    recurring: tuple[Recurring, ...]
    stuck: tuple[Stuck, ...]
    unread: int
    left_out: tuple[str, ...]
    made_at: str
