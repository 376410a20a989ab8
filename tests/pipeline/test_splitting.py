"""Long texts are split in parts: in linear time, with every promise of a short text kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.test_chunk import TEXTS, visible
from trailblazer.pipeline import splitting
from trailblazer.pipeline.documents import Document
from trailblazer.pipeline.sample import read_readmes, read_topics
from trailblazer.pipeline.splitting import Piece, Splitter, split_in_parts
from trailblazer.pipeline.tokens import TokenTable, load_tokens

TABLE = load_tokens("cl100k_base")


@contextmanager
def longest(part: int, line: int) -> Iterator[None]:
    """Split in parts of so many characters while the block runs."""
    before = splitting.LONGEST_PART, splitting.LONGEST_LINE
    splitting.LONGEST_PART, splitting.LONGEST_LINE = part, line
    try:
        yield
    finally:
        splitting.LONGEST_PART, splitting.LONGEST_LINE = before


@settings(deadline=None, max_examples=300)
@given(text=TEXTS, line=st.integers(1, 60), cap=st.integers(16, 60), overlap=st.integers(0, 12))
def test_pieces_of_parts_keep_the_cap_and_cover_the_text(text: str, line: int, cap: int, overlap: int) -> None:
    """Parts of any size: no piece is over the cap, counts are exact, every visible character is in a piece (E12)."""
    text = text.encode("utf-8", "replace").decode()
    with longest(3 * line, line):
        parts = list(split_in_parts(text))
        _, pieces = Splitter(TABLE, cap, overlap).split(text)
    assert text == "".join(text[start:end] for start, end in parts)
    assert all(0 < end - start <= 3 * line for start, end in parts) or not text
    assert [TABLE.count(text[piece.start : piece.end]) for piece in pieces] == [piece.tokens for piece in pieces]
    assert all(piece.tokens <= cap for piece in pieces)
    assert set() == visible(text) - {place for piece in pieces for place in range(piece.start, piece.end)}
    assert sorted(pieces, key=lambda piece: piece.start) == pieces


@pytest.mark.parametrize(
    ("pattern", "most"),
    [
        ("a", splitting.LONGEST_LINE),
        ("日本語", splitting.LONGEST_LINE),
        ("word ", splitting.LONGEST_LINE),
        ("x" * 20_000 + "\n", splitting.LONGEST_LINE),
        ("x" * 9000 + "\n", splitting.LONGEST_PART),
        ("| a | b |\n", splitting.LONGEST_PART),
        ("some text\n\n# A heading\n\n", splitting.LONGEST_PART),
    ],
)
def test_the_library_reads_no_long_text_at_once(pattern: str, most: int) -> None:
    """The time of the library is quadratic in the length of a text, so it never gets more than one part."""
    text = pattern * (1_000_000 // len(pattern))
    read: list[int] = []

    class Watched(Splitter):
        def _pieces(self, splitter: Any) -> list[Piece]:
            read.append(len(self._part))
            return super()._pieces(splitter)

    Watched(TABLE, 800, 60).split(text)
    assert max(read) <= most
    assert sum(read) <= 2 * len(text)


def sample_documents() -> list[Document]:
    """Return the topics of Python and the READMEs of the installed packages."""
    return [*read_topics(), *read_readmes()]


def pieces_in_one_part(text: str) -> list[Piece]:
    """Return the pieces of a text that is not split in parts, however long it is."""
    with longest(1 << 40, 1 << 39):
        return Splitter(TABLE, 800, 60).split(text)[1]


def test_ordinary_text_is_one_part() -> None:
    """Every topic of Python and every README has the pieces that it had before there were parts."""
    for document in sample_documents():
        assert pieces_in_one_part(document.text_md) == Splitter(TABLE, 800, 60).split(document.text_md)[1], document.id


def test_a_long_document_differs_at_its_seams_only() -> None:
    """All topics as one text, longer than a part, have nearly all the pieces that one part has."""
    text = "\n\n".join(document.text_md for document in sample_documents())
    parts = list(split_in_parts(text))
    assert len(parts) > 1
    assert all(text[start:].lstrip().startswith("#") for start, _ in parts[1:])
    other = set(Splitter(TABLE, 800, 60).split(text)[1]) - set(pieces_in_one_part(text))
    assert len(other) <= 4 * len(parts)


def test_a_text_is_tokenised_once() -> None:
    """Beside the whole text only heads and tails of pieces are tokenised again, and short sections."""

    class Counting(TokenTable):
        read = 0

        def count(self, text: str) -> int:
            self.read += len(text)
            return super().count(text)

    table = Counting("cl100k_base")
    splitter = Splitter(table, 800, 60)
    documents = sample_documents()
    for document in documents:
        splitter.split(document.text_md)
    assert table.read < sum(len(document.text_md) for document in documents) / 10
