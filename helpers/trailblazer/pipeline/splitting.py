"""A text becomes pieces under a token cap, each with its exact place and its exact count of tokens."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trailblazer.errors import ConfigWrong
from trailblazer.pipeline.sections import find_headings

if TYPE_CHECKING:
    from trailblazer.pipeline.tokens import TokenTable

WHOLE = "whole"
MARKDOWN = "markdown"

# The splitter reads the rest of a text again for each piece, which is quadratic: a long text is split in parts.
LONGEST_PART = 1 << 18
LONGEST_LINE = 1 << 14
# In every table we use a token ends at a letter before a space, whatever is around the two.
_WORD_END = re.compile(r"[A-Za-z](?= )")
# A shorter text is tokenised to count it: that is quicker than to find its place.
_SHORT = 120
_HEAD = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text. `start` and `end` are offsets in characters of the whole text.

    `token_start` and `token_end` are offsets in tokens of the whole text; `tokens` counts those of the piece alone.
    """

    start: int
    end: int
    token_start: int
    token_end: int
    tokens: int


class Splitter:
    """Splits texts at the largest of headings, blocks, sentences or words that fits (semantic-text-splitter).

    That library asks for the size of many overlapping sections of a text. A size is looked up in the token ends of
    the whole text, which is tokenised once. It can be a token or two wrong when a section begins within a word. So
    every piece is counted exactly in the end, and a part with a piece over the cap is split again by exact sizes.
    """

    def __init__(self, table: TokenTable, cap: int, overlap: int) -> None:
        """Refuse an overlap that leaves no room under the cap with ConfigWrong."""
        from semantic_text_splitter import MarkdownSplitter

        if overlap >= cap:
            raise ConfigWrong(
                f"chunk.overlap is {overlap}, chunk.max_tokens {cap}: no room is left for new text",
                "Set chunk.overlap well below chunk.max_tokens.",
            )
        self.cap = cap
        self._table = table
        self._quick: Any = MarkdownSplitter.from_callback(self._looked_up, cap, overlap)
        self._exact: Any = MarkdownSplitter.from_callback(table.count, cap, overlap)
        self._ends = memoryview(b"")
        self._part = ""
        self._start = 0
        self._at = 0

    def split(self, text: str) -> tuple[str, list[Piece]]:
        """Return how a text was split ("whole" or "markdown") and its pieces, in order; blank text has none.

        Every character that is not white space is in a piece; no piece has more than `cap` tokens. The time is
        proportional to the length. A piece that begins a part repeats nothing of the piece before.
        """
        self._ends = ends = self._table.ends(text).data
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        if start >= end:
            return WHOLE, []
        if len(ends) <= self.cap + (len(text) - end + start):
            tokens = len(ends) if end - start == len(text) else self._count(start, text[start:end])
            if tokens <= self.cap:
                return WHOLE, [Piece(start, end, bisect_right(ends, start), _touched(ends, end), tokens)]
        pieces: list[Piece] = []
        for start, end in split_in_parts(text):
            self._part, self._start, self._at = text[start:end], start, 0
            of_part = self._pieces(self._quick)
            if any(piece.tokens > self.cap for piece in of_part):
                of_part = self._pieces(self._exact)
            pieces += of_part
        return MARKDOWN, pieces

    def _pieces(self, splitter: Any) -> list[Piece]:
        """Return the pieces of the present part."""
        ends, pieces = self._ends, []
        for place, section in splitter.chunk_indices(self._part):
            start, end = self._start + place, self._start + place + len(section)
            tokens = self._count(start, section)
            pieces.append(Piece(start, end, bisect_right(ends, start), _touched(ends, end), tokens))
        return pieces

    def _looked_up(self, section: str) -> int:
        """Return about how many tokens a section of the present part has, by the token ends of the whole text."""
        if len(section) < _SHORT:
            return self._table.count(section)
        part, at = self._part, self._at
        if not part.startswith(section, at):
            head = section[:_HEAD]
            at = part.find(head, at + 1)
            while at >= 0 and not part.startswith(section, at):
                at = part.find(head, at + 1)
            if at < 0:
                return self._looked_up_from_start(section)
            self._at = at
        start = self._start + at
        return bisect_left(self._ends, start + len(section)) - bisect_right(self._ends, start) + 1

    def _looked_up_from_start(self, section: str) -> int:
        self._at = self._part.find(section)
        if self._at < 0:
            self._at = 0
            return self._table.count(section)
        return self._looked_up(section)

    def _count(self, start: int, section: str) -> int:
        """Return exactly how many tokens a section has: head and tail are tokenised, the rest is looked up.

        Between the first and the last letter before a space the tokens are those of the whole text.
        """
        ends = self._ends
        head = _WORD_END.search(section)
        tail = section.rfind(" ")
        while tail > 0 and not (section[tail - 1].isascii() and section[tail - 1].isalpha()):
            tail = section.rfind(" ", 0, tail)
        if head is None or tail <= head.end():
            return self._table.count(section)
        between = bisect_right(ends, start + tail) - bisect_right(ends, start + head.end())
        return self._table.count(section[: head.end()]) + between + self._table.count(section[tail:])


def split_in_parts(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each part of a text: together they are the text; nearly every text is one part.

    A part ends before a heading, a blank line or any line after at most LONGEST_PART characters. A line of more than
    LONGEST_LINE characters becomes parts of its own, which end at a space where there is one.
    """
    if len(text) <= LONGEST_PART and max(map(len, text.split("\n"))) < LONGEST_LINE:
        yield 0, len(text)
        return
    start = place = 0
    while place < len(text):
        line_end = text.find("\n", place) + 1 or len(text)
        if line_end - place > LONGEST_LINE:
            if start < place:
                yield from _block_parts(text, start, place)
            yield from _line_parts(text, place, line_end)
            start = line_end
        place = line_end
    if start < len(text):
        yield from _block_parts(text, start, len(text))


def _block_parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of some lines of a text, none of which is too long."""
    headings = [start + place for place, _, _ in find_headings(text[start:end])] if end - start > LONGEST_PART else []
    while end - start > LONGEST_PART:
        least, most = start + LONGEST_PART // 2, start + LONGEST_PART
        before = bisect_right(headings, most)
        heading = headings[before - 1] if before else 0
        blank, line = text.rfind("\n\n", least, most) + 2, text.rfind("\n", least, most) + 1
        seam = next(place for place in (heading, blank, line) if place > least)
        yield start, seam
        start = seam
    yield start, end


def _line_parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of one long line."""
    while end - start > LONGEST_LINE:
        space = text.rfind(" ", start + LONGEST_LINE // 2, start + LONGEST_LINE) + 1
        seam = space or start + LONGEST_LINE
        yield start, seam
        start = seam
    yield start, end


def _touched(ends: memoryview, place: int) -> int:
    """Return how many tokens begin before a place, the one that reaches beyond it included."""
    ended = bisect_right(ends, place)
    return ended if ended and ends[ended - 1] == place else ended + 1
