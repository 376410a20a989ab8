"""The output of one item, and a monitor that waits, follows a resume and counts what it does not show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dispatch.steered import wait_for
from lanes.embed.project import TRAILBLAZER
from lanes.items.batches import Batches
from lanes.items.held import HOLD, held

SAYS = "echo out of {}; echo err of {} >&2; [ {} != bad ] || exit 3"


@pytest.fixture
def said(batches: Batches) -> Batches:
    """A batch that has ended: its items said something, one of them failed."""
    (batches.folder / "ids").write_text("one\nbad\n0\n")
    done = batches.run("batch", "run", "--items", "ids", "--preflight", "go", "--", "sh", "-c", SAYS)
    assert 6 == done.code, done.err
    assert "Error: bad: exit 3: err of bad [task_1]\n" in done.err
    return batches


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["one"], "out of one\n"),
        (["task_1"], "out of bad\n"),
        (["1", "--stderr"], "err of bad\n"),
        (["0"], "out of 0\n"),  # an id comes before a number
        (["task_0"], "out of one\n"),
        (["latest", "bad", "--stderr", "--attempt", "1"], "err of bad\n"),
    ],
)
def test_the_output_of_an_item_is_printed(said: Batches, words: list[str], out: str) -> None:
    """An item is named by its id, its number or its task; stderr and an attempt are chosen by flags."""
    done = said.run("log", *words)
    assert (0, out, "") == (done.code, done.out, done.err)


@pytest.mark.parametrize("words", [["nobody"], ["one", "--attempt", "2"], ["missing", "one"], ["task_99"]])
def test_what_is_not_there_is_exit_4(said: Batches, words: list[str]) -> None:
    """An unknown item, attempt or dispatch is refused in one line with a hint."""
    done = said.run("log", *words)
    assert (4, "") == (done.code, done.out)
    assert done.err.startswith("log: ")


def test_a_link_in_the_place_of_a_log_is_not_followed(said: Batches) -> None:
    """An item that replaces its log by a link, or by a pipe, makes nobody read something else, or wait."""
    log = said.attempt() / "worker.stdout"
    log.unlink()
    log.symlink_to("/etc/passwd")
    assert (4, "") == ((done := said.run("log", "one")).code, done.out)
    log.unlink()
    os.mkfifo(log)
    assert (4, "") == ((done := said.run("log", "one")).code, done.out)


def test_follow_ends_with_the_attempt(batches: Batches) -> None:
    """--follow prints what comes, waits for an item that has not begun, and ends when its attempt has ended."""
    (batches.folder / "ids").write_text("a\nb\n")
    command = "echo begun; " + HOLD + "; echo ended"
    flags = ["--skip-preflight", "--max-workers", "1"]
    with (
        batches.running("batch", "run", "--items", "ids", *flags, "--", "sh", "-c", command),
        following(batches, "a") as first,
        following(batches, "b") as second,
    ):
        assert first.stdout is not None
        assert "begun\n" == first.stdout.readline()
        assert first.poll() is None
        for name in ("a", "b"):
            (batches.folder / f"go.{name}").touch()
        assert "ended\n" == first.communicate(timeout=60)[0]
        assert "begun\nended\n" == second.communicate(timeout=60)[0]
    assert [0, 0] == [first.returncode, second.returncode]


@contextmanager
def following(batches: Batches, item: str) -> Iterator[subprocess.Popen[str]]:
    """Follow the output of an item of a batch that has a folder."""
    wait_for(lambda: batches.journal, "the batch to have a folder")
    with batches.running("log", item, "--follow") as process:
        yield process


def test_latest_is_a_link_to_the_newest_dispatch(said: Batches) -> None:
    """var/logs/dispatch/latest leads to the dispatch that was started last, and is itself no dispatch."""
    link = said.var / "logs" / "dispatch" / "latest"
    assert said.dispatch == link.resolve()
    assert not link.readlink().is_absolute()
    second = said.run("batch", "run", "--items", '["x"]', "--", "true")
    assert 0 == second.code, second.err
    assert said.dispatch == link.resolve()
    assert 0 == said.run("verify", str(link)).code


def test_the_monitor_waits_for_a_dispatch_to_start(batches: Batches) -> None:
    """A monitor that was started first shows the dispatch that starts after it, to its end."""
    with batches.running("monitor", "--json", "--interval", "0.05") as monitor:
        assert monitor.stderr is not None
        assert "monitor: waiting for a dispatch to start\n" == monitor.stderr.readline()
        done = batches.run("batch", "run", "--items", '["x"]', "--", "true")
        assert 0 == done.code, done.err
        out, _ = monitor.communicate(timeout=60)
    last = json.loads(out.splitlines()[-1])
    assert (0, batches.dispatch.name, "finished", 1) == (
        monitor.returncode, last["dispatchId"], last["status"], last["done"],
    )  # fmt: skip


def test_the_monitor_follows_the_dispatch_that_is_resumed(batches: Batches) -> None:
    """Where an older dispatch is resumed the monitor shows that one; with --wait it waits for the resume."""
    with held(batches, 3) as one:
        older = batches.dispatch.name
        os.killpg(one.pid, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{one.pid}/fd").exists() or _is_gone(one.pid), "the batch to be killed")
        for number in range(3):
            (batches.folder / f"go.id-{number}").unlink(missing_ok=True)
        with batches.running("monitor", older, "--wait", "60", "--json", "--interval", "0.05") as monitor:
            assert monitor.stderr is not None
            assert "monitor: waiting for a dispatch to start\n" == monitor.stderr.readline()
            with batches.running("batch", "run", "--resume", older) as resumed:
                assert monitor.stdout is not None
                assert "running" == json.loads(monitor.stdout.readline())["status"]
                one.let_go(3)
                resumed.communicate(timeout=60)
            last = json.loads(monitor.communicate(timeout=60)[0].splitlines()[-1])
    assert (older, "finished", 3) == (last["dispatchId"], last["status"], last["done"])


def _is_gone(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True).stdout
    return not state.strip() or state.startswith("Z")


def test_a_paused_dispatch_is_shown_as_paused(batches: Batches) -> None:
    """--status and the monitor's line say that a dispatch is paused, and when it no longer is."""
    with held(batches, 3):
        assert 0 == batches.run("control", "pause").code
        assert json.loads(batches.run("dispatch", "--status", "latest").out)["paused"] is True
        assert " running (paused) | " in batches.run("monitor", "--once").out
        assert 0 == batches.run("control", "resume").code
        assert json.loads(batches.run("monitor", "--once", "--json").out)["paused"] is False


def test_the_monitor_ends_at_once_where_it_may_not_wait(batches: Batches) -> None:
    """--once does not wait for a first dispatch: exit 4."""
    words = [*TRAILBLAZER, "monitor", "--once"]
    done = subprocess.run(words, cwd=batches.folder, env=batches.settings(), check=False, capture_output=True)
    assert 4 == done.returncode
