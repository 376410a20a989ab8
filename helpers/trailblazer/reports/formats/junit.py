"""A dispatch as JUnit XML, which every CI shows: a test case for each item."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from trailblazer.plain import plain
from trailblazer.record.outcomes import FAILED, Status
from trailblazer.reports.course.model import Report, Row

_LONGEST = 1_000


def draw_junit(report: Report) -> Iterator[str]:
    """Yield the lines. Items that were refused or not run are skipped; those without an outcome are left out."""
    course, manifest = report.course, report.manifest
    skipped = sum(_is_skipped(row) for row in course.rows)
    failed = sum(row.status in FAILED for row in course.rows)
    counts = f'tests="{len(course.rows)}" failures="{failed}" errors="0" skipped="{skipped}"'
    name = _attribute(f"{manifest.lane} {report.id}")
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f"<testsuites name={name} {counts}>\n"
    when = f'time="{course.timeline.seconds:.3f}" timestamp={_attribute(manifest.started_on)}'
    yield f"<testsuite name={name} {counts} {when}>\n"
    for row in course.rows:
        yield from _case(row, manifest.lane)
    yield "</testsuite>\n</testsuites>\n"


def _case(row: Row, lane: str) -> Iterator[str]:
    head = f'<testcase classname={_attribute(lane)} name={_attribute(row.item)} time="{row.seconds or 0:.3f}"'
    if row.status in FAILED:
        kind = f"type={_attribute(row.status)} message={_attribute(row.reason)}"
        where = escape(plain(row.folder)) if row.folder else ""
        yield f"{head}><failure {kind}>{where}</failure></testcase>\n"
    elif _is_skipped(row):
        yield f"{head}><skipped message={_attribute(row.reason)}/></testcase>\n"
    else:
        yield f"{head}/>\n"


def _is_skipped(row: Row) -> bool:
    return row.status in {Status.SKIPPED, Status.CANCELLED}


def _attribute(text: str) -> str:
    """Return text as a quoted attribute. Control characters, which XML forbids, are made visible."""
    shown = plain(text[:_LONGEST]).encode("utf-8", "replace").decode()
    return quoteattr(shown, {"\n": "&#10;", "\t": "&#9;"})
