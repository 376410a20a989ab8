"""One text becomes pieces under a token cap, each with where it stands and exactly how many tokens it has."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trailblazer.errors import ConfigWrong

if TYPE_CHECKING:
    from trailblazer.pipeline.tokens import TokenTable

WHOLE = "whole"
MARKDOWN = "markdown"

# A letter before a space ends a token in every table we use, whatever stands around it.
_WORD_END = re.compile(r"[A-Za-z](?= )")
# Shorter texts are counted by tokenising them: quicker than finding where they stand.
_SHORT = 120
_HEAD = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: offsets in characters, the tokens of the whole text it touches, its own count of tokens.

    `token_start` and `token_end` count tokens of the whole text; `tokens` counts those of the piece alone.
    """

    start: int
    end: int
    token_start: int
    token_end: int
    tokens: int


class Splitter:
    """Cuts texts at headings, blocks, sentences or words, the largest that fit (semantic-text-splitter).

    The splitter asks for the size of many overlapping parts of a text. They are looked up in the token ends of the
    whole text, which is tokenised once; that can be a token or two off where a part begins within a word. So
    every piece is counted exactly in the end, and a text with a piece over the cap is cut again by exact sizes.
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
        self._text = ""
        self._ends = memoryview(b"")
        self._at = 0

    def split(self, text: str) -> tuple[str, list[Piece]]:
        """Return how a text was cut ("whole", "markdown") and its pieces, in order; blank text has none.

        Every character that is not white space is in a piece; no piece has more than `cap` tokens.
        """
        ends = self._table.ends(text).data
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        if start >= end:
            return WHOLE, []
        if len(ends) <= self.cap + (len(text) - end + start):
            tokens = len(ends) if end - start == len(text) else self._table.count(text[start:end])
            if tokens <= self.cap:
                return WHOLE, [Piece(start, end, bisect_right(ends, start), _touched(ends, end), tokens)]
        self._text, self._ends, self._at = text, ends, 0
        pieces = self._pieces(text, self._quick)
        if any(piece.tokens > self.cap for piece in pieces):
            pieces = self._pieces(text, self._exact)
        return MARKDOWN, pieces

    def _pieces(self, text: str, splitter: Any) -> list[Piece]:
        ends = self._ends
        return [
            Piece(
                start,
                start + len(part),
                bisect_right(ends, start),
                _touched(ends, start + len(part)),
                self._count(ends, start, part),
            )
            for start, part in splitter.chunk_indices(text)
        ]

    def _looked_up(self, part: str) -> int:
        """Return about how many tokens a part of the present text has, by the token ends of the whole."""
        if len(part) < _SHORT:
            return self._table.count(part)
        text, at = self._text, self._at
        if not text.startswith(part, at):
            head = part[:_HEAD]
            at = text.find(head, at + 1)
            while at >= 0 and not text.startswith(part, at):
                at = text.find(head, at + 1)
            if at < 0:
                return self._looked_up_from_start(part)
            self._at = at
        return bisect_left(self._ends, at + len(part)) - bisect_right(self._ends, at) + 1

    def _looked_up_from_start(self, part: str) -> int:
        self._at = self._text.find(part)
        if self._at < 0:
            self._at = 0
            return self._table.count(part)
        return self._looked_up(part)

    def _count(self, ends: memoryview, start: int, part: str) -> int:
        """Return exactly how many tokens a part has: its head and tail are tokenised, what is between is looked up.

        Tokens from the first to the last letter before a space are the same in the part as in the whole text.
        """
        head = _WORD_END.search(part)
        tail = part.rfind(" ")
        while tail > 0 and not (part[tail - 1].isascii() and part[tail - 1].isalpha()):
            tail = part.rfind(" ", 0, tail)
        if head is None or tail <= head.end():
            return self._table.count(part)
        between = bisect_right(ends, start + tail) - bisect_right(ends, start + head.end())
        return self._table.count(part[: head.end()]) + between + self._table.count(part[tail:])


def _touched(ends: memoryview, place: int) -> int:
    """Return how many tokens begin before a place: those that end there or earlier, and one that goes on beyond it."""
    ended = bisect_right(ends, place)
    return ended if ended and ends[ended - 1] == place else ended + 1
