"""What a part of a Markdown text is: the headings above it, text or code or a table, and its images."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A line that begins a heading, or opens or closes fenced code: one pass over the text finds both.
_MARK = re.compile(r"\n {0,3}(?:(#{1,6})[ \t]+(\S[^\n]*)|(`{3,}|~{3,})([^\n]*))")
_IMAGE = re.compile(r"!\[[^\]]{0,300}\]\(\s*<?([^\s)>]{1,2000})")


class Sections:
    """The headings of one text; the places asked about go from its start to its end."""

    def __init__(self, text: str) -> None:
        self._headings = list(find_headings(text)) if "#" in text else []
        self._next = 0
        self._above: list[tuple[int, str]] = []

    def at(self, place: int) -> str:
        """Return the headings above a place, outermost first, joined with " > ". Places only grow."""
        while self._next < len(self._headings) and self._headings[self._next][0] <= place:
            _, level, title = self._headings[self._next]
            self._above = [heading for heading in self._above if heading[0] < level] + [(level, title)]
            self._next += 1
        return " > ".join([title for _, title in self._above])[:500]


def find_headings(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield place (offset in characters), level (1 to 6) and title of each heading outside fenced code."""
    fence = ""
    for found in _MARK.finditer("\n" + text):
        hashes, title, mark, rest = found.groups()
        if mark:
            fence = _after(fence, mark, rest)
        elif not fence:
            yield found.start(), len(hashes), title.rstrip("# \t") or title.strip()


def _after(fence: str, mark: str, rest: str) -> str:
    """Return the fence that is open after a line with a fence mark, "" when none is open."""
    if not fence:
        return mark
    return "" if mark.startswith(fence) and not rest.strip() else fence


def kind_of(part: str) -> str:
    """Return the chunk_type of a part: "code" for one fenced block, "table" for rows only, else "text"."""
    if part.startswith(("```", "~~~")):
        return "code" if _is_one_fence(part) else "text"
    if part.startswith("|") and all(line.lstrip().startswith("|") for line in part.split("\n") if line):
        return "table"
    return "text"


def _is_one_fence(part: str) -> bool:
    """Return whether the fence at the start of a part is open until its end."""
    fence = ""
    for found in _MARK.finditer("\n" + part):
        if found[3]:
            fence = _after(fence, found[3], found[4])
            if not fence:
                return found.end() - 1 == len(part)
    return True


def images_in(part: str) -> list[str]:
    """Return the addresses of the images in a part, each once, in order."""
    return list(dict.fromkeys(_IMAGE.findall(part))) if "![" in part else []
