"""The folder of one dispatch: its journal, its manifest, its seal, and the lock that one process holds."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.atomic import make_folder, remove_drafts, sync_folder
from trailblazer.errors import AlreadyRunning, PlanUnusable, StorageTrouble
from trailblazer.paths import Places, read_stamp, stamp, timestamp
from trailblazer.processes.lock import Lock
from trailblazer.record import proof
from trailblazer.record.admission import Switch
from trailblazer.record.journal import Journal
from trailblazer.record.lines import (
    Begun,
    Closed,
    Grown,
    LeftRunning,
    Line,
    Opened,
    Postponed,
    Resumed,
    Retried,
    Settled,
    Started,
    Steered,
    Switched,
    Warned,
)
from trailblazer.record.manifest import MANIFEST, RUNNING, Manifest, Seed, read_manifest, this_builder
from trailblazer.record.outcomes import GOOD, Again, Item, Left, Outcome, is_open
from trailblazer.record.standing import Snapshot, Standing, read_standing

JOURNAL = "journal.ndjson"
LATEST = "latest"  # a link to the dispatch that was started last


class Record:
    """One dispatch folder, held by this process alone. Made by `open_record` or `reopen_record`.

    Every fact is one line of the journal first; the standing follows that line.
    """

    def __init__(self, folder: Path, manifest: Manifest, journal: Journal, standing: Standing, lock: Lock) -> None:
        self.folder, self.manifest, self.journal, self.standing = folder, manifest, journal, standing
        self._lock, self._writing, self._is_closed = lock, threading.Lock(), False
        self.retried: set[int] | None = None  # where only failures are tried again: these items
        self._planned_before = standing.planned
        self.listener: Callable[[Line, float], None] = lambda _line, _moment: None  # hears each line and its moment

    @property
    def dispatch_id(self) -> str:
        """The name of the folder."""
        return self.folder.name

    def has_good_result(self, index: int) -> bool:
        """Say whether an item has a good result: then it needs no more attempts."""
        return self.standing.of(index) in GOOD

    def is_due(self, index: int) -> bool:
        """Say whether this process carries an item out: without a good result, and no retry of failures leaves it."""
        is_left = self.retried is not None and index < self._planned_before and index not in self.retried
        return not is_left and not self.has_good_result(index)

    def next_attempt(self, index: int) -> int:
        """Return the number of an item's next attempt. The number of a folder that a power cut left stays unused."""
        number = self.standing.attempt_of(index) + 1
        while self.standing.resumes and os.path.lexists(self.attempt_folder(index, number)):
            number += 1
        return number

    def attempt_folder(self, index: int, attempt: int) -> str:
        """Return the folder of one attempt; the number is in the path, so no two attempts share a file."""
        return f"{self.folder}/task_{index}/attempt_{attempt}"

    def grow(self, planned: int) -> None:
        """Write to the journal that the plan has more items now: `planned` in all. A plan never shrinks."""
        if planned > self.standing.planned:
            self._write(Grown(planned=planned))

    def start(self, item: Item, attempt: int) -> None:
        """Write to the journal that an attempt begins."""
        self._write(Started(item=item.id, index=item.index, attempt=attempt, phase=item.phase))

    def begin(self, attempts: Sequence[Sequence[int]], handle: Mapping[str, Any]) -> None:
        """Write the handle of attempts to the journal. `attempts` are pairs of index and number."""
        self._write(Begun(attempts=attempts, handle=handle))

    def settle(self, item: Item, attempt: int, outcome: Outcome) -> None:
        """Write the outcome of an item to the journal."""
        line = Settled(
            item=item.id, index=item.index, attempt=attempt, status=str(outcome.status), reason=outcome.reason,
            refusal=str(outcome.refusal), phase=item.phase, usage=outcome.usage, details=outcome.details,
        )  # fmt: skip
        self._write(line)

    def retry(self, item: Item, attempt: int, outcome: Outcome, after: float) -> None:
        """Write to the journal that an attempt failed and the item is retried after `after` seconds."""
        line = Retried(
            item=item.id, index=item.index, attempt=attempt, reason=outcome.reason, status=outcome.status.value,
            after=after, usage=outcome.usage, provider=outcome.details.get("provider", ""),
        )  # fmt: skip
        self._write(line)

    def postpone(self, item: Item, attempt: int, again: Again) -> None:
        """Write to the journal that an item goes back to the queue."""
        line = Postponed(
            item=item.id, index=item.index, attempt=attempt, reason=again.reason, after=again.after, usage=again.usage,
            provider=again.provider,
        )  # fmt: skip
        self._write(line)

    def switch(self, one: Switch) -> None:
        """Write to the journal that a provider was switched."""
        line = Switched(
            provider=one.provider, to=one.to.value, reason=one.reason, until=one.until, slots=one.slots, at=timestamp()
        )
        self._write(line)

    def leave(self, item: Item, attempt: int, left: Left) -> None:
        """Write to the journal that an attempt goes on without the dispatcher."""
        self._write(LeftRunning(item=item.id, index=item.index, attempt=attempt, reason=left.reason))

    def warn(self, reason: str, item: Item | None = None) -> None:
        """Write a warning to the journal. It settles nothing."""
        self._write(Warned(reason=reason, item=item.id if item else None))

    def steer(self, line: Steered) -> None:
        """Write to the journal that a person steered the dispatch."""
        self._write(line)

    def _write(self, line: Line) -> None:
        """Write a line, unless the last one was written: what a late thread has to say changes nothing any more."""
        with self._writing:
            if not self._is_closed:
                self.standing.follow(line, self.journal.append(line))
                self._is_closed = isinstance(line, Closed)
                self.listener(line, time.time())

    def snapshot(self) -> Snapshot:
        """Return the standing of this moment, with the journal's head of the same moment."""
        with self._writing:
            return self.standing.snapshot(self.journal.head)

    def publish(self, **changes: Any) -> None:
        """Write the manifest again, with `changes` and the counts of this moment."""
        self.manifest = dataclasses.replace(
            self.manifest,
            counts=self.standing.counted(),
            usage=dict(sorted(self.standing.usage.items())),
            journal_head=self.journal.head,
            **changes,
        )
        schemas.publish("dispatch_manifest", self.manifest.document(), self.folder / MANIFEST)

    def complete(self, exit_code: int, reason: str, *, seal_kept_in: str | None = None) -> None:
        """Write the last line of the journal and complete the manifest."""
        status = "interrupted" if exit_code >= 128 else ("finished" if exit_code in {0, 5, 6} else "failed")
        self._write(Closed(status=status, exit_code=exit_code, reason=reason, at=timestamp()))
        self.journal.commit()
        self.publish(
            status=status, finished_on=timestamp(), exit_code=exit_code, reason=reason, seal_kept_in=seal_kept_in
        )

    def seal(self) -> proof.Seal:
        """Seal the folder and return the seal."""
        return proof.seal(self.folder)

    def close(self) -> None:
        """Close the journal and release the folder."""
        try:
            self.journal.close()
        finally:
            self._lock.free()


def open_record(places: Places, seed: Seed, *, planned: int, parameters: Mapping[str, Any]) -> Record:
    """Make a new dispatch folder with a manifest (status running), and return its record, locked by this process.

    Two dispatches that begin in the same second get different folders.
    """
    folder, lock = _new_folder(places)
    moment = read_stamp(folder.name)
    manifest = Manifest(
        dispatch_ts=moment.isoformat().replace("+00:00", "Z") if moment else timestamp(),
        seed=seed,
        dispatch_id=folder.name,
        started_on=timestamp(),
        builder=this_builder(),
        parameters=dict(parameters),
        traceparent=os.environ.get("TRACEPARENT") or f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00",
    )
    record = Record(folder, manifest, Journal(folder / JOURNAL), Standing(), lock)
    record._write(Opened(dispatch=folder.name, planned=planned, host=os.uname().nodename, pid=os.getpid()))
    record.publish()
    with contextlib.suppress(OSError):  # it only helps people find the folder
        link = places.dispatches / f".{LATEST}.{folder.name}"
        link.symlink_to(folder.name)
        link.replace(places.dispatches / LATEST)
    return record


def reopen_record(
    folder: Path, lock: Lock, *, ended: int = 0, changed: Sequence[str] = (), only_failed: bool = False
) -> Record:
    """Return the record of an earlier dispatch, to resume it: read its standing, and remove its seal.

    `lock` is held already (`hold`), and free again when this fails. The journal keeps how many processes of it were
    `ended`, and what was `changed` in the sealed folder. With `only_failed` no other items are due.
    """
    try:
        manifest = read_manifest(folder)
        standing, _ = read_standing(folder / JOURNAL)
        had_seal = proof.unseal(folder)
        remove_drafts(folder)
        record = Record(folder, manifest, Journal(folder / JOURNAL), standing, lock)
    except BaseException:
        lock.free()
        raise
    if only_failed:
        record.retried = {n for n in range(standing.planned) if is_open(standing.of(n), only_failed=True)}
    own = this_builder()
    line = Resumed(
        unsealed=had_seal, ended=ended, host=own.host, pid=own.pid, changed=tuple(changed), only_failed=only_failed
    )
    record._write(line)
    resumes = (*manifest.resumes, timestamp())
    record.publish(
        status=RUNNING, finished_on=None, exit_code=None, reason="", builder=own, resumes=resumes, seal_kept_in=None
    )
    return record


def _new_folder(places: Places) -> tuple[Path, Lock]:
    make_folder(places.dispatches)
    base = stamp()
    for number in range(1, 1000):
        name = base if number == 1 else f"{base}-{number}"
        try:
            folder = make_folder(places.dispatches / name, exist_ok=False)
        except FileExistsError:
            continue
        sync_folder(places.dispatches)
        return folder, hold(folder)
    raise StorageTrouble(
        f"cannot make a folder in {places.dispatches}",
        "Every name for this second is taken. Run the same command again.",
    )


def hold(folder: Path) -> Lock:
    """Lock a dispatch folder and return the lock. A dispatch that runs is refused with AlreadyRunning."""
    # Beside the folder, not in it: a sealed folder holds nothing that changes.
    locks = make_folder(folder.parent / ".locks")
    return Lock(
        locks / f"{folder.name}.lock",
        AlreadyRunning(f"dispatch {folder.name} is running", "Watch it with `trailblazer monitor`."),
    )


def find_folder(places: Places, name: str) -> Path:
    """Return the dispatch folder that `latest`, a DISPATCH_TS or a path names; an unknown one is PlanUnusable."""
    if name == "latest":
        folders = dispatch_folders(places)
        if not folders:
            raise PlanUnusable(f"there is no dispatch in {places.dispatches}", "To start one: trailblazer dispatch.")
        return folders[-1]
    for folder in (places.dispatches / name, Path(name)):
        if (folder / MANIFEST).is_file():
            return folder.resolve()
    raise PlanUnusable(f"there is no dispatch {name}", f"The dispatches are the folders of {places.dispatches}.")


def dispatch_folders(places: Places) -> list[Path]:
    """Return the dispatch folders that have a manifest, oldest first: by the start that the manifest names."""
    if not places.dispatches.is_dir():
        return []

    found = []
    for folder in places.dispatches.iterdir():
        moment = schemas.read_moment(folder / MANIFEST, "startedOn") or read_stamp(folder.name)
        if moment is not None and not folder.name.startswith(".") and folder.name != LATEST and _has_manifest(folder):
            found.append((moment, len(folder.name), folder.name))
    return [places.dispatches / name for _, _, name in sorted(found)]


def _has_manifest(folder: Path) -> bool:
    """Say whether a folder has a manifest; one that we may not look into counts, and its reader says why."""
    try:
        return (folder / MANIFEST).is_file()
    except PermissionError:
        return True
