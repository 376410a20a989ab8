"""summary.json: what came of every item, in plan order, right at any moment."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from trailblazer import schemas
from trailblazer.atomic import whole_file
from trailblazer.errors import Trouble
from trailblazer.record.folder import JOURNAL, Record
from trailblazer.record.journal import line_at
from trailblazer.record.manifest import Manifest, read_manifest
from trailblazer.record.standing import Snapshot, read_standing

SUMMARY = "summary.json"
COMMIT_SECONDS = 0.5
SHORTEST_PAUSE = 2.0
COST_SHARE = 50  # a summary is written again after 50 times what the last one took
_KIND, _PREVIOUS = b',"kind":"settle"', b',"prev":"'
_OF_A_TRY = ("attempt", "status", "reason", "usage")


def write_summary(folder: Path, manifest: Manifest, snapshot: Snapshot) -> Path:
    """Write the summary of a dispatch as a snapshot of its journal has it, and return the file.

    The entries are the journal's own lines: each is found by its place, and none is parsed.
    """
    header: dict[str, Any] = {
        "$schema": "https://trailblazer.invalid/schemas/summary.schema.json",
        "dispatchId": folder.name,
        "status": manifest.status,
        "startedOn": manifest.started_on,
        "counts": snapshot.counts,
        "usage": snapshot.usage,
        "journalHead": snapshot.head,
    }
    if snapshot.providers:
        header["providers"] = list(snapshot.providers)
    schemas.check_shape("summary", {**header, "items": []}, SUMMARY)
    target = folder / SUMMARY
    with whole_file(target, durable=False) as file, (folder / JOURNAL).open("rb") as journal:
        file.write(orjson.dumps(header, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "items": [')
        separator = b"\n    "
        for entry in _entries(journal.fileno(), snapshot):
            file.write(separator + entry)
            separator = b",\n    "
        file.write(b"\n  ]\n}\n")
    return target


def make_summary(folder: Path) -> Path:
    """Make the summary of a dispatch from its journal alone, and return the file."""
    standing, head = read_standing(folder / JOURNAL)
    return write_summary(folder, read_manifest(folder), standing.snapshot(head))


def _entries(journal: int, snapshot: Snapshot) -> Iterator[bytes]:
    for index, place in enumerate(snapshot.places):
        if place >= 0:
            line = line_at(journal, place)
            entry = line[: line.rindex(_PREVIOUS)].replace(_KIND, b"", 1)
            tries = [_try(line_at(journal, earlier)) for earlier in snapshot.earlier.get(index, ())]
            yield entry + (b',"earlier":' + orjson.dumps(tries) if tries else b"") + b"}"


def _try(line: bytes) -> dict[str, Any]:
    record = orjson.loads(line)
    return {name: record[name] for name in _OF_A_TRY if name in record}


class Bookkeeper:
    """While it is entered, commits the journal to the disk and keeps summary.json true to it, in a thread."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="bookkeeper", daemon=True)

    def __enter__(self) -> None:
        self.write()
        self._thread.start()

    def write(self) -> None:
        """Write the summary now."""
        write_summary(self._record.folder, self._record.manifest, self._record.snapshot())

    def _keep(self) -> None:
        due, settled = time.monotonic() + SHORTEST_PAUSE, 0
        while not self._over.wait(COMMIT_SECONDS):
            with contextlib.suppress(Trouble):  # a disk that is full stops the dispatch at its next line
                self._record.journal.commit()
                if time.monotonic() >= due and settled != self._record.standing.settled:
                    began, settled = time.monotonic(), self._record.standing.settled
                    self.write()
                    due = time.monotonic() + max(SHORTEST_PAUSE, COST_SHARE * (time.monotonic() - began))

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
