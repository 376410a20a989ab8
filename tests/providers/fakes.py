"""Programs of a test's own on a PATH of its own: they print, end or hang as the test asks."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest


class Fakes:
    """A folder that is the whole PATH, and a project whose configuration can be written."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.bin, self.project = folder / "bin", folder / "project"
        self.bin.mkdir()
        (self.project / "config").mkdir(parents=True)
        self.configure("{}")
        patch.chdir(self.project)
        patch.setenv("PATH", str(self.bin))
        patch.setenv("HOME", str(folder))
        patch.delenv("CODEX_HOME", raising=False)
        patch.delenv("TRAILBLAZER_PROVIDERS_CHAIN", raising=False)

    def configure(self, text: str) -> None:
        """Write the configuration."""
        (self.project / "config" / ".trailblazer.yaml").write_text(text)

    def program(self, name: str, script: str, version: str = "1.2.3") -> None:
        """Write a program: /bin/sh runs the script; it answers --version by itself, and notes each of its calls."""
        file = self.bin / name
        calls = shlex.quote(str(self.bin / f"{name}.calls"))
        file.write_text(
            "#!/bin/sh\n"
            f'[ "$1" = --version ] && {{ echo "{name} {version} (a fake)"; exit 0; }}\n'
            f'echo "$*" >>{calls}\n{script}\n'
        )
        file.chmod(0o755)

    def prints(self, name: str, out: Path, err: Path, code: int) -> None:
        """Write a program that prints two files and ends with a code."""
        self.program(name, f"/bin/cat {shlex.quote(str(out))}\n/bin/cat {shlex.quote(str(err))} >&2\nexit {code}")

    def calls(self, name: str) -> list[str]:
        """Return the words of each call of a program, those for its version aside."""
        file = self.bin / f"{name}.calls"
        return file.read_text().splitlines() if file.exists() else []
