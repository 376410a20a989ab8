"""Opens the tracker that the configuration names."""

from __future__ import annotations

import hashlib
from pathlib import Path

from trailblazer.config import Config
from trailblazer.lanes.issues.bd import BdTracker
from trailblazer.lanes.issues.bd_calls import BdCalls
from trailblazer.lanes.issues.claim_files import ClaimFiles
from trailblazer.lanes.issues.holder import is_dead
from trailblazer.lanes.issues.issue_file import FileTracker
from trailblazer.lanes.issues.tracker import IsOver, Tracker

BD = "bd"


def open_tracker(config: Config, is_over: IsOver = is_dead) -> Tracker:
    """Return the tracker of `tracker.source`; nothing is asked before `check`.

    `is_over` decides whether the claim of another process of ours may be taken over.
    """
    source = str(config["tracker.source"])
    lease_seconds = 60.0 * float(config["tracker.lease_minutes"])
    seconds = float(config["tracker.timeout_seconds"])
    folder = config.places.root / Path(config["tracker.folder"] or ".")
    file = config.places.root / source
    digest = hashlib.sha256(str(folder if source == BD else file).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    name = BD if source == BD else file.stem[:100]
    claims = ClaimFiles(config.places.var / "claims" / f"{name}-{digest}", lease_seconds, seconds, is_over)
    if source != BD:
        return FileTracker(file, claims, min(lease_seconds / 4, 300.0))
    calls = BdCalls(tuple(config["tracker.command"]), folder, seconds)
    release = config["tracker.release_command"]
    return BdTracker(calls, claims, lease_seconds, is_over, tuple(release) if release else None)
