"""summary.json: what came of every item, in plan order, made from the journal at any time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from array import array
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.atomic import whole_file
from trailblazer.errors import Trouble
from trailblazer.record import folder as record

SUMMARY = "summary.json"
SHORTEST_PAUSE = 2.0
COST_SHARE = 20
_OF_THE_JOURNAL = frozenset({"kind", "prev"})


def write_summary(folder: Path) -> Path:
    """Write the summary of a dispatch as its journal has it, and return the file.

    Items are streamed: what is held is one number an item, the place of its newest outcome in the journal.
    """
    manifest = schemas.read_json(folder / record.MANIFEST)
    standing, _, _ = record.read_standing(folder)
    places, head = _places(folder / record.JOURNAL, standing.planned)
    header = {
        "$schema": "https://trailblazer.invalid/schemas/summary.schema.json",
        "dispatchId": folder.name,
        "status": manifest["status"],
        "startedOn": manifest["startedOn"],
        "counts": record.counts_of(standing),
        "usage": dict(sorted(standing.usage.items())),
        "journalHead": head,
    }
    schemas.check("summary", {**header, "items": []}, SUMMARY)
    target = folder / SUMMARY
    with whole_file(target, durable=False) as file, (folder / record.JOURNAL).open("rb") as journal:
        file.write(json.dumps(header, ensure_ascii=False, indent=1).encode()[:-2] + b',\n "items": [')
        separator = b"\n  "
        for place in places:
            if place >= 0:
                journal.seek(place)
                file.write(separator + json.dumps(_entry(journal.readline()), ensure_ascii=False).encode())
                separator = b",\n  "
        file.write(b"\n ]\n}\n")
    return target


def _places(journal: Path, planned: int) -> tuple[array[int], str]:
    """Return where in the journal each item's newest outcome begins (-1: it has none), and the SHA-256 of its end."""
    places = array("q", [-1]) * planned
    position, last = 0, b""
    with journal.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            if b'"kind":"settle"' in line:
                places[json.loads(line)["index"]] = position
            position += len(line)
            last = line[:-1]
    return places, hashlib.sha256(last).hexdigest()


def _entry(line: bytes) -> dict[str, Any]:
    return {key: value for key, value in json.loads(line).items() if key not in _OF_THE_JOURNAL}


class SummaryKeeper:
    """While entered, keeps summary.json true to the journal: every two seconds, more seldom when that takes long."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="summary", daemon=True)

    def __enter__(self) -> None:
        write_summary(self._folder)
        self._thread.start()

    def _keep(self) -> None:
        pause = SHORTEST_PAUSE
        while not self._over.wait(pause):
            began = time.monotonic()
            with contextlib.suppress(Trouble):  # the journal is what counts; who fills the disk is told there
                write_summary(self._folder)
            pause = max(SHORTEST_PAUSE, COST_SHARE * (time.monotonic() - began))

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
