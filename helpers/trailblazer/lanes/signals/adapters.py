"""Who answers: the stub, or whoever watches the folder; a provider that we start for each signal is in agents.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from trailblazer.dispatch.lane import Dispatch, Held
from trailblazer.lanes.signals.scenario import Scenario
from trailblazer.lanes.signals.stub import stub_answer
from trailblazer.record.admission import WIDE, Room
from trailblazer.record.outcomes import Again, Left, Outcome
from trailblazer.signals.agents import find_signal, submit
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

    def last_word(self, number: int) -> Outcome | Again | Left | None:
        """End the work on a signal that has ended, and return what the work came to; None where none is ours.

        It raises what stopped the work: a full disk, a bug.
        """

    def end(self, why: str, grace: float) -> None:
        """Ask the work to end within `grace` seconds, and return at once."""


class Adapter:
    """Whoever watches the folder answers: there is nothing to start. The base of the other adapters.

    `is_ours`: who answers ends with the dispatcher.
    """

    is_ours = False

    def check(self) -> None:
        """Ask for free whether anybody can answer."""

    def open(self, dispatch: Dispatch) -> None:
        """Prepare to answer for a dispatch."""

    def room(self) -> Room:
        """Return how many groups may be under way."""
        return WIDE

    def answer(self, suite: Suite, group: Sequence[Posted], give_up: Callable[[], None]) -> Answering:  # noqa: ARG002 - others answer
        """Begin to answer signals that were written a moment ago; `give_up` ends the wait for them."""
        return Nobody()

    def close(self) -> None:
        """End whatever still runs."""


class Nobody:
    """Nothing of ours is at work on the answers."""

    def last_word(self, number: int) -> None:
        """Say nothing of a signal."""

    def end(self, why: str, grace: float) -> None:
        """End nothing."""


class Gone:
    """Who was at work ended with the dispatcher that started it."""

    def last_word(self, number: int) -> Again:  # noqa: ARG002 - it is the same for every signal
        """Have a signal without an answer sent again."""
        return Again(0.0, "who worked on it ended with the dispatcher")

    def end(self, why: str, grace: float) -> None:
        """End nothing."""


class Stub(Adapter):
    """Answers at once with what the scenario expects."""

    is_ours = True

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def answer(self, suite: Suite, group: Sequence[Posted], give_up: Callable[[], None]) -> Answering:  # noqa: ARG002 - it never gives up
        """Answer as an agent does that works through files."""
        for one in group:
            answer = stub_answer(self._scenario, one.context.step, one.context.case_id)
            submit(find_signal(suite, one.number), answer)
        return Nobody()
