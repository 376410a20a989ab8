"""What comes from outside, made safe for a terminal, an alert or a page."""

from __future__ import annotations

import re
import unicodedata

_SPACE = re.compile(r"\s+")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def plain(text: str) -> str:
    """Return text with every control and invisible formatting character in caret or <U+…> notation.

    Newlines and tabs stay. Escape sequences, bidirectional overrides and NUL cannot act on what shows the text.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    if code < 0x20:
        return "^" + chr(code + 0x40)
    return "^?" if code == 0x7F else f"<U+{code:04X}>"


def is_text(text: str) -> bool:
    """Return whether a database and every encoder take the text: it has no NUL and no lone surrogate."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: "1 chunk", "2,000 chunks"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def one_line(text: str, limit: int = 500) -> str:
    """Return text as a single plain line of at most `limit` characters, an ellipsis where it was cut."""
    if len(text) <= limit and text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    line = plain(_SPACE.sub(" ", text[: 8 * limit]).strip())
    return line if len(line) <= limit else line[: limit - 1] + "…"
