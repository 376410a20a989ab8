"""Writes report.html: into a dispatch folder before it is sealed, or anywhere else later."""

from __future__ import annotations

from pathlib import Path

from trailblazer.atomic import write_whole
from trailblazer.reports.course.model import Report
from trailblazer.reports.page.assembling import page_of

PAGE = "report.html"


def write_page(report: Report, target: Path) -> None:
    """Write the page of a report as a whole file. Its links lead to the dispatch folder, wherever the page is."""
    from trailblazer.reports.page.html import draw_html  # it loads Jinja2

    is_inside = target.parent == report.folder
    base = "" if is_inside else f"{report.folder.resolve().as_uri()}/"
    write_whole(target, draw_html(page_of(report, base)), durable=False)
