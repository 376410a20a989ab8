"""The page over all dispatches, and the same for a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

from trailblazer.plain import counted, one_line
from trailblazer.record.manifest import RUNNING
from trailblazer.reports.history.model import History, Past
from trailblazer.reports.page.blocks import Chart, Column, Command, Commands, Key, Link, Page, Panel, Shape, Table
from trailblazer.reports.page.charts import MOOD_LOOKS
from trailblazer.reports.page.verdict import MOODS
from trailblazer.reports.page.words import ENDS, clock, dollars, short_item, short_reason, span, zone


def index_page(history: History) -> Page:
    """Return the page over all dispatches."""
    mood = mood_of(history.dispatches[0]) if history.dispatches else "odd"
    verdict = _verdict(history)
    return Page(
        title=f"{MOODS[mood]} {verdict}",
        heading="all dispatches",
        verdict=verdict,
        mood=mood,
        facts=tuple((f"Last success of {one.lane}", _ago(one.ago)) for one in history.last_good),
        panels=(
            _todo(history),
            _dispatches(history),
            _causes(history),
            _items(history),
            _spend(history),
            _lanes(history),
        ),
        made_at=f"{clock(history.made_at, with_date=True)} {zone(history.made_at)}",
    )


def mood_of(one: Past) -> str:
    """Return the colour of a dispatch."""
    if one.status == RUNNING:
        return "busy"
    if one.exit_code == 0:
        return "good"
    return "bad" if one.status == "finished" else "odd"


def _verdict(history: History) -> str:
    if not history.dispatches:
        return "There is no dispatch yet"
    newest, bad = history.dispatches[0], 0
    for bad, one in enumerate(history.dispatches):  # noqa: B007 - how many in a row is what is wanted
        if mood_of(one) == "good":
            break
    else:
        bad = len(history.dispatches)
    in_all = _dispatches_in(len(history.dispatches))
    state = {"good": "the newest ended well", "busy": "the newest is running"}.get(
        mood_of(newest), "the newest did not end well" if bad == 1 else f"the newest {bad} did not end well"
    )
    return f"{in_all}; {state}"


def _dispatches_in(count: int) -> str:
    return f"{count:,} dispatch{'es' * (count != 1)}"


def _ago(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    return f"{seconds / 86400:.1f} days ago" if seconds >= 2 * 86400 else f"{span(seconds)} ago"


def to_retry(history: History) -> list[Past]:
    """Return the newest dispatch of each lane, where items of it failed and a command tries them again."""
    newest = {one.lane: one for one in reversed(history.dispatches)}
    return [one for one in newest.values() if one.retry and one.status != RUNNING]


def _todo(history: History) -> Panel:
    found = to_retry(history)
    if not found:
        return Panel("todo", "What to do now", "Nothing: in the newest dispatch of each lane no item failed.")
    lines = tuple(
        Command(f"To retry what failed in {one.id} ({one.failed:,} of {one.lane})", one.retry) for one in found
    )
    answer = "Remove the causes of the newest failures, then retry."
    return Panel("todo", "What to do now", answer, (Commands(lines),), is_wide=True)


def _dispatches(history: History) -> Panel:
    columns = (
        Column("Started"), Column("Dispatch", "links"), Column("Lane"), Column("End", "status"),
        *(Column(name, "number") for name in ("Exit", "Planned", "Done", "Failed", "Skipped", "Minutes", "US$")),
        Column("Why"),
    )  # fmt: skip
    rows = tuple(
        (
            clock(one.started_on, with_date=True),
            (Link(one.id, one.page),),
            one.lane, ENDS[mood_of(one)], "" if one.exit_code is None else str(one.exit_code),
            f"{one.planned:,}", f"{one.done:,}", f"{one.failed:,}", f"{one.skipped:,}", f"{one.seconds / 60:,.1f}",
            f"{one.cost_usd:.4f}" if one.cost_usd else "", short_reason(one.reason or one.notes),
        )
        for one in history.dispatches
    )  # fmt: skip
    good = sum(one.exit_code == 0 for one in history.dispatches)
    answer = f"{good:,} of {len(history.dispatches):,} ended with exit code 0."
    blocks = (_chart(history), Table("dispatches", columns, rows, has_filter=True)) if rows else ()
    return Panel("dispatches", "Dispatches", answer, blocks, is_wide=True)


def _chart(history: History) -> Chart:
    """Return start by duration, coloured by the end; the height is the root of the duration: short ones show."""
    moments = [datetime.fromisoformat(one.started_on).timestamp() for one in history.dispatches]
    first, last = min(moments), max(moments)
    scale = 985 / ((last - first) or 1.0)
    longest = max(one.seconds for one in history.dispatches) or 1.0
    shapes = []
    for one, moment in zip(history.dispatches, moments, strict=True):
        height = max(4.0, 100 * (one.seconds / longest) ** 0.5)
        path = f"M{(moment - first) * scale:.4g} {100 - height:.4g}h12v{height:.4g}h-12z"
        words = f"{one.id}: {one.done:,} done, {one.failed:,} failed in {span(one.seconds)}"
        shapes.append(Shape(MOOD_LOOKS[mood_of(one)], path, words))
    keys = tuple(Key(MOOD_LOOKS[mood], word) for mood, word in ENDS.items())
    axis = (
        clock(history.dispatches[-1].started_on, with_date=True),
        clock(history.dispatches[0].started_on, with_date=True),
    )
    label = f"Dispatches by start and duration, up to {span(longest)}"
    return Chart(label, 1000, 100, 110, tuple(shapes), axis, keys)


def _causes(history: History) -> Panel:
    rows = tuple(
        (f"{one.dispatches:,}", f"{one.items:,}", one.lane, short_reason(one.reason), one.newest)
        for one in history.recurring
    )
    if not rows:
        return Panel("causes", "Same cause again", "No cause of failures came back in another dispatch.")
    columns = (
        Column("Dispatches", "number"),
        Column("Items", "number"),
        Column("Lane"),
        Column("Cause"),
        Column("Newest"),
    )
    return Panel("causes", "Same cause again", f"{counted(len(rows), 'cause')} came back in more than one dispatch.",
                 (Table("causes that came back", columns, rows),), is_wide=True)  # fmt: skip


def _items(history: History) -> Panel:
    rows = tuple(
        (
            f"{one.times:,}",
            "parked" if one.is_parked else "",
            one.lane,
            short_item(one.item),
            short_reason(one.reason),
            one.newest,
        )
        for one in history.stuck
    )
    if not rows:
        return Panel("stuck", "Parked and stuck", "No item failed in two dispatches in a row.")
    columns = (Column("In a row", "number"), Column("State"), Column("Lane"), Column("Item"), Column("Newest reason"),
               Column("Newest"))  # fmt: skip
    parked = sum(one.is_parked for one in history.stuck)
    answer = f"{counted(parked, 'issue')} parked: no night takes a parked one, unless it is named. "
    answer += f"{counted(len(rows) - parked, 'other item')} failed in two or more dispatches in a row."
    return Panel("stuck", "Parked and stuck", answer, (Table("items that fail again", columns, rows),), is_wide=True)


def _spend(history: History) -> Panel:
    rows = tuple(
        (week.name, f"{week.dispatches:,}", f"{week.failed:,}", f"{week.cost_usd:.4f}") for week in history.weeks
    )
    columns = (Column("Week"), Column("Dispatches", "number"), Column("Not well", "number"), Column("US$", "number"))
    total = sum(week.cost_usd for week in history.weeks)
    answer = f"{dollars(total)} in {counted(len(rows), 'week')}." if rows else "Nothing was spent."
    return Panel("spend", "Spend per week", answer, (Table("weeks", columns, rows),) if rows else ())


def _lanes(history: History) -> Panel:
    rows = tuple((one.lane, _ago(one.ago), one.id) for one in history.last_good)
    columns = (Column("Lane"), Column("Last success"), Column("Dispatch"))
    answer = "How old the last success of each kind of work is."
    return Panel("lanes", "Last success", answer, (Table("lanes", columns, rows),) if rows else ())


def lines_of_history(history: History) -> Iterator[str]:
    """Yield the history for a terminal, in 80 columns; the reason of a dispatch is cut to the width."""
    width = _columns()
    yield "DISPATCH           LANE     EXIT    DONE FAILED SKIPPED    TIME      US$  WHY"
    for one in reversed(history.dispatches):
        exit_code = one.status if one.exit_code is None else one.exit_code
        line = (
            f"{one.id:<18} {one.lane:<8} {exit_code:>4} {one.done:>7} {one.failed:>6} {one.skipped:>7} "
            f"{span(one.seconds):>7} {one.cost_usd:>8.2f}  {one_line(one.reason or one.notes, 200)}"
        )
        yield line[:width].rstrip()
    for good in history.last_good:
        yield f"Last success of {good.lane}: {_ago(good.ago)}" + (f" ({good.id})" if good.id else "")
    for week in history.weeks[:4]:
        yield f"{week.name}: {_dispatches_in(week.dispatches)}, {week.failed} not well, {dollars(week.cost_usd)}"
    for cause in history.recurring[:5]:
        yield one_line(f"In {cause.dispatches} dispatches: {cause.reason}", width)
    for item in history.stuck[:5]:
        state = "Parked, failed" if item.is_parked else "Failed"
        yield one_line(f"{state} {item.times} times in a row: {item.item}: {item.reason}", width)
    for one in to_retry(history):
        yield f"To retry what failed in {one.id}: {one.retry}"
    for line in history.left_out:
        yield f"Left out: {line}"


def _columns() -> int:
    try:
        return max(60, os.get_terminal_size(1).columns)
    except OSError:
        return 200
