"""The manual page: it names every verb, action and flag, and no reader of roff finds a mistake in it."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import pytest

from trailblazer.cli import main
from trailblazer.words.grammar import VERBS, below
from trailblazer.words.manual import manual
from trailblazer.words.parsers import parser_for


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manual page as a file."""
    file = tmp_path_factory.mktemp("man") / "trailblazer.1"
    file.write_text(manual("1.2.3", "2026-11-20"))
    return file


def read(*command: str | Path) -> str:
    """Return what a program says of the page, on stdout and stderr, without what prints letters bold."""
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.stdout


def test_groff_finds_no_mistake(page: Path) -> None:
    """`man --warnings` is groff with all warnings: it has none."""
    assert "" == read("groff", "-man", "-ww", "-Tutf8", "-z", page)


def test_mandoc_finds_no_mistake(page: Path) -> None:
    """The other reader of roff has no warning either."""
    assert "" == read("mandoc", "-T", "lint", "-W", "warning", page)


def test_the_page_names_everything(page: Path) -> None:
    """Every verb, action and flag stands in the page as it is read, with its dashes."""
    shown = read("groff", "-man", "-Tascii", "-P-c", "-P-b", "-P-u", "-rLL=200n", page)
    for verb in VERBS:
        parser = parser_for(verb)
        assert f"TRAILBLAZER {verb.upper()}" in shown
        for one in (parser, *below(parser).values()):
            for action in one._actions:
                if not isinstance(action, argparse._SubParsersAction) and action.dest not in {"help", "no_color"}:
                    names = action.option_strings or [str(action.metavar or action.dest)]
                    assert all(name in shown for name in names if name not in {"--quiet", "--verbose"})
        assert [] == [name for name in below(parser) if f"{verb} {name}" not in shown]


def test_completions_are_installed_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`completions install` writes and names three files, and tells zsh's next step; with dry-run it writes none."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert 0 == main(["completions", "install", "dry-run"])
    assert not (tmp_path / "share").exists()
    would_be = capsys.readouterr().out
    assert 0 == main(["completions", "install"])
    out, err = capsys.readouterr()
    assert would_be == out
    assert {0o644} == {Path(line).stat().st_mode & 0o777 for line in out.splitlines()}
    assert "fpath=(" in err
    assert ["trailblazer", "_trailblazer", "trailblazer.1"] == [Path(line).name for line in out.splitlines()]
