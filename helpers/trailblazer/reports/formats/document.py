"""A report as a JSON document."""

from __future__ import annotations

from typing import Any

from trailblazer import schemas
from trailblazer.reports.course.model import Cause, Report, Row
from trailblazer.reports.course.rows import cost_of
from trailblazer.reports.page.verdict import resume_command, retry_command, verdict_of

SCHEMA = "https://trailblazer.invalid/schemas/report.schema.json"


def document_of(report: Report) -> dict[str, Any]:
    """Return the report as JSON holds it, checked against schemas/report.schema.json."""
    course, manifest = report.course, report.manifest
    durations, silence = course.durations, course.silence
    document = {
        "$schema": SCHEMA,
        "dispatchId": report.id,
        "lane": manifest.lane,
        "status": report.status,
        "verdict": verdict_of(report),
        "exitCode": manifest.exit_code,
        "reason": manifest.reason,
        "startedOn": manifest.started_on,
        "finishedOn": manifest.finished_on,
        "madeOn": report.made_at,
        "workSeconds": round(course.timeline.seconds, 3),
        "folder": str(report.folder),
        "retry": retry_command(report) or None,
        "resume": resume_command(report) or None,
        "counts": dict(course.counts),
        "attempts": course.attempts,
        "slots": course.timeline.most_slots,
        "causes": [_cause(cause) for cause in (*course.causes, *course.refusals)],
        "providers": [tally.row(name) for name, tally in course.providers],
        "usage": dict(course.usage),
        "wasted": dict(course.wasted),
        "costUSD": cost_of(course.usage),
        "durations": {
            "items": durations.items, "p50": durations.p50, "p95": durations.p95, "longest": durations.longest,
        },
        "silence": {"seconds": silence.seconds, "since": silence.since or None, "items": list(silence.items)},
        "retriedItems": course.retried_in_all,
        "running": [{"item": one.item, "attempt": one.attempt, "since": one.since} for one in course.underway],
        "journalHead": manifest.journal_head,
        "seal": report.seal or None,
        "items": [_item(row) for row in course.rows],
        "itemsLeftOut": course.rows_left_out,
    }  # fmt: skip
    schemas.check("report", document, "the report")
    return document


def _cause(cause: Cause) -> dict[str, Any]:
    return {"status": cause.status, "reason": cause.reason, "items": cause.items, "named": list(cause.named)}


def _item(row: Row) -> dict[str, Any]:
    known = {
        "index": row.number, "item": row.item, "status": row.status, "reason": row.reason, "attempt": row.attempt,
        "tries": row.tries, "seconds": row.seconds, "costUSD": row.cost_usd, "provider": row.provider,
        "folder": row.folder,
    }  # fmt: skip
    return {name: value for name, value in known.items() if value is not None and value != ""} | {"reason": row.reason}
