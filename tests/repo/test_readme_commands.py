"""Every command in a document exists."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from pathlib import Path

import pytest

from repo.tree import BINARIES, CHECKOUT, project_files, shown
from trailblazer.words.grammar import VERBS
from trailblazer.words.parsers import parser_for

WISHES = CHECKOUT / "docs" / "requirements.md"  # it also names what is not built yet
DOCUMENTS = [file for file in project_files() if file.suffix == ".md" and not file.is_relative_to(CHECKOUT / "tests")]
DOCUMENTS.remove(WISHES)
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"^(?:\$ )?(?:\w+=\S+ )*(just|make|trailblazer|scripts/\S+\.sh)(?: (.*))?$")


def commands_in(text: str) -> list[tuple[str, list[str]]]:
    """Return our commands in a document: lines of shell blocks, and code inside a sentence."""
    lines = [
        line
        for language, block in _FENCE.findall(text)
        if language in {"", "sh", "bash", "shell", "console", "zsh"}
        for line in block.splitlines()
        if language in {"sh", "bash", "shell", "zsh"} or line.startswith("$ ")
    ]
    lines += _INLINE.findall(_FENCE.sub("", text))
    found = []
    for line in lines:
        for part in re.split(r" (?:&&|\|\||\|) ", line.split("  #")[0].strip()):
            command = _COMMAND.match(part.strip())
            if command:
                found.append((command[1], re.findall(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""", command[2] or "")))
    return found


def flags_of(parser: argparse.ArgumentParser) -> set[str]:
    """Return every flag of a parser and of the parsers below it."""
    flags = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                flags |= flags_of(below)
    return flags


def recipes() -> dict[str, str]:
    """Return the recipes of the justfile, each with its body."""
    listed = subprocess.run(
        [BINARIES / "just", "--dump", "--dump-format", "json"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return {name: json.dumps(recipe["body"]) for name, recipe in json.loads(listed.stdout)["recipes"].items()}


def targets() -> set[str]:
    """Return the targets of the Makefile."""
    return set(re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))


def mistake_in(program: str, words: list[str]) -> str:
    """Return what is wrong with a command, or nothing."""
    first = next((word for word in words if not word.startswith("-")), "")
    if program.startswith("scripts/"):
        return "" if (CHECKOUT / program).is_file() else f"there is no {program}"
    if program == "make":
        return "" if not first or first in targets() else f"there is no target {first}"
    if program == "just":
        return "" if not first or first in recipes() else f"there is no recipe {first}"
    if not first or first not in VERBS:
        return "" if not first or first.isupper() else f"there is no verb {first}"
    unknown = {word.split("=")[0] for word in words if word.startswith("--")} - flags_of(parser_for(first))
    return f"trailblazer {first} knows no {', '.join(sorted(unknown))}" if unknown else ""


@pytest.mark.parametrize("file", DOCUMENTS, ids=shown)
def test_commands_exist(file: Path) -> None:
    """Every `just`, `make`, `trailblazer` and script in a document is there, with the flags that it is given."""
    mistakes = [
        f"{program} {' '.join(words)}: {mistake}"
        for program, words in commands_in(file.read_text())
        if (mistake := mistake_in(program, words))
    ]
    assert [] == mistakes


@pytest.mark.parametrize("program", ["make", "just"])
def test_words_of_a_dispatch_exist(program: str) -> None:
    """Each word of a dispatch in a document is a flag of the verb."""
    flags = flags_of(parser_for("dispatch"))
    unknown = [
        f"{shown(file)}: {program} {' '.join(words)}"
        for file in DOCUMENTS
        for named, words in commands_in(file.read_text())
        if named == program and words[:1] == ["dispatch"]
        for word in words[1:]
        if "--" + word.split("=")[0].lstrip("-") not in flags and not word.startswith("[")
    ]
    assert [] == unknown


def test_a_wrong_command_is_found() -> None:
    """The reader of documents finds commands in blocks and in sentences, and their mistakes."""
    text = (
        "Use `just nothing` or\n```sh\ntrailblazer dispatch --wrong x && make dispatch\n```\n`trailblazer VERB --help`"
    )
    found = commands_in(text)
    assert [("trailblazer", 3), ("make", 1), ("just", 1), ("trailblazer", 2)] == [(name, len(w)) for name, w in found]
    assert ["trailblazer dispatch knows no --wrong", "", "there is no recipe nothing", ""] == [
        mistake_in(name, words) for name, words in found
    ]
