"""Draws the pictures of the README anew: `python -m reports.pictures`. The same facts give the same pictures."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from repo.tree import CHECKOUT
from reports.pictured import dispatch_of_the_night, scene_of_the_night
from trailblazer.paths import Places
from trailblazer.reports.course.reading import read_report
from trailblazer.reports.page.writing import PAGE, write_page
from trailblazer.reports.screen import view_of

PICTURES = CHECKOUT / "docs" / "pictures"
LIVE_VIEW = PICTURES / "live-view.svg"
DIGEST = PICTURES / "report.sha256"  # of the page that report-light.png and report-dark.png show
COLUMNS, LINES = 96, 22
WIDTH, HEIGHT = 1200, 984  # of the part of the page that is shown, in pixels
_MADE = re.compile(rb"<footer>.*?</footer>", re.DOTALL)  # it says when the page was made
_WEB_FONT = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)  # a picture asks nobody for anything


@contextlib.contextmanager
def utc() -> Iterator[None]:
    """While it is entered, the clock of this place is UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


def live_view(root: Path) -> str:
    """Return the live view of the dispatch as an SVG file. `root` is an empty folder."""
    with utc():
        scene, now = scene_of_the_night(Places(root, root / "var"))
        view = view_of(scene, COLUMNS, LINES, now)
    console = Console(
        record=True, file=io.StringIO(), width=COLUMNS, height=LINES, force_terminal=True, color_system="truecolor",
        no_color=False, highlight=False, _environ={},
    )  # fmt: skip
    console.print(view)
    drawn = console.export_svg(title="trailblazer batch run", unique_id="live")
    return "\n".join(line.rstrip() for line in _WEB_FONT.sub("", drawn).splitlines()) + "\n"


def page(root: Path) -> Path:
    """Write the page of the dispatch, and return the file. `root` is an empty folder."""
    with utc():
        folder = dispatch_of_the_night(Places(root, root / "var"))
        write_page(read_report(folder), folder / PAGE)
    return folder / PAGE


def digest_line(file: Path) -> str:
    """Return the line of DIGEST for a page; its footer does not count."""
    return f"{hashlib.sha256(_MADE.sub(b'', file.read_bytes())).hexdigest()}  {PAGE}\n"


def draw_all() -> None:
    """Write every picture, and the digest of the page; it needs Chromium."""
    from reports.browser import Visit, browser

    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as root, browser() as program:
        LIVE_VIEW.write_text(live_view(Path(root, "live")))
        file = page(Path(root, "page"))
        for scheme in ("light", "dark"):
            visit = Visit(program, file, WIDTH, scheme)
            visit.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
            visit.page.screenshot(path=PICTURES / f"report-{scheme}.png")
        DIGEST.write_text(digest_line(file))


if __name__ == "__main__":
    draw_all()
