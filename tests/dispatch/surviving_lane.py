"""A lane whose work is a process that survives its dispatcher: the handle is a pid, the answer is a file."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from dispatch.scripted_lane import DONE, Answer
from trailblazer.dispatch.lane import Handle, Held, OwnedLane, Running
from trailblazer.record.outcomes import Outcome, Status

WORK = (
    "echo 1 >>diary; echo $$ >working.tmp; mv working.tmp working; while [ ! -e go ]; do sleep 0.05; done; touch answer"
)


class SurvivingLane(OwnedLane):
    """Starts a process in a session of its own, and finds it again."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, held: Sequence[Held]) -> Running:
        """Start the process."""
        process = subprocess.Popen(["sh", "-c", WORK], cwd=self.root, start_new_session=True)
        return _Elsewhere(self.root, held[0], {"pid": process.pid, "kind": "elsewhere"})

    def find(self, held: Sequence[Held], handle: Handle) -> Running | None:
        """Find the process by its handle."""
        return _Elsewhere(self.root, held[0], handle) if handle.get("kind") == "elsewhere" else None


class _Elsewhere:
    def __init__(self, root: Path, held: Held, handle: Handle) -> None:
        self.root, self.held, self.handle, self.over = root, held, handle, False

    def wait(self) -> Iterator[tuple[Held, Answer]]:
        while not self.over and not (self.root / "answer").exists():
            time.sleep(0.02)
        yield self.held, DONE if not self.over else Outcome(Status.CANCELLED, "asked to end")

    def end(self, why: str, grace: float) -> None:  # noqa: ARG002 - the contract's words
        self.over = True
