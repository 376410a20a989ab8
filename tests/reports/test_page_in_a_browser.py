"""The page of a dispatch in a real browser: panels, sorting, filters, keyboard, widths, colours, hostile texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")  # scripts/bootstrap.sh browser

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from reports.browser import PROGRAM, Visit, browser
from reports.recorded import HOSTILE_ITEM, rich_dispatch, small_dispatch
from trailblazer.paths import Places
from trailblazer.plain import one_line
from trailblazer.reports.course.reading import read_report
from trailblazer.reports.history.page import index_page
from trailblazer.reports.history.reading import read_history
from trailblazer.reports.page.html import draw_html
from trailblazer.reports.page.writing import write_page

PANELS = [
    "todo",
    "outcomes",
    "slots",
    "load",
    "durations",
    "providers",
    "money",
    "retries",
    "items",
    "proof",
    "journal",
]
LOOKS = [(width, scheme) for width in (400, 1600) for scheme in ("light", "dark")]
pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def program() -> Iterator[Browser]:
    """The browser."""
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a dispatch in which everything happened that can."""
    root = tmp_path_factory.mktemp("rich")
    folder = rich_dispatch(Places(root, root / "var"))
    write_page(read_report(folder), folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page over all dispatches of a project."""
    root = tmp_path_factory.mktemp("index")
    places = Places(root, root / "var")
    rich_dispatch(places)
    file = root / "index.html"
    file.write_bytes(draw_html(index_page(read_history(places, 3))))
    return file


def test_every_panel_is_there(program: Browser, page: Path) -> None:
    """The verdict and the other eleven panels are there, each with an answer in words."""
    visit = Visit(program, page)
    assert visit.page.title().startswith("✗ 5 of 38 items failed")
    assert visit.page.query_selector("header#verdict h1") is not None
    assert PANELS == [section.get_attribute("id") for section in visit.page.query_selector_all("main > section")]
    assert len(PANELS) == len([text for text in visit.texts("section > .answer") if text])
    icon = visit.page.query_selector("link[rel=icon]")
    assert icon is not None
    assert str(icon.get_attribute("href")).startswith("data:image/svg+xml,")


def test_a_page_asks_for_nothing(program: Browser, page: Path) -> None:
    """The page makes no request but for itself, and its own policy refuses nothing of it."""
    visit = Visit(program, page)
    visit.page.wait_for_load_state("networkidle")
    assert [page.as_uri()] == [url for url in visit.requests if not url.startswith("data:")]
    assert [] == visit.problems


def test_hostile_texts_stay_text(program: Browser, page: Path) -> None:
    """An id or a reason that is HTML, a script, a template or an escape sequence is shown and does nothing."""
    visit = Visit(program, page)
    assert "owned" not in visit.page.title()
    assert [] == visit.page.query_selector_all("img")
    assert 1 == len(visit.page.query_selector_all("script"))
    shown = visit.page.inner_text("#items")
    assert one_line(HOSTILE_ITEM, 80) in shown
    assert "<img src=x onerror=alert(1)>" in shown
    assert "\u202e" not in visit.page.content()
    assert "\x1b" not in visit.page.content()
    assert [] == [problem for problem in visit.problems if "dialog" in problem]


def test_a_click_on_a_heading_sorts(program: Browser, page: Path) -> None:
    """Numbers are sorted as numbers, upwards and then downwards, and empty cells stay at the end."""
    visit = Visit(program, page)
    column = "#items tbody td:nth-child(5)"
    visit.page.click("#items th:nth-child(5) button")
    upwards = [float(text.replace(",", "")) for text in visit.texts(column) if text]
    assert sorted(upwards) == upwards
    visit.page.click("#items th:nth-child(5) button")
    downwards = visit.texts(column)
    assert sorted(upwards, reverse=True) == [float(text.replace(",", "")) for text in downwards if text]
    assert "" == downwards[-1]
    assert "descending" == visit.page.get_attribute("#items th:nth-child(5)", "aria-sort")


def test_a_filter_shows_only_what_is_asked_for(program: Browser, page: Path) -> None:
    """Rows that lack one of the words are hidden, the rest is counted, and without words all are back."""
    visit = Visit(program, page)
    visit.page.fill("#items-filter", "failed no host")
    assert 3 == len(visit.texts("#items tbody tr"))
    assert "3 of 38" == visit.page.inner_text("#items output")
    visit.page.fill("#items-filter", "")
    assert 38 == len(visit.texts("#items tbody tr"))
    visit.page.fill("#journal-filter", "warning database")
    assert 1 == len(visit.texts("#journal tbody tr:has(td:nth-child(4))"))


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_no_page_is_wider_than_the_window(program: Browser, page: Path, index: Path, width: int, scheme: str) -> None:
    """At 400 and at 1,600 pixels only tables scroll sideways, in light and in dark."""
    for file in (page, index):
        visit = Visit(program, file, width, scheme)
        assert width >= visit.page.evaluate("document.documentElement.scrollWidth")


def test_dark_is_dark(program: Browser, page: Path) -> None:
    """The ground is light where a person wants light, and dark where a person wants dark."""
    ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert min(Visit(program, page, scheme="light").page.evaluate(ground)) > 200
    assert max(Visit(program, page, scheme="dark").page.evaluate(ground)) < 60


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_axe_finds_nothing(program: Browser, page: Path, index: Path, width: int, scheme: str) -> None:
    """Contrast, landmarks, names, headings, tables: axe-core finds no violation, in either look."""
    for file in (page, index):
        visit = Visit(program, file, width, scheme, bypass_csp=True)  # axe-core is put into the page
        found = Axe().run(visit.page).response["violations"]
        assert [] == [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found]


def test_the_keyboard_is_enough(program: Browser, page: Path) -> None:
    """Tab reaches the link to the panels first, then headings and filters; Enter sorts; what has the focus is seen."""
    visit = Visit(program, page)
    visit.page.keyboard.press("Tab")
    assert "To the panels" == visit.page.evaluate("document.activeElement.textContent")
    reached = set()
    for _ in range(150):
        visit.page.keyboard.press("Tab")
        reached.add(visit.page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"A", "DIV", "BUTTON", "items-filter"} <= reached
    visit.page.focus("#items th:nth-child(2) button")
    visit.page.keyboard.press("Enter")
    assert "ascending" == visit.page.get_attribute("#items th:nth-child(2)", "aria-sort")
    visit.page.keyboard.press("Shift+Tab")
    visit.page.keyboard.press("Tab")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert "solid" == visit.page.evaluate(outline)


def test_without_a_script_all_is_there(program: Browser, page: Path) -> None:
    """Without JavaScript the tables are whole, the anchors lead to the panels, and no dead control is seen."""
    visit = Visit(program, page, java_script_enabled=False)
    assert 38 == len(visit.page.query_selector_all("#items tbody tr"))
    assert [] == visit.texts(".filter")
    assert [] == visit.page.query_selector_all("th button")


def test_links_lead_to_files_of_the_dispatch(program: Browser, page: Path) -> None:
    """Each link of a page in the folder is relative, and that of a page elsewhere names the folder."""
    visit = Visit(program, page)
    hrefs = [str(link.get_attribute("href")) for link in visit.page.query_selector_all("#items a, #journal a")]
    assert "task_31/attempt_1/worker.stderr" in hrefs
    assert "journal.ndjson" in hrefs
    elsewhere = page.parent.parent / "elsewhere.html"
    write_page(read_report(page.parent), elsewhere)
    assert f"{page.parent.as_uri()}/task_31/attempt_1/worker.stderr" in elsewhere.read_text()


def test_a_page_of_good_news_is_green(program: Browser, tmp_path: Path) -> None:
    """The verdict is in the title, the heading and the colour, and there is nothing to do."""
    folder = small_dispatch(Places(tmp_path, tmp_path / "var"))
    write_page(read_report(folder), folder / "report.html")
    visit = Visit(program, folder / "report.html")
    assert visit.page.title().startswith("✓ All is well: 2 of 2 items done")
    assert "good" == visit.page.get_attribute("body", "class")
    assert "Nothing. Every item is done." == visit.page.inner_text("#todo .answer")
