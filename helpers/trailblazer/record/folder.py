"""The folder of one dispatch: its plan, its journal, and the manifest that stands there from the first second."""

from __future__ import annotations

import os
import secrets
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.atomic import make_folder, remove_drafts, sync_folder, write_whole
from trailblazer.errors import AlreadyRunning, PlanUnusable, StorageTrouble
from trailblazer.paths import Places, read_stamp, stamp, timestamp
from trailblazer.processes.children import Lock, end_leftovers
from trailblazer.processes.identity import Identity, holder_name, is_running, own_identity
from trailblazer.record import proof
from trailblazer.record.journal import Journal, read_journal
from trailblazer.record.outcomes import GOOD, Item, Outcome, Refusal, Standing, Status

MANIFEST = "dispatch_manifest.json"
JOURNAL = "journal.ndjson"
SEED_FIELDS = (
    *("dispatchTs", "planPreflightDir", "planFileUsed", "runsPlanned", "provider", "model", "dimension"),
    *("workers", "batchSize", "gitCommit", "qaDir", "notes", "mode"),
)


@dataclass(slots=True)
class Record:
    """One dispatch folder, held by this process alone. Made by `open_record` or `reopen_record`."""

    folder: Path
    manifest: dict[str, Any]
    journal: Journal
    standing: Standing
    attempts: array[int]
    lock: Lock

    @property
    def dispatch_id(self) -> str:
        """The name of the folder."""
        return self.folder.name

    def has_good_result(self, index: int) -> bool:
        """Say whether an item needs no more attempts."""
        return self.standing.of(index) in GOOD

    def start(self, item: Item, number: int, child: Identity | None) -> None:
        """Write down that an attempt begins, and in which process: who survives us is ended by this line."""
        self.attempts[item.index] = number
        who = {"pid": child.pid, "ticks": child.ticks, "boot": child.boot} if child else {}
        self.journal.append("start", item=item.id, index=item.index, attempt=number, **who)

    def settle(self, item: Item, number: int, outcome: Outcome) -> None:
        """Write an outcome down for good."""
        self.journal.append(
            "settle",
            item=item.id,
            index=item.index,
            attempt=number,
            status=outcome.status.value,
            reason=outcome.reason,
            refusal=outcome.refusal.value,
            **outcome.details,
        )
        self.standing.settle(item.index, outcome)

    def publish(self, **changes: Any) -> None:
        """Write the manifest anew, with what has changed and the counts as they are."""
        self.manifest |= changes
        usage = dict(sorted(self.standing.usage.items()))
        self.manifest |= {"counts": counts_of(self.standing), "usage": usage, "journalHead": self.journal.head}
        schemas.publish("dispatch_manifest", self.manifest, self.folder / MANIFEST)

    def complete(self, exit_code: int, why: str) -> None:
        """Write the last line of the journal and complete the manifest."""
        status = "interrupted" if exit_code >= 128 else ("finished" if exit_code in {0, 5, 6} else "failed")
        self.journal.append("close", status=status, exit_code=exit_code, reason=why)
        self.journal.commit()
        self.publish(status=status, finishedOn=timestamp(), exitCode=exit_code, reason=why)
        self.journal.close()

    def seal(self) -> str:
        """Seal the folder, let go of it, and return the seal's SHA-256."""
        seal = proof.seal(self.folder)
        self.lock.free()
        return seal


def counts_of(standing: Standing) -> dict[str, int]:
    """Return how many items are planned, of each status, and without one, as documents name them."""
    by_status = {status.value: standing.counts[status] for status in Status}
    return {"planned": standing.planned, **by_status, "unrun": standing.unrun}


def open_record(places: Places, seed: Mapping[str, Any], *, planned: int, parameters: Mapping[str, Any]) -> Record:
    """Make a new dispatch folder with a manifest in it (state running), and return it, held by this process.

    `seed` has the fields of E5 but dispatchTs; two dispatches of the same second get folders of their own.
    """
    folder, lock = _new_folder(places)
    moment = read_stamp(folder.name)
    manifest: dict[str, Any] = {"dispatchTs": moment.isoformat().replace("+00:00", "Z") if moment else timestamp()}
    manifest |= {name: seed[name] for name in SEED_FIELDS if name != "dispatchTs"}
    manifest |= {
        "$schema": "https://trailblazer.invalid/schemas/dispatch_manifest.schema.json",
        "dispatchId": folder.name,
        "status": "running",
        "startedOn": timestamp(),
        "finishedOn": None,
        "exitCode": None,
        "reason": "",
        "builder": _builder(),
        "parameters": dict(parameters),
        "inputs": [],
        "outputs": [],
        "counts": {},
        "usage": {},
        "journalHead": "",
        "traceparent": os.environ.get("TRACEPARENT") or f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00",
        "resumes": [],
    }
    record = Record(folder, manifest, Journal(folder / JOURNAL), Standing(planned), array("I", [0]) * planned, lock)
    record.journal.append("open", dispatch=folder.name, planned=planned, host=os.uname().nodename, pid=os.getpid())
    record.publish()
    return record


def _builder() -> dict[str, Any]:
    own = own_identity()
    host = os.uname().nodename
    return {"name": "trailblazer", "host": host, "pid": own.pid, "ticks": own.ticks, "boot": own.boot}


def is_lost(manifest: Mapping[str, Any]) -> bool:
    """Say whether a dispatch was running on this machine, and the process that carried it out is gone."""
    builder = manifest["builder"]
    is_here = builder["host"] == os.uname().nodename
    own = Identity(builder["pid"], builder["ticks"], builder["boot"])
    return manifest["status"] == "running" and is_here and not is_running(own)


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
    raise StorageTrouble(f"cannot make a folder in {places.dispatches}", "A thousand dispatches in one second?")


def hold(folder: Path) -> Lock:
    """Return the lock of a dispatch folder, held; one that is being carried out is refused with AlreadyRunning."""
    # Beside the folder, not in it: a sealed folder holds nothing that changes.
    locks = make_folder(folder.parent / ".locks")
    return Lock(
        locks / f"{folder.name}.lock",
        AlreadyRunning(f"dispatch {folder.name} is being carried out", "Watch it with `trailblazer monitor`."),
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a dispatch; one that breaks its schema is refused."""
    manifest: dict[str, Any] = schemas.read_json(folder / MANIFEST)
    schemas.check("dispatch_manifest", manifest, str(folder / MANIFEST))
    return manifest


def find_folder(places: Places, name: str) -> Path:
    """Return the dispatch folder that `latest`, a DISPATCH_TS or a path means; none is refused (exit 4)."""
    if name == "latest":
        folders = dispatch_folders(places)
        if not folders:
            raise PlanUnusable(f"there is no dispatch in {places.dispatches}", "Start one: trailblazer dispatch.")
        return folders[-1]
    for folder in (places.dispatches / name, Path(name).expanduser()):
        if (folder / MANIFEST).is_file():
            return folder.resolve()
    raise PlanUnusable(f"there is no dispatch {name}", f"The dispatches are the folders of {places.dispatches}.")


def dispatch_folders(places: Places) -> list[Path]:
    """Return the dispatch folders that have a manifest, oldest first."""
    if not places.dispatches.is_dir():
        return []

    def order(folder: Path) -> tuple[Any, int]:
        return read_stamp(folder.name), int(folder.name.partition("-")[2] or 1)

    found = [
        folder for folder in places.dispatches.iterdir() if read_stamp(folder.name) and (folder / MANIFEST).is_file()
    ]
    return sorted(found, key=order)


def reopen_record(folder: Path) -> Record:
    """Return an earlier dispatch to go on with: its standing from the journal, its seal removed, its children ended."""
    lock = hold(folder)
    manifest = read_manifest(folder)
    standing, attempts, left = read_standing(folder)
    ended = end_leftovers(left)
    had_seal = proof.unseal(folder)
    remove_drafts(folder)
    journal = Journal(folder / JOURNAL)
    record = Record(folder, manifest, journal, standing, attempts, lock)
    journal.append("resume", unsealed=had_seal, children_ended=ended, host=os.uname().nodename, pid=os.getpid())
    resumes = [*manifest["resumes"], timestamp()]
    record.publish(status="running", finishedOn=None, exitCode=None, reason="", builder=_builder(), resumes=resumes)
    return record


def read_standing(folder: Path) -> tuple[Standing, array[int], list[Identity]]:
    """Return from a journal how the items stand, their newest attempts, and the processes of unsettled attempts."""
    standing = Standing(0)
    attempts = array("I")
    running: dict[int, Identity] = {}
    for line in read_journal(folder / JOURNAL):
        match line["kind"]:
            case "open":
                standing = Standing(line["planned"])
                attempts = array("I", [0]) * line["planned"]
            case "start":
                attempts[line["index"]] = line["attempt"]
                if "pid" in line:
                    running[line["index"]] = Identity(line["pid"], line["ticks"], line["boot"])
            case "settle":
                running.pop(line["index"], None)
                attempts[line["index"]] = max(line["attempt"], attempts[line["index"]])
                standing.settle(line["index"], _outcome(line))
    return standing, attempts, list(running.values())


def earlier_holders(folder: Path) -> list[str]:
    """Return who carried a dispatch out before the process that holds it now, as host/pid.

    All of them are gone: whoever holds the folder holds its lock, which they held as long as they lived.
    """
    lines = [line for line in read_journal(folder / JOURNAL) if line["kind"] in {"open", "resume"} and "host" in line]
    return [holder_name(line["host"], line["pid"]) for line in lines[:-1]]


def _outcome(line: Mapping[str, Any]) -> Outcome:
    return Outcome(Status(line["status"]), line["reason"], Refusal(line["refusal"]), {"usage": line.get("usage", {})})


def write_plan(folder: Path, items: list[str]) -> None:
    """Write the plan as it is carried out: one id a line, in order."""
    write_whole(folder / "plan.txt", "\n".join(items) + "\n")


def read_plan(folder: Path) -> list[str]:
    """Return the plan of a dispatch, in order."""
    try:
        return (folder / "plan.txt").read_text().splitlines()
    except OSError as error:
        raise PlanUnusable(
            f"cannot read {folder / 'plan.txt'}: {error.strerror}", "That dispatch cannot go on."
        ) from error
