"""Why items failed, grouped by cause, for the person who mends it."""

from __future__ import annotations

from collections.abc import Iterator

from trailblazer.plain import one_line
from trailblazer.reports.course.model import Report
from trailblazer.reports.page.verdict import retry_command

MOST_CAUSES = 10


def lines_of_failures(report: Report) -> Iterator[str]:
    """Yield a line a cause, the most frequent first, and the command that tries again what failed; nothing without one.

    Causes with the same exit code that differ in numbers are one.
    """
    causes = report.course.causes
    if not causes:
        return
    yield f"Failures: {report.course.bad}, of {len(causes)} {'cause' if len(causes) == 1 else 'causes'}"
    for cause in causes[:MOST_CAUSES]:
        more = ", …" if cause.items > len(cause.named) else ""
        yield f"- {cause.items} x {one_line(f'{cause.status}: {cause.reason}', 160)} ({', '.join(cause.named)}{more})"
    if len(causes) > MOST_CAUSES:
        yield f"- … and {len(causes) - MOST_CAUSES} more causes: see report.html"
    if command := retry_command(report):
        yield f"To retry what failed: {command}"
