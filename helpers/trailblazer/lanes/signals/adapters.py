"""Who answers: the stub, a provider that we start for each signal, or whoever watches the folder."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from trailblazer import schemas
from trailblazer.atomic import read_regular
from trailblazer.dispatch.lane import Dispatch, Held, Running
from trailblazer.errors import Trouble
from trailblazer.lanes.orders import ANSWER, Orders, Try
from trailblazer.lanes.signals.scenario import Scenario
from trailblazer.lanes.signals.stub import stub_answer
from trailblazer.record.admission import WIDE, Room
from trailblazer.record.outcomes import Again, Left, Outcome, Status
from trailblazer.signals.agents import fail, find_signal, submit
from trailblazer.signals.artifacts import MOST_BYTES
from trailblazer.signals.dispatcher import Context
from trailblazer.signals.suite import Suite


@dataclass(frozen=True, slots=True)
class Posted:
    """A signal that was written a moment ago, and its attempt."""

    held: Held
    number: int
    context: Context


class Answering(Protocol):
    """Answers that are being made for one group of signals."""

    def again(self, number: int) -> Again | None:
        """Return why a signal is to be sent again without spending an attempt, if it is."""

    def end(self, why: str, grace: float) -> None:
        """End the work on them, and return at once."""


class Adapter:
    """Whoever watches the folder answers: there is nothing to start. The base of the other adapters."""

    def check(self) -> None:
        """Ask for free whether anybody can answer."""

    def open(self, dispatch: Dispatch) -> None:
        """Prepare to answer for a dispatch."""

    def room(self) -> Room:
        """Return how many groups may be under way."""
        return WIDE

    def answer(self, suite: Suite, group: Sequence[Posted]) -> Answering:  # noqa: ARG002 - others answer
        """Begin to answer signals that were written a moment ago."""
        return Nobody()

    def close(self) -> None:
        """End whatever still runs."""


class Nobody:
    """Nothing of ours is at work on the answers."""

    def again(self, number: int) -> Again | None:
        """Say nothing of a signal."""

    def end(self, why: str, grace: float) -> None:
        """End nothing."""


class Stub(Adapter):
    """Answers at once with what the scenario expects."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def answer(self, suite: Suite, group: Sequence[Posted]) -> Answering:
        """Answer as an agent does that works through files."""
        for one in group:
            answer = stub_answer(self._scenario, one.context.step, one.context.case_id)
            submit(find_signal(suite, one.number), answer)
        return Nobody()


class Agents(Adapter):
    """Starts a provider for each signal, and publishes what it answered."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def check(self) -> None:
        """Ask for free whether a provider can work."""
        self._orders.check()

    def open(self, dispatch: Dispatch) -> None:
        """Make the places where the orders run."""
        self._orders.open(dispatch)

    def room(self) -> Room:
        """Return how many attempts the providers stand."""
        return self._orders.room()

    def answer(self, suite: Suite, group: Sequence[Posted]) -> Answering:
        """Start the provider for each signal."""
        return _Work(self._orders, suite, group)

    def close(self) -> None:
        """End whatever still runs."""
        self._orders.close()


class _Work:
    """The orders of one group, each in a thread that publishes its answer."""

    def __init__(self, orders: Orders, suite: Suite, group: Sequence[Posted]) -> None:
        self._again: dict[int, Again] = {}
        self._suite = suite
        self._running: list[Running] = []
        for one in group:
            running = orders.begin(one.held, Try({"item": one.context.prompt}))
            self._running.append(running)
            threading.Thread(target=self._follow, args=(one, running), daemon=True).start()

    def _follow(self, one: Posted, running: Running) -> None:
        for _, answer in running.wait():
            with contextlib.suppress(Trouble):  # the signal has ended, and says why
                self._publish(one, answer)

    def _publish(self, one: Posted, answer: Outcome | Again | Left) -> None:
        found, usage = find_signal(self._suite, one.number), _usage(answer)
        if isinstance(answer, Again):
            self._again[one.number] = answer
        if not isinstance(answer, Outcome) or answer.status is not Status.SUCCESS:
            fail(found, answer.reason, usage)
            return
        data = find_object(_said(Path(one.held.folder)))
        if data is None:
            fail(found, "the agent's answer holds no JSON object", usage)
        else:
            submit(found, data, usage)

    def again(self, number: int) -> Again | None:
        """Return what a provider that closed said of a signal."""
        return self._again.get(number)

    def end(self, why: str, grace: float) -> None:
        """Ask the providers to end."""
        for running in self._running:
            running.end(why, grace)


def _usage(answer: Outcome | Again | Left) -> dict[str, float]:
    used = {} if isinstance(answer, Left) else answer.usage
    names = {"input_tokens": "input_tokens", "output_tokens": "output_tokens", "costUSD": "cost_usd"}
    return {ours: used[name] for name, ours in names.items() if name in used}


def _said(folder: Path) -> str:
    for name in ("output", ANSWER, "worker.stdout"):
        with contextlib.suppress(OSError):
            return read_regular(folder / name, MOST_BYTES, follow_links=False).decode("utf-8", "replace")
    return ""


def find_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object in an agent's answer: all of it, or from the first brace to the last. None without one."""
    first, last = text.find("{"), text.rfind("}")
    with contextlib.suppress(ValueError):
        found = schemas.parse_json(text[first : last + 1].encode("utf-8", "replace"))
        if isinstance(found, dict):
            return found
    return None
