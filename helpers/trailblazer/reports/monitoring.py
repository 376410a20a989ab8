"""How a dispatch stands, read from its folder by another process; nothing is asked of the one that carries it out."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.config import load_config
from trailblazer.errors import DocumentInvalid
from trailblazer.plain import one_line
from trailblazer.record.folder import JOURNAL, find_folder
from trailblazer.record.journal import read_written
from trailblazer.record.manifest import RUNNING, Manifest, read_manifest
from trailblazer.record.outcomes import Status
from trailblazer.record.standing import Standing
from trailblazer.reports.answers import print_document
from trailblazer.reports.board import ITEMS, Board, progress_of
from trailblazer.reports.meter import PROGRESS
from trailblazer.reports.progress import in_words, percent
from trailblazer.streams import put_out


class Watch:
    """Follows one dispatch folder. `read` takes in what the journal has grown by and returns how it stands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.board = Board(Standing())
        self.work: dict[str, Any] | None = None
        self.manifest: Manifest | None = None
        self._position = 0

    def read(self) -> dict[str, Any]:
        """Return how the dispatch stands now, as `dispatch --status` prints it."""
        self.manifest = manifest = read_manifest(self.folder)
        for written in read_written(self.folder / JOURNAL, self._position, head=None):
            self._position = written.place + written.size
            self.board.standing.follow(written.line, written.place)
            self.board.follow(written.line, datetime.fromisoformat(written.line.at).timestamp())
        self.work = read_work(self.folder)
        return status_of(self.folder, self.board, manifest, self.work)


def status_of(folder: Path, board: Board, manifest: Manifest, work: dict[str, Any] | None) -> dict[str, Any]:
    """Return how a dispatch stands, as `dispatch --status` and `monitor --json` print it."""
    now, standing = time.time(), board.standing
    started = datetime.fromisoformat(manifest.started_on).timestamp()
    ended = datetime.fromisoformat(manifest.finished_on).timestamp() if manifest.finished_on else now
    is_running = manifest.status == RUNNING
    progress = progress_of(board, work, now if is_running else ended)
    oldest = next(iter(board.oldest(1)), None)
    return {
        "dispatchId": folder.name,
        "status": "lost" if manifest.is_lost else manifest.status,
        "paused": board.standing.is_paused,
        "planned": standing.planned,
        "completed": standing.completed,
        "running": len(board.running),
        "done": standing.good,
        "skipped": standing.counts[Status.SKIPPED],
        "failed": standing.failed,
        "cancelled": standing.counts[Status.CANCELLED],
        "waiting": standing.waiting,
        "work": {
            "unit": progress.unit,
            "planned": progress.planned,
            "done": progress.done,
            "percent": percent(progress.done, progress.planned),
        },
        "ratePerMinute": round(60 * progress.rate, 2) if progress.rate else None,
        "etaSeconds": round(progress.left) if progress.left is not None and is_running else None,
        "runtimeSeconds": round(ended - started, 1),
        "oldestRunning": oldest
        and {"item": oldest.item, "attempt": oldest.attempt, "seconds": round(now - oldest.since, 1)},
        "exitCode": manifest.exit_code,
        "reason": manifest.reason,
        "folder": str(folder),
    }


def read_work(folder: Path) -> dict[str, Any] | None:
    """Return what progress.json says of the work behind the items (E11), None where it counts nothing but items."""
    try:
        document: dict[str, Any] = json.loads((folder / PROGRESS).read_bytes())
        schemas.check_shape("progress", document, PROGRESS)
    except (OSError, ValueError, AttributeError, DocumentInvalid):
        return None
    return None if document["unit"] == ITEMS or not document["planned"] else document


def status_line(status: dict[str, Any]) -> str:
    """Return how a dispatch stands as one line that suits tmux and a log; percent, rate and ETA are of the work."""
    oldest, work = status["oldestRunning"], status["work"]
    parts = [
        f"{status['dispatchId']} {status['status']}{' (paused)' if status['paused'] else ''}",
        f"{status['completed']}/{status['planned']} ({work['percent']}%)",
        f"running {status['running']}",
        f"done {status['done']}",
        f"skipped {status['skipped']}",
        f"failed {status['failed']}",
        *([f"{work['unit']} {work['done']}/{work['planned']}"] if work["unit"] != "items" else []),
        f"rate {status['ratePerMinute'] or 0:.6g}/min",
        f"ETA {in_words(status['etaSeconds']) if status['etaSeconds'] is not None else '-'}",
        f"oldest {one_line(oldest['item'], 60)} {in_words(oldest['seconds'])}" if oldest else "oldest -",
    ]
    return " | ".join(parts)


def print_lines(folder: Path, *, interval: float, once: bool, as_json: bool = False) -> None:
    """Print a line now, and every `interval` seconds until the dispatch has ended."""
    watch = Watch(folder)
    while True:
        status = watch.read()
        if as_json:
            print_document("dispatch_status", status, is_line=True)
        else:
            print(status_line(status), flush=True)
        if once or status["status"] != RUNNING:
            return
        time.sleep(interval)


def draw(folder: Path, *, interval: float) -> None:
    """Keep a live screen of the dispatch until it has ended."""
    from trailblazer.reports.screen import Scene, Screen

    watch, screen = Watch(folder), Screen(sys.stdout)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            status = watch.read()
            assert watch.manifest is not None
            started = datetime.fromisoformat(watch.manifest.started_on).timestamp()
            slots = watch.manifest.seed.workers
            if screen.was_resized():
                screen.forget()
                put_out("\033[H\033[2J")
            screen.draw(Scene(folder, watch.board, status["status"], started, slots=slots, work=watch.work))
            if status["status"] != RUNNING:
                break
            time.sleep(interval)
    screen.forget()
    put_out("\n")


def print_status(name: str) -> int:
    """Print how a dispatch stands as one JSON object; the exit code is 0 whatever it says."""
    folder = find_folder(load_config().places, name)
    print_document("dispatch_status", Watch(folder).read())
    return 0
