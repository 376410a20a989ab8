"""A batch whose items a test lets end one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dispatch.steered import wait_for
from lanes.items.batches import Batches

HOLD = "while [ ! -e go.{} ]; do sleep 0.02; done"


@contextmanager
def held(batches: Batches, count: int, *flags: str) -> Iterator[Held]:
    """Run a batch of `count` items, 2 at once; each runs until the file `go.ITEM` is there."""
    (batches.folder / "ids").write_text("".join(f"id-{number}\n" for number in range(count)))
    words = ["batch", "run", "--items", "ids", "--skip-preflight", *flags, "--", "sh", "-c", HOLD]
    with batches.running(*words) as process:
        one = Held(batches, process.pid)
        wait_for(lambda: len(one.begun) == min(2, count) and one.socket.exists(), "the first items to run")
        yield one
        one.let_go(count)
        one.code, (_, one.err) = -1, process.communicate(timeout=60)
        one.code = process.returncode


class Held:
    """A batch whose items the test lets end one by one."""

    def __init__(self, batches: Batches, pid: int) -> None:
        self.batches, self.pid, self.code, self.err = batches, pid, -1, ""

    @property
    def begun(self) -> list[str]:
        """The items that have begun, in order."""
        return [line["item"] for line in self.batches.journal if line["kind"] == "start"]

    @property
    def socket(self) -> Path:
        """The socket of the batch."""
        folder = self.batches.dispatch
        return folder.parent / ".control" / f"{folder.name}.sock"

    def let_go(self, count: int) -> None:
        """Let the first `count` items end."""
        for number in range(count):
            (self.batches.folder / f"go.id-{number}").touch()
