"""Files become runs: var/runs/RID/normalize/normalized.ndjson. The same input gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from trailblazer import schemas
from trailblazer.atomic import digest_of, whole_file
from trailblazer.errors import PlanUnusable, WordsWrong, storage_trouble
from trailblazer.paths import Places, check_id, is_id
from trailblazer.pipeline.documents import LONGEST_ID, NORMALIZED, Document
from trailblazer.pipeline.text_files import KINDS, read_text_file
from trailblazer.plain import plain

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_UNFIT = re.compile(r"[^A-Za-z0-9_.@+=-]+")


@dataclass(frozen=True, slots=True)
class RunFiles:
    """What one run is made from: its files, in order, and the folder that their names are relative to."""

    rid: str
    base: Path
    files: tuple[Path, ...]


@dataclass(slots=True)
class Notes:
    """Files without text and files with replaced bytes, by relative path: a warning for people, never an error."""

    empty: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class NormalizeReport:
    """The documents of one run. `characters` counts all text; `changed` is False when no file was written.

    `empty` and `replaced` name files: those without text, those in which bytes were replaced by U+FFFD.
    """

    rid: str
    documents: int
    characters: int
    changed: bool
    empty: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


class _SameBytes(Exception):
    """Ends the block of a whole file without publishing it."""


def plan_runs(path: Path, rid: str | None) -> list[RunFiles]:
    """Return the runs that a path becomes. A file is one run; so is a folder with documents, with all below it.

    A folder of folders becomes one run for each folder. `rid` is the id of one run, or the prefix of several
    (`<rid>-<folder>`); without it the name of the file or folder is the id.
    A missing path, or one without md, txt, rst or html, is refused with PlanUnusable.
    """
    if path.is_file():
        if path.suffix.lower() not in KINDS:
            raise PlanUnusable(f"{path} has no known suffix", f"Known suffixes: {', '.join(KINDS)}.")
        return [RunFiles(_run_id(rid or path.stem), path.parent, (path,))]
    if not path.is_dir():
        raise PlanUnusable(f"{path} does not exist", "Name a file or a folder of md, txt, rst or html.")
    files = list(_text_files(path))
    if not files:
        raise PlanUnusable(f"{path} holds no md, txt, rst or html", f"Known suffixes: {', '.join(KINDS)}.")
    if any(file.parent == path for file in files):
        return [RunFiles(_run_id(rid or path.resolve().name), path, tuple(files))]
    folders: dict[str, list[Path]] = {}
    for file in files:
        folders.setdefault(file.relative_to(path).parts[0], []).append(file)
    runs: dict[str, RunFiles] = {}
    for name, inside in folders.items():
        run_id = _run_id(f"{rid}-{name}" if rid else name)
        if run_id in runs:
            raise WordsWrong(
                f"{runs[run_id].base} and {path / name} would both be the run {run_id}", "Rename one of the folders."
            )
        runs[run_id] = RunFiles(run_id, path / name, tuple(inside))
    return list(runs.values())


def normalize_files(places: Places, run: RunFiles, source_system: str | None = None) -> NormalizeReport:
    """Write one run and return its report. `source_system` names where the documents come from ("files").

    The id of a document is its relative path; documents are sorted by it. Empty documents are left out. A run
    without a document is refused with PlanUnusable.
    """
    notes = Notes()
    return write_run(places, run.rid, _documents(run, notes, source_system or "files"), notes)


def write_run(places: Places, rid: str, documents: Iterable[Document], notes: Notes | None = None) -> NormalizeReport:
    """Write documents as the normalised file of a run, unless the file has the same bytes already."""
    target = places.run(rid) / NORMALIZED
    notes = notes or Notes()
    count = characters = 0
    digest = hashlib.sha256()
    changed = True
    try:
        with whole_file(target) as file:
            for count, document in enumerate(documents, start=1):
                record = document.record()
                schemas.check_shape("normalized_document", record, f"{target}:{count}")
                line = _encode(record).encode() + b"\n"
                digest.update(line)
                file.write(line)
                characters += len(document.text_md)
            if not count:
                raise PlanUnusable(f"the run {rid} would have no document", "Every file of it is empty.")
            if target.is_file() and digest_of(target) == digest.hexdigest():
                raise _SameBytes
    except _SameBytes:
        changed = False
    return NormalizeReport(rid, count, characters, changed, tuple(notes.empty), tuple(notes.replaced))


def _run_id(name: str) -> str:
    if is_id(name):
        return name
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return check_id(_UNFIT.sub("-", ascii_name).replace("..", ".").strip("-")[:200])


def _text_files(folder: Path) -> Iterator[Path]:
    """Yield the text files below a folder, sorted, without hidden files and without links to folders.

    A folder that cannot be read is refused with StorageTrouble: its files would be missing without a word.
    """

    def refuse(error: OSError) -> NoReturn:
        raise storage_trouble(error, "read the folder") from error

    for here, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(here, name)
            if not name.startswith(".") and file.suffix.lower() in KINDS and file.is_file():
                yield file


def _documents(run: RunFiles, notes: Notes, source_system: str) -> Iterator[Document]:
    used: set[str] = set()
    named = sorted((plain(file.relative_to(run.base).as_posix()), file) for file in run.files)
    for name, file in named:
        content = read_text_file(file)
        if content.replaced:
            notes.replaced.append(f"{name} ({content.replaced})")
        if not content.text.strip():
            notes.empty.append(name)
            continue
        parts = tuple(name.split("/"))
        yield Document(
            id=_unused(name, used),
            text_md=content.text,
            title=content.title,
            url=file.absolute().as_uri(),
            source_system=source_system,
            links=content.links,
            breadcrumbs=parts[:-1],
            body_repr=KINDS[file.suffix.lower()],
            path_tags=parts[:-1],
            meta={"path": name},
        )


def _unused(name: str, used: set[str]) -> str:
    """Return the name as a document id, with `~2`, `~3`… when it is used already, and add it to `used`."""
    base = name[-LONGEST_ID + 10 :]
    unused, number = base, 1
    while unused in used:
        number += 1
        unused = f"{base}~{number}"
    used.add(unused)
    return unused
