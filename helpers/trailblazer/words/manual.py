"""The manual page: one roff page made of the parsers of all verbs, so that it says what --help says."""

from __future__ import annotations

import argparse
import itertools
import textwrap
from collections.abc import Iterator

from trailblazer.words.grammar import EXIT_CODES, VERBS, below
from trailblazer.words.parsers import parser_for

_HEADINGS = {".SH", ".SS"}


def manual(version: str, day: str) -> str:
    """Return trailblazer(1) of a version as roff text of the man macros; the day, 2026-11-20, stands at its foot."""
    lines = [
        f'.TH TRAILBLAZER 1 "{day}" "trailblazer {version}" "User Commands"',
        *_section("NAME", ["trailblazer \\- carries out plans: gate, claim, dispatch, journal, proof"]),
        *_section("SYNOPSIS", [".B trailblazer", ".I VERB", "[", ".I words", "]"]),
        *_section(
            "DESCRIPTION",
            [
                "A bare name=value means \\-\\-name=value, and a bare switch means \\-\\-switch.",
                "The verb \\(lqask\\(rq takes its words as text.",
                "The configuration is config/.trailblazer.yaml;",
                "\\(lqtrailblazer config show\\(rq tells what applies.",
            ],
        ),
    ]
    for verb in VERBS:
        parser = parser_for(verb)
        lines += _section(f"trailblazer {verb}".upper(), [])
        lines += _parser(parser, parser.description or "")
        for name, action in below(parser).items():
            lines += [f".SS {_plain(f'{verb} {name}')}", *_parser(action, action.description or "")]
    lines += [*_section("EXIT STATUS", []), *_text("\n".join(EXIT_CODES.splitlines()[1:]))]
    kept = [line for before, line in itertools.pairwise(["", *lines]) if line != ".PP" or before[:3] not in _HEADINGS]
    return "\n".join(kept) + "\n"


def _section(name: str, lines: list[str]) -> list[str]:
    return [f'.SH "{_plain(name)}"', *lines]


def _parser(parser: argparse.ArgumentParser, text: str) -> Iterator[str]:
    """Yield the description of a verb or an action, and each of its words by groups."""
    yield from _text(text.strip())
    formatter = parser._get_formatter()
    for group in parser._action_groups:
        words = [action for action in group._group_actions if not isinstance(action, argparse._SubParsersAction)]
        words = [action for action in words if action.dest != "help" and group.title != "everywhere"]
        if words:
            yield from (".PP", _plain(f"{(group.title or 'words').capitalize()}:"))
        for action in words:
            yield from (".TP", f".B {_plain(formatter._format_action_invocation(action))}")
            yield from _filled(formatter._expand_help(action))


def _text(text: str) -> Iterator[str]:
    """Yield paragraphs of prose, and between them the lines that begin with a space, as they are."""
    for is_typed, lines in itertools.groupby(text.splitlines(), lambda line: line[:1].isspace()):
        if is_typed:
            yield from (".PP", ".EX", *map(_plain, lines), ".EE")
            continue
        for is_empty, prose in itertools.groupby(lines, lambda line: not line):
            if not is_empty:
                yield from (".PP", *_filled(" ".join(prose)))


def _filled(text: str) -> Iterator[str]:
    """Yield prose in lines of the width that a roff source has."""
    for line in textwrap.wrap(text, 60, break_long_words=False, break_on_hyphens=False):
        yield _plain(line)


def _plain(text: str) -> str:
    """Return text that roff takes as it is: no escape, no request at the start of a line, dashes that can be copied."""
    text = text.replace("\\", "\\(rs").replace("-", "\\-").replace("…", "...").replace("`", "\\(ga")
    text = text.replace("'", "\\(aq").replace("^", "\\(ha").replace("~", "\\(ti")
    return f"\\&{text}" if text[:1] in {".", "'", " "} else text
