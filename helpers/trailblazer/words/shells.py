"""Where bash, zsh and man look for what a person installs for themselves, and the files that belong there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from trailblazer.atomic import make_folder, write_whole
from trailblazer.words.completing import PROGRAM, script_of_shells
from trailblazer.words.manual import manual


@dataclass(frozen=True, slots=True)
class Piece:
    """A file for a shell or for man: its place below share/, and what it holds."""

    place: str
    content: str


def pieces(version: str, day: str) -> list[Piece]:
    """Return the completions of bash and zsh, and the manual page of a version of this day."""
    script = script_of_shells()
    return [
        Piece(f"bash-completion/completions/{PROGRAM}", script),
        Piece(f"zsh/site-functions/_{PROGRAM}", script),
        Piece(f"man/man1/{PROGRAM}.1", manual(version, day)),
    ]


def share() -> Path:
    """Return this user's folder of such files, ~/.local/share unless XDG_DATA_HOME names another."""
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()


def install(found: list[Piece], folder: Path) -> list[Path]:
    """Write the pieces below a folder, and return where they are. What is there already is replaced."""
    for piece in found:
        make_folder((folder / piece.place).parent)
        write_whole(folder / piece.place, piece.content, mode=0o644)
    return [folder / piece.place for piece in found]
