"""What can be done to one run for its vectors: gate it, see what changed, embed it. One embedder serves many runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from trailblazer.config import Config, load_config
from trailblazer.database import claims
from trailblazer.database.connection import answering, connect, statement
from trailblazer.errors import DocumentInvalid, GateClosed, ServiceDown
from trailblazer.pipeline.chunk import chunk_run
from trailblazer.pipeline.documents import run_folder
from trailblazer.pipeline.embedders import load_embedder
from trailblazer.pipeline.fingerprint import Diff, Manifest, build_manifest, compare, publish_manifest, read_manifest
from trailblazer.pipeline.preflight import cost_of, examine_run, publish_preflight
from trailblazer.pipeline.store import read_run_content, store_run

if TYPE_CHECKING:
    from trailblazer.database.connection import Connection

RECONNECT_SECONDS = 20.0
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Embedded:
    """What embedding a run did: chunks in all, embedded now and kept, their tokens, and the cost in US dollars."""

    chunks: int
    embedded: int
    kept: int
    tokens: int
    cost: float


class Embedding:
    """An embedder and a connection, both made when first needed and then kept. `flags` are settings by dotted key."""

    def __init__(self, flags: Mapping[str, Any]) -> None:
        self.config: Config = load_config(flags)
        self.embedder = load_embedder(self.config)
        self._connection: Connection | None = None

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the reply to a dispatcher's request: `chunk`, `gate` and `embed` are what it can do."""
        rid = request["run"]
        if request["do"] == "chunk":
            return asdict(chunk_run(self.config.places, self.config, rid))
        if request["do"] == "gate":
            found = examine_run(self.config.places, self.config, rid)
            is_asked = found.is_ready and request["only_changed"]
            return {"refused": found.why, "unchanged": is_asked and not self.diff(rid)[1].changed}
        claim = claims.Claim(rid, "embed", request["attempt"], request["holder"])
        since = None if request["only_changed"] else datetime.fromisoformat(request["since"])
        return asdict(self.embed(claim, since))

    def diff(self, rid: str) -> tuple[Manifest, Diff]:
        """Return what a run's vectors would be made from now, and how that differs from what they were made from."""
        manifest = build_manifest(self.config.places, self.config, rid)
        previous = read_manifest(self.config.places, rid)
        return manifest, compare(previous, manifest, self._answered(lambda connection: _present(connection, manifest)))

    def embed(self, claim: claims.Claim, since: datetime | None) -> Embedded:
        """Publish the preflight of a run, embed it under a claim, complete the claim and publish the manifest.

        Kept are vectors whose text and model are unchanged, with `since` only those that were made after it.
        A database that goes away is waited for; what was stored by then is kept.
        """
        places = self.config.places
        found = examine_run(places, self.config, claim.run_id)
        publish_preflight(places, self.config, found)
        if not found.is_ready:
            raise GateClosed(f"{claim.run_id} is blocked: {found.why}", "Nothing of this run was sent.")
        manifest, diff = self.diff(claim.run_id)
        content = read_run_content(run_folder(places, claim.run_id), found.skipped)
        if len(content.chunks) != manifest.chunks:
            raise DocumentInvalid(f"{claim.run_id} changed while it was read", "Run the same command again.")
        if since is None and "TOKENIZER_CHANGE" in diff.reasons:
            since = self._answered(_now)
        ttl = 60 * self.config["backlog.claim_ttl_minutes"]
        stored = self._answered(
            lambda connection: store_run(
                connection,
                self.embedder,
                claim.run_id,
                content,
                batch_size=self.config["embed.batch_size"],
                kept_since=since,
                fence=lambda: claims.fence(connection, claim, ttl),
                complete=lambda counts: claims.complete(connection, [claim], {claim.run_id: counts}),
            )
        )
        publish_manifest(places, manifest)
        cost = cost_of(self.config, manifest.model, stored.tokens)
        return Embedded(stored.chunks, stored.embedded, stored.kept, stored.tokens, cost)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _answered(self, ask: Callable[[Connection], Answer]) -> Answer:
        """Return what is answered over the connection; a database that restarts is asked again until it is up."""
        deadline = time.monotonic() + RECONNECT_SECONDS
        while True:
            try:
                with answering():
                    if self._connection is None or self._connection.closed or self._connection.broken:
                        self._connection = connect(self.config)
                    return ask(self._connection)
            except ServiceDown:
                if time.monotonic() > deadline or not self._is_lost():
                    raise
                time.sleep(0.2)

    def _is_lost(self) -> bool:
        return self._connection is None or self._connection.closed or self._connection.broken


def _present(connection: Connection, manifest: Manifest) -> int:
    key = {
        "run_id": manifest.rid,
        "provider": manifest.provider,
        "model": manifest.model,
        "dimension": manifest.dimension,
    }
    row = connection.execute(statement("count_vectors"), key).fetchone()
    return int(row[0]) if row else 0


def _now(connection: Connection) -> datetime:
    row = connection.execute(statement("present_moment")).fetchone()
    moment: datetime = row[0] if row else datetime.min
    return moment
