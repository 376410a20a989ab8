"""Panels about the work: outcomes, slots, load, durations, retries, items."""

from __future__ import annotations

from datetime import datetime

from trailblazer.plain import counted
from trailblazer.record.manifest import RUNNING
from trailblazer.record.outcomes import GOOD
from trailblazer.reports.course.model import Report, Retried, Row
from trailblazer.reports.page.blocks import Block, Cell, Column, Facts, Link, Panel, Table, Words
from trailblazer.reports.page.charts import duration_chart, load_chart, outcome_bar, queue_chart, slot_chart
from trailblazer.reports.page.words import clock, said, seconds, share, short_item, short_reason, span

MOST_UNDERWAY, MOST_CHANGES, MOST_RETRIED = 60, 60, 60


def outcome_panel(report: Report) -> Panel:
    """Return the bar of outcomes."""
    course = report.course
    planned = course.counts["planned"]
    answer = f"{course.good:,} of {counted(planned, 'item')} have a good result ({share(course.good, planned)})."
    return Panel("outcomes", "Outcomes", answer, (outcome_bar(course),), is_wide=True)


def slots_panel(report: Report) -> Panel:
    """Return what each slot did, and what runs now."""
    course, timeline = report.course, report.course.timeline
    busy, wait = sum(timeline.busy) * timeline.width, sum(timeline.waited) * timeline.width
    room = max(1, timeline.most_slots) * timeline.seconds
    answer = (
        f"{counted(course.attempts, 'attempt')} in {counted(timeline.most_slots, 'slot')} over "
        f"{span(timeline.seconds)}; the slots were busy {share(busy, room)} of that time"
        + (f", and everything waited for a provider for {span(wait)}." if wait else ".")
    )
    blocks: list[Block] = [slot_chart(course)]
    if hidden := timeline.most_slots - len(timeline.slots):
        blocks.append(Words(f"{counted(hidden, 'slot')} more are not drawn."))
    for process in course.processes[1:]:
        gap = f"{span(process.gap)} later" if process.gap else "at once"
        blocks.append(Words(f"Resumed {gap}, at {clock(process.at, with_date=True)}, by {process.host}/{process.pid}."))
    if course.underway:
        blocks.append(_underway(report))
    return Panel("slots", "Slots over time", answer, tuple(blocks), is_wide=True)


def _underway(report: Report) -> Table:
    now = datetime.fromisoformat(report.made_at)
    oldest = sorted(report.course.underway, key=lambda one: one.since)[:MOST_UNDERWAY]
    rows = tuple(
        (short_item(one.item), str(one.attempt), clock(one.since),
         seconds((now - datetime.fromisoformat(one.since)).total_seconds()))
        for one in oldest
    )  # fmt: skip
    columns = (Column("Item"), Column("Attempt", "number"), Column("Since"), Column("Seconds", "number"))
    name = "at work now" if report.status == RUNNING else "at work when it ended"
    return Table(f"items {name}", columns, rows)


def load_panel(report: Report) -> Panel:
    """Return how many attempts ran and how many items waited, and each change with its reason."""
    course, workers = report.course, report.manifest.seed.workers
    timeline = course.timeline
    mean = sum(timeline.busy) * timeline.width / timeline.seconds if timeline.seconds else 0.0
    changes = [
        event
        for event in course.events
        if event.kind in {"switch", "resume", "warning", "left"} or event.kind not in _KNOWN
    ]
    answer = f"{mean:.1f} attempts ran at once on average, of {workers} slots. "
    answer += f"{counted(len(changes), 'change')} with a reason." if changes else "Nothing changed the limit."
    blocks: list[Block] = [load_chart(course, workers), queue_chart(course)]
    if changes:
        rows = tuple((clock(event.at), event.kind, short_reason(event.text)) for event in changes[-MOST_CHANGES:])
        blocks.append(Table("changes of the load", (Column("Time"), Column("What"), Column("Reason")), rows))
    return Panel("load", "Running, waiting and limit", answer, tuple(blocks))


_KNOWN = frozenset({"open", "start", "begun", "settle", "retry", "again", "close"})


def durations_panel(report: Report) -> Panel:
    """Return how long the items took, and the longest silence."""
    course, durations, silence = report.course, report.course.durations, report.course.silence
    if not durations.items:
        return Panel("durations", "Durations", "No item has run.")
    answer = f"Half of the items took {span(durations.p50)} or less, 95 % took {span(durations.p95)} or less."
    rate = course.settled / course.timeline.seconds if course.timeline.seconds else 0.0
    pairs = [
        ("Longest", span(durations.longest)),
        ("Work in all", span(durations.total)),
        ("Rate", f"{60 * rate:,.1f} items a minute"),
    ]
    if silence.seconds:
        items = ", ".join(short_item(item) for item in silence.items)
        pairs.append(("Longest silence", f"{span(silence.seconds)} from {clock(silence.since)} on, while {items} ran"))
    return Panel("durations", "Durations", answer, (duration_chart(durations), Facts(tuple(pairs))))


def retries_panel(report: Report) -> Panel:
    """Return the items with more than one try, and why each try ended."""
    course = report.course
    if not course.retried_in_all:
        return Panel("retries", "Retries", "No item was tried more than once.", is_wide=True)
    good = {row.number: row.status for row in course.rows}
    shown = course.retried[:MOST_RETRIED]
    rows = tuple(
        (
            short_item(one.item),
            str(len(one.tries) + 1),
            _tries(one),
            said(good[one.number]) if one.number in good else "",
        )
        for one in shown
    )
    columns = (Column("Item"), Column("Tries", "number"), Column("What ended each"), Column("In the end", "status"))
    answer = f"{counted(course.retried_in_all, 'item')} needed more than one try."
    more = course.retried_in_all - len(shown)
    blocks: list[Block] = [Table("retried items", columns, rows)]
    if more:
        blocks.append(Words(f"{counted(more, 'item')} more are in the journal."))
    return Panel("retries", "Retries", answer, tuple(blocks), is_wide=True)


def _tries(one: Retried) -> str:
    return "; ".join(
        f"{made.attempt}: {f'{made.provider} ' * bool(made.provider)}{said(made.status)}, {short_reason(made.reason)}"
        for made in one.tries[:3]
    ) + (f"; and {len(one.tries) - 3} more" if len(one.tries) > 3 else "")


def items_panel(report: Report, base: str) -> Panel:
    """Return the items: each one where they are few. Those that are not good come first."""
    course = report.course
    rows = sorted(course.rows, key=lambda row: row.status in GOOD)
    has = {
        "phase": any(row.phase for row in rows),
        "memory": any(row.memory_kib for row in rows),
        "cost": any(row.cost_usd for row in rows),
        "provider": any(row.provider for row in rows),
        "change": any(row.change for row in rows),
        "folder": any(row.folder for row in rows),
    }
    columns = [Column("No.", "number"), Column("Item"), Column("Outcome", "status"), Column("Tries", "number"),
               Column("Seconds", "number")]  # fmt: skip
    optional = {
        "phase": Column("Phase"), "memory": Column("MiB", "number"), "cost": Column("US$", "number"),
        "provider": Column("Provider"), "change": Column("Change"), "folder": Column("Files", "links"),
    }  # fmt: skip
    columns += [optional[name] for name in optional if has[name]]
    columns.append(Column("Reason"))
    table = Table("items", tuple(columns), tuple(_row(row, has, base) for row in rows), has_filter=True)
    answer = f"{counted(len(rows), 'item')} of {course.counts['planned']:,} are shown."
    if course.rows_left_out:
        answer += (
            f" They are what failed or was not done, the slowest and a sample; {course.rows_left_out:,} more are "
            f"in summary.json, and trailblazer report {report.id} shows more of them."
        )
    if unrun := course.counts["unrun"]:
        answer += f" {counted(unrun, 'item')} {'has' if unrun == 1 else 'have'} no outcome yet."
    return Panel("items", "Items", answer, (table,) if rows else (), is_wide=True)


def _row(row: Row, has: dict[str, bool], base: str) -> tuple[Cell, ...]:
    cells: list[Cell] = [
        str(row.number), short_item(row.item), said(row.status), str(row.tries),
        "" if row.seconds is None else seconds(row.seconds),
    ]  # fmt: skip
    if has["phase"]:
        cells.append(row.phase)
    if has["memory"]:
        cells.append(f"{row.memory_kib / 1024:.0f}" if row.memory_kib else "")
    if has["cost"]:
        cells.append(f"{row.cost_usd:.4f}" if row.cost_usd else "")
    if has["provider"]:
        cells.append(short_item(row.provider))
    if has["change"]:
        cells.append(short_reason(row.change))
    if has["folder"]:
        cells.append(_links(row, base))
    cells.append(short_reason(row.reason))
    return tuple(cells)


def _links(row: Row, base: str) -> tuple[Link, ...]:
    if not row.folder:
        return ()
    files = [("result", "result.json")]
    if row.status not in GOOD:
        files = [("log", "worker.stdout"), ("errors", "worker.stderr"), *files]
    return tuple(Link(text, f"{base}{row.folder}/{name}") for text, name in files)
