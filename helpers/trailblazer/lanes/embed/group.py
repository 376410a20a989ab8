"""Runs that one worker works on: the Running of the embed lane."""

from __future__ import annotations

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

    def settle(self, finished: Sequence[tuple[Held, Reply]]) -> Iterator[tuple[Held, Outcome]]:
        """Complete the claims on runs that are done."""


class RunGroup:
    """Runs that one worker works on, one after the other."""

    def __init__(self, lane: Settles, held: Sequence[Held], exchange: Exchange) -> None:
        self._lane, self._held, self._exchange = lane, held, exchange
        self.handle: Handle = exchange.handle

    def wait(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        """Yield what failed at once, and what is done when its claims are completed.

        When the worker ends, the run that it worked on has that outcome; those behind it go back to the queue.
        """
        try:
            yield from self._answers()
        finally:
            self._lane.served.end()

    def _answers(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        waiting, finished = list(self._held), cast("list[tuple[Held, Reply]]", [])
        newest: Reply | None = None
        try:
            for line in self._exchange.answers():
                reply = decode_reply(line)
                self._lane.served.note(newest, reply)
                if reply.kind == "progress":
                    newest = reply
                    self._lane.progressed(waiting[0].item, reply)
                    continue
                newest = None
                if reply.kind == "done":
                    self._lane.index.note_written(reply.embedded)
                    finished.append((waiting.pop(0), reply))
                else:
                    outcome = failure(reply)
                    yield waiting.pop(0), outcome
                if not waiting:
                    self._exchange.over()
                    break
        except StorageTrouble:
            yield from self._lane.settle(finished)
            raise
        except (WorkerEnded, ServiceDown) as trouble:
            yield from self._lane.settle(finished)
            yield from ended(waiting, trouble, newest)
            return
        yield from self._lane.settle(finished)

    def end(self, why: str, grace: float) -> None:
        """End the worker; its transactions are rolled back."""
        self._exchange.end(why, grace)
