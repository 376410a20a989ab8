"""The page of one dispatch: its verdict and its twelve panels, in the order in which a person asks."""

from __future__ import annotations

from trailblazer.plain import one_line
from trailblazer.reports.course.model import Report
from trailblazer.reports.page.blocks import Page
from trailblazer.reports.page.proof_panels import journal_panel, money_panel, proof_panel, providers_panel
from trailblazer.reports.page.verdict import mood_of, title_of, todo_panel, verdict_of
from trailblazer.reports.page.words import clock, span, zone
from trailblazer.reports.page.work_panels import (
    durations_panel,
    items_panel,
    load_panel,
    outcome_panel,
    retries_panel,
    slots_panel,
)


def page_of(report: Report, base: str = "") -> Page:
    """Return the page of a dispatch. `base` begins the links: where its folder is, seen from the page."""
    return Page(
        title=title_of(report),
        heading=f"{report.manifest.lane} dispatch {report.id}",
        verdict=verdict_of(report),
        mood=mood_of(report),
        facts=_facts(report),
        panels=(
            todo_panel(report, base),
            outcome_panel(report),
            slots_panel(report),
            load_panel(report),
            durations_panel(report),
            providers_panel(report),
            money_panel(report),
            retries_panel(report),
            items_panel(report, base),
            proof_panel(report),
            journal_panel(report, base),
        ),
        made_at=f"{clock(report.made_at, with_date=True)} {zone(report.made_at)}",
    )


def _facts(report: Report) -> tuple[tuple[str, str], ...]:
    manifest, course = report.manifest, report.course
    started = clock(manifest.started_on, with_date=True)
    facts = [("Started", f"{started} {zone(manifest.started_on)}"), ("At work", span(course.timeline.seconds))]
    if manifest.finished_on:
        facts.append(("Ended", clock(manifest.finished_on, with_date=True)))
    if manifest.exit_code is not None:
        reason = f": {one_line(manifest.reason, 300)}" if manifest.reason else ""
        facts.append(("Exit code", f"{manifest.exit_code}{reason}"))
    if manifest.seed.notes:
        facts.append(("Notes", one_line(manifest.seed.notes, 300)))
    return tuple(facts)
