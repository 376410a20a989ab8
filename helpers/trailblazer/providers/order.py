"""What one attempt runs, as one frozen document, and how it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trailblazer.schemas import check, check_shape


class Evidence(StrEnum):
    """What must be there before a success is believed."""

    NONE = "none"
    ANSWER = "answer"  # a text that is not empty
    FILE = "file"  # the output file, and it is not empty
    CHANGES = "changes"  # commits or changed files in the working folder since the start


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the output must be: `json` must parse, `schema` is the file of a schema that it must satisfy.

    `evidence` is looked at after every process of the attempt has gone.
    """

    json: bool = False
    schema: str | None = None
    evidence: Evidence = Evidence.NONE

    def document(self) -> dict[str, Any]:
        """Return the expectation as an order holds it."""
        return {"json": self.json, "schema": self.schema, "evidence": self.evidence.value}


@dataclass(frozen=True, slots=True)
class Final:
    """Which events on stdout end a run, each as conditions of selectors.read_where.

    A process that is silent for `grace_seconds` after such an event is ended; what it answered counts.
    """

    events: tuple[Mapping[str, Any], ...]
    grace_seconds: float

    def document(self) -> dict[str, Any]:
        """Return the events as an order holds them."""
        return {"events": list(self.events), "grace_seconds": self.grace_seconds}


@dataclass(frozen=True, slots=True)
class RunnerJob:
    """A job of a runner: the runner's name, the issue by which it knows the job, and the runner's own provider.

    With `is_left` nobody waits for the job: it goes on after the dispatch.
    """

    runner: str
    issue: str
    provider: str
    is_left: bool = False

    def document(self) -> dict[str, Any]:
        """Return the job as an order holds it."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Order:
    """What one attempt runs. Paths are absolute.

    `stdin` is the file that the command reads, None for nothing. `environment` names the variables that it gets from
    ours, `*` is all of them; `variables` are set beside them. `limit_seconds` is a wall-clock limit, None for none;
    `log_cap` in bytes, None to keep no logs. The command writes its result to `output_file`, or else its stdout is the
    result. `tree` is its working folder, empty for ours; `tree_state` is what the folder was at the start, by
    evidence.state_of. A command that prints nothing for `idle_seconds` is ended, None is no limit; it needs logs.
    """

    argv: tuple[str, ...]
    folder: str
    output_file: str
    stdin: str | None = None
    environment: tuple[str, ...] = ("*",)
    limit_seconds: float | None = None
    log_cap: int | None = None
    expects: Expectation = Expectation()
    tree: str = ""
    tree_state: str | None = None
    idle_seconds: float | None = None
    final: Final | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    job: RunnerJob | None = None

    def document(self) -> dict[str, Any]:
        """Return the order as result.json holds it."""
        document = {name: getattr(self, name) for name in _FIELDS}
        document |= {"argv": list(self.argv), "environment": list(self.environment), "expects": self.expects.document()}
        if self.final is not None:
            document["final"] = self.final.document()
        if self.job is not None:
            document["job"] = self.job.document()
        check_shape("order", document, self.folder, is_flat=True)
        return document


_FIELDS = tuple(one.name for one in dataclasses.fields(Order))


@dataclass(frozen=True, slots=True)
class Finished:
    """How an order ended; sizes of logs in bytes.

    `why` is empty when it ended by itself, else why it was ended: timeout, idle (it was silent for too long), answered
    (its result was there, and it stayed), or cancelled.
    """

    exit_code: int | None
    signal: int | None
    why: str
    seconds: float
    user_seconds: float
    system_seconds: float
    peak_memory_kib: int
    stdout_bytes: int
    stderr_bytes: int
    truncated: bool


def read_order(document: Mapping[str, Any]) -> Order:
    """Return the order that a document holds; one that breaks its schema is refused with DocumentInvalid."""
    check("order", document, "the order")
    values = {name: document[name] for name in _FIELDS}
    values |= {"argv": tuple(document["argv"]), "environment": tuple(document["environment"])}
    expects = document["expects"]
    values["expects"] = Expectation(expects["json"], expects["schema"], Evidence(expects["evidence"]))
    if final := document["final"]:
        values["final"] = Final(tuple(final["events"]), final["grace_seconds"])
    if job := document["job"]:
        values["job"] = RunnerJob(**job)
    return Order(**values)
