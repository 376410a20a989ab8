"""How a dispatch stands, read from its folder by another process; nothing is asked of the one that carries it out."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.config import load_config
from trailblazer.errors import DocumentInvalid
from trailblazer.plain import one_line
from trailblazer.record.folder import JOURNAL, find_folder
from trailblazer.record.journal import read_written
from trailblazer.record.lines import Closed, LeftRunning, Line, Postponed, Resumed, Retried, Settled, Started
from trailblazer.record.manifest import RUNNING, Manifest, read_manifest
from trailblazer.record.outcomes import FAILED, Status
from trailblazer.record.standing import Standing
from trailblazer.reports.progress import in_words, percent

RECENT = 12
PROGRESS = "progress.json"


@dataclass(frozen=True, slots=True)
class Running:
    """An attempt that has begun and not been settled."""

    item: str
    attempt: int
    since: datetime


class Watch:
    """Follows one dispatch folder. `read` takes in what the journal has grown by and returns how it stands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.standing = Standing()
        self.running: dict[int, Running] = {}
        self.failures: list[tuple[str, str]] = []
        self.recent: list[datetime] = []
        self.work: dict[str, Any] | None = None
        self._position = 0

    def read(self) -> dict[str, Any]:
        """Return how the dispatch stands now, as `dispatch --status` prints it."""
        manifest = read_manifest(self.folder)
        for written in read_written(self.folder / JOURNAL, self._position, head=None):
            self._position = written.place + written.size
            self.standing.follow(written.line, written.place)
            self._follow(written.line)
        self.work = _read_work(self.folder)
        return self._status(manifest)

    def _follow(self, line: Line) -> None:
        moment = datetime.fromisoformat(line.at)
        match line:
            case Started():
                self.running[line.index] = Running(line.item, line.attempt, moment)
            case Resumed() | Closed():
                self.running.clear()
            case Retried() | Postponed() | LeftRunning():
                self.running.pop(line.index, None)
            case Settled():
                self.running.pop(line.index, None)
                outcome = line.outcome
                if outcome.status is not Status.CANCELLED:
                    self.recent = [*self.recent[-99:], moment]
                if outcome.status in FAILED:
                    self.failures = [*self.failures[1 - RECENT :], (line.item, outcome.reason)]

    def _status(self, manifest: Manifest) -> dict[str, Any]:
        now = datetime.now(UTC)
        standing = self.standing
        started = datetime.fromisoformat(manifest.started_on)
        ended = datetime.fromisoformat(manifest.finished_on) if manifest.finished_on else now
        is_running = manifest.status == RUNNING
        rate = self._rate(now if is_running else ended)
        oldest = min(self.running.values(), key=lambda running: running.since, default=None)
        left = standing.unrun / rate if rate else None
        done, planned, unit = standing.completed, standing.planned, "items"
        if self.work is not None:
            done, planned, unit, left = (self.work[name] for name in ("done", "planned", "unit", "etaSeconds"))
            rate = (self.work["ratePerMinute"] or 0) / 60
        return {
            "dispatchId": self.folder.name,
            "status": "lost" if manifest.is_lost else manifest.status,
            "planned": standing.planned,
            "completed": standing.completed,
            "running": len(self.running),
            "done": standing.good,
            "skipped": standing.counts[Status.SKIPPED],
            "failed": standing.failed,
            "cancelled": standing.counts[Status.CANCELLED],
            "waiting": max(0, standing.unrun - len(self.running)),
            "work": {"unit": unit, "planned": planned, "done": done, "percent": percent(done, planned)},
            "ratePerMinute": round(60 * rate, 2) if rate else None,
            "etaSeconds": round(left) if left is not None and is_running else None,
            "runtimeSeconds": round((ended - started).total_seconds(), 1),
            "oldestRunning": oldest
            and {
                "item": oldest.item,
                "attempt": oldest.attempt,
                "seconds": round((now - oldest.since).total_seconds(), 1),
            },
            "exitCode": manifest.exit_code,
            "reason": manifest.reason,
            "folder": str(self.folder),
        }

    def _rate(self, now: datetime) -> float | None:
        """Return items completed a second, over the last hundred; cancelled items do not count."""
        if not self.recent:
            return None
        seconds = (now - self.recent[0]).total_seconds()
        return len(self.recent) / seconds if seconds > 0 else None


def _read_work(folder: Path) -> dict[str, Any] | None:
    """Return what progress.json says of the work behind the items (E11), None where a lane writes none."""
    try:
        document: dict[str, Any] = json.loads((folder / PROGRESS).read_bytes())
        schemas.check_shape("progress", document, PROGRESS)
    except (OSError, ValueError, AttributeError, DocumentInvalid):
        return None
    return document


def status_line(status: dict[str, Any]) -> str:
    """Return how a dispatch stands as one line that suits tmux and a log; percent, rate and ETA are of the work."""
    oldest, work = status["oldestRunning"], status["work"]
    parts = [
        f"{status['dispatchId']} {status['status']}",
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
        print(json.dumps(status) if as_json else status_line(status), flush=True)
        if once or status["status"] != RUNNING:
            return
        time.sleep(interval)


def draw(folder: Path, *, interval: float) -> None:
    """Keep a live screen of the dispatch until it has ended."""
    from rich.live import Live

    watch = Watch(folder)
    with contextlib.suppress(KeyboardInterrupt), Live(auto_refresh=False) as live:
        while True:
            status = watch.read()
            live.update(_screen(watch, status), refresh=True)
            if status["status"] != RUNNING:
                return
            time.sleep(interval)


def _screen(watch: Watch, status: dict[str, Any]) -> Any:
    from rich.console import Group
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Text(status_line(status), overflow="ellipsis", no_wrap=True)
    bar = Padding(
        ProgressBar(total=max(1, status["work"]["planned"]), completed=status["work"]["done"]), 0
    )  # a bar alone ends no line
    now = datetime.now(UTC)
    parts = {one["item"]: f"{percent(one['done'], one['of'])}%" for one in (watch.work or {}).get("running", ())}
    running = Table("running", "attempt", "for", "done", box=None, header_style="bold")
    for one in sorted(watch.running.values(), key=lambda running: running.since)[:RECENT]:
        running.add_row(
            Text(one_line(one.item, 80)),
            str(one.attempt),
            in_words((now - one.since).total_seconds()),
            parts.get(one.item, ""),
        )
    failed = Table("failed", "reason", box=None, header_style="bold red")
    for item, reason in watch.failures:
        failed.add_row(Text(one_line(item, 60)), Text(one_line(reason, 200)))
    return Group(head, bar, running, *([failed] if watch.failures else []))


def print_status(name: str) -> int:
    """Print how a dispatch stands as one JSON object; the exit code is 0 whatever it says."""
    folder = find_folder(load_config().places, name)
    print(json.dumps(Watch(folder).read(), indent=2))
    return 0
