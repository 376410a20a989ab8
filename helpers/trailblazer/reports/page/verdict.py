"""How a dispatch stands in one sentence, and what a person does about it."""

from __future__ import annotations

from trailblazer.plain import counted, one_line
from trailblazer.record.manifest import RUNNING
from trailblazer.reports.course.model import Cause, Report
from trailblazer.reports.page.blocks import Block, Column, Command, Commands, Link, Panel, Table
from trailblazer.reports.page.words import said, short_item, short_reason

MOST_CAUSES = 20
MOODS = {"good": "✓", "bad": "✗", "busy": "…", "odd": "!"}


def mood_of(report: Report) -> str:
    """Return `busy` while it runs, `odd` where it stopped early, `bad` where items failed, else `good`."""
    if report.status == RUNNING:
        return "busy"
    if report.status != "finished" or report.course.counts["unrun"]:
        return "odd"
    return "bad" if report.course.bad or report.manifest.exit_code else "good"


def verdict_of(report: Report) -> str:
    """Return how the dispatch stands in one sentence."""
    course, counts = report.course, report.course.counts
    planned = counts["planned"]
    done = f"{course.good:,} of {counted(planned, 'item')} done"
    failed = f", {course.bad:,} failed" if course.bad else ""
    skipped = f", {counts['skipped']:,} skipped" if counts["skipped"] else ""
    left = counts["unrun"] + counts["cancelled"]
    if report.status == RUNNING:
        return f"Running: {done}{failed}{skipped}, {len(course.underway):,} at work"
    not_run = f", {left:,} not done" if left else ""
    if report.status == "lost":
        return f"Its process is gone: {done}{failed}{skipped}{not_run}"
    if report.status != "finished" or counts["unrun"]:
        word = "Interrupted" if report.status == "interrupted" else "Stopped early"
        return f"{word}: {done}{failed}{skipped}{not_run}"
    if course.bad:
        return f"{course.bad:,} of {counted(planned, 'item')} failed; {course.good:,} done{skipped}{not_run}"
    if counts["skipped"] or left:
        return f"No item failed: {done}{skipped}{not_run}"
    return f"All is well: {done}" if planned else "Nothing was waiting"


def retry_command(report: Report) -> str:
    """Return the command that tries the failed items again, empty where nothing failed or nobody knows it."""
    words = report.manifest.retry_with
    return f"{words} {report.id}" if words and report.course.bad else ""


def resume_command(report: Report) -> str:
    """Return the command that carries the dispatch on, empty where all is done, it runs, or nobody knows it."""
    words, left = report.manifest.resume_with, report.course.counts["planned"] - report.course.good
    return f"{words} {report.id}" if words and left and report.status != RUNNING else ""


def todo_panel(report: Report, base: str) -> Panel:
    """Return what to do now: the causes of failures, each with its first example, and the commands."""
    course, blocks = report.course, list[Block]()
    if course.causes:
        blocks.append(_table("causes of failures", course.causes, report, base))
    if commands := _commands(report):
        blocks.append(Commands(commands))
    if course.refusals:
        blocks.append(_table("why other items were not done", course.refusals, report, base))
    return Panel("todo", "What to do now", _todo(report), tuple(blocks), is_wide=True)


def _todo(report: Report) -> str:
    course, causes = report.course, report.course.causes
    if report.status == RUNNING:
        busy = f"{counted(course.bad, 'item')} failed so far. " if course.bad else ""
        return f"{busy}Nothing: the dispatch is still running. Open the page again for newer numbers."
    if report.status == "lost":
        return "The process that carried it out is gone. Resume it: what is done is not repeated."
    if len(causes) == 1:
        return f"Every failure has one cause: {short_reason(causes[0].reason)}. Remove it, then retry."
    if causes:
        top = causes[0]
        explained = f"The first explains {top.items:,} of them."
        return f"{course.bad:,} failures have {len(causes):,} causes. {explained} Remove the causes, then retry."
    if report.status != "finished":
        why = f" ({short_reason(report.manifest.reason)})" if report.manifest.reason else ""
        return f"It stopped early{why}. Resume it: what is done is not repeated."
    if course.refusals:
        return "No item failed. Look at why items were not done."
    return "Nothing. Every item is done."


def _commands(report: Report) -> tuple[Command, ...]:
    retry, resume = retry_command(report), resume_command(report)
    lines = []
    if report.status == RUNNING:
        lines.append(Command("To watch it", f"trailblazer monitor {report.id}"))
    elif retry:
        lines.append(Command("To retry what failed", retry))
    has_more = report.course.counts["planned"] - report.course.good > report.course.bad
    if resume and resume != retry and (has_more or not retry):
        lines.append(Command("To resume all that is not done", resume))
    return tuple(lines)


def _table(name: str, causes: tuple[Cause, ...], report: Report, base: str) -> Table:
    rows_of = {row.number: row for row in report.course.rows}
    rows = []
    for cause in causes[:MOST_CAUSES]:
        first = rows_of.get(cause.first)
        example = short_item(first.item) if first else ""
        folder = (Link(cause.named[0], f"{base}{first.folder}/"),) if first and first.folder else ()
        rows.append((f"{cause.items:,}", said(cause.status), short_reason(cause.reason), example, folder))
    if left := causes[MOST_CAUSES:]:
        rows.append((f"{sum(cause.items for cause in left):,}", "", f"{len(left):,} more causes", "", ()))
    columns = (Column("Items", "number"), Column("Outcome", "status"), Column("Cause"), Column("First example"),
               Column("Folder", "links"))  # fmt: skip
    return Table(name, columns, tuple(rows))


def title_of(report: Report) -> str:
    """Return the title of a page: the mood, the verdict, the dispatch."""
    return one_line(f"{MOODS[mood_of(report)]} {verdict_of(report)} · {report.id}", 200)
