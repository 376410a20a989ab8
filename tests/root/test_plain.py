"""Text from outside, made safe for a terminal: no control or escape character survives (rule 7)."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unicodedata
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from trailblazer.events import Console
from trailblazer.plain import counted, one_line, plain

HIDDEN: tuple[Literal["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"], ...] = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
ANYTHING = some.one_of(
    some.text(some.characters()),
    some.text(some.characters(categories=HIDDEN, codec=None)),
    some.binary().map(lambda content: content.decode("utf-8", "surrogateescape")),
    some.binary().map(lambda content: content.decode("latin-1")),
)
many = settings(max_examples=300, deadline=None)


def _hidden(text: str, but: str = "") -> set[str]:
    return {character for character in text if unicodedata.category(character) in HIDDEN and character not in but}


@many
@given(ANYTHING)
@example("\x1b]0;title\x07\x1b[2J\x9b31m\u202e\u2066\u200b\x00\r\b\x7f\ud83d")
def test_nothing_that_acts_survives(text: str) -> None:
    """Escape sequences, control, invisible and bidirectional characters and halves of pairs are shown, never sent."""
    shown = plain(text)
    assert set() == _hidden(shown, but="\n\t")
    assert shown == plain(shown)
    assert shown.encode().decode() == shown
    assert [text.count(kept) for kept in "\n\t"] == [shown.count(kept) for kept in "\n\t"]


@many
@given(some.text(some.characters(exclude_categories=HIDDEN)))
def test_what_is_plain_stays(text: str) -> None:
    """Letters of every script, marks, digits, signs and spaces stay as they are."""
    assert text == plain(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "^[[31m"),
        ("\0", "^@"),
        ("\x7f", "^?"),
        ("\u202e", "<U+202E>"),
        ("\x9b", "<U+009B>"),
        ("é\n", "é\n"),
    ],
)
def test_what_is_hidden_is_shown_in_caret_or_code_notation(text: str, shown: str) -> None:
    """A person sees which character it was."""
    assert shown == plain(text)


@many
@given(ANYTHING, some.integers(1, 60))
def test_a_line_is_one_line_of_its_length(text: str, limit: int) -> None:
    """One line has no break, no tab, nothing hidden and never more characters than it may; a short one is whole."""
    line = one_line(text, limit)
    assert (set(), True) == (_hidden(line), len(line) <= limit)
    whole = plain(" ".join(text.split()))
    if len(whole) <= limit and len(text) <= 8 * limit:
        assert whole == line


@many
@given(text=ANYTHING)
def test_words_for_people_are_plain(text: str) -> None:
    """G3: what is said on stderr and in the log is one line without anything that acts."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()) as heard:
        log = Path(folder) / "log"
        Console(log).say(text, "red")
        written = log.read_text()
    assert one_line(text, 2000) + "\n" == heard.getvalue()
    assert (1, set()) == (written.count("\n"), _hidden(written[:-1]))


def test_one_item_is_singular() -> None:
    """A count is shown with its noun, in thousands with a comma."""
    assert ["0 chunks", "1 chunk", "2,000 chunks"] == [counted(count, "chunk") for count in (0, 1, 2000)]
