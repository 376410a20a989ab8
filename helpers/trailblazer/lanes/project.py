"""The folder of a project: what `trailblazer init` puts there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trailblazer import schemas
from trailblazer.atomic import make_folder, write_once
from trailblazer.paths import CONFIG_NAME
from trailblazer.providers.prompt_files import INDEX, shipped_prompt

IGNORED = b"/var/\n"


def _shipped() -> dict[str, bytes]:
    """Return the files of a new project by their paths in it."""
    in_wheel = schemas.folder() / "trailblazer.yaml"
    configuration = in_wheel if in_wheel.is_file() else schemas.folder().parent / CONFIG_NAME
    prompts = sorted(shipped_prompt(INDEX).parent.glob("*.md"))
    files = {CONFIG_NAME: configuration.read_bytes(), ".gitignore": IGNORED}
    return files | {f"prompts/{file.name}": file.read_bytes() for file in prompts}


def find_missing(folder: Path) -> tuple[dict[str, bytes], list[str]]:
    """Return the files that a folder lacks to be a project, with what they hold, and the names of those it has."""
    shipped = _shipped()
    there = [name for name in shipped if (folder / name).exists() or (folder / name).is_symlink()]
    return {name: content for name, content in shipped.items() if name not in there}, there


def make_project(folder: Path, missing: Mapping[str, bytes]) -> None:
    """Write files into a project. One that somebody has written meanwhile stays as it is."""
    for name, content in missing.items():
        make_folder((folder / name).parent)
        write_once(folder / name, content, mode=0o644)
