"""A page as Markdown, cut to what the summary of a job of GitHub takes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trailblazer.reports.page.blocks import Block, Cell, Chart, Commands, Facts, Page, Table

MOST_BYTES = 1_000_000  # GitHub refuses a summary of more than 1 MiB
MOST_ROWS = 50
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&!$@])")


def draw_markdown(page: Page) -> str:
    """Return the page without its charts; tables are cut to 50 rows, and the whole to a megabyte."""
    pieces, size = [], 0
    for piece in _pieces(page):
        size += len(piece.encode("utf-8", "replace"))
        if size > MOST_BYTES:
            pieces.append("\n*The rest was cut off: see report.html.*\n")
            break
        pieces.append(piece)
    return "".join(pieces).encode("utf-8", "replace").decode()


def _pieces(page: Page) -> Iterator[str]:
    yield f"# {_plain(page.verdict)}\n\n{_plain(page.heading)}\n\n"
    yield "".join(f"- {_plain(name)}: {_plain(value)}\n" for name, value in page.facts)
    for panel in page.panels:
        yield f"\n## {_plain(panel.title)}\n\n{_plain(panel.answer)}\n"
        for block in panel.blocks:
            yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Facts):
        yield "\n" + "".join(f"- {_plain(name)}: {_plain(value)}\n" for name, value in block.pairs)
    elif isinstance(block, Commands):
        yield "\n" + "".join(f"- {_plain(line.why)}: `{line.text.replace('`', '')}`\n" for line in block.lines)
    elif isinstance(block, Chart):
        yield "\n" + "".join(f"- {_plain(key.text)}\n" for key in block.keys)
    else:
        yield f"\n{_plain(block.text)}\n"


def _table(table: Table) -> Iterator[str]:
    yield "\n| " + " | ".join(_plain(column.title) for column in table.columns) + " |\n"
    yield "|" + "|".join(" ---: " if column.kind == "number" else " --- " for column in table.columns) + "|\n"
    for row in table.rows[:MOST_ROWS]:
        yield "| " + " | ".join(_cell(cell) for cell in row) + " |\n"
    if left := len(table.rows) - MOST_ROWS:
        yield f"\n*{left:,} more rows are in report.html.*\n" if left > 0 else ""


def _cell(cell: Cell) -> str:
    return _plain(cell if isinstance(cell, str) else ", ".join(link.text for link in cell))


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is: no link, no image, no HTML, no mention."""
    shown = _SPECIAL.sub(r"\\\1", text.replace("\n", " "))
    return shown.replace("://", ":\\//").replace("www.", "www\\.")
