"""Help costs no more than argparse."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from trailblazer.words.grammar import VERBS
from trailblazer.words.parsers import parser_for

HEAVY = {"psycopg", "plumbum", "jsonschema", "numpy", "yaml", "rich", "httpx", "asyncio", "splintr"}


def imported_by(*words: str) -> set[str]:
    """Return the top-level packages that a command of trailblazer imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "trailblazer", *words],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return {
        line.rsplit("|", 1)[1].strip().split(".")[0]
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }


def actions_of(verb: str) -> list[str]:
    """Return the actions of a verb, such as `list` and `reset` of `runs`."""
    choices = [action.choices for action in parser_for(verb)._actions if isinstance(action, argparse._SubParsersAction)]
    return [name for names in choices for name in names]


@pytest.mark.parametrize("words", ["", *(f"{verb} {name}" for verb in VERBS for name in ["", *actions_of(verb)])])
def test_help_imports_nothing_heavy(words: str) -> None:
    """`trailblazer --help`, that of each verb and that of each action import none of the large packages."""
    imported = imported_by(*words.split(), "--help")
    assert "argparse" in imported
    assert set() == imported & HEAVY


def silent_words(parser: argparse.ArgumentParser) -> list[str]:
    """Return the words that a parser, or one below it, says nothing about."""
    silent = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            explained = {choice.dest for choice in action._choices_actions if choice.help}
            silent += [f"{parser.prog} {name}" for name in action.choices if name not in explained]
            silent += [word for below in action.choices.values() for word in silent_words(below)]
        elif not action.help:
            silent.append(f"{parser.prog} {action.dest}")
    return silent


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    """Every verb has a description, a line for each of its words, and the exit codes."""
    parser = parser_for(verb)
    assert parser.description
    assert "exit codes:" in (parser.epilog or "")
    assert [] == silent_words(parser)
