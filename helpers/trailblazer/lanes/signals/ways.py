"""The ways on which work gets to an agent and back: stdin, single signals, batches of signals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from trailblazer.dispatch.lane import Handle
from trailblazer.lanes.signals.request import BATCH_FILE, STDIN, SignalsRequest
from trailblazer.lanes.signals.terminal import Terminal
from trailblazer.signals.batches import BatchFileDispatcher
from trailblazer.signals.dispatcher import Context
from trailblazer.signals.documents import Tell
from trailblazer.signals.files import FileDispatcher, Result
from trailblazer.signals.suite import Suite


class Exchange(Protocol):
    """Work that is under way. `numbers` are those of the signals, in the order in which they were asked for."""

    numbers: tuple[int, ...]

    def results(self) -> Iterator[Result]:
        """Yield what came of each, as it comes."""

    def end(self) -> None:
        """Wait no longer."""


Brief = Callable[[str, Sequence[Context]], str]
"""Returns the briefing of a batch in a phase."""


class Way:
    """Gets work to agents in the way that a calibration asks for."""

    def __init__(self, suite: Suite, request: SignalsRequest, brief: Brief, tell: Tell) -> None:
        self._kind, self._brief, self._tell = request.dispatch, brief, tell
        self._terminal = Terminal(suite, request.timeout_seconds)
        self._files = FileDispatcher(suite.folder, timeout=request.open_seconds, tell=tell)

    def open(self) -> None:
        """Put aside what came too late for an earlier process."""
        if self._kind != STDIN:
            self._files.suite.make()
            self._files.sweep()

    def post(self, phase: str, contexts: Sequence[Context]) -> tuple[Exchange, Handle]:
        """Send work on its way; return it, and the handle by which a later process finds it."""
        if self._kind == STDIN:
            return self._terminal.post(contexts), {}
        if self._kind == BATCH_FILE:
            batch = self._batches(phase).post(contexts)
            return batch, {"batch": batch.id, "signals": list(batch.numbers)}
        post = self._files.post(contexts)
        return post, {"signals": list(post.numbers)}

    def find(self, phase: str, contexts: Mapping[int, Context], handle: Handle) -> Exchange | None:
        """Return work that an earlier process sent, by the numbers of its signals; None when it is gone."""
        if "batch" in handle:
            return self._batches(phase).find(int(handle["batch"]), list(contexts), list(contexts.values()))
        return self._files.find(list(contexts), list(contexts.values()))

    def _batches(self, phase: str) -> BatchFileDispatcher:
        def brief(contexts: Sequence[Context]) -> str:
            return self._brief(phase, contexts)

        return BatchFileDispatcher(self._files, phase=phase, brief=brief, tell=self._tell)

    def close(self) -> None:
        """Put aside what came too late, and listen no more."""
        self._files.close()
