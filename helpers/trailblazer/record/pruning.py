"""Finds and deletes what is old in var/logs, except what a running dispatch still writes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from trailblazer.atomic import remove_tree
from trailblazer.errors import AlreadyRunning, DocumentInvalid, storage_trouble
from trailblazer.paths import Places
from trailblazer.record import folder as record
from trailblazer.record.manifest import MANIFEST, RUNNING, read_manifest

GOING = ".pruning-"


def find_old(places: Places, days: float) -> list[Path]:
    """Return what was last written more than `days` days ago: folders of dispatches that ended, and files; sorted."""
    before = time.time() - days * 86400
    folders = [folder for folder in record.dispatch_folders(places) if _written(folder) < before]
    left = list(places.dispatches.glob(f"{GOING}*"))
    loose = [
        *places.logs.glob("embed_env.*.json"),
        *places.logs.glob("runs_events.*.ndjson"),
        *places.reports.glob("*.html"),
    ]
    files = [file for file in loose if file.stat().st_mtime < before and not _is_live(file)]
    return sorted([*(folder for folder in folders if not _is_running(folder)), *left, *files])


def clean_leftovers(places: Places) -> int:
    """Delete what processes of this host left behind when they died, and return how many files that were.

    The items of a batch that was killed before it had a folder, and the settings of embedding workers (E6).
    """
    gone = [file for file in places.logs.glob("embed_env.*.json") if not _is_live(file)]
    for file in places.dispatches.glob(".items-*.ndjson"):
        host, _, pid = file.name.removeprefix(".items-").removesuffix(".ndjson").rpartition("-")
        if host in {"", os.uname().nodename} and pid.isdigit() and not Path("/proc", pid).exists():
            gone.append(file)
    for file in gone:
        file.unlink(missing_ok=True)
    return len(gone)


def remove(places: Places, path: Path) -> bool:
    """Delete a file or a dispatch folder, and say whether it is gone. A folder that is locked stays."""
    try:
        if not path.is_dir():
            path.unlink()
            return True
        if path.name.startswith(GOING):
            remove_tree(path)
            return True
        lock = record.hold(path)
        # Under the new name a half-deleted folder is not a dispatch, and the next prune finds it.
        going = path.with_name(GOING + path.name)
        path.replace(going)
        remove_tree(going)
        (places.dispatches / ".locks" / f"{path.name}.lock").unlink(missing_ok=True)
        (places.dispatches / ".control" / f"{path.name}.sock").unlink(missing_ok=True)
        lock.free()
        latest = places.dispatches / record.LATEST
        if latest.is_symlink() and not latest.exists():
            latest.unlink(missing_ok=True)
    except AlreadyRunning:
        return False
    except OSError as error:
        raise storage_trouble(error, "delete") from error
    return True


def _written(folder: Path) -> float:
    return max(file.stat().st_mtime for file in (folder / MANIFEST, folder / record.JOURNAL) if file.exists())


def _is_running(folder: Path) -> bool:
    """Say whether a dispatch runs, on this host or, by its manifest, on another one."""
    try:
        record.hold(folder).free()
    except AlreadyRunning:
        return True
    try:
        manifest = read_manifest(folder)
    except DocumentInvalid:
        return False
    return manifest.status == RUNNING and not manifest.builder.is_here


def _is_live(file: Path) -> bool:
    """Say whether a file belongs to a live process: embed_env.<PID>.json."""
    number = file.name.split(".")[1]
    return file.name.startswith("embed_env.") and number.isdigit() and Path("/proc", number).exists()
