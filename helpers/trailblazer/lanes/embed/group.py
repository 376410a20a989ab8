"""Runs that one worker works on: the Running of the embed lane."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, cast

from trailblazer.dispatch.lane import Handle, Held
from trailblazer.errors import ServiceDown, StorageTrouble
from trailblazer.lanes.embed.loaded_index import LoadedIndex
from trailblazer.lanes.embed.replies import ended, failure
from trailblazer.lanes.embed.served import Served
from trailblazer.pipeline.messages import Reply, decode_reply
from trailblazer.places.workers import Exchange, WorkerEnded
from trailblazer.record.outcomes import Again, Item, Left, Outcome


class Settles(Protocol):
    """What a group asks of its lane."""

    progressed: Callable[[Item, Reply], None]
    served: Served
    index: LoadedIndex
    alone: set[str]

    def settle(self, finished: Sequence[tuple[Held, Reply]]) -> Iterator[tuple[Held, Outcome]]:
        """Complete the claims on runs that are done."""


class RunGroup:
    """Runs that one worker works on together."""

    def __init__(self, lane: Settles, held: Sequence[Held], exchange: Exchange) -> None:
        self._lane, self._held, self._exchange = lane, held, exchange
        self.handle: Handle = exchange.handle

    def wait(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        """Yield what failed at once, and what is done when its claims are completed.

        When the worker ends while it works on several runs together, each goes back to the queue, to be worked on
        alone. A run that was alone has that outcome.
        """
        try:
            yield from self._answers()
        finally:
            self._lane.served.end()

    def _answers(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        waiting, finished = deque(self._held), cast("list[tuple[Held, Reply]]", [])
        items = {one.item.id: one.item for one in self._held}
        newest: dict[str, Reply] = {}
        try:
            for line in self._exchange.answers():
                reply = decode_reply(line)
                self._lane.served.note(reply)
                if reply.kind == "progress":
                    newest[reply.run] = reply
                    self._lane.progressed(items[reply.run], reply)
                    continue
                if reply.kind == "done":
                    self._lane.index.note_written(reply.embedded)
                    finished.append((waiting.popleft(), reply))
                else:
                    outcome = failure(reply)
                    yield waiting.popleft(), outcome
                if not waiting:
                    self._exchange.over()
                    break
        except StorageTrouble:
            yield from self._lane.settle(finished)
            raise
        except (WorkerEnded, ServiceDown) as trouble:
            yield from self._lane.settle(finished)
            is_alone = len(waiting) == 1 or waiting[0].item.id in self._lane.alone
            self._lane.alone.update(one.item.id for one in waiting)
            yield from ended(waiting, trouble, newest, is_alone=is_alone)
            return
        yield from self._lane.settle(finished)

    def end(self, why: str, grace: float) -> None:
        """End the worker; its transactions are rolled back."""
        self._exchange.end(why, grace)
