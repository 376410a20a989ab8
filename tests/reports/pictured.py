"""The dispatch that the pictures of the README show: 160 pages, two agents, eight at once; every moment is computed."""

from __future__ import annotations

import dataclasses
import heapq
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dispatch.scripted_lane import SEED
from reports.recorded import BEGIN, at, attempt, write_dispatch
from trailblazer.dispatch.keys import KEYS
from trailblazer.paths import Places, stamp
from trailblazer.record.admission import Room
from trailblazer.record.lines import Closed, Line, Opened, Retried, Started, Switched
from trailblazer.record.manifest import Resource
from trailblazer.record.standing import Standing
from trailblazer.reports.board import Board
from trailblazer.reports.screen import Scene

PLANNED, SLOTS = 160, 8
LOOKED = 300.0  # the second at which the live view is drawn
QUOTA = 200  # the second at which the quota of claude is used up
REASONS = {
    19: "exit 2: page 404",
    47: "exit 2: page 404",
    101: "exit 2: page 404",
    64: "the result does not hold against catalogue.json",
}
SLOW, RETRIED = 88, 30


def lines_with_seconds() -> Iterator[tuple[float, Line]]:
    """Yield each line of the journal with its second, in their order."""
    lines: list[tuple[float, Line]] = [(0, Opened(dispatch="pages", planned=PLANNED, host="here", pid=1, at=at(0)))]
    free = [(0.0, slot) for slot in range(SLOTS)]
    for index in range(PLANNED):
        begun, slot = heapq.heappop(free)
        ended = begun + 9 + index * 37 % 23
        number, provider = 1, "claude" if begun < QUOTA else "codex"
        item, usage = f"catalogue/page-{index:03}", {"costUSD": 0.016, "input_tokens": 1800, "output_tokens": 240}
        status, reason = ("error", REASONS[index]) if index in REASONS else ("success", "")
        if index == SLOW:
            ended, status, reason = begun + 90, "timeout", "ended after 90 s"
        if index == RETRIED:
            who: dict[str, Any] = {"item": item, "index": index, "attempt": 1, "provider": provider}
            lines += [
                (begun, Started(item=item, index=index, attempt=1, at=at(begun))),
                (begun + 6, Retried(**who, reason="exit 1: 503 from the model", after=2, at=at(begun + 6))),
            ]
            number, begun, ended = 2, begun + 8, ended + 8
        more = {"usage": usage, "details": {"provider": provider}, "reason": reason, "item": item}
        start, settle = attempt(index, number, begun, ended, status, **more)
        lines += [(begun, start), (ended, settle)]
        heapq.heappush(free, (ended, slot))
    until = BEGIN.timestamp() + 3600
    lines += [
        (QUOTA, Switched(provider="claude", to="closed", reason="quota used up", until=until, at=at(QUOTA))),
        (QUOTA, Switched(provider="codex", to="fallback", reason="claude unavailable: quota", at=at(QUOTA))),
    ]
    lines.sort(key=lambda one: one[0])
    end = lines[-1][0] + 1
    failed = len(REASONS) + 1
    yield from lines
    yield end, Closed(status="finished", exit_code=6, reason=f"{failed} of {PLANNED} items failed", at=at(end))


def scene_of_the_night(places: Places) -> tuple[Scene, float]:
    """Return what the live view shows at the second LOOKED, and that moment in epoch seconds.

    The logs of what runs are written too: the view says how long each has been silent.
    """
    zero = BEGIN.timestamp()
    standing, folder = Standing(), places.dispatches / stamp(BEGIN)
    board = Board(standing)
    for second, line in lines_with_seconds():
        if second <= LOOKED:
            standing.follow(line)
            board.follow(line, zero + second)
    for one in board.running.values():
        log = folder / f"task_{one.index}" / f"attempt_{one.attempt}" / "worker.stdout"
        log.parent.mkdir(parents=True)
        log.touch()
        os.utime(log, (one.since, zero + LOOKED - one.index % 5))
    room = Room(SLOTS, limited=3)
    return Scene(folder, board, "running", zero, SLOTS, room, keys=KEYS), zero + LOOKED


def dispatch_of_the_night(places: Places) -> Path:
    """Write the whole dispatch, and return its folder."""
    timed = list(lines_with_seconds())
    seed = dataclasses.replace(
        SEED, provider="claude,codex", workers=SLOTS, notes="the whole catalogue", runs_planned=PLANNED
    )
    words = {"lane": "items", "words": {"max_cost_usd": 5, "retries": 1}}
    return write_dispatch(
        places, [line for _, line in timed], seed=seed, parameters=words, exit_code=6,
        reason=f"{len(REASONS) + 1} of {PLANNED} items failed", finished_on=at(timed[-1][0]),
        inputs=(Resource("items.ndjson", "pages.txt", "a" * 64),),
    )  # fmt: skip
