"""The prompts of the lanes: templates that are given their texts, in which words from outside are quoted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trailblazer.atomic import read_regular
from trailblazer.errors import PlanUnusable
from trailblazer.plain import plain
from trailblazer.providers.templates import Render, compile_text

MOST_BYTES = 1 << 20
MOST_CHARACTERS = 100_000  # of a quotation; what is longer is cut, and the prompt says so


def read_template(file: Path, names: Sequence[str], hint: str) -> Render:
    """Return what fills a template in that may use `names`.

    A file that cannot be read is PlanUnusable with the hint, a mistake in it WordsWrong.
    """
    try:
        text = read_regular(file, MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise PlanUnusable(f"cannot read the prompt {file}: {why}", hint) from error
    return compile_text(text, names=names)


def quoted(text: str) -> str:
    """Return text as a quotation in Markdown. Control characters are made visible; a long text is cut."""
    cut = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}\n[cut: {len(text):,} characters in all]"
    lines = plain(cut.replace("\r\n", "\n")).splitlines()
    return "\n".join(f"> {line}".rstrip() for line in lines) or ">"
