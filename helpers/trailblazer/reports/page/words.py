"""Numbers, moments and statuses as a report shows them to people."""

from __future__ import annotations

from datetime import datetime

from trailblazer.plain import one_line
from trailblazer.record.outcomes import Status
from trailblazer.reports.progress import in_words

ENDS = {"good": "all well", "bad": "failures", "busy": "running", "odd": "stopped early"}  # a dispatch by its mood
LONGEST_ITEM, LONGEST_REASON = 80, 160
SAID: dict[str, str] = {
    Status.SUCCESS: "done",
    Status.UNCHANGED: "unchanged",
    Status.SKIPPED: "skipped",
    Status.ERROR: "failed",
    Status.TIMEOUT: "timed out",
    Status.CANCELLED: "cancelled",
}


def said(status: str) -> str:
    """Return a status in the words of a person."""
    return SAID.get(status, status)


def short_item(text: str) -> str:
    """Return the id of an item, cut to what a table holds."""
    return one_line(text, LONGEST_ITEM)


def short_reason(text: str) -> str:
    """Return a reason, cut to what a table holds."""
    return one_line(text, LONGEST_REASON)


def seconds(number: float) -> str:
    """Return seconds as a number that a column sorts: 0.0021, 4.2, 1,234."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 1 else f"{number:.3g}" if number else "0"


def span(number: float) -> str:
    """Return a duration in a sentence: 3 ms, 4.2 s, 5m 32s."""
    if number < 0.0995:
        return f"{1000 * number:.0f} ms"
    return f"{number:.1f} s" if number < 60 else in_words(number)


def dollars(number: float) -> str:
    """Return an amount of US dollars."""
    return f"US$ {number:,.4f}" if abs(number) < 1 else f"US$ {number:,.2f}"


def clock(at: str, *, with_date: bool = False) -> str:
    """Return a moment of the record in the time of this place, as HH:MM:SS; with its date if asked."""
    moment = datetime.fromisoformat(at).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S" if with_date else "%H:%M:%S")


def zone(at: str) -> str:
    """Return the name of this place's time zone at a moment."""
    return datetime.fromisoformat(at).astimezone().strftime("%Z")


def share(part: float, whole: float) -> str:
    """Return a share in percent: it is 100 % only where nothing is missing, and 0 % where there is nothing."""
    if not whole:
        return "0 %"
    percent = 100 * part / whole
    if 0 < percent < 1:
        return "< 1 %"
    return "> 99 %" if 99 < percent < 100 else f"{percent:.0f} %"
