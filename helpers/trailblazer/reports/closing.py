"""What a dispatch leaves for people when it closes: the causes of failures on the screen, and its page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trailblazer.plain import one_line

MOST_ROWS = 500  # items on the page; `trailblazer report` shows more, and is not waited for


def report_at_close(folder: Path, say: Callable[..., None]) -> Path | None:
    """Say why items failed and how to retry them, write report.html, and return its path.

    A report that cannot be made is one warning, and None: the record is whole without it.
    """
    try:
        from trailblazer.reports.course.reading import read_report  # only the end of a dispatch needs all this
        from trailblazer.reports.failures import lines_of_failures
        from trailblazer.reports.page.writing import PAGE, write_page

        report = read_report(folder, MOST_ROWS)
        for line in lines_of_failures(report):
            say(line)
        write_page(report, folder / PAGE)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a report, the dispatch is what it is
        say(f"Warning: no report was written: {one_line(str(error) or repr(error), 300)}", "yellow")
        return None
    return folder / PAGE
