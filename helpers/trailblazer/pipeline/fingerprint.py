"""What the vectors of a run were made from (embed/manifest.json), and what has changed since."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.config import Config
from trailblazer.errors import DocumentInvalid
from trailblazer.paths import Places, timestamp
from trailblazer.pipeline.documents import run_folder
from trailblazer.pipeline.embedders import identify
from trailblazer.pipeline.inventory import Inventory, take_inventory
from trailblazer.processes.git import commit_of

MANIFEST = Path("embed/manifest.json")
DIFF = Path("embed/diff.json")
EMBED_ASSURANCE = Path("embed/embed_assurance.json")

NO_MANIFEST = "NO_MANIFEST"
VECTORS_MISSING = "VECTORS_MISSING"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the vectors of a run are made from. `fingerprints` are digests of the documents, sorted.

    `chunk_set` is one digest of the chunks that can be embedded, with their text. `chunks` counts these chunks,
    `all_chunks` also those of skipped documents. `documents` counts documents that can be embedded, `skipped` the rest.
    """

    rid: str
    git_commit: str | None
    provider: str
    model: str
    dimension: int
    tokenizer_name: str
    tokenizer_version: str
    enricher_version: str | None
    chunker_version: str | None
    chunk_config: dict[str, Any] | None
    fingerprints: tuple[str, ...]
    chunk_set: str
    chunks: int
    all_chunks: int
    documents: int
    skipped: int

    def document(self) -> dict[str, Any]:
        """Return the manifest as a record of embed/manifest.json, with the present time."""
        return {
            "runId": self.rid,
            "timestamp": timestamp(),
            "gitCommit": self.git_commit,
            "provider": self.provider,
            "model": self.model,
            "dimension": self.dimension,
            "tokenizer": {"name": self.tokenizer_name, "version": self.tokenizer_version},
            "enricherVersion": self.enricher_version,
            "chunkerVersion": self.chunker_version,
            "chunkConfig": self.chunk_config,
            "docFingerprints": list(self.fingerprints),
            "chunkSetHash": self.chunk_set,
            "chunksEmbedded": self.chunks,
            "totalChunks": self.all_chunks,
        }


@dataclass(frozen=True, slots=True)
class Diff:
    """What has changed since a run was embedded. `reasons` are codes; there are none when nothing has changed."""

    rid: str
    reasons: tuple[str, ...]
    current: dict[str, Any]
    previous: dict[str, Any] | None

    @property
    def changed(self) -> bool:
        """Whether anything has changed."""
        return bool(self.reasons)

    def document(self) -> dict[str, Any]:
        """Return the diff as a record of embed/diff.json."""
        return {
            "runId": self.rid,
            "timestamp": timestamp(),
            "changed": self.changed,
            "reasons": list(self.reasons),
            "current": self.current,
            "previous": self.previous,
        }


def build_manifest(places: Places, config: Config, rid: str, inventory: Inventory | None = None) -> Manifest:
    """Return what the vectors of a run would be made from now, or from an inventory that was just taken.

    It writes nothing. A missing run is refused with PlanUnusable, half a JSON line with DocumentInvalid, a wrong model
    with ConfigWrong.
    """
    identity = identify(config)
    inventory = inventory or take_inventory(run_folder(places, rid), config["preflight.min_quality"])
    return Manifest(
        rid=rid,
        git_commit=_git_commit(places.root),
        provider=identity.provider,
        model=identity.model,
        dimension=identity.dimension,
        tokenizer_name=identity.tokenizer_name,
        tokenizer_version=identity.tokenizer_version,
        enricher_version=None,
        chunker_version=inventory.chunker_version,
        chunk_config=inventory.chunk_config,
        fingerprints=inventory.fingerprints,
        chunk_set=inventory.chunk_set,
        chunks=inventory.chunks,
        all_chunks=inventory.all_chunks,
        documents=inventory.embeddable,
        skipped=len(inventory.skipped),
    )


def publish_manifest(places: Places, manifest: Manifest, *, durable: bool = True) -> None:
    """Write embed/manifest.json and embed/embed_assurance.json. Call it when all vectors of the manifest are stored."""
    folder = run_folder(places, manifest.rid)
    assurance = {
        "embeddedDocs": manifest.documents,
        "skippedDocs": manifest.skipped,
        "embeddedChunks": manifest.chunks,
        "provider": manifest.provider,
        "model": manifest.model,
        "dimension": manifest.dimension,
    }
    how = {"durable": durable, "once_per_shape": True}
    schemas.publish("embed_assurance", assurance, folder / EMBED_ASSURANCE, **how)
    schemas.publish("embed_manifest", manifest.document(), folder / MANIFEST, **how)


def read_manifest(places: Places, rid: str) -> dict[str, Any] | None:
    """Return the manifest of the last embedding, None when it is missing or not readable."""
    file = run_folder(places, rid) / MANIFEST
    if not file.is_file():
        return None
    try:
        manifest = schemas.read_json(file)
    except DocumentInvalid:
        return None
    return manifest if isinstance(manifest, dict) else None


def compare(previous: dict[str, Any] | None, current: Manifest, vectors_present: int | None = None) -> Diff:
    """Return what has changed since the manifest of the last embedding.

    `vectors_present` is how many vectors of this run and model the database has, None when it was not asked. Fewer
    vectors than chunks are VECTORS_MISSING. Only the texts decide on CONTENT_CHANGE, never counts or times.
    """
    now = current.document()
    reasons = [NO_MANIFEST] if previous is None else _reasons(previous, now)
    if vectors_present is not None and vectors_present < current.chunks:
        reasons.append(VECTORS_MISSING)
    return Diff(current.rid, tuple(reasons), now, previous)


def _reasons(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    watched = {
        "PROVIDER_CHANGE": "provider",
        "MODEL_CHANGE": "model",
        "DIMENSION_CHANGE": "dimension",
        "TOKENIZER_CHANGE": "tokenizer",
        "CHUNKER_CHANGE": "chunkerVersion",
        "CHUNK_CONFIG_CHANGE": "chunkConfig",
    }
    reasons = [reason for reason, name in watched.items() if before.get(name) != now[name]]
    is_cut_again = "CHUNKER_CHANGE" in reasons or "CHUNK_CONFIG_CHANGE" in reasons
    if before.get("docFingerprints") != now["docFingerprints"] or (
        before.get("chunkSetHash") != now["chunkSetHash"] and not is_cut_again
    ):
        reasons.append("CONTENT_CHANGE")
    return reasons


def publish_diff(places: Places, diff: Diff) -> Path:
    """Write embed/diff.json and return its path."""
    target = run_folder(places, diff.rid) / DIFF
    schemas.publish("embed_diff", diff.document(), target, durable=False)
    return target


@functools.cache
def _git_commit(root: Path) -> str | None:
    return commit_of(root)
