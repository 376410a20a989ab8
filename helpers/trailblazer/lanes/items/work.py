"""A batch as the story sees it: its items, its provider, and the words that only a batch has."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailblazer.atomic import digest_of, make_folder
from trailblazer.config import Config, load_config
from trailblazer.dispatch.engine import Closing
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.lane import Held
from trailblazer.dispatch.story import Show, preview
from trailblazer.errors import PlanUnusable, Trouble, WordsWrong
from trailblazer.events import Words
from trailblazer.lanes.items.lane import ItemsLane, order_for
from trailblazer.lanes.items.plan import ITEMS, ItemsPlan, name_of
from trailblazer.lanes.items.request import ItemsRequest, stored_request
from trailblazer.lanes.items.results import ItemAudience
from trailblazer.lanes.items.source import read_spooled, spool_items
from trailblazer.lanes.items.trial import Trial
from trailblazer.lanes.items.words import read_limits, read_provider, read_time_limit
from trailblazer.processes.ask import ask_git
from trailblazer.record.folder import JOURNAL, Record, find_folder
from trailblazer.record.manifest import Resource, Seed, read_manifest
from trailblazer.record.outcomes import FAILED, GOOD, Item
from trailblazer.record.proof import archive_file
from trailblazer.record.standing import read_standing
from trailblazer.reports.audience import Shown
from trailblazer.reports.failures import table_of_failures
from trailblazer.reports.progress import Progress


@dataclass(frozen=True, slots=True)
class Batch:
    """The words of `batch run`: what was said now, where the items are, and which batch is carried on, if one is."""

    said: Mapping[str, Any]
    items: str | None = None
    resume: str | None = None
    retry_failed: str | None = None
    dry_run: bool = False
    force: bool = False
    verbose: bool = False


class ItemsWork:
    """The work of one batch. Made with its items spooled, so that an empty list is refused before a folder is made."""

    noun = phase = "items"
    command = "trailblazer batch run"
    schema = "items_parameters"

    def __init__(self, batch: Batch) -> None:
        self.config: Config = load_config()
        self.batch = batch
        again = batch.resume or batch.retry_failed
        self.resumes = find_folder(self.config.places, again) if again else None
        earlier = stored_request(read_manifest(self.resumes)) if self.resumes else ItemsRequest()
        if again and (batch.items or {"command", "template", "prompt", "provider", "skill"} & batch.said.keys()):
            raise WordsWrong("a resumed batch has its items and its command already", "Leave them out.")
        self.request = _with_paths(earlier.with_words(batch.said))
        self.force = batch.force
        results = self.request.results is not None
        self.show = Show(self.request.monitor_interval, batch.verbose, events=not results)
        asked = self.request.max_workers
        self._workers = self.config["dispatch.workers"] if asked is None else asked
        limits = read_limits(self.request, self._workers)
        self.limits = dataclasses.replace(limits, probe_after=self.config["dispatch.probe_after"])
        self.provider = read_provider(self.request, self.config)
        self.lane = ItemsLane(
            self.provider, *read_time_limit(self.request, self.config["dispatch.item_timeout_minutes"])
        )
        self._source, self.planned, self._draft = "", 0, Path()
        self._audience: ItemAudience | None = None
        if self.resumes is None:
            self._draft = (
                make_folder(self.config.places.dispatches) / f".items-{os.uname().nodename}-{os.getpid()}.ndjson"
            )
            self.planned, self._source = _spool(batch.items, self.request.format, self._draft)

    def preview(self, people: Words) -> int:
        """Say what would run, and run nothing."""
        file = self.resumes / ITEMS if self.resumes else self._draft
        waiting = list(self._waiting()) if self.resumes else None
        try:
            commands = (self._command(index, value) for index, value in enumerate(read_spooled(file))
                        if waiting is None or index in waiting)  # fmt: skip
            source = f"batch {self.resumes.name}" if self.resumes else self._source
            planned = self.planned if waiting is None else len(waiting)
            return preview(commands, planned, self.noun, source, people)
        finally:
            if self.resumes is None:
                self._draft.unlink(missing_ok=True)

    def _waiting(self) -> Iterator[int]:
        assert self.resumes is not None
        standing, _ = read_standing(self.resumes / JOURNAL)
        for index in range(standing.planned):
            status = standing.of(index)
            if status in FAILED if self.batch.retry_failed else status not in GOOD:
                yield index

    def _command(self, index: int, value: Any) -> str:
        one = Held(Item(index, name_of(value, index), value), 1, f"task_{index}/attempt_1")
        try:
            return shlex.join(order_for(self.provider, one))
        except Trouble as trouble:
            return f"# task_{index}: {trouble.what}"

    def seed(self) -> Seed:
        """Return the fields of E5."""
        return Seed(
            plan_preflight_dir=None,
            plan_file_used=self._source,
            runs_planned=self.planned,
            provider=self.provider.agent.name if self.provider.agent else "command",
            model=self.request.model,
            dimension=None,
            workers=self._workers,
            batch_size=None,
            git_commit=ask_git(self.config.places.root, "rev-parse", "--short", "HEAD") or None,
            qa_dir=None,
            notes=self.request.notes,
            mode="batch",
        )

    def parameters(self) -> Mapping[str, Any]:
        """Return the request: a resumed batch repeats none of it."""
        return self.request.parameters()

    def archive(self, folder: Path) -> Sequence[Resource]:
        """Move the items into the folder, and copy the template and the schema."""
        self._draft.replace(folder / ITEMS)
        inputs = [Resource(ITEMS, self._source, digest_of(folder / ITEMS))]
        files = [name for name in (self.request.template, self.request.expect_schema) if name]
        return inputs + [archive_file(Path(name), folder / "inputs") for name in files]

    def opening_words(self, record: Record) -> Iterable[str]:
        """Say how many items there are, and where from."""
        standing = record.standing
        if self.resumes:
            yield f"Resuming batch {record.dispatch_id}: {standing.good} of {standing.planned} good"
        else:
            items = "1 item" if standing.planned == 1 else f"{standing.planned} items"
            yield f"Batch {record.dispatch_id}: {items} from {self._source}, {self._workers} at once"

    def plan(self, record: Record, people: Progress, interrupts: Interrupts) -> ItemsPlan:
        """Return the items, the first one alone unless a flag says otherwise."""
        trial = Trial(self.request, record, people, interrupts)
        return ItemsPlan(
            record,
            shuffle=self.request.shuffle,
            only_failed=bool(self.batch.retry_failed),
            trial=None if self.request.skip_preflight else trial,
        )

    def audience(self, shown: Shown, record: Record) -> ItemAudience:
        """Return who prints the results."""
        request = self.request
        self._audience = ItemAudience(shown, record.folder, request.results, keeps_order=request.keep_order)
        return self._audience

    def finish(self, record: Record, closing: Closing, people: Progress) -> Closing:
        """Print the results that were held back, and the causes of failures."""
        if self._audience is not None:
            try:
                self._audience.end()
            except Trouble as trouble:
                closing = Closing(trouble.exit_code, trouble.what, trouble.hint)
        for line in table_of_failures(record.folder) if record.standing.failed else ():
            people.say(line)
        return closing

    def closing_words(self, record: Record) -> Iterable[str]:
        """Say how the failed ones are tried again."""
        if record.standing.failed:
            yield f"To retry what failed: trailblazer batch run --retry-failed {record.dispatch_id}"


def _spool(items: str | None, form: str, target: Path) -> tuple[int, str]:
    """Write the items where they stay, and return how many there are and where they came from."""
    if items is not None and items.lstrip()[:1] == "[":
        import io

        return spool_items(io.BytesIO(items.encode("utf-8", "surrogateescape")), "--items", "json", target), "--items"
    if items in (None, "-"):
        if sys.stdin.isatty():
            raise WordsWrong("there are no items", '--items FILE, --items \'["a", "b"]\', or give them on stdin.')
        return spool_items(sys.stdin.buffer, "stdin", form, target), "stdin"
    file = Path(items).expanduser()
    try:
        with file.open("rb") as opened:
            return spool_items(opened, str(file), form, target), str(file)
    except OSError as error:
        raise PlanUnusable(f"cannot read the items {file}: {error.strerror}", "Look at that path.") from error


def _with_paths(request: ItemsRequest) -> ItemsRequest:
    """Return the request with whole paths: a resume may run in another folder."""
    whole: dict[str, Any] = {
        name: str(Path(value).expanduser().resolve())
        for name in ("template", "expect_schema")
        if (value := getattr(request, name))
    }
    return dataclasses.replace(request, **whole)
