"""What can be done to one run for its vectors: gate it, see what changed, embed it. One embedder serves many runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trailblazer.config import Config, load_config
from trailblazer.database import claims
from trailblazer.database.connection import LONG_WAIT_SECONDS, Link, connect, statement
from trailblazer.errors import DocumentInvalid
from trailblazer.pipeline.chunk import chunk_run
from trailblazer.pipeline.documents import run_folder
from trailblazer.pipeline.embedders import load_embedder
from trailblazer.pipeline.fingerprint import Diff, Manifest, build_manifest, compare, publish_manifest, read_manifest
from trailblazer.pipeline.preflight import cost_of, preflight_run
from trailblazer.pipeline.store import read_content, store_run

if TYPE_CHECKING:
    from trailblazer.database.connection import Connection

RECONNECT_SECONDS = 20.0


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
        self._link = Link(lambda: connect(self.config, limit_seconds=LONG_WAIT_SECONDS))  # writes wait for an index

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the reply to a dispatcher's request: `chunk`, `gate` and `embed` are what it can do."""
        rid = request["run"]
        if request["do"] == "chunk":
            return asdict(chunk_run(self.config.places, self.config, rid))
        if request["do"] == "gate":
            found = preflight_run(self.config.places, self.config, rid)
            is_asked = found.is_ready and request["only_changed"]
            return {"refused": found.why, "unchanged": is_asked and not self.diff(rid)[1].changed}
        claim = claims.Claim(rid, "embed", request["attempt"], request["holder"])
        since = None if request["only_changed"] else datetime.fromisoformat(request["since"])
        return asdict(self.embed(claim, since))

    def diff(self, rid: str) -> tuple[Manifest, Diff]:
        """Return what a run's vectors would be made from now, and how that differs from what they were made from."""
        manifest = build_manifest(self.config.places, self.config, rid)
        previous = read_manifest(self.config.places, rid)
        present = self._link.ask(lambda asked: _present(asked, manifest), patience_seconds=RECONNECT_SECONDS)
        return manifest, compare(previous, manifest, present)

    def embed(self, claim: claims.Claim, since: datetime | None) -> Embedded:
        """Embed a run under a claim, completed with the last write; then publish its manifest.

        Kept are vectors whose text and model are unchanged, with `since` only those that were made after it.
        A database that goes away is waited for; what was stored by then is kept.
        """
        manifest, diff = self.diff(claim.run_id)
        content = read_content(run_folder(self.config.places, claim.run_id))
        if len(content.chunks) != manifest.chunks:
            raise DocumentInvalid(f"{claim.run_id} changed while it was read", "Run the same command again.")
        if since is None and "TOKENIZER_CHANGE" in diff.reasons:
            since = self._link.ask(_now, patience_seconds=RECONNECT_SECONDS)
        ttl = 60 * self.config["backlog.claim_ttl_minutes"]
        stored = self._link.ask(
            lambda connection: store_run(
                connection,
                self.embedder,
                claim.run_id,
                content,
                batch_size=self.config["embed.batch_size"],
                kept_since=since,
                fence=lambda: claims.fence(connection, claim, ttl),
                complete=lambda counts: claims.complete(connection, [claim], {claim.run_id: counts}),
            ),
            patience_seconds=RECONNECT_SECONDS,
        )
        publish_manifest(self.config.places, manifest)
        cost = cost_of(self.config, manifest.model, stored.tokens)
        return Embedded(stored.chunks, stored.embedded, stored.kept, stored.tokens, cost)

    def close(self) -> None:
        """Close the connection."""
        self._link.close()


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
