"""What can be done to runs for their vectors: gate them, chunk them, see what changed, embed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trailblazer.atomic import sync_file_system
from trailblazer.config import Config, load_config
from trailblazer.database import claims
from trailblazer.database.backlog import show_runs
from trailblazer.database.claims import Claim, Counts
from trailblazer.database.connection import LONG_WAIT_SECONDS, Link, connect, statement
from trailblazer.database.embedded import Embedded as Stamp
from trailblazer.database.embedded import ModelKey, read_embedded, record_embedded
from trailblazer.errors import DocumentInvalid, GateClosed
from trailblazer.pipeline.chunk import ChunkReport, chunk_run
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
from trailblazer.pipeline.preflight import Preflight, cost_of, examine_run, publish_preflight
from trailblazer.pipeline.store import Stored, Work, read_run_content, store_runs

if TYPE_CHECKING:
    from trailblazer.database.connection import Connection
    from trailblazer.pipeline.store import Make

RECONNECT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Embedded:
    """What embedding a run did: what was stored, and the cost in US dollars."""

    stored: Stored
    cost: float

    @property
    def counts(self) -> Counts:
        """What the table of runs keeps of it."""
        return Counts(self.stored.documents, self.stored.chunks, self.stored.chunks)


Progressed = Callable[[str, Embedded], None]


class Embedding:
    """One embedder and one connection for many runs; both are made when first needed. `flags` are settings by key.

    Every method takes runs that belong together: one statement, one call of the embedder and one commit are for all of
    them. What fails for one of them fails for all, and nothing of them is stored; ask for each of them alone then.
    """

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

    def examine(self, rids: Sequence[str]) -> list[Preflight]:
        """Preflight runs; it writes nothing."""
        return [examine_run(self.config.places, self.config, rid) for rid in rids]

    def unchanged(self, found: Sequence[Preflight]) -> set[str]:
        """Return which runs, just preflighted, have all their vectors and nothing else to do."""
        manifests = [build_manifest(self.config.places, self.config, one.rid, one.inventory) for one in found]
        same = [diff.rid for diff in self._diffs(manifests) if not diff.changed]
        return self._settled(same) if same else set()

    def _settled(self, rids: Sequence[str]) -> set[str]:
        """Return which runs the table has as embedded: after a full disk or a lost database a run is not."""
        rows = self._link.ask(lambda connection: show_runs(connection, rids), patience_seconds=RECONNECT_SECONDS)
        return {rid for rid in rids if rid not in rows or rows[rid].status == "embedded"}

    def diff(self, rid: str) -> Diff:
        """Return how what a run's vectors would be made from now differs from what they were made from."""
        (diff,) = self._diffs([build_manifest(self.config.places, self.config, rid)])
        return diff

    def _diffs(self, manifests: Sequence[Manifest]) -> list[Diff]:
        rids, key = [manifest.rid for manifest in manifests], _key(manifests[0])
        stored = self._link.ask(
            lambda connection: read_embedded(connection, rids, key), patience_seconds=RECONNECT_SECONDS
        )
        return [
            compare(before or read_manifest(self.config.places, manifest.rid), manifest, present)
            for manifest in manifests
            for before, present in (stored[manifest.rid],)
        ]

    def chunk(self, rids: Sequence[str]) -> list[ChunkReport]:
        """Chunk runs; when it returns, their chunks survive a power cut."""
        places, is_alone = self.config.places, len(rids) == 1
        reports = [chunk_run(places, self.config, rid, durable=is_alone) for rid in rids]
        if not is_alone or not reports[0].changed:  # who wrote them before may have been killed before it synced
            sync_file_system(places.var)
        return reports

    def embed(
        self,
        taken: Sequence[Claim],
        since: datetime | None,
        progressed: Progressed = lambda _rid, _done: None,
        make: Make | None = None,
    ) -> list[Embedded]:
        """Publish the preflight of runs, embed them under claims that every write checks, and publish their manifests.

        Whoever took the claims completes them. Kept are vectors whose text and model are unchanged, with `since` only
        those that were made after it. A database that goes away is waited for; what was stored by then is kept. The
        vectors are made by the embedder, or by `make`.
        """
        embedder = self.embedder
        key = ModelKey(embedder.provider, embedder.model, embedder.dimension)
        ready = [self._ready(claim.run_id) for claim in taken]
        manifests = [build_manifest(self.config.places, self.config, one.rid, one.inventory) for one in ready]
        works = self._works(ready, manifests, since)
        held = {claim.run_id: claim.attempt for claim in taken}
        made = {manifest.rid: Stamp(_key(manifest), manifest.document()) for manifest in manifests}
        ttl = 60 * self.config["backlog.claim_ttl_minutes"]

        def priced(stored: Stored) -> Embedded:
            return Embedded(stored, cost_of(self.config, key.model, stored.tokens))

        def finish(connection: Connection) -> None:
            if lost := record_embedded(connection, made, held):
                raise claims.not_held(lost[0])

        stored = self._link.ask(
            lambda connection: store_runs(
                connection,
                key,
                make or embedder.embed,
                works,
                batch_size=self.config["embed.batch_size"],
                ahead=embedder.batches_ahead,
                fence=lambda: claims.fence(connection, taken, ttl),
                finish=lambda: finish(connection),
                progressed=lambda rid, so_far: progressed(rid, priced(so_far)),
            ),
            patience_seconds=RECONNECT_SECONDS,
        )
        for manifest in manifests:
            publish_manifest(self.config.places, manifest, durable=len(taken) == 1)
        if len(taken) > 1:
            sync_file_system(self.config.places.var)
        return [priced(one) for one in stored]

    def _ready(self, rid: str) -> Preflight:
        """Preflight a run and publish what was found; a run that is blocked is GateClosed."""
        found = examine_run(self.config.places, self.config, rid)
        publish_preflight(self.config.places, self.config, found)
        if not found.is_ready:
            raise GateClosed(f"{rid} is blocked: {found.why}", "Nothing of this run was sent.")
        return found

    def _works(self, ready: Sequence[Preflight], manifests: Sequence[Manifest], since: datetime | None) -> list[Work]:
        moments: dict[str, datetime | None] = {}
        if since is None and (others := [d.rid for d in self._diffs(manifests) if "TOKENIZER_CHANGE" in d.reasons]):
            moments = dict.fromkeys(others, self._link.ask(_now, patience_seconds=RECONNECT_SECONDS))
        works = []
        for found, manifest in zip(ready, manifests, strict=True):
            content = read_run_content(run_folder(self.config.places, found.rid), found.skipped)
            if len(content.chunks) != manifest.chunks:
                raise DocumentInvalid(f"{found.rid} changed while it was read", "Run the same command again.")
            works.append(Work(found.rid, content, moments.get(found.rid, since)))
        return works

    def close(self) -> None:
        """Close the connection."""
        self._link.close()


def _key(manifest: Manifest) -> ModelKey:
    return ModelKey(manifest.provider, manifest.model, manifest.dimension)


def _now(connection: Connection) -> datetime:
    row = connection.execute(statement("present_moment")).fetchone()
    moment: datetime = row[0] if row else datetime.min
    return moment
