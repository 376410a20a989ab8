"""Draws a page as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from trailblazer.reports.page.blocks import Cell, Link, Page, Table
from trailblazer.reports.page.charts import LOOKS, MOOD_LOOKS
from trailblazer.reports.page.verdict import MOODS
from trailblazer.reports.page.words import ENDS, said

HERE = Path(__file__).parent
COLOURS = {"good": "#2e8b57", "bad": "#c8322b", "busy": "#2f6fd0", "odd": "#b4560a"}


class _Compiled(jinja2.FileSystemBytecodeCache):
    """Keeps the compiled template beside the compiled modules, where Python may write there."""

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        with contextlib.suppress(OSError):
            super().dump_bytecode(bucket)


def draw_html(page: Page) -> bytes:
    """Return the file. Every text that comes from outside is escaped; only our own style and script are not."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FileSystemLoader(HERE),
        bytecode_cache=_Compiled(str(HERE / "__pycache__"), "%s.jinja.pyc"),
    )
    style, script = (HERE / "page.css").read_text(), (HERE / "page.js").read_text()
    known: dict[str, Any] = {
        "page": page,
        "mark": MOODS[page.mood],
        "icon": _icon(page.mood),
        "rows_of": _draw_rows,
        "style": Markup(style),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own file
        "style_hash": _hash(style),
        "script_hash": _hash(script),
    }
    text = environment.get_template("page.html.jinja").render(known)
    return text.encode("utf-8", "replace")


_LOOKS = {said(status): look for status, look in LOOKS.items()}
_LOOKS |= {word: MOOD_LOOKS[mood] for mood, word in ENDS.items()}


def _draw_rows(table: Table) -> Markup:
    """Return the rows of a table. There may be thousands: a template takes ten times as long for them."""
    draws = [_DRAWS[column.kind] for column in table.columns]
    rows = ["".join([draw(cell) for draw, cell in zip(draws, row, strict=True)]) for row in table.rows]
    return Markup("".join([f"<tr>{row}\n" for row in rows]))  # noqa: S704 - each cell is escaped


def _links(cell: Cell) -> str:
    links = [link for link in cell if isinstance(link, Link)]
    return "<td>" + " ".join(
        f'<a href="{escape(link.href)}">{escape(link.text)}</a>' if link.href else str(escape(link.text))
        for link in links
    )


_DRAWS: dict[str, Callable[[Any], str]] = {
    "text": lambda cell: f"<td>{escape(cell)}",
    "number": lambda cell: f"<td class=n>{escape(cell)}",
    "status": lambda cell: f'<td class="s {_LOOKS.get(cell, "stop")}">{escape(cell)}',
    "code": lambda cell: f"<td><code>{escape(cell)}</code>",
    "links": _links,
}


def _icon(mood: str) -> str:
    mark, colour = MOODS[mood], COLOURS[mood]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="{colour}"/>'
        f'<text x="8" y="12" font-size="11" text-anchor="middle" fill="#fff">{mark}</text></svg>'
    )
    return f"data:image/svg+xml,{quote(svg)}"


def _hash(text: str) -> str:
    """Return what a Content-Security-Policy knows an inline text by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
