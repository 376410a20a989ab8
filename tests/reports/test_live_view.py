"""The live view in a real terminal: tmux draws it, and keys and signals reach it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatch.steered import wait_for
from lanes.embed.project import TRAILBLAZER
from lanes.items.batches import Batches
from trailblazer.paths import CONFIG_NAME

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux, which makes terminals, is not installed"),
]
KEYS = "p pause · r resume · d drain · + - workers · ? keys"
HELD = ["sh", "-c", "echo begun; while [ ! -e go ]; do sleep 0.05; done"]


class Pane:
    """A shell in a pane of tmux, in which a batch runs."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        (folder / CONFIG_NAME).parent.mkdir(parents=True)
        (folder / CONFIG_NAME).write_text("dispatch: {workers: 2}\n")
        self.folder, self.batches = folder, Batches(folder, "null")
        self._tmux = ["tmux", "-S", str(folder.parent / "tmux")]
        environment = self.batches.settings(PS1="$ ") | {"LC_ALL": "C.UTF-8"}
        environment.pop("NO_COLOR", None)
        size = ["-x", str(width), "-y", str(height)]
        words = [*self._tmux, "-u", "-f", os.devnull, "new-session", "-d", *size, "sh"]
        subprocess.run(words, cwd=folder, env=environment, check=True)

    def tmux(self, *words: str) -> str:
        """Return what tmux answers."""
        return subprocess.run([*self._tmux, *words], check=False, capture_output=True, text=True).stdout

    @property
    def screen(self) -> str:
        """What the pane shows."""
        return self.tmux("capture-pane", "-p")

    def type(self, *keys: str) -> None:
        """Type keys, each a name of tmux's or a text."""
        self.tmux("send-keys", *keys)

    def start(self, count: int, *flags: str, before: str = "") -> None:
        """Start a batch whose items wait for the file `go`."""
        (self.folder / "ids").write_text("".join(f"item-{number}\n" for number in range(count)))
        words = [*TRAILBLAZER, "batch", "run", "--items", "ids", "--skip-preflight", *flags, "--", *HELD]
        self.type(f"{before} {shlex.join(words)}".strip(), "Enter")

    def wait_shown(self, *texts: str) -> str:
        """Return the screen when it holds all of these."""
        wait_for(lambda: all(text in self.screen for text in texts), f"{texts} on the screen:\n{self.screen}")
        return self.screen

    def say_modes(self) -> str:
        """Return what a terminal is left as: the modes of a shell that reads, and the cursor."""
        self.type("stty -a > modes.new; mv modes.new modes", "Enter")
        wait_for((self.folder / "modes").exists, "the modes")
        modes = (self.folder / "modes").read_text().replace(";", " ").split()
        return f"{'echo' in modes} {'icanon' in modes} {self.tmux('display-message', '-p', '#{cursor_flag}').strip()}"

    @property
    def pid(self) -> int:
        """The process of the batch."""
        return next(int(line["pid"]) for line in self.batches.journal if line["kind"] == "open")

    def close(self) -> None:
        """End the batch and the shell."""
        (self.folder / "go").touch()
        self.tmux("kill-server")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Pane]:
    """A pane of 80 columns and 24 lines."""
    pane = Pane(tmp_path / "project", 80, 24)
    yield pane
    pane.close()


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Pane]:
    """A pane of 200 columns and 50 lines."""
    pane = Pane(tmp_path / "project", 200, 50)
    yield pane
    pane.close()


def test_the_view_shows_what_runs_and_what_waits(small: Pane) -> None:
    """The view has the state, a bar, the counts, the slots, what runs, and the keys; at the end it is gone."""
    small.start(5)
    shown = small.wait_shown("done 0 · failed 0 · skipped 0 · running 2 · waiting 3", "item-1 ", KEYS)
    assert "0%  0/5 items" in shown
    assert "2 at once" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    (small.folder / "go").touch()
    shown = small.wait_shown("[Progress] 5/5 completed (100%)", "Seal: ")
    assert KEYS not in shown


def test_a_hundred_slots_fit_into_24_lines(small: Pane) -> None:
    """With more items than lines the view says how many it does not show, and fills no more than the screen."""
    small.start(150, "--max-workers", "100")
    shown = small.wait_shown("running 100 · waiting 50", " more that run", KEYS)
    rows = sum(line.startswith("item-") for line in shown.splitlines())
    assert f"… and {100 - rows} more that run" in shown
    assert 10 <= rows <= 20


def test_a_large_terminal_is_used(large: Pane) -> None:
    """In 50 lines there is room for 30 items and more."""
    large.start(60, "--max-workers", "30")
    shown = large.wait_shown("running 30 · waiting 30", "item-29 ", KEYS)
    assert "more that run" not in shown


def test_the_view_is_whole_after_a_resize(large: Pane) -> None:
    """When the terminal gets smaller, and larger again, there is one view, and it fits."""
    large.start(60, "--max-workers", "30")
    large.wait_shown("running 30 · waiting 30", KEYS)
    for width, height in ((80, 24), (120, 40)):
        large.tmux("resize-window", "-x", str(width), "-y", str(height))
        wait_for(lambda: 1 == large.screen.count(KEYS) == large.screen.count("running 30 ·"), "one whole view")


def test_keys_steer_the_dispatch(small: Pane) -> None:
    """p pauses, r resumes, + and - change the workers, ? lists the keys, d drains; the journal has each of them."""
    small.start(9)
    small.wait_shown("running 2 ·", KEYS)
    for key, shown in (
        ("p", "PAUSED: nothing new starts"),
        ("+", "3 at once instead of 2"),
        ("r", "running 3 ·"),
        ("-", "2 at once instead of 3"),
        ("?", "Ctrl-C end what runs, then end"),
        ("d", "ending: nothing more starts"),
    ):
        small.type(key)
        small.wait_shown(shown)
    (small.folder / "go").touch()
    small.wait_shown("Exit 130: drained by ")
    steered = [line["action"] for line in small.batches.journal if line["kind"] == "steer"]
    assert ["pause", "workers", "resume", "workers", "drain"] == steered
    assert "True True 1" == small.say_modes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_restores_the_terminal(small: Pane, number: int) -> None:
    """After Ctrl-C or TERM the view is gone, what is typed is echoed, and the cursor is there."""
    small.start(5)
    small.wait_shown("running 2 ·", KEYS)
    if number == signal.SIGINT:
        small.type("C-c")
    else:
        os.kill(small.pid, number)
    shown = small.wait_shown(f"Exit {128 + number}: interrupted", "To resume: ")
    assert KEYS not in shown
    assert "True True 1" == small.say_modes()


def test_no_color_takes_the_colour_and_not_the_view(small: Pane) -> None:
    """With NO_COLOR the same view is drawn without colour."""
    small.start(5, before="NO_COLOR=1")
    small.wait_shown("running 2 · waiting 3", KEYS)
    assert [] == re.findall(r"\x1b\[(?:3[0-7]|4[0-7]|9\d)m", small.tmux("capture-pane", "-p", "-e"))


def test_usr1_prints_the_state(small: Pane) -> None:
    """SIGUSR1 prints a line for the dispatch and one for each item that runs, and nothing else happens."""
    small.start(5)
    small.wait_shown("running 2 ·", KEYS)
    os.kill(small.pid, signal.SIGUSR1)
    small.wait_shown(" running | 0/5 (0%) | running 2 | done 0", "item-0 (task_0) attempt 1: ")
    (small.folder / "go").touch()
    small.wait_shown("[Progress] 5/5 completed (100%)")


def test_without_a_terminal_rich_is_not_imported(batches_elsewhere: Batches) -> None:
    """A dispatch without a terminal draws nothing and does not load what draws."""
    batches_elsewhere.folder.joinpath("ids").write_text("a\n")
    done = batches_elsewhere.run("batch", "run", "--items", "ids", "--", "true", PYTHONPROFILEIMPORTTIME="1")
    assert 0 == done.code
    assert "[Progress] 1/1 completed (100%)" in done.err
    assert "| rich" not in done.err


@pytest.fixture
def batches_elsewhere(tmp_path: Path) -> Batches:
    """A project without a terminal."""
    (tmp_path / CONFIG_NAME).parent.mkdir(parents=True)
    (tmp_path / CONFIG_NAME).write_text("dispatch: {workers: 2}\n")
    return Batches(tmp_path, "null")
