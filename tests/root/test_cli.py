"""Words on the command line: bare words, flags and switches, and what is not understood (exit 2)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from trailblazer.cli import VERBS, as_flags, main

TRAILBLAZER = [sys.executable, "-m", "trailblazer"]
SWITCHES = frozenset({"--dry-run", "--yes"})
BARE = some.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True)
VALUE = some.text(max_size=8).filter(lambda text: not text.startswith("-"))


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ("plan=latest workers=4 skip-unchanged", "--plan=latest --workers=4 --skip-unchanged"),
        ("--plan latest --workers 4", "--plan latest --workers 4"),
        ("--dry-run plan=x", "--dry-run --plan=x"),
        ("--dry-run yes", "--dry-run --yes"),
        ("--plan latest dry-run", "--plan latest --dry-run"),
        ("--plan=latest dry-run", "--plan=latest --dry-run"),
        ("--plan workers=4", "--plan --workers=4"),
        ("notes=a=b", "--notes=a=b"),
        ("dry-run -- plan=x y", "--dry-run -- plan=x y"),
        ("-x latest", "-x latest"),
        ("", ""),
    ],
)
def test_bare_words_are_flags(words: str, flags: str) -> None:
    """E1: name=value and --name=value mix freely; a bare word after a flag that takes a value is its value."""
    assert flags.split() == as_flags(words.split(), SWITCHES)


@given(some.lists(some.tuples(BARE, some.one_of(some.none(), VALUE)), max_size=6))
def test_every_pair_means_its_flag(pairs: list[tuple[str, str | None]]) -> None:
    """E1: whatever stands behind the first =, spaces and = and breaks too, is the value, word for word."""
    words = [name if value is None else f"{name}={value}" for name, value in pairs]
    assert [f"--{word}" for word in words] == as_flags(words)
    assert as_flags(words) == as_flags(as_flags(words, frozenset(f"--{name}" for name, _ in pairs)))


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
        (["logs"], "logs: the following arguments are required: ACTION", "Try: trailblazer logs --help"),
        (["embed", "preflight", "--run", "../x"], "embed: '../x' is not a run id", "no '/'"),
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
