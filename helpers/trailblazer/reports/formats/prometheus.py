"""A dispatch as a text file for the node_exporter of Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from trailblazer.record.outcomes import Status
from trailblazer.reports.course.model import Report
from trailblazer.reports.course.rows import cost_of

_Sample = tuple[str, float]
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


def draw_prometheus(report: Report) -> Iterator[str]:
    """Yield the lines. The labels are lane and outcome: with one for the dispatch each would be a new series."""
    course, manifest = report.course, report.manifest
    lane = f'lane="{_UNSAFE.sub("_", manifest.lane)[:40]}"'
    outcomes = [(f'{lane},outcome="{status.value}"', float(course.counts[status.value])) for status in Status]
    outcomes.append((f'{lane},outcome="unrun"', float(course.counts["unrun"])))
    started = _epoch(manifest.started_on)
    ended = _epoch(manifest.finished_on) if manifest.finished_on else None
    has_succeeded = manifest.exit_code == 0
    yield from _metric("items", "Items of the newest dispatch by outcome.", outcomes)
    yield from _metric("attempts", "Attempts of the newest dispatch.", [(lane, float(course.attempts))])
    yield from _metric("start_timestamp_seconds", "When the newest dispatch began.", [(lane, started)])
    yield from _metric("work_seconds", "How long the newest dispatch was at work.", [(lane, course.timeline.seconds)])
    if ended is not None:
        yield from _metric("end_timestamp_seconds", "When the newest dispatch ended.", [(lane, ended)])
        yield from _metric("exit_code", "Its exit code.", [(lane, float(manifest.exit_code or 0))])
        yield from _metric("success", "Whether it ended with exit code 0.", [(lane, float(has_succeeded))])
    yield from _metric("cost_usd", "What it cost in US dollars.", [(lane, float(cost_of(course.usage) or 0))])
    if course.durations.items:
        pairs = [(f'{lane},quantile="0.5"', course.durations.p50), (f'{lane},quantile="0.95"', course.durations.p95)]
        yield from _metric("item_seconds", "How long its items took.", pairs)


def _metric(name: str, words: str, samples: list[_Sample]) -> Iterator[str]:
    whole = f"trailblazer_dispatch_{name}"
    yield f"# HELP {whole} {words}\n# TYPE {whole} gauge\n"
    for labels, value in samples:
        yield f"{whole}{{{labels}}} {value:.15g}\n"


def _epoch(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
