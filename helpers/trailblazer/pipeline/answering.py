"""What a worker answers to a dispatcher's request: tasks that belong together are done together."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from trailblazer.database.claims import Claim
from trailblazer.errors import ServiceDown, StorageTrouble, Trouble
from trailblazer.pipeline.documents import source_file
from trailblazer.pipeline.embedding import Embedded, Embedding
from trailblazer.pipeline.messages import Reply, Request, Task

MOST_BYTES = 4 << 20  # of documents: what is in memory at once, and lost when a group fails
Progressed = Callable[[Reply], None]


def answers(embedding: Embedding, request: Request, progressed: Progressed) -> Iterator[Reply]:
    """Yield a reply for each task, in their order.

    Tasks of one kind are done together, but those that are `alone`. When something fails, its half that is to blame is
    looked for: each half is done again, until one task is left. Vectors that were made by then are not paid for twice.
    """
    for _, tasks in itertools.groupby(enumerate(request.tasks), key=lambda one: _kind(*one)):
        yield from _Together(embedding, request.holder, progressed).answers([task for _, task in tasks])


def _kind(place: int, task: Task) -> tuple[object, ...]:
    return task.do, task.only_changed, task.since, place if task.alone else -1


class _Together:
    """Tasks of one kind, and the vectors that were made for them so far."""

    def __init__(self, embedding: Embedding, holder: str, progressed: Progressed) -> None:
        self._embedding, self._holder, self._progressed = embedding, holder, progressed
        self._vectors: dict[str, Any] = {}

    def answers(self, tasks: Sequence[Task]) -> Iterator[Reply]:
        if len(tasks) > 1 and self._bytes(tasks) > MOST_BYTES:
            yield from self._halves(tasks)
            return
        try:
            replies = self._do(tasks)
        except (ServiceDown, StorageTrouble) as trouble:  # nobody is to blame: nobody would fare better alone
            yield from (trouble_reply(task.run, trouble) for task in tasks)
        except Exception as error:  # noqa: BLE001 - one run's bug is that run's error; the traceback is in our stderr
            if len(tasks) > 1:
                yield from self._halves(tasks)
                return
            if not isinstance(error, Trouble):
                traceback.print_exc()
                error = Trouble(f"a bug in the worker: {error!r}")
            yield trouble_reply(tasks[0].run, error)
        else:
            yield from replies

    def _halves(self, tasks: Sequence[Task]) -> Iterator[Reply]:
        middle = len(tasks) // 2
        yield from self.answers(tasks[:middle])
        yield from self.answers(tasks[middle:])

    def _bytes(self, tasks: Sequence[Task]) -> int:
        total = 0
        for task in tasks:
            try:
                total += source_file(self._embedding.config.places.run(task.run)).stat().st_size
            except (OSError, Trouble):  # its own task says why it cannot be read
                continue
        return total

    def _do(self, tasks: Sequence[Task]) -> list[Reply]:
        rids = [task.run for task in tasks]
        if tasks[0].do == "gate":
            return self._gate(rids, only_changed=tasks[0].only_changed)
        if tasks[0].do == "chunk":
            reports = self._embedding.chunk(rids)
            return [Reply(one.rid, documents=one.documents, chunks=one.chunks) for one in reports]
        return self._embed(tasks)

    def _gate(self, rids: Sequence[str], *, only_changed: bool) -> list[Reply]:
        found = self._embedding.examine(rids)
        ready = [one for one in found if one.is_ready]
        unchanged = self._embedding.unchanged(ready) if only_changed and ready else set()
        return [Reply(one.rid, refused=one.why, unchanged=one.rid in unchanged) for one in found]

    def _embed(self, tasks: Sequence[Task]) -> list[Reply]:
        taken = [Claim(task.run, "embed", task.attempt, self._holder) for task in tasks]
        since = None if tasks[0].since is None else datetime.fromisoformat(tasks[0].since)
        done = self._embedding.embed(
            taken,
            since,
            lambda rid, so_far: self._progressed(replace(_reply(rid, so_far), kind="progress")),
            self._make if len(tasks) > 1 or self._vectors else None,
        )
        return [
            replace(_reply(task.run, one), unchanged=since is not None and one.stored.kept == one.stored.chunks > 0)
            for task, one in zip(tasks, done, strict=True)
        ]

    def _make(self, texts: Sequence[str]) -> list[Any]:
        """Return a vector for each text. A vector that was made before is not made again."""
        unknown = [text for text in texts if text not in self._vectors]
        if unknown:
            self._vectors.update(zip(unknown, self._embedding.embedder.embed(unknown), strict=True))
        return [self._vectors[text] for text in texts]


def _reply(rid: str, done: Embedded) -> Reply:
    """Return what was done to a run as a worker says it."""
    stored = done.stored
    return Reply(
        rid,
        documents=stored.documents,
        chunks=stored.chunks,
        embedded=stored.embedded,
        kept=stored.kept,
        tokens=stored.tokens,
        cost=done.cost,
    )


def trouble_reply(rid: str, trouble: Trouble) -> Reply:
    """Return a trouble as a worker says it."""
    return Reply(rid, "trouble", trouble=type(trouble).__name__, what=trouble.what, hint=trouble.hint)
