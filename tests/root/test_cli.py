"""Words on the command line: bare words, flags and switches, and what is not understood (exit 2)."""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from trailblazer.cli import main
from trailblazer.words.grammar import VERBS, as_flags
from trailblazer.words.parsers import parser_for

TRAILBLAZER = [sys.executable, "-m", "trailblazer"]
ASKED = """
import sys
from trailblazer import cli
from trailblazer.verbs import ask
ask.run = lambda words: print(words.question, words.most, words.json)
cli.main(["ask", *sys.argv[1:]])
"""
BARE = some.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True)
VALUE = some.text(max_size=8).filter(lambda text: not text.startswith("-"))


@pytest.mark.parametrize(
    ("verb", "words", "flags"),
    [
        ("dispatch", "plan=latest workers=4 skip-unchanged", "--plan=latest --workers=4 --skip-unchanged"),
        ("dispatch", "--plan latest --workers 4", "--plan latest --workers 4"),
        ("dispatch", "--dry-run plan=x", "--dry-run --plan=x"),
        ("dispatch", "--dry-run force", "--dry-run --force"),
        ("dispatch", "--plan latest dry-run", "--plan latest --dry-run"),
        ("dispatch", "--plan=latest dry-run", "--plan=latest --dry-run"),
        ("dispatch", "--plan workers=4", "--plan --workers=4"),
        ("dispatch", "notes=a=b no-color", "--notes=a=b --no-color"),
        ("dispatch", "dry-rnu wrokers=3", "--dry-rnu --wrokers=3"),
        ("dispatch", "dry-run -- plan=x y", "--dry-run -- plan=x y"),
        ("dispatch", "", ""),
        ("runs", "reset scope=all runs=2026-* yes", "reset --scope=all --runs=2026-* --yes"),
        ("runs", "show r1 json", "show r1 --json"),
        ("runs", "show json", "show --json"),
        ("embed", "run run=r1 provider=local", "run --run=r1 --provider=local"),
        ("embed", "plan-preflight list.txt dimension=8", "plan-preflight list.txt --dimension=8"),
        ("chunk", "run=a run=b max-tokens=99 force", "--run=a --run=b --max-tokens=99 --force"),
        ("normalize", "docs/a=b run=r1 json", "docs/a=b --run=r1 --json"),
        ("normalize", "source", "source"),
        ("normalize", "sample runs=2", "--sample --runs=2"),
        ("monitor", "latest once interval=3 plain", "latest --once --interval=3 --plain"),
        ("verify", "20261121T000000Z json", "20261121T000000Z --json"),
        ("config", "show json", "show --json"),
        ("prompts", "archive dry-run", "archive --dry-run"),
        ("logs", "prune days=3 yes", "prune --days=3 --yes"),
        ("db", "status json", "status --json"),
        ("db", "psql yes=no -c x=1", "psql yes=no -c x=1"),
        ("batch", "run items=a.txt resume yes -- work.sh yes", "run --items=a.txt --resume --yes -- work.sh yes"),
        ("batch", "run --resume dry-run", "run --resume --dry-run"),
        ("batch", "run --resume latest dry-run", "run --resume latest --dry-run"),
        ("batch", "run skill [1] say=x timeout=9", "run skill [1] say=x --timeout=9"),
        ("signals", "submit 2 --suite S a.json", "submit --suite S -- 2 a.json"),
        ("signals", "submit 2 suite=S -", "submit --suite=S -- 2 -"),
        ("nightly", "bd-1 dry-run bd-2", "--dry-run -- bd-1 bd-2"),
    ],
)
def test_bare_words_are_flags_in_every_verb(verb: str, words: str, flags: str) -> None:
    """E1: name=value and --name=value mix freely, in every verb; a path, an id and what follows -- stay."""
    assert flags.split() == as_flags(words.split(), parser_for(verb))


def test_words_of_a_question_are_text() -> None:
    """`ask` takes free text: a word of a question that is the name of a flag is no flag."""
    words = ["what", "is", "most=3", "json", "--most", "2"]
    done = subprocess.run([sys.executable, "-c", ASKED, *words], capture_output=True, text=True, check=True)
    assert "['what', 'is', 'most=3', 'json'] 2 False" == done.stdout.strip()


@given(some.lists(some.tuples(BARE, some.one_of(some.none(), VALUE)), max_size=6))
def test_every_pair_means_its_flag(pairs: list[tuple[str, str | None]]) -> None:
    """E1: whatever stands behind the first =, spaces and = and breaks too, is the value, word for word."""
    words = [name if value is None else f"{name}={value}" for name, value in pairs]
    assert [f"--{word}" for word in words] == as_flags(words, parser_for("dispatch"))


def _leaves(verb: str) -> Iterator[tuple[list[str], argparse.ArgumentParser]]:
    """Yield the words that lead to each parser of a verb, and the parser."""
    waiting = [([verb], parser_for(verb))]
    while waiting:
        words, parser = waiting.pop()
        below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        waiting += [([*words, name], one) for action in below for name, one in action.choices.items()]
        if not below:
            yield words, parser


NUMBERS = [
    [*words, f"{option.option_strings[0]}={value}" if option.option_strings else value]
    for verb in VERBS
    for words, parser in _leaves(verb)
    for option in parser._actions
    if option.type in {int, float}
    for value in ("9" * 20, "-" + "9" * 20, "9" * 5000, *(["nan", "1e999"] if option.type is float else []))
]


@pytest.mark.parametrize("words", NUMBERS, ids=lambda words: " ".join(words)[:60])
def test_a_number_that_no_machine_has_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every number of every verb has limits: a huge one is one line and exit 2, whatever else is missing."""
    assert 2 == main(words)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"{words[0]}: argument "), said
    assert all(line.startswith("  ") for line in said[1:])


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_understands_the_common_words(verb: str) -> None:
    """B7: --no-color, --quiet and --verbose are words of every verb, but not of what psql or a job gets."""
    for words, parser in _leaves(verb):
        if words not in (["db", "psql"], ["cron", "run"]):
            assert {"--no-color", "--quiet", "--verbose"} <= parser._option_string_actions.keys(), words


def test_no_color_and_quiet_hold_for_the_whole_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B7: `no-color` leaves no escape on a terminal, and `quiet` no words, in a verb that knows nothing of either."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    (tmp_path / "page.md").write_text("# A page\n\nIt has a text.\n")
    environment = {"TRAILBLAZER_DB_URL": "postgresql://127.0.0.1:1/none", "TERM": "xterm"}
    shown = {
        words: _on_a_terminal([*TRAILBLAZER, "normalize", "page.md", "run=r1", *words], environment)
        for words in ((), ("no-color",), ("quiet",))
    }
    assert ["\x1b[" in shown[()], "\x1b" in shown["no-color",]] == [True, False]
    assert (True, "") == ("normalize: r1: 1 document" in shown["no-color",], shown["quiet",])


def _on_a_terminal(words: list[str], environment: dict[str, str]) -> str:
    """Return all that a program shows on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | environment):
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the other side is closed
            while piece := os.read(ours, 65536):
                shown += piece
    os.close(ours)
    return shown.decode()


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (["dispach"], "trailblazer: 'dispach' is not a verb", "Did you mean dispatch?"),
        (["nromalize", "docs"], "trailblazer: 'nromalize' is not a verb", "Did you mean normalize?"),
        (["xyzzy"], "trailblazer: 'xyzzy' is not a verb", "Try: trailblazer --help"),
        (["\x1b[2Jrun"], "trailblazer: '\\x1b[2Jrun' is not a verb", ""),
        (["dispatch", "wrokers=3"], "dispatch: unrecognized arguments: --wrokers=3", "Did you mean --workers?"),
        (["dispatch", "--work", "3"], "dispatch: unrecognized arguments: --work 3", "Did you mean --workers?"),
        (["dispatch", "workers=many"], "dispatch: argument --workers: invalid int value: 'many'", "--help"),
        (["run", "dry-rnu"], "run: unrecognized arguments: --dry-rnu", "Did you mean --dry-run?"),
        (["dispatch", "resume=latest", "plan=x"], "dispatch: a resumed dispatch has its plan already", "Leave out"),
        (["logs"], "logs: an action is needed", "prune  delete what is older"),
        (["embed", "preflight", "--run", "../x"], "embed: '../x' is not a run id", "no '/'"),
        (["nightly", "dry-rnu"], "nightly: 'dry-rnu' is no switch, and names nothing", "Did you mean dry-run?"),
        (["init", "dry-rnu"], "init: 'dry-rnu' is no switch, and names nothing", "A name goes after --."),
        (["verify", "jsno"], "verify: 'jsno' is no switch, and names nothing", "Did you mean json?"),
        (["normalize", "sampel"], "normalize: 'sampel' is no switch, and names nothing", "Did you mean sample?"),
        (["providers", "check", "piad"], "providers: 'piad' is no switch, and names nothing", "Did you mean paid?"),
        (["normalize"], "normalize: name either a PATH or --sample", "trailblazer normalize"),
    ],
)
def test_words_that_are_not_understood_are_exit_2(
    words: list[str],
    what: str,
    hint: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is one line that names the verb, an indented hint with the nearest right word, and exit code 2."""
    monkeypatch.chdir(tmp_path)
    assert 2 == main(words)
    out, err = capsys.readouterr()
    first, *hints = err.splitlines()
    assert ("", what) == (out, first)
    assert (True, True) == (hint in "\n".join(hints), all(line.startswith("  ") for line in hints)), err
    assert [] == list(tmp_path.rglob("*"))


@pytest.mark.parametrize(("words", "code"), [([], 2), (["--help"], 0), (["help"], 0), (["-h"], 0), (["--version"], 0)])
def test_without_a_verb_the_verbs_are_listed(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Help is exit 0, nothing at all is exit 2; both list every verb and the exit codes."""
    assert code == main(words)
    out = capsys.readouterr().out
    if words == ["--version"]:
        assert out.startswith("trailblazer 0.")
    else:
        assert set() == {verb for verb in VERBS if f"\n  {verb} " not in out}
        assert "exit codes:" in out


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    """Output into a pipe that nobody reads any more ends quietly with 141, as other programs do."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*TRAILBLAZER, "config", "show"], stdout=writing, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False
    )
    os.close(writing)
    assert (141, "") == (done.returncode, done.stderr)
