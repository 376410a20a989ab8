"""The agent's side: take a signal that waits, answer it, or say why not."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from trailblazer import schemas
from trailblazer.atomic import read_regular, write_once
from trailblazer.errors import DocumentInvalid, PlanUnusable, StaleClaim
from trailblazer.paths import timestamp
from trailblazer.plain import one_line
from trailblazer.processes.identity import holder_name
from trailblazer.signals.artifacts import MOST_BYTES, NO_REASON
from trailblazer.signals.documents import ENDED, SIGNAL, Signal, State, read_signal
from trailblazer.signals.suite import Suite, numbers_in

LOOK_SECONDS = 0.1  # between two looks at a suite


@dataclass(frozen=True, slots=True)
class Found:
    """A signal of a suite, the file of its prompt, the place of its answer, and the file that whoever takes it makes.

    They follow from its number: what a signal itself says may lead out of the suite.
    """

    suite: Suite
    number: int
    signal: Signal
    prompt_file: Path
    artifact: Path
    taking: Path

    def prompt(self) -> str:
        """Return what the agent is asked; a prompt that cannot be read is DocumentInvalid."""
        try:
            text = read_regular(self.prompt_file, MOST_BYTES, follow_links=False)
        except OSError as error:
            raise DocumentInvalid(f"cannot read the prompt of signal {self.number}: {error.strerror}", "") from error
        return text.decode("utf-8", "replace")


def signals_of(suite: Suite, passed_over: set[int] | frozenset[int] = frozenset()) -> Iterator[Found]:
    """Yield the signals of a suite by their numbers; what is no signal is passed over, unread what is named so."""
    for number in sorted(numbers_in(suite.signals) - passed_over):
        with contextlib.suppress(DocumentInvalid):
            yield _read(suite, number)
    for found in _older_signals(suite):
        if found.number not in passed_over:
            yield found


def _read(suite: Suite, number: int) -> Found:
    signal = read_signal(suite.signal(number))
    if signal.dispatch_id != number:
        raise DocumentInvalid(f"{suite.signal(number)} is signal {signal.dispatch_id}", "Look at that file.")
    return Found(suite, number, signal, suite.prompt(number), suite.artifact(number), suite.taking(number))


def _older_signals(suite: Suite) -> Iterator[Found]:
    """Yield the signals that an earlier program wrote: CASE/signal.json, which names its prompt and its artifact.

    Their paths count from the root of the project or from their own folder; one that leads out of the suite does not.
    """
    if not suite.is_older:
        return
    for file in sorted(suite.folder.glob(f"*/{SIGNAL}")):
        with contextlib.suppress(DocumentInvalid, OSError):
            signal = read_signal(file)
            prompt, artifact = (
                _inside(suite, file.parent, path) for path in (signal.prompt_path, signal.artifact_path)
            )
            if prompt is not None and artifact is not None:
                yield Found(suite, signal.dispatch_id, signal, prompt, artifact, file.with_name("taken.json"))


def _inside(suite: Suite, folder: Path, path: str) -> Path | None:
    top = suite.folder.resolve()
    for base in (suite.root, folder):
        place = (base / path).parent.resolve() / Path(path).name
        if place.is_relative_to(top) and place.parent.is_dir():
            return place
    return None


class Taker:
    """Takes signals of a suite for one agent, each at most once among all agents."""

    def __init__(self, suite: Suite, agent: str = "") -> None:
        self._suite, self._agent = suite, agent or holder_name()
        self._ended: set[int] = set()

    def take(self, seconds: float = 0.0) -> Found | None:
        """Take the first signal that waits, and return it; None when none came within `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            for found in signals_of(self._suite, self._ended | numbers_in(self._suite.taken)):
                if found.signal.status in ENDED:
                    self._ended.add(found.number)
                elif found.signal.status is State.WAITING and self._take(found):
                    return found
            if (left := deadline - time.monotonic()) <= 0:
                return None
            time.sleep(min(LOOK_SECONDS, left))

    def _take(self, found: Found) -> bool:
        if os.path.lexists(found.artifact):
            return False
        document = {"dispatch_id": found.number, "agent": one_line(self._agent, 100), "at": timestamp()}
        schemas.check_shape("signal_taking", document, str(found.number))
        return write_once(found.taking, orjson.dumps(document), durable=False)


def find_signal(suite: Suite, number: int) -> Found:
    """Return a signal of a suite; an unknown one is PlanUnusable (exit 4)."""
    try:
        return _read(suite, number)
    except DocumentInvalid as error:
        for found in _older_signals(suite):
            if found.number == number and found.signal.status not in ENDED:
                return found
        raise PlanUnusable(f"suite {suite.folder.name} has no signal {number}", error.what) from error


def submit(found: Found, data: Mapping[str, Any], usage: Mapping[str, Any] | None = None) -> None:
    """Publish the answer to a signal. One that has ended or has an answer is StaleClaim; a late answer is kept."""
    _publish(found, {"dispatch_id": found.number, "data": dict(data), **({"usage": dict(usage)} if usage else {})})


def fail(found: Found, reason: str, usage: Mapping[str, Any] | None = None) -> None:
    """Publish why a signal has no answer; refused as `submit` is."""
    document = {"dispatch_id": found.number, "error": one_line(reason, 300) or NO_REASON}
    _publish(found, {**document, **({"usage": dict(usage)} if usage else {})})


def _publish(found: Found, document: dict[str, Any]) -> None:
    schemas.check("signal_artifact", document, f"the answer to signal {found.number}")
    content = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    if len(content) > MOST_BYTES:
        raise DocumentInvalid(f"the answer has {len(content)} bytes, at most {MOST_BYTES} are read", "Say less.")
    now = find_signal(found.suite, found.number).signal
    if now.status is State.DONE or os.path.lexists(found.artifact):
        raise StaleClaim(f"signal {found.number} has an answer already", "The first one counts; this one was not kept.")
    if now.status is State.ERROR:
        kept = found.suite.keep_late(found.number, content, now.error)
        raise StaleClaim(f"signal {found.number} has ended: {now.error}", f"Your answer is kept in {kept}.")
    if not write_once(found.artifact, content):
        raise StaleClaim(f"signal {found.number} has an answer already", "The first one counts; this one was not kept.")
