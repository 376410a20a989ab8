"""The documents of the protocol: a signal for each unit of work, and a manifest for each batch of them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.atomic import read_regular, write_whole
from trailblazer.errors import DocumentInvalid

SIGNAL, PROMPT, MANIFEST, BRIEFING = "signal.json", "prompt.md", "batch-manifest.json", "briefing.md"
MOST_BYTES = 16 << 20  # of one document of the protocol


class State(StrEnum):
    """The states of a signal. The last two are final."""

    WAITING = "waiting"  # nobody has taken it
    PROCESSING = "processing"  # an agent has taken it
    DONE = "done"  # its artifact was accepted
    ERROR = "error"  # it has no artifact, and `error` says why


ENDED = frozenset({State.DONE, State.ERROR})


class BatchState(StrEnum):
    """The states of a batch, and of a signal within its manifest. The last two are final."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    ERROR = "error"


IN_BATCH = {
    State.WAITING: BatchState.PENDING,
    State.PROCESSING: BatchState.IN_PROGRESS,
    State.DONE: BatchState.DONE,
    State.ERROR: BatchState.ERROR,
}


@dataclass(frozen=True, slots=True)
class Signal:
    """One attempt at a unit of work, whose number in its suite is `dispatch_id`. Both paths are absolute."""

    status: State
    dispatch_id: int
    case_id: str
    step: str
    prompt_path: str
    artifact_path: str
    timestamp: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A signal as the manifest of its batch shows it."""

    case_id: str
    signal_path: str
    status: BatchState = BatchState.PENDING
    error: str = ""


@dataclass(frozen=True, slots=True)
class BatchManifest:
    """A batch of signals that are dispatched together; `error` says why the batch itself could not be carried out."""

    batch_id: int
    status: BatchState
    phase: str
    created_at: str
    updated_at: str
    briefing_path: str
    signals: tuple[Entry, ...]
    error: str = ""

    def document(self) -> dict[str, Any]:
        """Return the manifest as it is written, with how many signals are in each state."""
        states = [entry.status for entry in self.signals]
        return {
            **_without_empty(self),
            "total": len(self.signals),
            "counts": {name: states.count(state) for name, state in _BATCH_STATES},
            "signals": list(map(_without_empty, self.signals)),
        }


_BATCH_STATES = tuple((state.value, state) for state in BatchState)
_VALUES_OF = {kind: operator.attrgetter(*kind.__slots__) for kind in (Signal, Entry, BatchManifest)}


def _without_empty(record: Signal | Entry | BatchManifest) -> dict[str, Any]:
    document = dict(zip(record.__slots__, _VALUES_OF[type(record)](record), strict=True))
    if not record.error:
        del document["error"]
    return document


def write_signal(file: Path | str, signal: Signal) -> None:
    """Write a signal as a whole file."""
    _publish("signal", _without_empty(signal), file)


def read_signal(file: Path) -> Signal:
    """Return a signal. What is no signal is DocumentInvalid."""
    document = _read(file, "signal")
    return schemas.as_record(Signal, {**document, "status": State(document["status"])})


def write_manifest(file: Path, manifest: BatchManifest) -> None:
    """Write the manifest of a batch as a whole file: a reader sees the old one or the new one."""
    _publish("batch_manifest", manifest.document(), file)


def read_manifest(file: Path) -> BatchManifest:
    """Return the manifest of a batch. What is no manifest is DocumentInvalid."""
    document = _read(file, "batch_manifest")
    entries = [
        schemas.as_record(Entry, {**entry, "status": BatchState(entry["status"])}) for entry in document["signals"]
    ]
    return schemas.as_record(BatchManifest, document, signals=tuple(entries), status=BatchState(document["status"]))


def _publish(schema: str, document: dict[str, Any], file: Path | str) -> None:
    schemas.check_shape(schema, document, str(file), is_flat=True)
    write_whole(file, schemas.text_of(document), durable=False)


def _read(file: Path, schema: str) -> dict[str, Any]:
    """Return a document of the protocol, with limits: agents can write here too."""
    try:
        document = schemas.parse_json(read_regular(file, MOST_BYTES, follow_links=False))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise DocumentInvalid(f"cannot read {file}: {why}", "Look at that file.") from error
    schemas.check(schema, document, str(file))
    found: dict[str, Any] = document
    return found


@dataclass(frozen=True, slots=True)
class Change:
    """A transition: of a signal, or with `dispatch_id` 0 of a batch. `batch_id` is 0 for a signal without a batch."""

    to: State | BatchState
    dispatch_id: int = 0
    batch_id: int = 0
    case_id: str = ""
    step: str = ""
    error: str = ""


Tell = Callable[[Change], None]
"""Is told of every transition, after the file says so."""


def tell_nobody(_change: Change) -> None:
    """Tell nobody."""
