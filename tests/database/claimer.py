"""A process that claims runs, for the proofs: `work` until none is left, `sample` so many claims, or `skew` a clock."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from claiming import complete
from trailblazer.config import Config, load_config
from trailblazer.database import backlog, claims
from trailblazer.database.claims import Claim, Counts
from trailblazer.database.connection import Connection, answering, connect
from trailblazer.errors import ServiceDown, StaleClaim
from trailblazer.processes.identity import holder_name

TTL = 1.0


class Worker:
    """Takes runs through both phases, with an effect in the same transaction as each completion.

    Now and then it gives a run back or lets one fail; one that `is_late` sleeps over its first claim until somebody
    has taken its place. It says in a file what it was refused.
    """

    def __init__(self, connection: Connection, chance: random.Random, said: IO[str], *, is_late: bool) -> None:
        self._connection, self._chance, self._said, self._is_late = connection, chance, said, is_late
        self._holder = holder_name()

    def work(self) -> None:
        """Work until every run is embedded."""
        while True:
            phase = self._chance.choice(claims.PHASES)
            limit = self._chance.choice((1, 8, 40))
            taken = self._take(phase, limit)
            while taken:
                if self._is_late:
                    self._oversleep(taken[0])
                elif any(claim.attempt > 1 + claims.PHASES.index(claim.phase) for claim in taken):
                    time.sleep(TTL / 10)  # whoever had one of these before may come back just now
                taken = self._settle(taken, limit)
            if backlog.measure_backlog(self._connection).total == 0:
                return

    def _choose(self, phase: claims.Phase, limit: int) -> list[str]:
        """Return some runs that wait, held or not; others may have chosen them as well."""
        waiting = backlog.waiting_runs(self._connection, [phase], limit=4 * limit + 40)
        return self._chance.sample(waiting, min(limit, len(waiting)))

    def _take(self, phase: claims.Phase, limit: int) -> list[Claim]:
        wanted = self._choose(phase, limit)
        answers = claims.take(self._connection, wanted, claims.Terms(phase, self._holder, TTL, again=False))
        return [answer for answer in answers.values() if isinstance(answer, Claim)]

    def _oversleep(self, claim: Claim) -> None:
        self._is_late = False
        for _ in range(2000):
            run = backlog.show_run(self._connection, claim.run_id)
            if run is None or run.attempt > claim.attempt:
                return
            time.sleep(TTL / 100)

    def _settle(self, taken: Sequence[Claim], limit: int) -> list[Claim]:
        """Settle claims and return those that were taken in the same step."""
        dice, phase = self._chance.random(), taken[0].phase
        try:
            if dice < 0.02:
                claims.release(self._connection, taken)
                return []
            if dice < 0.04:
                claims.fail(self._connection, taken[0], "by lot", max_attempts=1_000_000, pause_seconds=0)
                return self._settle(taken[1:], limit) if taken[1:] else []
            ahead = [run_id for run_id in self._choose(phase, limit) if run_id not in {held.run_id for held in taken}]
            with self._connection.transaction():
                self._have_effects(taken)
                step = claims.settle_and_take(
                    self._connection,
                    taken,
                    {claim.run_id: Counts(total_chunks=1) for claim in taken},
                    ahead,
                    claims.Terms(phase, self._holder, TTL, again=False),
                )
                for claim in taken:
                    if claim.run_id in step.lost:
                        raise claims.stale_claim(claim, step.lost[claim.run_id])
            return list(step.taken.values())
        except StaleClaim as stale:
            print(stale.what, file=self._said, flush=True)
            return self._settle_one_by_one(taken)

    def _settle_one_by_one(self, taken: Sequence[Claim]) -> list[Claim]:
        for claim in taken:
            try:
                with self._connection.transaction():
                    self._have_effects([claim])
                    complete(self._connection, [claim], {claim.run_id: Counts(total_chunks=1)})
            except StaleClaim as stale:
                print(stale.what, file=self._said, flush=True)
        return []

    def _have_effects(self, taken: Sequence[Claim]) -> None:
        self._connection.cursor().executemany(
            "INSERT INTO effects (run_id, phase, attempt, holder) VALUES (%s, %s, %s, %s)",
            [(claim.run_id, claim.phase, claim.attempt, claim.holder) for claim in taken],
        )


def work(config: Config, seed: int, said: Path) -> None:
    """Work until every run is embedded, through every loss of the database."""
    chance = random.Random(seed)
    with said.open("a") as file:
        while True:
            try:
                with answering(), connect(config) as connection:
                    Worker(connection, chance, file, is_late=seed % 2 == 1).work()
                    return
            except ServiceDown as down:
                print(down.what, file=file, flush=True)
                time.sleep(0.05)


def sample(config: Config, wanted: int, target: Path) -> None:
    """Claim and give back until `wanted` claims were had; write when each was surely held: run, attempt, from, to."""
    held: list[tuple[str, int, int, int]] = []
    with connect(config) as connection:
        connection.execute("SET synchronous_commit = off")
        while len(held) < wanted:
            chosen = [f"run-{number:03}" for number in random.sample(range(400), random.choice((1, 10, 100)))]
            answers = claims.take(connection, chosen, claims.Terms("chunk", holder_name(), 600, again=False))
            taken = [answer for answer in answers.values() if isinstance(answer, Claim)]
            if not taken:
                continue
            since = time.monotonic_ns()
            claims.heartbeat(connection, taken, 600)
            until = time.monotonic_ns()
            claims.release(connection, taken)
            held += [(claim.run_id, claim.attempt, since, until) for claim in taken]
    target.write_text(json.dumps(held))


def skew(config: Config) -> None:
    """Claim what there is, and say what this process's clock shows, what the database's, and when the claims expire."""
    with connect(config) as connection:
        row = connection.execute("SELECT now()").fetchone()
        wanted = backlog.waiting_runs(connection, ["chunk"])
        claims.take(connection, wanted, claims.Terms("chunk", holder_name(), 600, again=False))
        held = [run for run in backlog.list_runs(connection) if run.claimed_by == holder_name()]
        answer = {
            "host": datetime.now(UTC).timestamp(),
            "database": row[0].timestamp() if row else None,
            "claims": {run.run_id: run.claim_expires_at.timestamp() for run in held if run.claim_expires_at},
        }
    print(json.dumps(answer))


def main() -> None:
    """Do what the words say: a mode, the folder that holds var/, an address or '', and what the mode takes."""
    mode, folder, url, *more = sys.argv[1:]
    config = load_config({"paths.var": f"{folder}/var", "db.url": url or None}, start=Path(folder))
    if mode == "work":
        work(config, int(more[0]), Path(more[1]))
    elif mode == "sample":
        sample(config, int(more[0]), Path(more[1]))
    else:
        skew(config)


if __name__ == "__main__":
    main()
