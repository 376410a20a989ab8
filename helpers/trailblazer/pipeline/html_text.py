"""HTML as Markdown text: headings, lists, tables and code keep their shape, the rest is prose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

_SPACE = re.compile(r"\s+")
_BREAK = re.compile(r" *\n *")
_CODE_OF_PAGE = frozenset({"script", "style"})
_UNREAD = _CODE_OF_PAGE | {"template", "svg", "nav"}
# How DocBook, Sphinx and common themes name what leads to other pages, where they do not say <nav> or role=navigation
_NAVIGATION = frozenset({"navheader", "navfooter", "navbar", "breadcrumb", "breadcrumbs", "related", "sphinxsidebar"})
_ANCHORS = frozenset({"¶", "#", "§", "🔗"})  # the text of a heading's link to itself
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_BLOCKS = {
    *("address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "div", "dl", "dt"),
    *("fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "li", "main", "ol", "p", "pre"),
    *("section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul"),
    *_HEADINGS,
}
_CODE = frozenset({"code", "kbd", "samp", "tt"})
_NOT_IN_CELLS = {"ol", "pre", "table", "ul", *_HEADINGS}


@dataclass(frozen=True, slots=True)
class Page:
    """The content of an HTML page: its title ("" without one), its text as Markdown, and its links."""

    title: str
    text: str
    links: tuple[str, ...]


def read_html(html: str) -> Page:
    """Return the title, text and links of an HTML page. Broken markup is read as browsers read it, never refused."""
    reader = _Reader(_UNREAD, _NAVIGATION)
    reader.feed(html)
    reader.close()
    if reader.unread:  # a tag that hides its content was never closed: too much text is better than none
        reader = _Reader(_CODE_OF_PAGE, frozenset())
        reader.feed(html)
        reader.close()
    return reader.page()


class _Reader(HTMLParser):
    """Collects blocks of text, outside what is hidden. A block is (text, whether it is in a list or table).

    Hidden are the tags in `hidden`, and, unless `navigation` is empty, every tag of such a class or that role.
    """

    def __init__(self, hidden: frozenset[str], navigation: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.unread = 0  # how many tags named `_hider` are open
        self._hider = ""
        self._hidden = hidden
        self._navigation = navigation
        self._anchor = 0  # where in the block a link began
        self._blocks: list[tuple[str, bool]] = []
        self._inline: list[str] = []
        self._prefix = ""
        self._counters: list[int | None] = []
        self._cells: list[str] | None = None
        self._in_cell = False
        self._rows = 0
        self._preformatted = 0
        self._language = ""
        self._in_title = False
        self._title: list[str] = []
        self._heading = ""
        self._links: dict[str, None] = {}

    def page(self) -> Page:
        """Return the page that was read."""
        self._flush()
        text = ""
        was_tight = False
        for block, is_tight in self._blocks:
            text += ("\n" if was_tight and is_tight else "\n\n") + block if text else block
            was_tight = is_tight
        title = _SPACE.sub(" ", "".join(self._title)).strip() or self._heading
        return Page(title, text, tuple(self._links))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.unread:
            self.unread += tag == self._hider
            return
        attributes = dict(attrs)
        if self._is_hidden(tag, attributes):
            self.unread, self._hider = 1, tag
        elif tag == "title":
            self._in_title = not self._title
        elif tag == "a":
            self._anchor = len(self._inline)
            self._link(attributes.get("href") or "")
        elif tag == "img":
            self._inline.append(f" {attributes.get('alt') or ''} ")
        elif tag == "br":
            self._inline.append("\n")
        elif tag in _CODE:
            self._quote_code()
            if self._preformatted:
                self._name_language(attributes)
        elif tag in {"td", "th"}:
            self._end_cell()
            self._cells = self._cells or []
            self._in_cell = True
        elif tag in _BLOCKS:
            self._start_block(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        if self.unread:
            self.unread -= tag == self._hider
        elif tag == "title":
            self._in_title = False
        elif tag == "a":
            self._end_anchor()
        elif tag in _CODE:
            self._quote_code()
        elif tag in {"td", "th"}:
            self._end_cell()
        elif tag in _BLOCKS:
            self._end_block(tag)

    def handle_data(self, data: str) -> None:
        if self.unread:
            return
        if self._in_title:
            self._title.append(data)
        else:
            self._inline.append(data if self._preformatted else _SPACE.sub(" ", data))

    def _start_block(self, tag: str, attributes: dict[str, str | None]) -> None:
        if self._cells is not None and tag in _NOT_IN_CELLS:
            self._leave_table()
        if self._cells is not None and tag != "tr":
            self._inline.append(" ")
            return
        self._flush()
        if tag in _HEADINGS:
            self._prefix = _HEADINGS[tag]
        elif tag == "pre":
            self._preformatted += 1
            self._name_language(attributes)
        elif tag in {"ul", "ol"}:
            self._counters.append(None if tag == "ul" else 0)
        elif tag == "li":
            self._prefix = self._bullet()
        elif tag == "table":
            self._rows = 0

    def _end_block(self, tag: str) -> None:
        if tag == "tr":
            self._end_row()
        elif self._cells is not None and tag not in {"table", "tbody", "thead", "tfoot"}:
            self._inline.append(" ")
        elif tag == "pre" and self._preformatted:
            self._flush()
            self._preformatted -= 1
        else:
            self._flush()
            self._prefix = ""
            if tag in {"ul", "ol"} and self._counters:
                self._counters.pop()

    def _flush(self) -> None:
        """End the present block."""
        if self._cells is not None:
            self._end_row()
        text = "".join(self._inline)
        self._inline.clear()
        if self._preformatted:
            self._fence(text.strip("\n"))
            return
        text = _BREAK.sub("\n", _collapse(text)).strip()
        if not text:
            return
        indent = "  " * max(0, len(self._counters) - (1 if self._prefix else 0))
        if self._prefix.startswith("#"):
            text = text.replace("\n", " ")
            self._heading = self._heading or text
            indent = ""
        lines = text.split("\n")
        hanging = indent + " " * (len(self._prefix) if self._counters and self._prefix else 0)
        block = "\n".join([indent + self._prefix + lines[0], *(hanging + line for line in lines[1:])])
        self._blocks.append((block, bool(self._counters)))
        self._prefix = ""

    def _fence(self, code: str) -> None:
        if code.strip():
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", code)), default=0))
            self._blocks.append((f"{fence}{self._language}\n{code}\n{fence}", False))
        self._language = ""

    def _bullet(self) -> str:
        if not self._counters or self._counters[-1] is None:
            return "- "
        self._counters[-1] += 1
        return f"{self._counters[-1]}. "

    def _end_cell(self) -> None:
        if self._cells is not None and self._in_cell:
            self._cells.append(_collapse("".join(self._inline).replace("\n", " ")).strip().replace("|", "\\|"))
            self._inline.clear()
        self._in_cell = False

    def _end_row(self) -> None:
        self._end_cell()
        cells, self._cells = self._cells, None
        if cells and any(cells):
            self._blocks.append(("| " + " | ".join(cells) + " |", True))
            if self._rows == 0:
                self._blocks.append(("|" + " --- |" * len(cells), True))
            self._rows += 1

    def _leave_table(self) -> None:
        """Turn the cells into blocks: a table with a heading, a list or code in a cell only arranges the page."""
        self._end_cell()
        cells, self._cells = self._cells, None
        self._blocks += [(cell, False) for cell in cells or () if cell]

    def _is_hidden(self, tag: str, attributes: dict[str, str | None]) -> bool:
        if tag in self._hidden:
            return True
        classes = (attributes.get("class") or "").lower().split()
        return bool(self._navigation) and (
            (attributes.get("role") or "").strip().lower() == "navigation" or not self._navigation.isdisjoint(classes)
        )

    def _end_anchor(self) -> None:
        """Drop a link that shows a mark only, such as the pilcrow behind a heading: it leads to that heading."""
        if "".join(self._inline[self._anchor :]).strip() in _ANCHORS:
            del self._inline[self._anchor :]

    def _link(self, target: str) -> None:
        if target and not target.startswith(("#", "javascript:", "mailto:", "data:")):
            self._links[target.strip()] = None

    def _quote_code(self) -> None:
        if not self._preformatted:
            self._inline.append("`")

    def _name_language(self, attributes: dict[str, str | None]) -> None:
        found = re.search(r"(?:^|\s)(?:language|lang|highlight)-([\w+-]{1,20})", attributes.get("class") or "")
        self._language = found[1] if found else self._language


def _collapse(text: str) -> str:
    while "  " in text:
        text = text.replace("  ", " ")
    return text
