"""Files become runs: var/runs/RID/normalize/normalized.ndjson, the same bytes from the same input."""

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
from trailblazer.pipeline.text_files import KINDS, read_content
from trailblazer.plain import plain

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_UNFIT = re.compile(r"[^A-Za-z0-9_.@+=-]+")


@dataclass(frozen=True, slots=True)
class Source:
    """What one run is made from: the folder (or single file) and the files in it, in order."""

    rid: str
    base: Path
    files: tuple[Path, ...]


@dataclass(slots=True)
class Notes:
    """What was left out or replaced on the way, by relative path; said to a person, never fatal."""

    empty: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class NormalizeReport:
    """What became of one run: `characters` counts all its text, `changed` is False where its file stayed as it was."""

    rid: str
    documents: int
    characters: int
    changed: bool
    empty: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


class _SameBytes(Exception):
    """Leaves the block of a whole file without publishing it."""


def plan_runs(path: Path, rid: str | None) -> list[Source]:
    """Return the runs that a path becomes: one for a file or a folder, one a folder for a folder of folders.

    A folder that holds documents itself is one run, with all below it. `rid` is the run's id, or the prefix
    `<rid>-<folder>` of several; without it the names of the file or folders are the ids.
    A path that is not there, or holds no md, txt, rst or html, is refused with PlanUnusable.
    """
    if path.is_file():
        if path.suffix.lower() not in KINDS:
            raise PlanUnusable(f"{path} is not text of a known kind", f"Known endings: {', '.join(KINDS)}.")
        return [Source(_run_id(rid or path.stem), path.parent, (path,))]
    if not path.is_dir():
        raise PlanUnusable(f"there is nothing at {path}", "Name a file or a folder of md, txt, rst or html.")
    files = list(_text_files(path))
    if not files:
        raise PlanUnusable(f"{path} holds no md, txt, rst or html", f"Known endings: {', '.join(KINDS)}.")
    if any(file.parent == path for file in files):
        return [Source(_run_id(rid or path.resolve().name), path, tuple(files))]
    folders: dict[str, list[Path]] = {}
    for file in files:
        folders.setdefault(file.relative_to(path).parts[0], []).append(file)
    sources: dict[str, Source] = {}
    for name, inside in folders.items():
        wanted = _run_id(f"{rid}-{name}" if rid else name)
        if wanted in sources:
            raise WordsWrong(
                f"{sources[wanted].base} and {path / name} would both be the run {wanted}", "Rename one of the folders."
            )
        sources[wanted] = Source(wanted, path / name, tuple(inside))
    return list(sources.values())


def normalize_files(places: Places, source: Source) -> NormalizeReport:
    """Write the run that a source becomes, and report it.

    Documents stand in the order of their ids, which are their relative paths. Empty documents are left out;
    a run without any document is refused with PlanUnusable.
    """
    notes = Notes()
    return write_run(places, source.rid, _documents(source, notes), notes)


def write_run(places: Places, rid: str, documents: Iterable[Document], notes: Notes | None = None) -> NormalizeReport:
    """Write documents as the normalised file of a run; a file that would hold the same bytes is left untouched."""
    target = places.run(rid) / NORMALIZED
    notes = notes or Notes()
    count = characters = 0
    digest = hashlib.sha256()
    changed = True
    try:
        with whole_file(target) as file:
            for count, document in enumerate(documents, start=1):
                record = document.record()
                schemas.check("normalized_document", record, f"{target}:{count}")
                line = _encode(record).encode() + b"\n"
                digest.update(line)
                file.write(line)
                characters += len(document.text_md)
            if not count:
                raise PlanUnusable(f"the run {rid} would hold no document", "Every file of it is empty.")
            if target.is_file() and digest_of(target) == digest.hexdigest():
                raise _SameBytes
    except _SameBytes:
        changed = False
    return NormalizeReport(rid, count, characters, changed, tuple(notes.empty), tuple(notes.replaced))


def _run_id(name: str) -> str:
    if is_id(name):
        return name
    known = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return check_id(_UNFIT.sub("-", known).replace("..", ".").strip("-")[:200])


def _text_files(folder: Path) -> Iterator[Path]:
    """Yield the text files below a folder, sorted; hidden names and links to folders are passed over.

    A folder that cannot be looked into is refused with StorageTrouble: its files would be missing unsaid.
    """

    def refuse(error: OSError) -> NoReturn:
        raise storage_trouble(error, "look into") from error

    for here, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(here, name)
            if not name.startswith(".") and file.suffix.lower() in KINDS and file.is_file():
                yield file


def _documents(source: Source, notes: Notes) -> Iterator[Document]:
    known: set[str] = set()
    named = sorted((plain(file.relative_to(source.base).as_posix()), file) for file in source.files)
    for name, file in named:
        content = read_content(file)
        if content.replaced:
            notes.replaced.append(f"{name} ({content.replaced})")
        if not content.text.strip():
            notes.empty.append(name)
            continue
        parts = tuple(name.split("/"))
        yield Document(
            id=_unused(name, known),
            text_md=content.text,
            title=content.title,
            url=file.absolute().as_uri(),
            links=content.links,
            breadcrumbs=parts[:-1],
            body_repr=KINDS[file.suffix.lower()],
            path_tags=parts[:-1],
            meta={"path": name},
        )


def _unused(name: str, known: set[str]) -> str:
    """Return the name as a document id, with `~2`, `~3`… when an earlier document has it, and remember it."""
    wanted = name[-LONGEST_ID + 10 :]
    found, number = wanted, 1
    while found in known:
        number += 1
        found = f"{wanted}~{number}"
    known.add(found)
    return found
