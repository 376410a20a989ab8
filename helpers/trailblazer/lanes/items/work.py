"""The story of one batch, from the items to the seal."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trailblazer.atomic import make_folder
from trailblazer.config import Config, load_config
from trailblazer.dispatch.closing import close_dispatch
from trailblazer.dispatch.engine import Closing, Limits, carry_out
from trailblazer.errors import GateClosed, PlanUnusable, StorageTrouble, WordsWrong
from trailblazer.events import Emitter, Words
from trailblazer.lanes.items.lane import ItemsLane, Task, first_words
from trailblazer.lanes.items.source import read_spooled, spool_items
from trailblazer.lanes.items.words import UNSAID, read_limits, read_task
from trailblazer.plain import one_line
from trailblazer.processes.children import Children, ask_git
from trailblazer.record import folder as record
from trailblazer.record import proof
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import FAILED, GOOD, Item, Status
from trailblazer.reports.failures import table_of_failures
from trailblazer.reports.progress import Progress
from trailblazer.reports.results import ItemTelling
from trailblazer.reports.summary import SummaryKeeper, write_summary
from trailblazer.streams import tell

ITEMS = "items.ndjson"


def carry_out_items(words: argparse.Namespace) -> int:
    """Spool the items, try the first, run the rest, prove; return the exit code."""
    again = words.resume or words.retry_failed
    config = load_config()
    earlier: Mapping[str, Any] = {}
    if again:
        if words.items or words.command or words.template or words.provider:
            raise WordsWrong("a batch that is gone on with has its items and command", "Leave them out.")
        folder = record.find_folder(config.places, again)
        earlier = record.read_manifest(folder)["parameters"].get("words", {})
        if not earlier:
            raise PlanUnusable(f"dispatch {folder.name} is no batch", "trailblazer dispatch --resume goes on with it.")
    said = {name: value for name in UNSAID if (value := getattr(words, name)) not in (None, [])}
    how: dict[str, Any] = {**UNSAID, **earlier, **said}
    if how["max_workers"] is None:
        how["max_workers"] = config["dispatch.workers"]
    limits = read_limits(how)
    task = read_task(how)
    people = Words(config.places.logs / "dispatcher.out", quiet=words.quiet)
    if words.dry_run:
        return _tell_dry_run(words, task, record.find_folder(config.places, again) / ITEMS if again else None, how)
    if again:
        opened = record.reopen_record(folder)
        opened.publish(workers=how["max_workers"])
        people.say(f"Resuming batch {opened.dispatch_id}: {opened.standing.good} of {opened.standing.planned} good")
    else:
        opened = _open(words, config, how, people)
    return _carry_out(opened, task, limits, how, people, only_failed=bool(words.retry_failed))


def _spool(words: argparse.Namespace, how: Mapping[str, Any], target: Path) -> tuple[int, str]:
    """Write the items where they stay, and return how many there are and where they came from."""
    if words.items in (None, "-"):
        if sys.stdin.isatty():
            raise WordsWrong("there are no items", "--items FILE, or give them on stdin.")
        return spool_items(sys.stdin.buffer, "stdin", how["format"], target), "stdin"
    file = Path(words.items).expanduser()
    try:
        with file.open("rb") as opened:
            return spool_items(opened, str(file), how["format"], target), str(file)
    except OSError as error:
        raise PlanUnusable(f"cannot read the items {file}: {error.strerror}", "Look at that path.") from error


def _open(words: argparse.Namespace, config: Config, how: dict[str, Any], people: Words) -> Record:
    draft = make_folder(config.places.dispatches) / f".items-{os.getpid()}.ndjson"
    count, source = _spool(words, how, draft)
    seed = {
        "planPreflightDir": None,
        "planFileUsed": source,
        "runsPlanned": count,
        "provider": how["provider"] or "command",
        "model": None,
        "dimension": None,
        "workers": how["max_workers"],
        "batchSize": None,
        "gitCommit": ask_git(config.places.root, "rev-parse", "--short", "HEAD") or None,
        "qaDir": None,
        "notes": how["notes"],
        "mode": "batch",
    }
    for name in ("template", "expect_schema"):
        how[name] = str(Path(how[name]).expanduser().resolve()) if how[name] else None
    parameters = {"lane": "items", "words": {name: how[name] for name in UNSAID}}
    opened = record.open_record(config.places, seed, planned=count, parameters=parameters)
    draft.replace(opened.folder / ITEMS)
    inputs = [{"name": ITEMS, "uri": source, "digest": {"sha256": proof.digest(opened.folder / ITEMS)}}]
    inputs += [
        proof.archive_file(Path(how[name]), opened.folder / "inputs")
        for name in ("template", "expect_schema")
        if how[name]
    ]
    opened.publish(inputs=inputs)
    people.say(f"Batch {opened.dispatch_id}: {count} items from {source}, {how['max_workers']} at once", "green")
    return opened


def _items(folder: Path, shuffle: bool) -> Iterator[Item]:
    """Yield the items, streamed; shuffled by their places in the file, of which one number an item is held."""
    file = folder / ITEMS
    if not shuffle:
        for index, value in enumerate(read_spooled(file)):
            yield Item(index, _name(value, index), value)
        return
    from array import array

    places = array("q")
    with file.open("rb") as opened:
        position = 0
        for line in opened:
            places.append(position)
            position += len(line)
        order = array("q", range(len(places)))
        random.shuffle(order)
        for index in order:
            opened.seek(places[index])
            value = json.loads(opened.readline())
            yield Item(index, _name(value, index), value)


def _name(value: Any, index: int) -> str:
    """Return how an item is called in words and events: its id, its text, or its number."""
    named = value.get("id") if isinstance(value, dict) else value
    return one_line(str(named), 80).encode("utf-8", "replace").decode() if named is not None else f"task_{index}"


def _carry_out(
    opened: Record, task: Task, limits: Limits, how: Mapping[str, Any], people: Words, *, only_failed: bool
) -> int:
    children = Children()
    progress = Progress(people, interval=how["monitor_interval"])
    emitter = Emitter(
        "items", "items", opened.folder / "events.ndjson", to_stdout=not how["results"], dispatch_id=opened.dispatch_id
    )
    lane = ItemsLane(task, opened, children)
    telling = ItemTelling(progress, emitter, opened.folder, how["results"], keeps_order=how["keep_order"])
    emitter.emit("dispatch.start", "start", planned=opened.standing.planned)

    tried = -1

    def waiting() -> Iterator[Item]:
        for item in _items(opened.folder, how["shuffle"]):
            status = opened.standing.of(item.index)
            if item.index != tried and status not in GOOD and (not only_failed or status in FAILED):
                yield item

    with SummaryKeeper(opened.folder):
        closing = Closing(0)
        if not how["skip_preflight"] and not opened.standing.settled:
            alone = dataclasses.replace(limits, slots=1)
            closing = _try_first(opened, lane, children, alone, telling, how, progress)
            tried = 0
        if closing.exit_code:
            limits.stopping.set()
        rest = carry_out(waiting(), lane, opened, children, limits, telling)
        closing = closing if closing.exit_code else rest
    lane.close()
    closing = _tell_rest(telling, closing)
    progress.end(opened.standing)
    emitter.emit("dispatch.complete", "complete", exit_code=closing.exit_code, counts=record.counts_of(opened.standing))
    emitter.close()
    for line in table_of_failures(opened.folder) if opened.standing.failed else ():
        people.say(line)
    code = close_dispatch(opened, closing, people, "trailblazer batch run")
    if opened.standing.failed:
        people.say(f"Try the failed ones again: trailblazer batch run --retry-failed {opened.dispatch_id}")
    return code


def _tell_rest(telling: ItemTelling, closing: Closing) -> Closing:
    try:
        telling.end()
    except StorageTrouble as trouble:
        return Closing(trouble.exit_code, trouble.what, trouble.hint)
    return closing


def _try_first(
    opened: Record,
    lane: ItemsLane,
    children: Children,
    alone: Limits,
    telling: ItemTelling,
    how: Mapping[str, Any],
    progress: Progress,
) -> Closing:
    """Run the first item alone, show what it made, and return how the batch ends here, or exit code 0 to go on."""
    first = next(_items(opened.folder, shuffle=False))
    closing = carry_out([first], lane, opened, children, alone, telling)
    if closing.exit_code >= 128 or alone.stopping.is_set():
        return closing
    is_good = opened.standing.of(0) is Status.SUCCESS
    said = first_words(opened.folder, 0, opened.attempts[0], 500)
    progress.say(f"Pre-flight: {first.id}: {'success' if is_good else 'failed'}: {said}", "green" if is_good else "red")
    others = opened.standing.planned - 1
    decision = how["preflight"] or ("ask" if sys.stderr.isatty() else "stop")
    if not others or decision == "go" or (is_good and (decision == "stop" or how["yes"])):
        return Closing(0)
    if decision == "ask" and _is_agreed(others):
        return Closing(0)
    why = "the first item failed in pre-flight" if not is_good else "not gone on with after pre-flight"
    return Closing(
        GateClosed.exit_code, f"{why}; the other {others} were not run", "Go on all the same: --preflight go."
    )


def _is_agreed(others: int) -> bool:
    try:
        with open("/dev/tty", "r+b", buffering=0) as terminal:  # noqa: PTH123 - unbuffered, both ways
            terminal.write(f"Go on with the other {others} items? [y/N] ".encode())
            return terminal.readline().strip().lower() in {b"y", b"yes"}
    except OSError:
        return False


def _tell_dry_run(words: argparse.Namespace, task: Task, spooled: Path | None, how: Mapping[str, Any]) -> int:
    import shlex
    import tempfile

    with tempfile.TemporaryDirectory(prefix="trailblazer-") as name:
        file = spooled or Path(name) / ITEMS
        count = sum(1 for _ in read_spooled(file)) if spooled else _spool(words, how, file)[0]
        for index, value in enumerate(read_spooled(file)):
            if index == 10:
                break
            known = {"item": value, "index": index, "task_id": f"task_{index}", "attempt": 1}
            known |= {
                "output_file": f"task_{index}/attempt_1/output",
                "prompt_file": f"task_{index}/attempt_1/prompt.md",
            }
            print(shlex.join(render(known) for render in task.words))
    tell(f"dry run: {count} items; nothing was run\n")
    return 0


def print_summary(name: str) -> int:
    """Make the summary of a dispatch from its journal; print where it is. A sealed folder's is not touched."""
    folder = record.find_folder(load_config().places, name)
    if not (folder / proof.SEAL).is_file():
        write_summary(folder)
    print(folder / "summary.json")
    return 0
