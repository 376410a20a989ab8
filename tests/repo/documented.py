"""The command lines that a reader finds in the README, in docs/ and in the help of every verb, as they are typed."""

from __future__ import annotations

import re

from repo.tree import CHECKOUT
from trailblazer.words.grammar import VERBS
from trailblazer.words.parsers import parser_for

_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CRON = re.compile(r"^(?:[\d*,/-]+ +){5}")
_INLINE = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"((just|make|trailblazer|scripts/\w+\.sh)( |$)|cat |psql |cd )")
_PLACEHOLDER = re.compile(r"<|…|\b(VERB|NAME|PATH|TS|FOLDER|ITEM|FILE)\b")
TYPED_FROM = (
    "installing",
    "README",
    "ask",
    "batches",
    "cron",
    "embedding",
    "nightly",
    "record",
    "reports",
    "scenarios",
    "steering",
)
PAGES = ["README.md", *(f"docs/{name}.md" for name in TYPED_FROM)]


def lines_of_page(page: str) -> list[str]:
    """Return the commands of a page: lines of its blocks, and code inside sentences; RID is a run of the tests."""
    text = (CHECKOUT / page).read_text()
    lines = [
        _CRON.sub("", line.removeprefix("$ ").split("  #")[0])
        for block in _FENCE.findall(text)
        for line in block.splitlines()
    ]
    return _commands([*lines, *_INLINE.findall(_FENCE.sub("", text))])


def lines_of_help(verb: str) -> list[str]:
    """Return the commands in the help of a verb; what explains them stands behind three spaces."""
    return _commands([line.strip().split("   ")[0] for line in parser_for(verb).format_help().splitlines()])


def documented() -> dict[str, list[str]]:
    """Return all command lines by where they stand: a page, or a verb."""
    pages = {page: lines_of_page(page) for page in PAGES}
    return {**pages, **{verb: lines for verb in VERBS if (lines := lines_of_help(verb))}}


def _commands(lines: list[str]) -> list[str]:
    found = [line.strip().replace("RID", "alpha") for line in lines if _COMMAND.match(line.strip())]
    return [line for line in dict.fromkeys(found) if not _PLACEHOLDER.search(line)]
