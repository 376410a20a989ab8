"""What a runner says of its job for an issue: its state, its report, and whether it stopped it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trailblazer.errors import WordsWrong
from trailblazer.plain import one_line
from trailblazer.processes.ask import ask
from trailblazer.processes.launching import reap
from trailblazer.providers.agents import MARK
from trailblazer.providers.selectors import events_in

ANSWER_SECONDS = 20.0
RUNNING = frozenset({"launching", "slow_start", "waiting_first_output", "healthy", "running", "stalled"})
_UNKNOWN = 1  # the exit code of a check that knows no such job


@dataclass(frozen=True, slots=True)
class State:
    """What a check says of the job: `run` names one run of the issue; empty when there never was one.

    `is_known` is false when the runner gave no answer at all, so that the job may be running.
    """

    is_known: bool
    state: str = ""
    run: str = ""
    reason_code: str = ""
    exit_code: int | None = None
    pid: int | None = None

    @property
    def is_running(self) -> bool:
        """Whether the job runs, as far as the runner knows."""
        return self.state in RUNNING


@dataclass(frozen=True, slots=True)
class Questions:
    """The words of the questions about the job for one issue."""

    words: Mapping[str, tuple[str, ...]]
    environment: Mapping[str, str] = field(default_factory=dict)

    def check(self, seconds: float = ANSWER_SECONDS) -> State:
        """Ask how the job is. A program that its end was not noticed of is reaped, and asked about once more."""
        state = self._check(seconds)
        if state.is_running and state.pid and reap(state.pid):
            return self._check(seconds)
        return state

    def _check(self, seconds: float) -> State:
        answer = ask(self.words["check"], seconds=seconds, environment=self.environment)
        said: dict[str, Any] = next(events_in(answer.out.encode()), {})
        state = _text(said, "state")
        if not state:
            return State(is_known=answer.code == _UNKNOWN and not answer.is_late, exit_code=answer.code)
        if state == "missing":
            return State(is_known=True, state=state, reason_code=_text(said, "reason_code"), exit_code=answer.code)
        pid = said.get("pid")
        return State(
            is_known=True,
            state=state,
            run=_text(said, "run_instance") or (str(pid) if pid else state),
            reason_code=_text(said, "reason_code"),
            exit_code=answer.code,
            pid=pid if isinstance(pid, int) and not isinstance(pid, bool) and pid > 1 else None,
        )

    def report(self, run: str) -> dict[str, Any]:
        """Return the report of a run; nothing when there is none, or when it is of another run."""
        answer = ask(self.words["report"], seconds=ANSWER_SECONDS, environment=self.environment)
        said: dict[str, Any] = next(events_in(answer.out.encode()), {})
        return said if _text(said, "run_instance") in {"", run} else {}

    def stop(self, seconds: float) -> None:
        """Ask to stop the job; whether it has stopped, a check says."""
        ask(self.words["stop"], seconds=seconds, environment=self.environment)


def questions_for(words: Mapping[str, tuple[str, ...]], issue: str, environment: Mapping[str, str]) -> Questions:
    """Return the questions about an issue; an id that is empty or would be an option is refused with WordsWrong."""
    if not issue or issue.startswith("-") or "\0" in issue:
        raise WordsWrong(f"{one_line(issue, 60)!r} is no id of an issue", "The runner would take it for an option.")
    filled = {
        name: tuple(MARK.sub(lambda mark: issue if mark[1] == "issue" else mark[0], word) for word in asked)
        for name, asked in words.items()
    }
    return Questions(filled, environment)


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return one_line(value, 200) if isinstance(value, str) else ""
