"""What Tab completes. argcomplete speaks with the shells; it knows no bare words, so what it offers is ours."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from argcomplete.finders import CompletionFinder
from argcomplete.shell_integration import shellcode

from trailblazer.words.grammar import VERBS, as_flags, below, is_handed_on
from trailblazer.words.parsers import parser_for, summaries_of, takes_text

PROGRAM = "trailblazer"


class _Finder(CompletionFinder):
    """Completes a line by our own grammar. The library takes the line apart, quotes, and answers the shell."""

    def _get_completions(
        self, comp_words: list[str], cword_prefix: str, cword_prequote: str, last_wordbreak_pos: int | None
    ) -> list[str]:
        words = comp_words[1:]
        if cword_prefix.startswith("-") and "=" in cword_prefix:
            words = words[:-1]  # the library has added the flag itself, for argparse
        self._display_completions = candidates(words, cword_prefix)
        return self.quote_completions(list(self._display_completions), cword_prequote, last_wordbreak_pos)


def complete() -> None:
    """Answer the shell that asks by the variables of argcomplete, and end the process."""
    _Finder()(argparse.ArgumentParser())


def script_of_shells() -> str:
    """Return the script that bash and zsh both take: it asks this program at each Tab."""
    return shellcode([PROGRAM])


def candidates(words: list[str], prefix: str) -> dict[str, str]:
    """Return what could stand in the place of a word that begins with `prefix`, each with its line of help.

    `words` stand before it, without the name of the program.
    """
    found: dict[str, str] = {}
    if not words or words[0] == "help":
        found = _after_help(words[1:]) if words else {**VERBS, "help": "explain a verb", "--version": "the version"}
    elif words[0] in VERBS and ("--" not in words or _hands_on(words)):
        found = _in_verb(words, prefix)
    return {word: line for word, line in found.items() if word.startswith(prefix)}


def _after_help(words: list[str]) -> dict[str, str]:
    if not words:
        return dict(VERBS)
    return summaries_of(parser_for(words[0])) if len(words) == 1 and words[0] in VERBS else {}


def _hands_on(words: list[str]) -> bool:
    return words[:2] == ["cron", "run"]


def _in_verb(words: list[str], prefix: str) -> dict[str, str]:
    """Return what could come next behind a verb and its words."""
    parser = parser_for(words[0])
    is_text = takes_text(words[0])
    flags = words[1:] if is_text else as_flags(words[1:], parser)
    while flags and flags[0] in below(parser):
        parser, flags = below(parser)[flags[0]], flags[1:]
    if below(parser):
        return summaries_of(parser)
    at = _place(parser, flags)
    if is_handed_on(parser) and at.positionals:
        inner = [word for word in at.positionals if word != "--"]
        return candidates(inner, prefix) if _hands_on(words) else {}
    if at.awaits is not None:
        found = dict.fromkeys(_values(at.awaits, prefix), "")
        if found or at.awaits.nargs != "?":
            return found
    if _hands_on(words):
        return VERBS | _flags(parser, at.said, prefix)
    name, separator, value = prefix.partition("=")
    option = parser._option_string_actions.get(name if name.startswith("-") else f"--{name}")
    if separator and option is not None and option.nargs != 0:
        return {f"{name}={found}": "" for found in _values(option, value)}
    free = at.next_positional(parser)
    values = dict.fromkeys(_values(free, prefix), free.help or "") if free is not None else {}
    return values | ({} if is_text and not prefix.startswith("-") else _flags(parser, at.said, prefix))


def _values(action: argparse.Action, prefix: str) -> list[str]:
    """Return the values that begin with a prefix. What lies in folders is looked up only where it may be meant."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices if str(choice).startswith(prefix)]
    from trailblazer.words.sources import values_of

    return values_of(action, prefix)


def _flags(parser: argparse.ArgumentParser, said: frozenset[str], prefix: str) -> dict[str, str]:
    """Return the flags that were not said yet: with dashes behind a dash, else as bare words."""
    found: dict[str, str] = {}
    for action in parser._actions:
        name = next((name for name in action.option_strings if name.startswith("--")), "")
        is_again = action.dest in said and not isinstance(action, argparse._AppendAction)
        if not name or is_again or (name == "--help" and not prefix.startswith("-")):
            continue
        words = [name] if prefix.startswith("-") else [name[2:]] if action.nargs in {0, "?"} else []
        words += [f"{name[2:]}="] if not prefix.startswith("-") and action.nargs != 0 else []
        found |= dict.fromkeys(words, (action.help or "").replace("%%", "%"))
    return found


class _Place(NamedTuple):  # a frozen dataclass takes a quarter of the time that a Tab may take
    """Where the next word stands: which flags were said, what has no name, and which flag awaits its value."""

    said: frozenset[str]
    positionals: tuple[str, ...]
    awaits: argparse.Action | None

    def next_positional(self, parser: argparse.ArgumentParser) -> argparse.Action | None:
        """Return the word without a name that could come next, or None when all are there."""
        left = len(self.positionals)
        for action in parser._actions:
            if not action.option_strings:
                if action.nargs in {"*", "+"} or left == 0:
                    return action
                left -= 1
        return None


def _place(parser: argparse.ArgumentParser, flags: list[str]) -> _Place:
    """Return where the word behind some flags stands."""
    said, positionals = set[str](), list[str]()
    awaits: argparse.Action | None = None
    for position, word in enumerate(flags):
        if word.startswith("-") and word != "--":
            option = parser._option_string_actions.get(word.split("=", 1)[0])
            said |= {option.dest} if option is not None else set()
            awaits = option if option is not None and option.nargs != 0 and "=" not in word else None
        elif awaits is not None:
            awaits = None
        elif is_handed_on(parser):
            positionals += flags[position:]
            break
        else:
            positionals.append(word)
    return _Place(frozenset(said), tuple(positionals), awaits)
