"""Tab in a real bash and in a real zsh: verbs, actions, words, values, and what lies in the folders at that moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repo.test_startup import HEAVY
from repo.tree import BINARIES
from trailblazer.words.completing import candidates, script_of_shells

CASES = {
    "disp": {"dispatch"},
    "help ver": {"verify"},
    "runs re": {"reset"},
    "help runs sh": {"show"},
    "runs reset sc": {"scope="},
    "runs reset scope=em": {"scope=embeddings"},
    "runs reset --scope em": {"embeddings"},
    "dispatch plan=lat": {"plan=latest"},
    "dispatch skip": {"skip-unchanged"},
    "dispatch --skip": {"--skip-unchanged"},
    "dispatch resume=2": {"resume=20261120T223000Z", "resume=20261121T003642Z"},
    "monitor 20261120": {"20261120T223000Z"},
    "runs show be": {"beta"},
    "chunk run=al": {"run=alpha"},
    "calibrate scenario=ptp": {"scenario=ptp-mock", "scenario=ptp-mock-30"},
    "calibrate --adapter st": {"stub"},
    "batch run provider=cod": {"provider=codex"},
    "batch run --provider claude,cod": {"claude,codex"},
    "batch run provider=mine": {"provider=mine-own"},
    "batch run items=ite": {"items=items.txt"},
    "providers check gem": {"gemini"},
    "embed run provider=mini": {"provider=minilm"},
    "cron run -- disp": {"dispatch"},
}

# Completes the line as readline does, and prints a whole word for each answer.
BASH = r"""
source script.sh
COMP_LINE="trailblazer $1" COMP_TYPE=9 COMP_KEY=9
COMP_POINT=${#COMP_LINE}
_python_argcomplete trailblazer 2>errors
last="${1##* }"; kept=""
case "$last" in *=*) kept="${last%=*}=" ;; esac
for answer in "${COMPREPLY[@]}"; do printf '%s%s\n' "$kept" "${answer% }"; done
"""
# Types the line into a terminal of its own, presses Tab, and prints what stands there then.
ZSH = r"""
zmodload zsh/zpty
zpty tab zsh -f -i
look() { zpty -w tab "$1"; }
look 'PS1=; unset zle_bracketed_paste; stty columns 200; fpath=($PWD/site $fpath)'
look 'autoload -Uz compinit; compinit -u -d $PWD/dump'
look 'bindkey "^I" complete-word; setopt list_ambiguous; zstyle ":completion:*" list-separator "#"'
look 'tell() { print -r -- "<<$BUFFER>>"; BUFFER=; zle accept-line }; zle -N tell; bindkey "^X" tell; echo rea""dy'
zpty -r -m tab line '*ready*'
zpty -n -w tab "trailblazer $1"$'\t\x18'
zpty -r -m tab line '*<<*>>*'
print -r -- "$line"
zpty -d tab
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two dispatches, two runs, a file of items, an agent of its own, and the script of the shells."""
    folder = tmp_path_factory.mktemp("tab")
    for name in ("var/logs/dispatch/20261120T223000Z", "var/logs/dispatch/20261121T003642Z", "var/runs/alpha"):
        (folder / name).mkdir(parents=True)
    for name in ("var/runs/beta", "config", "site"):
        (folder / name).mkdir()
    (folder / "config/.trailblazer.yaml").write_text(
        "paths:\n  var: var\nproviders:\n  agents:\n    mine-own:\n      command: [x]\n  chain: [claude]\n"
    )
    (folder / "items.txt").write_text("a\n")
    (folder / "script.sh").write_text(script_of_shells())
    (folder / "site/_trailblazer").write_text(script_of_shells())
    return folder


def typed(project: Path, line: str, *command: str) -> str:
    """Return what a shell prints for a line, in the project, with our program on the PATH."""
    environment = {
        "PATH": f"{BINARIES}:{os.environ['PATH']}",
        "HOME": str(project),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }
    words = [*command, line]
    done = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


@pytest.mark.parametrize(("line", "expected"), CASES.items())
def test_what_is_offered(project: Path, line: str, expected: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is offered for a line is what fits there, and begins with what was typed."""
    monkeypatch.chdir(project)
    *words, prefix = line.split(" ")
    assert expected == set(candidates(words, prefix))


def test_a_tab_loads_nothing_heavy(project: Path) -> None:
    """What Tab starts loads no large package: a person waits for it."""
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "COMP_LINE": "trailblazer batch run provider=",
        "COMP_POINT": "31",
    }
    words = [sys.executable, "-X", "importtime", "-m", "trailblazer"]
    done = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False)
    imported = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "argcomplete" in imported
    assert set() == imported & HEAVY


@pytest.mark.parametrize(("line", "expected"), CASES.items())
def test_bash_completes(project: Path, line: str, expected: set[str]) -> None:
    """Bash offers the same words, behind a = too, where it breaks words."""
    assert expected == set(typed(project, line, "bash", "--norc", "-c", BASH, "bash").splitlines())


@pytest.mark.parametrize(("line", "expected"), CASES.items())
def test_zsh_completes(project: Path, line: str, expected: set[str]) -> None:
    """Zsh puts the word into the line, or what all words have in common."""
    shown = typed(project, line, "zsh", "-f", "-c", ZSH, "zsh")
    *before, _ = line.split(" ")
    common = os.path.commonprefix(sorted(expected))  # noqa: RUF071 - letters, not folders
    assert " ".join(["trailblazer", *before, common]) in shown, shown
