"""A batch: signals that are written together, with a briefing and one manifest, and waited for at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from trailblazer.atomic import write_whole
from trailblazer.errors import DocumentInvalid
from trailblazer.paths import timestamp
from trailblazer.signals.dispatcher import Context
from trailblazer.signals.documents import (
    IN_BATCH,
    BatchManifest,
    BatchState,
    Change,
    Entry,
    State,
    Tell,
    read_manifest,
    tell_nobody,
    write_manifest,
)
from trailblazer.signals.files import NOBODY_WAITS, FileDispatcher, Post, Result

PENDING_SECONDS = 1.0  # the manifest says pending so long, unless an agent is faster: who looks for pending can see it

Brief = Callable[[Sequence[Context]], str]
"""Returns the briefing of a batch, as Markdown."""


def no_briefing(contexts: Sequence[Context]) -> str:
    """Return the briefing of a batch of which nothing is known."""
    return f"# Briefing\n\n{len(contexts)} signals. Nothing is known yet.\n"


class BatchFileDispatcher:
    """Dispatches several units of work as one batch; each signal goes the way of the single dispatcher."""

    def __init__(
        self, single: FileDispatcher, *, phase: str = "", brief: Brief = no_briefing, tell: Tell = tell_nobody
    ) -> None:
        self._single, self._phase, self._brief, self._tell = single, phase, brief, tell

    def dispatch(self, context: Context) -> bytes:
        """Dispatch a batch of one signal and return its artifact as it was written."""
        (result,) = self.dispatch_batch([context])
        return result.accepted()

    def dispatch_batch(self, contexts: Sequence[Context]) -> list[Result]:
        """Dispatch a batch and return the results in the order of the contexts; a failure is the result of its own."""
        batch = self.post(contexts)
        found = {result.dispatch_id: result for result in batch.results()}
        return [found[number] for number in batch.numbers]

    def post(self, contexts: Sequence[Context]) -> Batch:
        """Write a batch: its signals, then its briefing, then the manifest. Before the manifest there is no batch."""
        return Batch(self._single, self._phase, self._brief, self._tell, contexts)

    def find(self, batch_id: int, numbers: Sequence[int], contexts: Sequence[Context]) -> Batch | None:
        """Return a batch that an earlier process wrote, to wait for again; None when it is not there."""
        try:
            return Batch(self._single, self._phase, self._brief, self._tell, contexts, (batch_id, tuple(numbers)))
        except (DocumentInvalid, LookupError, ValueError):
            return None


class Batch:
    """One batch. `numbers` are those of its signals, in the order of the contexts."""

    def __init__(
        self,
        single: FileDispatcher,
        phase: str,
        brief: Brief,
        tell: Tell,
        contexts: Sequence[Context],
        earlier: tuple[int, tuple[int, ...]] | None = None,
    ) -> None:
        self._tell = tell
        self._places: dict[int, int] = {}
        if earlier is not None:
            self.id, numbers = earlier
            manifest = read_manifest(single.suite.manifest(self.id))
            post = single.find(numbers, contexts, self._changed, self.id)
            if post is None:
                raise LookupError(self.id)
            self._post: Post = post
        else:
            self.id = single.suite.next_id(single.suite.batches)
            self._post = single.post(contexts, self._changed, self.id)
            try:
                manifest = self._write_beside(single.suite.briefing(self.id), phase, brief(contexts), contexts)
            except BaseException:
                self._post.abandon("its batch could not be written")
                raise
        self.numbers = self._post.numbers
        self._file, self._manifest = single.suite.manifest(self.id), manifest
        paths = [entry.signal_path for entry in manifest.signals]
        self._places = {number: paths.index(file) for number, file in zip(self.numbers, self._post.files, strict=True)}
        self._commit(manifest.status)

    def _write_beside(self, briefing: Path, phase: str, text: str, contexts: Sequence[Context]) -> BatchManifest:
        """Write the briefing, and return the manifest that is to be written."""
        write_whole(briefing, text, durable=False)
        now = timestamp()
        entries = tuple(Entry(context.case_id, file) for context, file in zip(contexts, self._post.files, strict=True))
        return BatchManifest(self.id, BatchState.PENDING, phase, now, now, str(briefing), entries)

    def end(self) -> None:
        """Wait no longer: what has no artifact yet is cancelled."""
        self._post.end()

    def results(self) -> Iterator[Result]:
        """Yield what came of each signal, as it comes; the manifest follows. It ends done, also with errors in it."""
        is_whole, was_cancelled = False, False
        try:
            with contextlib.closing(self._post.results(self._wake, PENDING_SECONDS)) as results:
                for result in results:
                    was_cancelled |= result.status == "cancelled"
                    yield result
            is_whole = True
        finally:
            if was_cancelled or not is_whole:
                self._commit(BatchState.ERROR, NOBODY_WAITS)
            else:
                self._wake()
                self._commit(BatchState.DONE)

    def _wake(self) -> None:
        if self._manifest.status is BatchState.PENDING:
            self._commit(BatchState.IN_PROGRESS)

    def _changed(self, change: Change) -> None:
        """Follow the transition of a signal: first its entry in the manifest, then who listens."""
        place = self._places.get(change.dispatch_id)
        if place is not None and isinstance(change.to, State):
            self._wake()
            entry = replace(self._manifest.signals[place], status=IN_BATCH[change.to], error=change.error)
            signals = (*self._manifest.signals[:place], entry, *self._manifest.signals[place + 1 :])
            self._write(replace(self._manifest, signals=signals, updated_at=timestamp()))
        self._tell(change)

    def _commit(self, status: BatchState, error: str = "") -> None:
        """Write the manifest with a state, and tell when it is another one."""
        self._write(replace(self._manifest, status=status, error=error, updated_at=timestamp()))
        self._tell(Change(status, batch_id=self.id, error=error))

    def _write(self, manifest: BatchManifest) -> None:
        self._manifest = manifest
        write_manifest(self._file, manifest)
