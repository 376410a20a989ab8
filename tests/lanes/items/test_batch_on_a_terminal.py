"""A batch as a person sees it: the question, the live line, and nothing that a worker printed raw (P2, P3, rule 6)."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time

import pytest

from lanes.embed.project import LIMIT, TRAILBLAZER
from lanes.items.batches import Batches

OURS = re.compile(r"\x1b\[\d*[AKJ]|\x1b\[[\d;]*m|\x1b\[\?25[hl]|\r")
QUESTION = "Run the other 3 items? [Y/n] "


class Terminal:
    """A program with a terminal of its own; `shown` is everything that it printed."""

    def __init__(self, batches: Batches, words: list[str], **settings: str) -> None:
        known = batches.settings(**{"TERM": "xterm-256color", **settings})
        if "NO_COLOR" not in settings:
            known.pop("NO_COLOR", None)
        self.shown = ""
        self.pid, self._handle = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests themselves run in the background
            os.chdir(batches.folder)
            os.execve(TRAILBLAZER[0], [*TRAILBLAZER, *words], known)

    def read(self) -> bool:
        """Read what was printed, and say whether there may be more."""
        ready, _, _ = select.select([self._handle], [], [], 1)
        try:
            piece = os.read(self._handle, 65536) if ready else b""
        except OSError:  # the other side is closed
            return False
        self.shown += piece.decode()
        return True

    def wait_for(self, words: str) -> None:
        """Return when a text is shown."""
        deadline = time.monotonic() + LIMIT
        while words not in self.shown:
            assert self.read(), self.shown
            assert time.monotonic() < deadline, self.shown

    def type(self, keys: str) -> None:
        """Type keys."""
        os.write(self._handle, keys.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + LIMIT
        while self.read():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
        os.close(self._handle)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize(
    ("keys", "code", "status"),
    [("y\n", 0, "success"), ("\n", 0, "success"), ("n\n", 6, "cancelled"), ("\x04", 6, "cancelled")],
)
def test_after_the_first_item_a_person_is_asked(batches: Batches, keys: str, code: int, status: str) -> None:
    """After a good first result a question is asked: Enter or y runs the other items, n or Ctrl-D does not (P2)."""
    terminal = Terminal(batches, batches.words(range(4), "exit", "0", "the first result"))
    terminal.wait_for(QUESTION)
    assert re.search(r"(\n|\x1b\[K)(\x1b\[32m)?Pre-flight: 0: success: the first result", terminal.shown)
    terminal.type(keys)
    assert code == terminal.end(), terminal.shown
    assert ["success", *[status] * 3] == batches.outcomes


@pytest.mark.parametrize(("keys", "code"), [("y\n", 6), ("\n", 6)])
def test_after_a_failed_first_item_only_yes_runs_the_rest(batches: Batches, keys: str, code: int) -> None:
    """After a failed first item Enter means no, and only `y` runs the other items (P2)."""
    terminal = Terminal(batches, batches.words(range(4), "exit", "1"))
    terminal.wait_for("Run the other 3 items? [y/N] ")
    terminal.type(keys)
    assert code == terminal.end(), terminal.shown
    assert ["error", *["error" if keys.strip() else "cancelled"] * 3] == batches.outcomes


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_at_the_question_ends_the_batch_in_order(batches: Batches, number: int, code: int) -> None:
    """A signal at the question interrupts the batch and seals it, and a resume runs the other items."""
    terminal = Terminal(batches, batches.words(range(4), "exit", "0"))
    terminal.wait_for(QUESTION)
    if number == signal.SIGINT:
        terminal.type("\x03")
    else:
        os.kill(terminal.pid, number)
    assert code == terminal.end(), terminal.shown
    assert ("interrupted", code) == (batches.manifest["status"], batches.manifest["exitCode"])
    assert {"success": 1, "cancelled": 3}.items() <= batches.manifest["counts"].items()
    assert 0 == batches.run("verify", "latest").code
    again = batches.run("batch", "run", "--resume")
    assert 0 == again.code, again.err
    assert ["success"] * 4 == batches.outcomes


def test_yes_beforehand_asks_nothing(batches: Batches) -> None:
    """With --yes a batch asks nothing after a good first item (P2)."""
    terminal = Terminal(batches, batches.words(range(4), "exit", "0", flags="--yes"))
    assert 0 == terminal.end()
    assert QUESTION not in terminal.shown


def test_a_live_view_shows_progress_and_nothing_raw(batches: Batches) -> None:
    """A view is drawn below the words, and no control character of a worker reaches the terminal (P3, rule 6)."""
    flags = "--preflight go --delay 0.7 --results csv"
    terminal = Terminal(batches, batches.words(["\x1b[2Jx", "y", "z"], "escapes", "1", flags=flags))
    assert 6 == terminal.end()
    assert re.search(r"done .*0.* · .*failed .*1", terminal.shown), terminal.shown
    assert "[Progress] 3/3 completed (100%)" in terminal.shown
    left = OURS.sub("", terminal.shown)
    assert [] == [letter for letter in left if not letter.isprintable() and letter != "\n"]


def test_a_terminal_that_can_nothing_gets_lines(batches: Batches) -> None:
    """With TERM=dumb the output has no escape sequence, and no view."""
    terminal = Terminal(batches, batches.words(range(3), "exit", "1", flags="--preflight go"), TERM="dumb")
    assert 6 == terminal.end()
    assert "\x1b" not in terminal.shown
    assert "[Progress] 3/3 completed (100%)" in terminal.shown


def test_a_closed_terminal_interrupts_the_batch(batches: Batches) -> None:
    """When the terminal closes, the batch ends as interrupted (129) and its items are cancelled (rule 5)."""
    words = batches.words(range(3), "hang", f"{batches.folder}/begun", flags="--skip-preflight")
    terminal = Terminal(batches, words)
    while not (batches.folder / "begun").exists():
        assert terminal.read(), terminal.shown
    os.kill(terminal.pid, signal.SIGHUP)
    assert 129 == terminal.end(), terminal.shown
    assert ["cancelled"] * 3 == batches.outcomes
