"""The job file: how it ended last, how often it failed in a row, and what the notifier said about that."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.errors import DocumentInvalid
from trailblazer.paths import timestamp

GOOD, FAILED, NEW = "good", "failed", "new"


@dataclass(frozen=True, slots=True)
class Start:
    """A start of a job: `rid` is the UUID under which the health check knows it."""

    rid: str
    started_at: str
    pid: int


@dataclass(frozen=True, slots=True)
class End:
    """How a start ended. `exit_code` is None when nobody saw the end, `seconds` is the time it took.

    `why` is empty when the verb ended by itself, else `timeout`, `cancelled` or `lost` (the wrapper was killed).
    `last_words` is the last line on stderr that is no hint.
    """

    rid: str
    started_at: str
    ended_at: str
    seconds: float
    exit_code: int | None
    why: str
    last_words: str

    @property
    def is_good(self) -> bool:
        """Say whether the verb did what it was asked to do."""
        return self.exit_code == 0


@dataclass(frozen=True, slots=True)
class Told:
    """The state that the notifier passed on last, and when."""

    state: str
    at: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job of a project. `state` is that of its last end, `state_before` that of the end before."""

    name: str
    project: str
    host: str
    state: str = NEW
    state_before: str = NEW
    starts: int = 0
    good_ends: int = 0
    failures_in_a_row: int = 0
    running: Start | None = None
    last_good: End | None = None
    last_failure: End | None = None
    told: Told | None = None

    @property
    def last(self) -> End | None:
        """How the job ended last; None before its first end."""
        return self.last_good if self.state == GOOD else self.last_failure

    def starting(self, rid: str) -> Job:
        """Return the job as it is while a start runs."""
        return replace(self, starts=self.starts + 1, running=Start(rid, timestamp(), os.getpid()))

    def ended(self, end: End) -> Job:
        """Return the job as it is after an end."""
        after = replace(self, state_before=self.state, running=None)
        if end.is_good:
            return replace(after, state=GOOD, good_ends=self.good_ends + 1, failures_in_a_row=0, last_good=end)
        return replace(after, state=FAILED, failures_in_a_row=self.failures_in_a_row + 1, last_failure=end)


def document_of(job: Job) -> dict[str, Any]:
    """Return a job as the job file has it (cron_job.schema.json)."""
    return {"schemaVersion": 1, **_in_camel_case(asdict(job))}


def _in_camel_case(values: Mapping[str, Any]) -> dict[str, Any]:
    inner = {key: _in_camel_case(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    return schemas.in_camel_case(inner)


def keep_job(job: Job, file: Path) -> None:
    """Write a job file."""
    schemas.publish("cron_job", document_of(job), file)


def read_job(file: Path) -> Job | None:
    """Return the job of a job file, None without a file. A file that breaks its schema is DocumentInvalid."""
    if not file.exists():
        return None
    document = schemas.read_json(file)
    schemas.check("cron_job", document, str(file))
    parts = {"running": Start, "lastGood": End, "lastFailure": End, "told": Told}
    for key, kind in parts.items():
        if document[key] is not None:
            document[key] = schemas.as_record(kind, document[key])
    return schemas.as_record(Job, document)


def jobs_in(folder: Path) -> list[Job]:
    """Return the jobs of a folder by name; a job file that cannot be read is passed over."""
    found = []
    for file in sorted(folder.glob("*.json")):
        try:
            job = read_job(file)
        except DocumentInvalid:
            continue
        if job is not None:
            found.append(job)
    return found
