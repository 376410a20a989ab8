"""What holds for the words and the help of every verb and every action, those of tomorrow too."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import pytest

from trailblazer.cli import main
from trailblazer.config import known_keys
from trailblazer.words.grammar import VERBS, as_flags, below, is_handed_on
from trailblazer.words.parsers import WIDEST, parser_for, summaries_of

MOST_UNGROUPED = 8
# What has no answer on stdout that would be JSON.
WITHOUT_ANSWER = {
    "cron run": "the job has its own stdout",
    "db psql": "psql has its own stdout",
    "completions script": "a shell reads it",
    "completions man": "man reads it",
}


def parsers_of(verb: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the parser of a verb and of each of its actions, with the words that lead to it."""
    parser = parser_for(verb)
    yield verb, parser
    for name, action in below(parser).items():
        yield f"{verb} {name}", action


EVERY = dict(pair for verb in VERBS for pair in parsers_of(verb))
WITH_ACTIONS = [words for words, parser in EVERY.items() if below(parser)]
LEAVES = [words for words, parser in EVERY.items() if not below(parser)]


def help_of(words: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines of the help of a verb or an action on a terminal of so many columns."""
    monkeypatch.setenv("COLUMNS", str(columns))
    return EVERY[words].format_help().splitlines()


def options_of(words: str) -> list[argparse.Action]:
    """Return the flags of a verb or an action that take a value."""
    return [action for action in EVERY[words]._actions if action.option_strings and action.nargs != 0]


# Words that may be a path. A new word of a path belongs here; `control add` and `log` expand theirs themselves.
PATHS = {
    "init folder", "dispatch plan", "dispatch plan_preflight_dir", "dispatch plan_file", "dispatch qa_dir",
    "dispatch resume", "dispatch retry_failed", "dispatch status", "batch summary dispatch", "batch run items",
    "batch run template", "batch run expect_schema", "batch run resume", "batch run retry_failed", "nightly tracker",
    "nightly prompt", "nightly resume", "nightly retry_failed", "calibrate scenario", "calibrate suite",
    "calibrate check", "calibrate resume", "calibrate retry_failed", "signals next suite", "signals submit suite",
    "signals submit answer", "signals fail suite", "signals watch suite", "normalize path",
    "embed plan-preflight plan", "monitor dispatch", "report dispatch", "report output", "verify dispatch",
}  # fmt: skip


def test_a_tilde_is_the_home_folder_in_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell expands it behind `plan=`; the parser does, in every word that may be a path, and in no other."""
    monkeypatch.setenv("HOME", "/somewhere")
    found = set()
    for words in LEAVES:
        for action in EVERY[words]._actions:
            read = action.type if callable(action.type) else str
            takes_text = action.nargs != 0 and action.choices is None and action.type not in {int, float}
            if (
                takes_text
                and read("~/x") == "/somewhere/x"
                and read("~nobody-of-that-name/x") == "~nobody-of-that-name/x"
            ):
                found.add(f"{words} {action.dest}")
    assert PATHS == found


@pytest.mark.parametrize("words", ["", *EVERY])
def test_help_verb_is_verb_help(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`help VERB` and `help VERB ACTION` say what `VERB --help` and `VERB ACTION --help` say."""
    assert (0, 0) == (main(["help", *words.split()]), main([*words.split(), "--help"]))
    said = capsys.readouterr().out
    assert said[: len(said) // 2] == said[len(said) // 2 :]


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("words", EVERY)
def test_help_fits(words: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every help fits into 80 columns; on 200 its lines are longer, but not too long to read."""
    too_long = [line for line in help_of(words, columns, monkeypatch) if len(line) > min(columns, WIDEST)]
    assert [] == too_long


def test_help_uses_a_wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On 200 columns fewer lines are needed than on 80."""
    lengths = [sum(len(help_of(words, columns, monkeypatch)) for words in EVERY) for columns in (80, 200)]
    assert lengths[0] > lengths[1]


@pytest.mark.parametrize("words", EVERY)
def test_help_has_an_example(words: str) -> None:
    """Every help has a line that can be typed; an action's are those of its verb that name it."""
    text = EVERY[words].description or ""
    assert re.search(rf"^  .*trailblazer {words}\b", text, re.MULTILINE), text


@pytest.mark.parametrize("words", EVERY)
def test_help_has_the_defaults(words: str) -> None:
    """The default of a flag stands in its help; one that the configuration has is the name of a key."""
    formatter = EVERY[words]._get_formatter()
    for action in options_of(words):
        said = formatter._expand_help(action)
        if action.default not in (None, "") and not isinstance(action.default, bool):
            assert str(action.default).removesuffix(".0") in said, action.option_strings
        for key in re.findall(r"\(([a-z]+\.[a-z_]+)\)", said):
            assert key in known_keys(), action.option_strings


@pytest.mark.parametrize("words", EVERY)
def test_flags_stand_in_groups(words: str) -> None:
    """What has many flags has them in groups with names."""
    parser = EVERY[words]
    assert len(parser._optionals._group_actions) <= MOST_UNGROUPED


@pytest.mark.parametrize("words", sorted(set(LEAVES) - set(WITHOUT_ANSWER)))
def test_every_answer_can_be_json(words: str) -> None:
    """Whatever answers has --json."""
    assert "--json" in EVERY[words]._option_string_actions


@pytest.mark.parametrize("words", LEAVES)
def test_every_flag_is_a_bare_word_too(words: str) -> None:
    """E1: in every verb and action name=value means --name=value, and a bare switch its flag; `ask` takes text."""
    parser = EVERY[words]
    if words == "ask":
        return
    for name, action in parser._option_string_actions.items():
        if name.startswith("--") and name != "--help":
            bare = [name.removeprefix("--")] if action.nargs in {0, "?"} else []
            bare += [f"{name.removeprefix('--')}=a b=c"] if action.nargs != 0 else []
            assert [f"--{word}" for word in bare] == as_flags(bare, parser)


@pytest.mark.parametrize("words", WITH_ACTIONS)
def test_a_verb_without_its_action_lists_them(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2: one line, and each action with what it does as the hint."""
    assert 2 == main(words.split())
    first, *hint = capsys.readouterr().err.splitlines()
    assert f"{words}: an action is needed" == first
    assert [*summaries_of(EVERY[words]), "Try:"] == [line.split()[0] for line in hint]
    assert all(line.startswith("  ") and len(line) <= 80 for line in hint)


def misspelt(word: str) -> str:
    """Return a word with two of its letters in the wrong order, or one of them twice."""
    at = next((at for at in range(len(word) - 2, 1, -1) if word[at].isalpha() and word[at] != word[at + 1] != "-"), 0)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :] if at else word + word[-1]


@pytest.mark.parametrize("verb", VERBS)
def test_a_misspelt_verb_names_the_right_one(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A verb with two letters in the wrong order is exit 2, and the hint names the verb."""
    assert 2 == main([misspelt(verb)])
    assert f"Did you mean {verb}?" in capsys.readouterr().err


@pytest.mark.parametrize("words", [words for words in EVERY if " " in words])
def test_a_misspelt_action_names_the_right_one(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An action with two letters in the wrong order is exit 2, and the hint names the action."""
    verb, action = words.split()
    assert 2 == main([verb, misspelt(action)])
    assert f"Did you mean {action}?" in capsys.readouterr().err


MISSPELT = [
    (words, name, action.nargs)
    for words in LEAVES
    if not is_handed_on(EVERY[words])
    for name, action in EVERY[words]._option_string_actions.items()
    if len(name) > 4
]


@pytest.mark.parametrize(("words", "name", "nargs"), MISSPELT, ids=lambda part: str(part))
def test_a_misspelt_flag_names_the_right_one(
    words: str, name: str, nargs: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag with two letters in the wrong order is exit 2, and the hint names a flag that is as near."""
    parser = EVERY[words]
    wrong = misspelt(name) + ("=1" if nargs != 0 else "")
    needed = [action for action in parser._actions if action.required]
    given = [word for action in needed for word in _value_for(action)]
    monkeypatch.setenv("TRAILBLAZER_NONSENSE", "")  # should the words be taken, nothing is done: exit 3
    assert 2 == main([*words.split(), *given, wrong])
    assert f"Did you mean {name}?" in capsys.readouterr().err


def _value_for(action: argparse.Action) -> list[str]:
    value = str(next(iter(action.choices))) if action.choices else "1"
    return [action.option_strings[0], value] if action.option_strings else [value]
