"""A batch of items that can prove how often each of them ran, and beside what."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from chaos.watching import Diary
from lanes.embed.project import Project

PROGRAM = [sys.executable, "-I", "-S", str(Path(__file__).with_name("work.py"))]


def diary_of(project: Project) -> Diary:
    """Return the diary of a project's items."""
    return Diary(project.folder.with_name(f"{project.folder.name} diary"))


def batch_words(project: Project, kinds: Sequence[str], seconds: float, *flags: str) -> list[str]:
    """Write an item for each kind, and return the words of a batch whose items take so many seconds each."""
    file = project.folder / "items.json"
    file.write_text(json.dumps(list(kinds)))
    flags = ("--skip-preflight", "--monitor-interval", "0", "--quiet", *flags)
    fields = ["{{ index }}", "{{ attempt }}", "{{ item }}", str(seconds)]
    return ["batch", "run", "--items", str(file), *flags, "--", *PROGRAM, str(diary_of(project).folder), *fields]


RESUME = ("batch", "run", "--quiet", "--monitor-interval", "0", "--resume", "latest")
