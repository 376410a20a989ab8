"""Embedding runs: gated by preflight, claimed in Postgres, embedded in warm worker processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

from trailblazer.config import Config
from trailblazer.database.claims import HeldBy
from trailblazer.database.connection import answering, connect
from trailblazer.database.holdings import Holdings
from trailblazer.errors import ServiceDown
from trailblazer.pipeline.ask import LOAD_LEAST, drop_index_for_load
from trailblazer.places.workers import Workers, python_module
from trailblazer.processes.children import Children
from trailblazer.processes.identity import holder_name
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import Item, Outcome, Refusal, Status


class EmbedLane:
    """The four answers for embedding runs. `flags` are the settings from the command line, by dotted key."""

    def __init__(
        self, config: Config, flags: Mapping[str, Any], record: Record, children: Children, *, only_changed: bool
    ) -> None:
        self._config, self._record = config, record
        self._written, self._load = 0, LOAD_LEAST
        self._request = {
            "flags": dict(flags),
            "only_changed": only_changed,
            "holder": holder_name(),
            "since": record.manifest["parameters"]["since"],
        }
        environment = {**os.environ, "TRACEPARENT": record.manifest["traceparent"]}
        limit = 60 * config["dispatch.item_timeout_minutes"]
        self._workers = Workers(
            python_module("trailblazer.pipeline.worker"), children, record.folder, environment, limit
        )
        self._holdings = Holdings(
            lambda: connect(config), 60 * config["backlog.claim_ttl_minutes"], config["backlog.max_attempts"]
        )

    def gate(self, item: Item) -> Outcome | None:
        """Preflight, always; and, where asked, whether anything has changed at all (E7)."""
        reply = self._ask("gate", item, 0)
        if reply["refused"]:
            return Outcome(Status.SKIPPED, reply["refused"], Refusal.GATE)
        if reply["unchanged"]:
            return Outcome(Status.UNCHANGED, "nothing changed")
        return None

    def claim(self, item: Item) -> int | Outcome:
        """Claim the run in processed_runs; one that somebody else holds is skipped with the holder's name."""
        answer = self._holdings.take([item.id], "embed", again=True)[item.id]
        if isinstance(answer, HeldBy):
            return Outcome(Status.SKIPPED, str(answer), Refusal.HELD)
        return answer.attempt

    def attempt(self, item: Item, number: int) -> Outcome:
        """Have the run embedded by this slot's worker, which completes the claim with its last write."""
        self._record.start(item, number, self._workers.identity())
        reply = self._ask("embed", item, number)
        self._holdings.release([item.id])  # its worker has completed the claim: nothing changes
        self._make_way(reply["embedded"])
        usage = {"tokens": reply["tokens"], "chunks": reply["embedded"], "estCostUSD": reply["cost"]}
        return Outcome(Status.SUCCESS, details={"usage": usage, "kept": reply["kept"], "total_chunks": reply["chunks"]})

    def _make_way(self, embedded: int) -> None:
        """Drop the index once, when this dispatch has written much: it is made again when the dispatch closes."""
        self._written += embedded
        if self._written < self._load:
            return
        self._load = 2 * self._written
        manifest = self._record.manifest
        with contextlib.suppress(ServiceDown), answering(), connect(self._config) as connection:
            model = manifest["provider"], manifest["model"], manifest["dimension"]
            drop_index_for_load(connection, *model, self._written)

    def give_back(self, item: Item, number: int, outcome: Outcome) -> None:
        """Give the run back: failed when it failed, as it was when it was only interrupted."""
        if outcome.status is Status.ERROR:
            self._holdings.fail(item.id, number, outcome.reason)
        else:
            self._holdings.release([item.id])

    def look(self) -> None:
        """Move the expiry of the claims forward."""
        self._holdings.keep_alive()

    def close(self) -> None:
        """End the workers and the connection."""
        self._workers.close()
        self._holdings.close()

    def _ask(self, what: str, item: Item, number: int, **more: Any) -> dict[str, Any]:
        return self._workers.ask({"do": what, "run": item.id, "attempt": number, **self._request, **more})
