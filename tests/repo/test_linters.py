"""The linters run as tests, so that one command finds everything."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from repo.tree import BINARIES, CHECKOUT, shell_files

SHELL = [str(file) for file in shell_files()]
SCRIPTS = [name for name in SHELL if not name.endswith((".bats", ".bash"))]
LINTERS = {
    "ruff check": ["ruff", "check", "--no-fix", "."],
    "ruff format": ["ruff", "format", "--diff", "."],
    "mypy": ["mypy"],
    "shellcheck": ["shellcheck", *SHELL],
    "shfmt": ["shfmt", "-d", *SHELL],
    "just": ["just", "--fmt", "--check"],
    "zsh reads the scripts": ["zsh", "-n", *SCRIPTS],
    "bash reads the scripts": ["bash", "-n", *SCRIPTS],
}


@pytest.mark.parametrize("name", LINTERS)
def test_linter_is_content(name: str) -> None:
    """The linter finds nothing."""
    program, *words = LINTERS[name]
    found = shutil.which(program, path=str(BINARIES)) or shutil.which(program)
    if not found:
        pytest.skip(f"{program} is not on this machine")
    runs = [[found, "-n", file] for file in words[1:]] if words[:1] == ["-n"] else [[found, *words]]
    for command in runs:
        done = subprocess.run(
            command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode != 0:
            pytest.fail(done.stdout, pytrace=False)
