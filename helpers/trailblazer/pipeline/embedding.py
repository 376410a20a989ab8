"""What can be done to one run for its vectors: gate it, chunk it, see what changed, embed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trailblazer.config import Config, load_config
from trailblazer.database import claims
from trailblazer.database.backlog import show_run
from trailblazer.database.claims import Claim, Counts
from trailblazer.database.connection import LONG_WAIT_SECONDS, Link, connect, statement
from trailblazer.database.embedded import Embedded as Stamp
from trailblazer.database.embedded import ModelKey, read_embedded, record_embedded
from trailblazer.errors import DocumentInvalid, GateClosed
from trailblazer.pipeline.chunk import chunk_run
from trailblazer.pipeline.documents import run_folder
from trailblazer.pipeline.embedders import Embedder, Unserved, load_embedder
from trailblazer.pipeline.fingerprint import (
    Diff,
    Manifest,
    build_manifest,
    compare,
    publish_manifest,
    read_manifest,
)
from trailblazer.pipeline.messages import Reply, Request, Task
from trailblazer.pipeline.preflight import cost_of, examine_run, publish_preflight
from trailblazer.pipeline.store import Stored, read_run_content, store_run

if TYPE_CHECKING:
    from trailblazer.database.connection import Connection

RECONNECT_SECONDS = 20.0
Progressed = Callable[[Reply], None]


@dataclass(frozen=True, slots=True)
class Embedded:
    """What embedding a run did: what was stored, and the cost in US dollars."""

    stored: Stored
    cost: float

    @property
    def counts(self) -> Counts:
        """What the table of runs keeps of it."""
        return Counts(self.stored.documents, self.stored.chunks, self.stored.chunks)


class Embedding:
    """One embedder and one connection for many runs; both are made when first needed. `flags` are settings by key."""

    def __init__(self, flags: Mapping[str, Any]) -> None:
        self.config: Config = load_config(flags)
        self._embedder: Embedder | None = None
        self._link = Link(lambda: connect(self.config, limit_seconds=LONG_WAIT_SECONDS))  # writes wait for an index

    @property
    def embedder(self) -> Embedder:
        """The configured embedder."""
        if self._embedder is None:
            self._embedder = load_embedder(self.config)
        return self._embedder

    @property
    def unserved(self) -> Unserved:
        """How often the embedder's service did not serve; nothing while there is no embedder."""
        return self._embedder.unserved if self._embedder is not None else Unserved()

    def answer(self, request: Request, task: Task, progressed: Progressed) -> Reply:
        """Return the reply to one task of a dispatcher's request."""
        if task.do == "gate":
            found = examine_run(self.config.places, self.config, task.run)
            is_same = found.is_ready and task.only_changed and not self.diff(task.run)[1].changed
            return Reply(task.run, refused=found.why, unchanged=is_same and self._is_settled(task.run))
        if task.do == "chunk":
            report = chunk_run(self.config.places, self.config, task.run)
            return Reply(task.run, documents=report.documents, chunks=report.chunks)
        claim = Claim(task.run, "embed", task.attempt, request.holder)
        since = None if task.since is None else datetime.fromisoformat(task.since)
        done = self.embed(claim, since, progressed)
        is_unchanged = since is not None and done.stored.kept == done.stored.chunks > 0
        return replace(_reply(task.run, done), unchanged=is_unchanged)

    def _is_settled(self, rid: str) -> bool:
        """Say whether the table has a run as embedded: an attempt that a full disk or a lost database ended is not."""
        row = self._link.ask(lambda connection: show_run(connection, rid), patience_seconds=RECONNECT_SECONDS)
        return row is None or row.status == "embedded"

    def diff(self, rid: str) -> tuple[Manifest, Diff]:
        """Return what a run's vectors would be made from now, and how that differs from what they were made from."""
        manifest = build_manifest(self.config.places, self.config, rid)
        stored, present = self._link.ask(lambda asked: _stored(asked, manifest), patience_seconds=RECONNECT_SECONDS)
        return manifest, compare(stored or read_manifest(self.config.places, rid), manifest, present)

    def embed(self, claim: Claim, since: datetime | None, progressed: Progressed = lambda _reply: None) -> Embedded:
        """Publish the preflight of a run, embed it under a claim that every write checks, and publish its manifest.

        Whoever took the claim completes it. Kept are vectors whose text and model are unchanged, with `since` only
        those that were made after it. A database that goes away is waited for; what was stored by then is kept.
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
            since = self._link.ask(_now, patience_seconds=RECONNECT_SECONDS)
        ttl = 60 * self.config["backlog.claim_ttl_minutes"]

        def priced(stored: Stored) -> Embedded:
            return Embedded(stored, cost_of(self.config, manifest.model, stored.tokens))

        stored = self._link.ask(
            lambda connection: store_run(
                connection,
                self.embedder,
                claim.run_id,
                content,
                batch_size=self.config["embed.batch_size"],
                kept_since=since,
                fence=lambda: claims.fence(connection, claim, ttl),
                progressed=lambda stored: progressed(replace(_reply(claim.run_id, priced(stored)), kind="progress")),
            ),
            patience_seconds=RECONNECT_SECONDS,
        )
        made = {claim.run_id: Stamp(_key(manifest), manifest.document())}
        if self._link.ask(
            lambda connection: record_embedded(connection, made, {claim.run_id: claim.attempt}),
            patience_seconds=RECONNECT_SECONDS,
        ):
            raise claims.not_held(claim.run_id)
        publish_manifest(places, manifest)
        return priced(stored)

    def close(self) -> None:
        """Close the connection."""
        self._link.close()


def _reply(rid: str, done: Embedded) -> Reply:
    """Return what was done to a run as a worker says it."""
    counts = {name: getattr(done.stored, name) for name in ("documents", "chunks", "embedded", "kept", "tokens")}
    return Reply(rid, **counts, cost=done.cost)


def _key(manifest: Manifest) -> ModelKey:
    return ModelKey(manifest.provider, manifest.model, manifest.dimension)


def _stored(connection: Connection, manifest: Manifest) -> tuple[dict[str, Any] | None, int]:
    """Return the manifest of the vectors that a run has by this model, and how many vectors there are."""
    key = _key(manifest)
    row = connection.execute(statement("count_vectors"), {"run_id": manifest.rid, **asdict(key)}).fetchone()
    return read_embedded(connection, manifest.rid, key), int(row[0]) if row else 0


def _now(connection: Connection) -> datetime:
    row = connection.execute(statement("present_moment")).fetchone()
    moment: datetime = row[0] if row else datetime.min
    return moment
