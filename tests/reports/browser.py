"""The Chromium of the machine, driven by playwright."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Yield a headless browser."""
    with sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox", "--disable-gpu"])
        yield program
        program.close()


class Visit:
    """A page in a window of its own. `requests` and `problems` are what it asked for, and what its console said."""

    def __init__(self, program: Browser, file: Path, width: int = 1600, scheme: Any = "light", **more: Any) -> None:
        self.context = program.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
        self.page: Page = self.context.new_page()
        self.requests: list[str] = []
        self.problems: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda said: self.problems.append(said.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        self.page.goto(file.as_uri())

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element that can be seen."""
        return [one.inner_text().strip() for one in self.page.query_selector_all(selector) if one.is_visible()]
