"""Embedding runs: gated by preflight, claimed in Postgres in groups, worked on in warm worker processes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from trailblazer.config import Config
from trailblazer.database.claims import PHASES, release_of
from trailblazer.database.connection import answering, connect
from trailblazer.database.holdings import Holdings
from trailblazer.dispatch.lane import Dispatch, Held, OwnedLane, Running
from trailblazer.errors import StaleClaim
from trailblazer.lanes.embed.ahead import Ahead
from trailblazer.lanes.embed.claiming import RunClaims
from trailblazer.lanes.embed.free import check_free
from trailblazer.lanes.embed.group import RunGroup
from trailblazer.lanes.embed.loaded_index import LoadedIndex
from trailblazer.lanes.embed.replies import counts_of, refusal, usage_of
from trailblazer.lanes.embed.request import EmbedParameters
from trailblazer.lanes.embed.served import Served
from trailblazer.pipeline.messages import Reply, Request, Task, decode_reply, encode_request
from trailblazer.places.workers import Exchange, Workers, python_module
from trailblazer.processes.identity import holder_name
from trailblazer.record.admission import Room
from trailblazer.record.folder import JOURNAL
from trailblazer.record.outcomes import Item, Outcome, Refusal, Refused, Status
from trailblazer.record.standing import earlier_holders

Progressed = Callable[[Item, Reply], None]


class EmbedLane(OwnedLane):
    """The answers for embedding runs, in both phases.

    `upcoming` are the runs of the plan in order, by phase. With `waiting_only` a run is taken only while it waits for
    its phase.
    """

    def __init__(
        self,
        config: Config,
        parameters: EmbedParameters,
        *,
        group: int,
        only_changed: bool,
        waiting_only: bool,
        upcoming: dict[str, list[str]],
    ) -> None:
        self.group = group
        self._config, self.parameters = config, parameters
        self._only_changed, self._waiting_only, self._upcoming = only_changed, waiting_only, upcoming
        self.progressed: Progressed = lambda _item, _reply: None
        self._workers: Workers | None = None
        self._is_resumed = False
        self._begun, self._begun_again = set[str](), set[str]()
        self.alone = set[str]()  # runs whose worker ended: each is worked on by itself, so that the one to blame shows
        self.served = Served(config["embed.provider"], config["dispatch.workers"])

    def check(self) -> None:
        """Ask the provider and the database, once and for free; what they say is kept in the parameters."""
        self.identity = check_free(self._config, self.parameters.phases)
        config, key = self._config, self.identity.key if "embed" in self.parameters.phases else None
        ttl_seconds = 60 * config["backlog.claim_ttl_minutes"]
        holdings = Holdings(lambda: connect(config), ttl_seconds, config["backlog.max_attempts"], key)
        ahead = Ahead(self._upcoming, self.group)
        self.claims = RunClaims(holdings, self.parameters.phases, ahead, waiting_only=self._waiting_only)
        self.index = LoadedIndex(config, self.identity.key)
        if not self.parameters.since:
            self.parameters = replace(self.parameters, since=self.identity.since)

    def open(self, dispatch: Dispatch) -> None:
        """Start no worker yet; release what an earlier process of this dispatch still holds."""
        environment = {**os.environ, "TRACEPARENT": dispatch.traceparent}
        limit = 60 * self._config["dispatch.item_timeout_minutes"]
        argv = [*python_module("trailblazer.pipeline.worker"), str(os.getpid())]
        self._workers = Workers(argv, dispatch.folder, environment, limit)
        self._is_resumed = dispatch.is_resumed
        if dispatch.is_resumed:
            runs = sorted({run for runs in self._upcoming.values() for run in runs})
            with answering(), connect(self._config) as connection:
                release_of(connection, earlier_holders(dispatch.folder / JOURNAL), runs)

    def room(self) -> Room:
        """Return how many groups the embedder's service stands."""
        return self.served.room

    def widen(self, slots: int) -> None:
        """Allow so many groups at once."""
        self.served.widen(slots)

    def gate(self, items: Sequence[Item]) -> list[Refused]:
        """Preflight runs that are to be embedded; where asked, see whether anything has changed at all (E7)."""
        refused = [
            Refused(item, "its folder is not on this machine")
            for item in items
            if item.phase == "chunk" and not self._config.places.run(item.id).is_dir()
        ]
        asked = [item for item in items if item.phase == "embed"]
        if asked:
            is_asked = self._only_changed and not self._waiting_only
            exchange = self._exchange([Task("gate", item.id, only_changed=is_asked) for item in asked])
            replies = [decode_reply(line) for line in itertools.islice(exchange.answers(), len(asked))]
            exchange.over()
            refused += [why for item, reply in zip(asked, replies, strict=True) if (why := refusal(item, reply))]
        return [self.claims.refuse(one) for one in refused]

    def claim(self, items: Sequence[Item]) -> list[Held | Refused]:
        """Claim runs in processed_runs; one that somebody else holds is refused with the holder's name."""
        return self.claims.take(items)

    def begin(self, held: Sequence[Held]) -> Running:
        """Send the runs to a worker."""
        embedded = {one.item.id for one in held if one.item.phase == "embed"}
        self._begun_again |= embedded & self._begun
        self._begun |= embedded
        since = None if self._only_changed else self.parameters.since
        only_changed = self._only_changed
        tasks = [
            Task(
                "chunk" if one.item.phase == "chunk" else "embed",
                one.item.id,
                one.attempt,
                only_changed,
                since,
                alone=one.item.id in self.alone,
            )
            for one in held
        ]
        group = RunGroup(self, held, self._exchange(tasks))
        self.served.begin()
        return group

    def _exchange(self, tasks: Sequence[Task]) -> Exchange:
        assert self._workers is not None
        request = Request(dict(self.parameters.flags), holder_name(), tuple(tasks))
        return self._workers.exchange(encode_request(request))

    def settle(self, finished: Sequence[tuple[Held, Reply]]) -> Iterator[tuple[Held, Outcome]]:
        """Complete the claims on runs that are done, and claim the next ones of the plan in the same statement."""
        for phase in PHASES:
            done = {one.item.id: (one, reply) for one, reply in finished if one.item.phase == phase}
            if done:
                lost = self.claims.complete(phase, {run: counts_of(phase, reply) for run, (_, reply) in done.items()})
                for run, (one, reply) in done.items():
                    yield one, self._outcome(one.item, reply, lost.get(run))

    def _outcome(self, item: Item, reply: Reply, stale: StaleClaim | None) -> Outcome:
        if stale is not None:
            return Outcome(Status.SKIPPED, stale.what, Refusal.HELD)
        if item.phase == "chunk":
            return Outcome(Status.SUCCESS, details={"total_chunks": reply.chunks})
        details = {"kept": reply.kept, "total_chunks": reply.chunks}
        is_own = self._is_resumed or reply.run in self._begun_again  # an earlier try of this dispatch made the vectors
        if reply.unchanged and not is_own:
            return Outcome(Status.UNCHANGED, "another dispatch has embedded it since this one began", details=details)
        return Outcome(Status.SUCCESS, usage=usage_of(reply), details=details)

    def probe(self) -> None:
        """Ask the provider and the database once more."""
        check_free(self._config, self.parameters.phases)

    def let_go(self, held: Held, outcome: Outcome) -> None:
        """Release the run: it has failed when it failed, and is as before when it was only interrupted."""
        self.claims.let_go(held, outcome)

    def keep_alive(self) -> None:
        """Move the expiry of the claims forward."""
        self.claims.keep_alive()

    def close(self) -> None:
        """End the workers and the connection."""
        try:
            if self._workers is not None:
                self._workers.close()
        finally:
            self.claims.close()
