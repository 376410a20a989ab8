"""What a verb asks of the story: the plan, the lane that carries it out, and the words that differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from trailblazer.config import Config
from trailblazer.dispatch.engine import Closing
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.lane import Lane
from trailblazer.dispatch.queue import Plan
from trailblazer.dispatch.settling import Limits
from trailblazer.record.folder import Record
from trailblazer.record.manifest import Caps, Resource, Seed
from trailblazer.reports.audience import Audience, Shown
from trailblazer.reports.progress import Progress


class Answer(StrEnum):
    """What a dispatch prints on stdout as its answer."""

    FOLDER = "folder"  # its folder, at the end, where stdout is no terminal
    JSON = "json"  # a line first and a line last, for machines
    OWN = "own"  # what its lane prints


@dataclass(frozen=True, slots=True)
class Show:
    """What people and machines are shown: `interval` is the seconds between progress lines, and 0 shows none.

    With `events` they go to stdout too.
    """

    interval: float
    verbose: bool = False
    events: bool = False
    answer: Answer = Answer.FOLDER

    def json_of(self, command: str) -> str:
        """Return the verb of a command where its answer is JSON, else nothing."""
        return command.removeprefix("trailblazer ") if self.answer is Answer.JSON else ""


class Work(Protocol):
    """What a verb asks for: the plan, the lane that carries it out, and the words that differ.

    `command` is the verb. `resumes` is the folder of the dispatch that is resumed, or None for a new one; with
    `only_failed` only those of its items are due that failed. A resumed dispatch has its parameters, plan and archive
    already.
    """

    noun: str
    phase: str
    command: str
    schema: str
    config: Config
    resumes: Path | None
    only_failed: bool
    force: bool
    show: Show
    limits: Limits
    planned: int

    @property
    def lane(self) -> Lane:
        """The lane that carries the items."""

    def seed(self) -> Seed:
        """Return the fields of the manifest that say what was asked for (E5)."""

    def caps(self) -> Caps:
        """Return what the dispatch may use at most."""

    def parameters(self) -> Mapping[str, Any]:
        """Return what the manifest keeps for a resume: `lane`, and what the schema named `schema` describes."""

    def archive(self, folder: Path) -> Sequence[Resource]:
        """Copy what the dispatch works from into its folder, and return the copies (E4)."""

    def opening_words(self, record: Record) -> Iterable[str]:
        """Yield the lines that open the dispatch on the screen."""

    def plan(self, record: Record, progress: Progress, interrupts: Interrupts) -> Plan:
        """Return the plan."""

    def audience(self, shown: Shown, record: Record) -> Audience:
        """Return what shows each item to people and machines."""

    def finish(self, record: Record, closing: Closing, progress: Progress) -> Closing:
        """Do what is left when every item is settled, and return how the dispatch ends."""

    def closing_words(self, record: Record) -> Iterable[str]:
        """Yield the lines that close the dispatch, before the paths of its documents."""
