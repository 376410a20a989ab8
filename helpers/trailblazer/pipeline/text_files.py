"""How a text file of each kind becomes Markdown text with a title."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

from trailblazer.errors import storage_trouble
from trailblazer.pipeline.documents import storable

KINDS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".text": "text",
    ".rst": "rst",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
}

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_ATX = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t#]*$")
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
_SETEXT = re.compile(r"^ {0,3}(=+|-+)[ \t]*$")
_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*")
_LINK = re.compile(r"\]\((https?://[^\s)]+)|<(https?://[^\s>]+)>")


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a text file. `replaced` counts bytes and characters that became U+FFFD."""

    title: str
    text: str
    links: tuple[str, ...]
    replaced: int


def read_text_file(file: Path) -> Content:
    """Return the content of a file as Markdown text with "\\n" line ends. The suffix decides the kind (KINDS).

    A file that cannot be read is refused with StorageTrouble. Bytes that are not text become U+FFFD and are counted.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise storage_trouble(error, "read") from error
    return as_content(raw, KINDS[file.suffix.lower()], file.stem)


def as_content(raw: bytes, kind: str, name: str) -> Content:
    """Return the content of bytes of one kind (markdown, text, rst, html); `name` is the title if it has none."""
    decoded = _decode(raw, kind)
    text = storable(decoded).replace("\r\n", "\n").replace("\r", "\n")
    replaced = text.count("\N{REPLACEMENT CHARACTER}") - raw.count("\N{REPLACEMENT CHARACTER}".encode())
    links: tuple[str, ...] = ()
    if kind == "html":
        from trailblazer.pipeline.html_text import read_html

        page = read_html(text)
        title, text, links = page.title, page.text, page.links
    elif kind == "markdown":
        title, links = _markdown_title(text), _links(text)
    else:
        text = rst_to_markdown(text) if kind == "rst" else text
        title, links = _markdown_title(text) if kind == "rst" else "", _links(text)
    return Content(title[:500] or name, text.strip("\n"), links, max(0, replaced))


def _decode(raw: bytes, kind: str) -> str:
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(encoding, "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        declared = _CHARSET.search(raw[:2048]) if kind == "html" else None
        if declared:
            try:
                return raw.decode(codecs.lookup(declared[1].decode()).name, "replace")
            except (LookupError, UnicodeError):
                pass
        return raw.decode("utf-8", "replace")


def _links(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(first or second for first, second in _LINK.findall(text)))


def _markdown_title(text: str) -> str:
    fence = ""
    before = ""
    for line in text.split("\n", 400)[:400]:
        mark = _FENCE.match(line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) else fence
            continue
        if mark:
            fence = mark[1]
            continue
        heading = _ATX.match(line)
        if heading:
            return heading[1].strip()
        if before and _SETEXT.match(line):
            return before
        before = line.strip()
    return ""


def rst_to_markdown(text: str) -> str:
    """Return reStructuredText with its section titles as `#` headings; everything else is unchanged.

    A title is a line above, or between, a line of punctuation that is at least as long. Its level is the order in which
    that kind of adornment first appears.
    """
    lines = text.split("\n")
    levels: dict[tuple[str, bool], int] = {}
    converted: list[str] = []
    position = 0
    while position < len(lines):
        over = _is_title(lines, position + 1) and lines[position].rstrip() == lines[position + 2].rstrip()
        if over or _is_title(lines, position):
            title = lines[position + over].strip()
            level = levels.setdefault((lines[position + 1 + over][0], over), len(levels) + 1)
            converted.append("#" * min(level, 6) + " " + title)
            position += 2 + over
        else:
            converted.append(lines[position])
            position += 1
    return "\n".join(converted)


def _is_title(lines: list[str], position: int) -> bool:
    """Return whether the line at a position is a title that the next line underlines."""
    if position < 0 or position + 1 >= len(lines):
        return False
    title, under = lines[position].strip(), lines[position + 1].rstrip()
    return bool(
        title
        and len(under) >= max(2, len(title))
        and _ADORNMENT.fullmatch(under)
        and not _ADORNMENT.fullmatch(title)
        and (position == 0 or not lines[position - 1].strip() or _ADORNMENT.fullmatch(lines[position - 1].rstrip()))
    )
