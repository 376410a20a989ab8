"""Makes a report in the format and at the place that were asked for; a dispatch folder is never written to."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trailblazer.atomic import PRIVATE_FILE, write_whole
from trailblazer.errors import WordsWrong
from trailblazer.paths import Places
from trailblazer.record.folder import find_folder
from trailblazer.record.manifest import MANIFEST
from trailblazer.reports.course.model import Report
from trailblazer.reports.course.reading import MOST_ROWS, read_report
from trailblazer.reports.formats.document import document_of
from trailblazer.reports.formats.junit import draw_junit
from trailblazer.reports.formats.markdown import draw_markdown
from trailblazer.reports.formats.prometheus import draw_prometheus
from trailblazer.reports.history.page import index_page
from trailblazer.reports.history.reading import read_history
from trailblazer.reports.page.assembling import page_of
from trailblazer.streams import put_out

FOR_ANYBODY = 0o644  # node_exporter is another user; the umask still counts


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: a format, and a file, `-` for stdout, or None for the place that the format usually has."""

    format: str
    output: str | None = None


def make_report(places: Places, name: str, wanted: Wanted) -> Path | None:
    """Write the report of a dispatch, and return the file; None where it went to stdout."""
    folder = find_folder(places, name)
    report = read_report(folder, sys.maxsize if wanted.format == "junit" else MOST_ROWS)
    usual = places.reports / f"{folder.name}.html" if wanted.format == "html" else None
    return _put(_drawn(report, wanted.format), wanted, usual)


def make_index(places: Places, park_after: int, wanted: Wanted) -> Path | None:
    """Write the page over all dispatches, and return the file; None where it went to stdout.

    `park_after` is what the configuration says of failures in a row.
    """
    from trailblazer.reports.page.html import draw_html

    return _put(
        [draw_html(index_page(read_history(places, park_after))).decode()], wanted, places.reports / "index.html"
    )


def _drawn(report: Report, form: str) -> Iterable[str]:
    match form:
        case "json":
            return [json.dumps(document_of(report), indent=2) + "\n"]
        case "junit":
            return draw_junit(report)
        case "prometheus":
            return draw_prometheus(report)
        case "md":
            return [draw_markdown(page_of(report))]
        case _:
            from trailblazer.reports.page.html import draw_html

            return [draw_html(page_of(report, f"{report.folder.resolve().as_uri()}/")).decode()]


def _put(pieces: Iterable[str], wanted: Wanted, usual: Path | None) -> Path | None:
    if wanted.output == "-" or (wanted.output is None and usual is None):
        put_out("".join(pieces))
        return None
    target = usual if wanted.output is None else Path(wanted.output)
    assert target is not None
    if any((folder / MANIFEST).is_file() for folder in target.resolve().parents):
        raise WordsWrong(
            f"{target} is in the folder of a dispatch", "A sealed folder holds nothing that was added later."
        )
    mode = FOR_ANYBODY if wanted.format == "prometheus" else PRIVATE_FILE
    write_whole(target, "".join(pieces), mode=mode)
    return target
