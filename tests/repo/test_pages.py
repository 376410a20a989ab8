"""The pages of docs/ are found, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from repo.tree import CHECKOUT, shown

DOCS = CHECKOUT / "docs"
PAGES = [CHECKOUT / "README.md", *sorted(DOCS.glob("*.md"))]
_LINK = re.compile(r'(?:\]\(|src="|srcset=")([^)"\s]+)')
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors_of(page: Path) -> set[str]:
    """Return what a link may name behind the # of a page, as GitHub makes it of the headings."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link and picture of a page is a file of the checkout, and each anchor a heading of it."""
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert [] == broken


def test_the_table_of_contents_is_whole() -> None:
    """docs/README.md names every page of docs/."""
    contents = DOCS / "README.md"
    named = {link.partition("#")[0] for link in _LINK.findall(contents.read_text())}
    assert [] == [page.name for page in DOCS.glob("*.md") if page != contents and page.name not in named]


def test_the_readme_is_one_page() -> None:
    """A newcomer reads at most 120 lines."""
    assert len((CHECKOUT / "README.md").read_text().splitlines()) <= 120
