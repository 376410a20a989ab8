"""The files of prompts/: which names conform, the index of the prompts, and the archive of other files."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote

from trailblazer.atomic import make_folder, write_whole
from trailblazer.errors import PlanUnusable, storage_trouble
from trailblazer.paths import Places, stamp
from trailblazer.plain import one_line

INDEX = "README.md"
_HERE = Path(__file__).resolve()
_NAME = re.compile(r"[0-9]{3}_.+\.md")
_ROW = re.compile(r"^\| \[.*\]\(([^)\s]+)\) \| (.*) \|$", re.MULTILINE)
_MARKUP = re.compile(r"([\\\[\]|])")
_HEAD = """\
# Prompts

One prompt per file. Its name is `NNN_slug.md`: three digits, an underscore, a few words. 000 comes before every other
prompt. A number is used once. A file with another name does not belong here: `trailblazer prompts archive` moves it.

| prompt | for |
|---|---|
"""


def shipped_prompt(name: str) -> Path:
    """Return the path of a prompt that comes with trailblazer: in the checkout, or in an installed wheel."""
    checkout = _HERE.parents[3] / "prompts" / name
    return checkout if checkout.is_file() else _HERE.parents[1] / "_prompts" / name


def find_nonconforming(places: Places) -> list[Path]:
    """Return the files and folders in prompts/ that are neither a prompt nor the index (B8), sorted."""
    return [path for path in _entries(places) if not _is_prompt(path) and path.name != INDEX]


def archive(places: Places, paths: list[Path]) -> Path:
    """Move files and folders to a new var/archive/prompts/<TS>/ and return that folder. Nothing is overwritten."""
    target = _new_folder(places.var / "archive" / "prompts")
    try:
        for path in paths:
            shutil.move(path, target / path.name)
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
    raise PlanUnusable(f"cannot make a folder in {parent}", "It has a thousand archives of this second.")


def write_index(places: Places) -> Path:
    """Write prompts/README.md and return its path. A prompt keeps its line; a new prompt gets its title."""
    index = places.root / "prompts" / INDEX
    prompts = [path for path in _entries(places) if _is_prompt(path)]
    lines = dict(_ROW.findall(index.read_text("utf-8", errors="replace"))) if index.is_file() else {}
    rows = [_row(path, lines.get(_link(path))) for path in prompts]
    write_whole(index, _HEAD + "".join(rows), mode=0o644)
    return index


def _row(path: Path, purpose: str | None) -> str:
    return f"| [{_escaped(path.name)}]({_link(path)}) | {purpose or _escaped(_title(path))} |\n"


def _link(path: Path) -> str:
    return quote(os.fsencode(path.name))


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", one_line(text))


def _entries(places: Places) -> list[Path]:
    folder = places.root / "prompts"
    if not folder.is_dir():
        raise PlanUnusable(f"there is no folder {folder}", "Make it, with 000_shared_guardrails.md in it.")
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_prompt(path: Path) -> bool:
    return bool(_NAME.fullmatch(path.name)) and path.is_file()


def _title(path: Path) -> str:
    lines = path.read_text("utf-8", errors="replace").splitlines()
    title = next((line.lstrip("# ").strip() for line in lines if line.startswith("# ")), "")
    return title or path.stem[4:].replace("_", " ")
