"""The work of a batch: its items, its provider, and the lines that only a batch shows."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trailblazer.atomic import digest_of, make_folder
from trailblazer.config import Config, load_config
from trailblazer.dispatch.engine import Closing
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.lane import Held
from trailblazer.dispatch.work import Answer, Show
from trailblazer.errors import Trouble, WordsWrong
from trailblazer.events import Console
from trailblazer.lanes.items.chain import read_lineup
from trailblazer.lanes.items.lane import ItemsLane, order_for
from trailblazer.lanes.items.plan import ITEMS, ItemsPlan, name_of, read_items
from trailblazer.lanes.items.request import ItemsRequest, stored_request
from trailblazer.lanes.items.results import ItemAudience
from trailblazer.lanes.items.source import read_spooled, spool_from
from trailblazer.lanes.items.trial import Trial
from trailblazer.lanes.items.words import read_limits, read_time_limit
from trailblazer.lanes.spending import caps_of, read_budget
from trailblazer.plain import counted
from trailblazer.processes.git import commit_of
from trailblazer.record.folder import JOURNAL, Record, find_folder
from trailblazer.record.manifest import Caps, Resource, Seed, read_manifest
from trailblazer.record.outcomes import Item, is_open
from trailblazer.record.proof import archive_file
from trailblazer.record.standing import read_standing
from trailblazer.reports.audience import Shown
from trailblazer.reports.preview import preview
from trailblazer.reports.progress import Progress


@dataclass(frozen=True, slots=True)
class Batch:
    """The words of `batch run`: `said` by name, where the items are, and the batch to resume, if any."""

    said: Mapping[str, Any]
    items: str | None = None
    resume: str | None = None
    only_failed: bool = False
    dry_run: bool = False
    force: bool = False
    show: Show = field(default_factory=lambda: Show(0))


class ItemsWork:
    """The work of one batch. Its items are spooled at once: an empty list is refused before a folder exists."""

    noun = phase = "items"
    command = "trailblazer batch run"
    schema = "items_parameters"

    def __init__(self, batch: Batch) -> None:
        self.config: Config = load_config()
        self.batch = batch
        self.resumes = find_folder(self.config.places, batch.resume) if batch.resume else None
        earlier = stored_request(read_manifest(self.resumes)) if self.resumes else ItemsRequest()
        if self.resumes and (batch.items or {"command", "template", "prompt", "provider", "skill"} & batch.said.keys()):
            raise WordsWrong(
                "a resume takes no items and no command: the batch already has them",
                "Leave out --items, --template, --prompt, --provider, --skill and the words after --.",
            )
        self.request = _with_paths(earlier.with_words(batch.said))
        self.only_failed, self.force = batch.only_failed, batch.force
        has_own = batch.show.answer is Answer.FOLDER and self.request.results is not None
        answer = Answer.OWN if has_own else batch.show.answer
        self.show = dataclasses.replace(batch.show, interval=self.request.monitor_interval, answer=answer)
        asked = self.request.max_workers
        self._workers = self.config["dispatch.workers"] if asked is None else asked
        limits = read_limits(self.request, self._workers)
        self.limits = dataclasses.replace(limits, probe_after=self.config["dispatch.probe_after"])
        lineup = read_lineup(self.request, self.config, self._workers)
        self.provider, self._names = lineup.members[0].command, [member.name for member in lineup.members]
        self._time_limit = read_time_limit(self.request, self.config["dispatch.item_timeout_minutes"])
        self.lane = ItemsLane(lineup, self._time_limit)
        self._source, self.planned, self._draft = "", 0, Path()
        self._audience: ItemAudience | None = None
        if self.resumes is None:
            self._draft = (
                make_folder(self.config.places.dispatches) / f".items-{os.uname().nodename}-{os.getpid()}.ndjson"
            )
            self.planned, self._source = spool_from(batch.items, self.request.format, self._draft)

    def preview(self, console: Console) -> int:
        """Print the command of each item that would run, and run nothing."""
        waiting = set(self._waiting()) if self.resumes else None
        try:
            commands = (self._command(index, value) for index, value in enumerate(self._values())
                        if waiting is None or index in waiting)  # fmt: skip
            source = f"batch {self.resumes.name}" if self.resumes else self._source
            planned = self.planned if waiting is None else len(waiting)
            return preview(commands, planned, self.noun, source, console, json_of=self.show.json_of(self.command))
        finally:
            if self.resumes is None:
                self._draft.unlink(missing_ok=True)

    def _values(self) -> Iterator[Any]:
        if self.resumes is None:
            return read_spooled(self._draft)
        return read_items(self.resumes, read_standing(self.resumes / JOURNAL)[0])

    def _waiting(self) -> Iterator[int]:
        assert self.resumes is not None
        standing, _ = read_standing(self.resumes / JOURNAL)
        for index in range(standing.planned):
            if is_open(standing.of(index), only_failed=self.only_failed):
                yield index

    def _command(self, index: int, value: Any) -> str:
        one = Held(Item(index, name_of(value, index), value), 1, f"task_{index}/attempt_1")
        try:
            return shlex.join(order_for(self.provider, one))
        except Trouble as trouble:
            return f"# task_{index}: {trouble.what}"

    def seed(self) -> Seed:
        """Return the fields of the manifest that say what was asked for (E5)."""
        return Seed(
            plan_preflight_dir=None,
            plan_file_used=self._source,
            runs_planned=self.planned,
            provider=",".join(self._names),
            model=self.request.model,
            dimension=None,
            workers=self._workers,
            batch_size=None,
            git_commit=commit_of(self.config.places.root),
            qa_dir=None,
            notes=self.request.notes,
            mode="batch",
        )

    def caps(self) -> Caps:
        """Return what the batch may use at most."""
        limit = self._time_limit
        return caps_of(self.limits, limit.seconds, read_budget(self.request, self.config), limit.medians)

    def parameters(self) -> Mapping[str, Any]:
        """Return the request, so that a resume need not repeat it."""
        return self.request.parameters()

    def archive(self, folder: Path) -> Sequence[Resource]:
        """Move the items into the folder, and copy the template and the schema."""
        self._draft.replace(folder / ITEMS)
        inputs = [Resource(ITEMS, self._source, digest_of(folder / ITEMS))]
        files = [name for name in (self.request.template, self.request.expect_schema) if name]
        return inputs + [archive_file(Path(name), folder / "inputs") for name in files]

    def opening_words(self, record: Record) -> Iterable[str]:
        """Say how many items there are, and where they come from."""
        standing = record.standing
        if self.resumes:
            yield f"Resuming batch {record.dispatch_id}: {standing.good} of {standing.planned} good"
        else:
            items = counted(standing.planned, "item")
            yield f"Batch {record.dispatch_id}: {items} from {self._source}, {self._workers} at once"

    def plan(self, record: Record, progress: Progress, interrupts: Interrupts) -> ItemsPlan:
        """Return the plan: the first item runs alone, unless a flag says otherwise."""
        trial = Trial(self.request, record, progress, interrupts)
        return ItemsPlan(
            record,
            shuffle=self.request.shuffle,
            trial=None if self.request.skip_preflight else trial,
        )

    def audience(self, shown: Shown, record: Record) -> ItemAudience:
        """Return the audience that prints the results."""
        request = self.request
        self._audience = ItemAudience(shown, record.folder, request.results, keeps_order=request.keep_order)
        return self._audience

    def finish(self, record: Record, closing: Closing, progress: Progress) -> Closing:  # noqa: ARG002 - shows nothing
        """Print the results that still wait for their turn."""
        if self._audience is not None:
            try:
                self._audience.end()
            except Trouble as trouble:
                closing = Closing(trouble.exit_code, trouble.what, trouble.hint)
        return closing

    def closing_words(self, record: Record) -> Iterable[str]:
        """Say what each provider did."""
        yield from record.standing.tallies.lines()


def _with_paths(request: ItemsRequest) -> ItemsRequest:
    """Return the request with absolute paths: a resume may run in another folder."""
    whole: dict[str, Any] = {
        name: str(Path(value).resolve()) for name in ("template", "expect_schema") if (value := getattr(request, name))
    }
    return dataclasses.replace(request, **whole)
