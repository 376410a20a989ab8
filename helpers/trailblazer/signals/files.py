"""One signal at a time, or several that are waited for together: written as files, answered with files."""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trailblazer.atomic import write_whole
from trailblazer.errors import DocumentInvalid, StorageTrouble
from trailblazer.paths import timestamp
from trailblazer.signals.artifacts import Artifact, Bad, read_artifact
from trailblazer.signals.dispatcher import Context, SignalFailed
from trailblazer.signals.documents import ENDED, Change, Signal, State, Tell, read_signal, tell_nobody, write_signal
from trailblazer.signals.mailbox import Mailbox
from trailblazer.signals.suite import Suite, numbers_in

TIMEOUT_SECONDS = 600.0
MOST_WAIT_SECONDS = 3600.0
NOBODY_WAITS = "nobody waits for it any more"
GROW_SECONDS = 0.5  # what is not JSON and did not change for so long is not being written any more
_FOOT = """

---
Answer with one file. Write it under another name in the same folder, then rename it to
`{artifact}`:

    {{"dispatch_id": {number}, "data": {{…}}}}

When you cannot answer: `{{"dispatch_id": {number}, "error": "why"}}`.
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a signal. `status` is done, error, timeout or cancelled; without `artifact`, `error` says why.

    `usage` holds tokens and US dollars as the agent named them: input_tokens, output_tokens, cost_usd.
    """

    context: Context
    dispatch_id: int
    status: str
    artifact: bytes = b""
    data: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)

    def accepted(self) -> bytes:
        """Return the artifact as it was written; SignalFailed when there is none."""
        if self.status != State.DONE:
            raise SignalFailed(f"{self.context.case_id}: {self.error}", status=self.status)
        return self.artifact


class FileDispatcher:
    """Writes signals into the folder of a suite, and waits for their artifacts. Any number of threads may use it.

    `timeout` is in seconds, of each signal. `tell` is told of every transition. An artifact that comes after its
    signal has ended is moved to rejected/.
    """

    def __init__(self, folder: Path, *, timeout: float = TIMEOUT_SECONDS, tell: Tell = tell_nobody) -> None:
        self.suite, self.timeout, self.tell = Suite(folder), timeout, tell
        self.mailbox = Mailbox(self.suite)
        self._ended: set[int] = set()

    def dispatch(self, context: Context) -> bytes:
        """Write a signal, wait for its artifact, and return the bytes as the agent wrote them."""
        (result,) = self.post([context]).results()
        return result.accepted()

    def post(self, contexts: Sequence[Context], tell: Tell | None = None, batch_id: int = 0) -> Post:
        """Write a signal for each context, and return them, to wait for; `batch_id` is that of their batch, or 0."""
        self.suite.make()
        waiting: list[_Waiting] = []
        try:
            numbers = self.suite.next_ids(len(contexts), self.suite.signals)
            waiting.extend(map(self._write, numbers, contexts))  # what was written before an error is in the list
        except BaseException:
            Post(self, waiting, tell or self.tell, batch_id).abandon("the signals beside it could not be written")
            raise
        return Post(self, waiting, tell or self.tell, batch_id)

    def find(
        self, numbers: Sequence[int], contexts: Sequence[Context], tell: Tell | None = None, batch_id: int = 0
    ) -> Post | None:
        """Return the signals that an earlier process wrote, to wait for again; None when one is not there."""
        self.suite.make()
        try:
            signals = [read_signal(self.suite.signal(number)) for number in numbers]
        except DocumentInvalid:
            return None
        waiting = [
            self._waiting(context, signal, self._left(signal))
            for context, signal in zip(contexts, signals, strict=True)
        ]
        return Post(self, waiting, tell or self.tell, batch_id)

    def _left(self, signal: Signal) -> float:
        """Return until when a signal of an earlier process is waited for: what is left of its time."""
        from datetime import UTC, datetime

        age = (datetime.now(UTC) - datetime.fromisoformat(signal.timestamp)).total_seconds()
        return time.monotonic() + min(self.timeout, max(0.0, self.timeout - age))

    def _write(self, number: int, context: Context) -> _Waiting:
        prompt, artifact = self.suite.prompt(number), str(self.suite.artifact(number))
        if os.path.lexists(artifact):
            self.suite.put_aside(number, "it came before its signal")
        text = context.prompt + _FOOT.format(artifact=artifact, number=number)
        write_whole(prompt, text.encode("utf-8", "backslashreplace"), durable=False)  # half a surrogate pair is escaped
        signal = Signal(State.WAITING, number, context.case_id, context.step, str(prompt), artifact, timestamp())
        waiting = self._waiting(context, signal, time.monotonic() + self.timeout)
        write_signal(waiting.file, signal)
        return waiting

    def _waiting(self, context: Context, signal: Signal, until: float) -> _Waiting:
        number = signal.dispatch_id
        return _Waiting(context, signal, str(self.suite.signal(number)), str(self.suite.artifact(number)), until)

    def sweep(self) -> None:
        """Put aside what came after its signal had ended, while nobody listened."""
        for number in sorted(numbers_in(self.suite.artifacts)):
            self._put_aside_if_late(number)

    def _put_aside_if_late(self, number: int) -> None:
        """Put an artifact aside whose signal has ended with an error, unless the artifact says that very error."""
        with contextlib.suppress(DocumentInvalid):
            signal = read_signal(self.suite.signal(number))
            if signal.status is State.ERROR and os.path.lexists(self.suite.artifact(number)):
                found = read_artifact(self.suite.artifact(number), number)
                if not isinstance(found, Artifact) or found.error != signal.error:
                    self.suite.put_aside(number, f"it is late: {signal.error}")

    def expect_late(self, number: int) -> None:
        """Go on listening for a signal that has ended with an error: what comes now, or came just now, is late."""
        self._ended.add(number)
        late = functools.partial(self._put_aside_if_late, number)
        self.mailbox.expect(number, late)
        late()

    def close(self) -> None:
        """Look once more for late artifacts, and end the listening."""
        self.mailbox.close()
        for number in sorted(self._ended):
            self._put_aside_if_late(number)


@dataclass(slots=True)
class _Waiting:
    """A signal that is waited for, its file and that of its answer. `until` and `again` are of the monotonic clock."""

    context: Context
    signal: Signal
    file: str
    artifact: str
    until: float
    again: float = float("inf")
    seen: tuple[int, ...] | None = None
    rejected: str = ""


_END = 0  # no signal has this number


class Post:
    """Signals that were written together. `results` waits for each; `end` has it give up at once.

    `numbers` and `files` are those of the signals, in the order of the contexts.
    """

    def __init__(self, dispatcher: FileDispatcher, waiting: Sequence[_Waiting], tell: Tell, batch_id: int) -> None:
        self._dispatcher, self._tell, self._batch_id = dispatcher, tell, batch_id
        self._pending = {one.signal.dispatch_id: one for one in waiting}
        self._news: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._has_ended = False
        self.numbers = tuple(self._pending)
        self.files = tuple(one.file for one in waiting)
        for one in waiting:
            tell(self._change(one.signal))

    def end(self) -> None:
        """Wait no longer: what has no artifact yet is cancelled."""
        self._news.put(_END)

    def abandon(self, why: str) -> None:
        """End the signals that nobody will wait for: an agent must not work on them in vain."""
        for one in self._pending.values():
            with contextlib.suppress(StorageTrouble):
                self._failed(one, why, "cancelled")
                self._dispatcher.expect_late(one.signal.dispatch_id)
        self._pending.clear()

    def results(self, on_wake: Callable[[], None] = lambda: None, patience: float = 3600.0) -> Generator[Result]:
        """Yield what came of each signal, as it comes. What is pending when the caller stops listening is cancelled.

        `on_wake` is called whenever something was heard, and for the first time after `patience` seconds at the latest.
        """
        try:
            yield from self._look_at(self.numbers)
            for number in self._pending:
                self._dispatcher.mailbox.expect(number, functools.partial(self._news.put, number))
            yield from self._look_at(tuple(self._pending))  # what came before the watch was set
            first = time.monotonic() + patience
            while self._pending:
                due = self._hear(first)
                on_wake()
                first = float("inf")
                yield from self._look_at(due)
        finally:
            self.abandon(NOBODY_WAITS)

    def _hear(self, first: float) -> list[int]:
        """Return the signals to look at: those that something was heard of, and those whose time has come."""
        moment = min(first, *(min(one.until, one.again) for one in self._pending.values()))
        heard: set[int] = set()
        with contextlib.suppress(queue.Empty):
            heard.add(self._news.get(timeout=min(max(0.0, moment - time.monotonic()), MOST_WAIT_SECONDS)))
            while True:
                heard.add(self._news.get_nowait())
        self._has_ended |= _END in heard
        if self._has_ended:
            return list(self._pending)
        now = time.monotonic()
        return [number for number, one in self._pending.items() if number in heard or min(one.until, one.again) <= now]

    def _look_at(self, numbers: Sequence[int]) -> Iterator[Result]:
        for number in numbers:
            if number in self._pending and (result := self._look(self._pending[number])) is not None:
                del self._pending[number]
                if result.status == State.DONE:
                    self._dispatcher.mailbox.forget(number)
                else:
                    self._dispatcher.expect_late(number)
                yield result

    def _look(self, one: _Waiting) -> Result | None:
        """Return what came of a signal, or None while it is waited for."""
        suite, number = self._dispatcher.suite, one.signal.dispatch_id
        found = read_artifact(one.artifact, number)
        if one.signal.status in ENDED:
            return self._ended_before(one, found)
        if isinstance(found, Artifact):
            return self._answered(one, found)
        if isinstance(found, Bad) and found.is_of_another:
            suite.put_aside(number, found.reason)
            one.rejected = found.reason
        elif isinstance(found, Bad):
            if found.version != one.seen:
                one.seen, one.again = found.version, time.monotonic() + GROW_SECONDS
            if not found.may_grow or time.monotonic() >= one.again:
                suite.put_aside(number, found.reason)
                return self._failed(one, f"the artifact is not accepted: {found.reason}")
        else:
            one.seen, one.again = None, float("inf")
        if self._has_ended:
            return self._failed(one, NOBODY_WAITS, "cancelled")
        if time.monotonic() >= one.until:
            also = f"; one was put aside: {one.rejected}" if one.rejected else ""
            return self._failed(one, f"no artifact came within {self._dispatcher.timeout:g} s{also}", "timeout")
        if one.signal.status is State.WAITING and os.path.lexists(suite.taking(number)):
            self._move(one, State.PROCESSING)
        return None

    def _ended_before(self, one: _Waiting, found: Artifact | Bad | None) -> Result:
        """Return what came of a signal that an earlier process saw to its end: that end is final."""
        answer, error = found if isinstance(found, Artifact) else Artifact(b""), one.signal.error
        number, usage = one.signal.dispatch_id, answer.usage if answer.error == error else {}
        if one.signal.status is State.DONE and answer.text and not answer.error:
            return Result(one.context, number, "done", answer.text, answer.data, usage=usage)
        return Result(one.context, number, "error", error=error or "its artifact was removed", usage=usage)

    def _answered(self, one: _Waiting, found: Artifact) -> Result:
        number, context = one.signal.dispatch_id, one.context
        if found.error:
            self._move(one, State.ERROR, found.error)
            return Result(context, number, "error", error=found.error, usage=found.usage)
        self._move(one, State.DONE)
        return Result(context, number, "done", found.text, found.data, usage=found.usage)

    def _failed(self, one: _Waiting, why: str, status: str = "error") -> Result:
        self._move(one, State.ERROR, why)
        return Result(one.context, one.signal.dispatch_id, status, error=why)

    def _move(self, one: _Waiting, to: State, error: str = "") -> None:
        one.signal = replace(one.signal, status=to, error=error)
        write_signal(one.file, one.signal)
        self._tell(self._change(one.signal))

    def _change(self, signal: Signal) -> Change:
        return Change(signal.status, signal.dispatch_id, self._batch_id, signal.case_id, signal.step, signal.error)
