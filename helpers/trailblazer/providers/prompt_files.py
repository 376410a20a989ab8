"""The files of prompts/: which conform, what the index says of them, and where the others go."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from trailblazer.atomic import make_folder, write_whole
from trailblazer.errors import PlanUnusable, storage_trouble
from trailblazer.paths import Places, stamp

INDEX = "README.md"
_FORM = re.compile(r"\d{3}_[a-z0-9]+(?:_[a-z0-9]+)*\.md")
_ROW = re.compile(r"^\| \[([^]]+)\]\([^)]+\) \| (.*) \|$", re.MULTILINE)
_HEAD = """\
# Prompts

One prompt a file, named `NNN_slug.md`: three digits, an underscore, lower-case words joined by `_`. 000 comes before
every other prompt; numbers are not used twice. What does not conform does not belong here.

| prompt | for |
|---|---|
"""


def find_strangers(places: Places) -> list[Path]:
    """Return what stands in prompts/ and is neither a prompt nor the index (B8), sorted."""
    return [path for path in _entries(places) if not _is_prompt(path) and path.name != INDEX]


def archive(places: Places, strangers: list[Path]) -> Path:
    """Move files and folders to a new var/archive/prompts/<TS>/ and return it; nothing is overwritten."""
    target = _new_folder(places.var / "archive" / "prompts")
    try:
        for stranger in strangers:
            shutil.move(stranger, target / stranger.name)
    except OSError as error:
        raise storage_trouble(error, "archive") from error
    return target


def _new_folder(parent: Path) -> Path:
    base = stamp()
    for number in range(1, 1000):
        try:
            return make_folder(parent / (base if number == 1 else f"{base}-{number}"), exist_ok=False)
        except FileExistsError:
            continue
    raise PlanUnusable(f"cannot make a folder in {parent}", "A thousand archives in one second?")


def write_index(places: Places) -> Path:
    """Write prompts/README.md and return it. What the index says of a prompt stays; a new one is told by its title."""
    index = places.root / "prompts" / INDEX
    prompts = [path for path in _entries(places) if _is_prompt(path)]
    known = dict(_ROW.findall(index.read_text())) if index.is_file() else {}
    rows = [f"| [{path.name}]({path.name}) | {known.get(path.name) or _title(path)} |\n" for path in prompts]
    write_whole(index, _HEAD + "".join(rows), mode=0o644)
    return index


def _entries(places: Places) -> list[Path]:
    folder = places.root / "prompts"
    if not folder.is_dir():
        raise PlanUnusable(f"there is no folder {folder}", "Make it, with 000_shared_guardrails.md in it.")
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_prompt(path: Path) -> bool:
    return bool(_FORM.fullmatch(path.name)) and path.is_file()


def _title(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines()
    title = next((line.lstrip("# ").strip() for line in lines if line.startswith("# ")), "")
    return title.replace("|", "\\|") or path.stem[4:].replace("_", " ")
