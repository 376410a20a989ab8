"""Embedding runs: gated by preflight, claimed in Postgres in groups, worked on in warm worker processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from trailblazer.config import Config
from trailblazer.database import claims
from trailblazer.database.claims import Claim, HeldBy
from trailblazer.database.connection import answering, connect
from trailblazer.database.holdings import Holdings
from trailblazer.dispatch.lane import Dispatch, Held, OwnedLane, Running
from trailblazer.errors import ServiceDown, StaleClaim
from trailblazer.lanes.embed.ahead import Ahead
from trailblazer.lanes.embed.free import check_free
from trailblazer.lanes.embed.group import RunGroup
from trailblazer.lanes.embed.replies import counts_of, usage_of
from trailblazer.lanes.embed.request import EmbedParameters
from trailblazer.lanes.embed.served import Served
from trailblazer.pipeline.ask import LOAD_LEAST, drop_index_for_load
from trailblazer.pipeline.messages import Reply, Request, Task, decode_reply, encode_request
from trailblazer.places.workers import Exchange, Workers, python_module
from trailblazer.processes.identity import holder_name
from trailblazer.record.admission import Room
from trailblazer.record.folder import JOURNAL
from trailblazer.record.outcomes import (
    Item,
    Outcome,
    Refusal,
    Refused,
    Status,
)
from trailblazer.record.standing import earlier_holders

# A run that waits and was not taken was released a moment after the claim was tried: it is asked for again.
WAITING = {"chunk": ("normalized", "reset"), "embed": ("chunked", "reset")}
Progressed = Callable[[Item, Reply], None]


class EmbedLane(OwnedLane):
    """The answers for embedding runs, in both phases.

    `upcoming` are the runs of the plan in order, by phase. Each completion claims the next group that no slot has. With
    `waiting_only` a run is taken only while it waits for its phase; one that failed in this dispatch (`failed`) is
    taken all the same.
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
        self._ahead = Ahead(upcoming, group)
        self._written, self._load = 0, LOAD_LEAST
        self.failed: set[tuple[str, str]] = set()
        self.progressed: Progressed = lambda _item, _reply: None
        self._workers: Workers | None = None
        self._is_resumed = False
        self._begun, self._begun_again = set[str](), set[str]()
        self._served = Served(config["embed.provider"], config["dispatch.workers"])

    def check(self) -> None:
        """Ask the provider and the database, once and for free; what they say is kept in the parameters."""
        self.identity = check_free(self._config, self.parameters.phases)
        config, key = self._config, self.identity.key if "embed" in self.parameters.phases else None
        ttl_seconds = 60 * config["backlog.claim_ttl_minutes"]
        self._holdings = Holdings(lambda: connect(config), ttl_seconds, config["backlog.max_attempts"], key)
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
                claims.release_of(connection, earlier_holders(dispatch.folder / JOURNAL), runs)

    def room(self) -> Room:
        """Return how many groups the embedder's service stands."""
        return self._served.room

    def widen(self, slots: int) -> None:
        """Allow so many groups at once."""
        self._served.widen(slots)

    def note_served(self, before: Reply | None, reply: Reply) -> None:
        """Learn from a reply how many workers the service stands."""
        self._served.note(before, reply)

    def note_ended(self) -> None:
        """Count a group as done."""
        self._served.end()

    def gate(self, item: Item) -> Refused | None:
        """Preflight a run that is to be embedded; and, where asked, see whether anything has changed at all (E7)."""
        if item.phase == "chunk":
            is_there = self._config.places.run(item.id).is_dir()
            return None if is_there else Refused(item, "its folder is not on this machine")
        task = Task("gate", item.id, only_changed=self._only_changed and not self._waiting_only)
        exchange = self._exchange([task])
        reply = decode_reply(next(exchange.answers()))
        exchange.over()
        reply.raise_trouble()
        if reply.refused:
            return self._refuse(Refused(item, reply.refused))
        return self._refuse(Refused(item, "nothing changed", status=Status.UNCHANGED)) if reply.unchanged else None

    def _refuse(self, refused: Refused) -> Refused:
        self._holdings.release([refused.item.id])  # it may have been claimed ahead
        return refused

    def claim(self, items: Sequence[Item]) -> list[Held | Refused]:
        """Claim runs in processed_runs; one that somebody else holds is refused with the holder's name."""
        answers: list[Held | Refused] = []
        for phase in claims.PHASES:
            for again in (False, True):
                wanted = {item.id: item for item in items if item.phase == phase and self._again(item) is again}
                if wanted:
                    self._ahead.note_asked(phase, wanted)
                    taken = self._holdings.take(list(wanted), phase, again=again)
                    if reset := self._reset_runs(taken, phase):
                        taken = {**taken, **self._holdings.take(reset, phase, again=True)}
                    answers += [self._answer(wanted[run], answer) for run, answer in taken.items()]
        return answers

    def _reset_runs(self, taken: Mapping[str, Claim | HeldBy], phase: str) -> list[str]:
        """Return runs that wait for chunking after a reset, where only embedding was asked for: they have chunks."""
        if phase == "chunk" or "chunk" in self.parameters.phases:
            return []
        refused = {run: answer for run, answer in taken.items() if isinstance(answer, HeldBy)}
        return [run for run, answer in refused.items() if answer.status == "reset" and answer.claimed_by is None]

    def _again(self, item: Item) -> bool:
        return not self._waiting_only or (item.id, item.phase) in self.failed

    def _answer(self, item: Item, answer: Claim | HeldBy) -> Held | Refused:
        if isinstance(answer, Claim):
            return Held(item, answer.attempt)
        if answer.claimed_by is not None or answer.status in WAITING.get(item.phase, ()):
            return Refused(item, str(answer), Refusal.HELD)
        if answer.status in {"failed", "unknown"}:
            return Refused(item, f"the run is {answer}")
        return Refused(item, f"it is {answer.status} by now", status=Status.UNCHANGED)

    def begin(self, held: Sequence[Held]) -> Running:
        """Send the runs to a worker."""
        embedded = {one.item.id for one in held if one.item.phase == "embed"}
        self._begun_again |= embedded & self._begun
        self._begun |= embedded
        since = None if self._only_changed else self.parameters.since
        only_changed = self._only_changed
        tasks = [Task("chunk" if one.item.phase == "chunk" else "embed", one.item.id, one.attempt, only_changed, since)
                 for one in held]  # fmt: skip
        group = RunGroup(self, held, self._exchange(tasks))
        self._served.begin()
        return group

    def _exchange(self, tasks: Sequence[Task]) -> Exchange:
        assert self._workers is not None
        request = Request(dict(self.parameters.flags), holder_name(), tuple(tasks))
        return self._workers.exchange(encode_request(request))

    def settle(self, finished: Sequence[tuple[Held, Reply]]) -> Iterator[tuple[Held, Outcome]]:
        """Complete the claims on runs that are done, and claim the next ones of the plan in the same statement."""
        for phase in claims.PHASES:
            done = {one.item.id: (one, reply) for one, reply in finished if one.item.phase == phase}
            if not done:
                continue
            counts = {run: counts_of(phase, reply) for run, (_, reply) in done.items()}
            ahead = self._ahead.next_runs(phase) if self._waiting_only else []
            ahead = [run for run in ahead if (run, phase) not in self.failed]
            lost = self._holdings.settle(counts, ahead, phase)
            if phase == "chunk":
                self._ahead.note_chunked(done)
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

    def note_written(self, embedded: int) -> None:
        """Drop the index once, when this dispatch has written much: it is made again when the dispatch closes."""
        self._written += embedded
        if self._written < self._load:
            return
        self._load = 2 * self._written
        key = self.identity.key
        with contextlib.suppress(ServiceDown), answering(), connect(self._config) as connection:
            drop_index_for_load(connection, key.provider, key.model, key.dimension, self._written)

    def probe(self) -> None:
        """Ask the provider and the database once more."""
        check_free(self._config, self.parameters.phases)

    def let_go(self, held: Held, outcome: Outcome) -> None:
        """Release the run: it has failed when it failed, and is as before when it was only interrupted."""
        if outcome.status is Status.ERROR:
            self.failed.add((held.item.id, held.item.phase))
            self._holdings.fail(held.item.id, held.attempt, outcome.reason)
        elif outcome.refusal is not Refusal.HELD:
            self._holdings.release([held.item.id])

    def keep_alive(self) -> None:
        """Move the expiry of the claims forward."""
        self._holdings.keep_alive()

    def close(self) -> None:
        """End the workers and the connection."""
        try:
            if self._workers is not None:
                self._workers.close()
        finally:
            self._holdings.close()
