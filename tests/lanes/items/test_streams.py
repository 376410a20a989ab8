"""Standard streams in a cron job: closed, on a full disk, or read by nobody (P3, P6)."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from lanes.embed.project import TRAILBLAZER
from lanes.items.batches import Batches

CLOSED = ("<&-", ">&-", "2>&-", "<&- >&- 2>&-")


def _in_shell(batches: Batches, words: list[str], how: str) -> subprocess.CompletedProcess[str]:
    """Run trailblazer with the shell's redirection `how`; the exit code is that of trailblazer."""
    line = f"set -o pipefail; {shlex.join([*TRAILBLAZER, *words])} {how}"
    return subprocess.run(
        ["bash", "-c", line],
        env=batches.settings(PYTHONUNBUFFERED=""),  # what a buffer still holds at the end counts
        cwd=batches.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("how", [*CLOSED, "2>/dev/full", ">/dev/full", "| true", ">/dev/full 2>&1"])
def test_a_batch_runs_without_a_reader_of_its_streams(batches: Batches, how: str) -> None:
    """When nobody reads stdout and stderr, the batch is carried out and sealed, and dispatcher.out has its lines."""
    done = _in_shell(batches, batches.words(range(6), "exit", "0", flags="--events -"), how)
    assert 0 == done.returncode, done.stderr
    assert ["success"] * 6 == batches.outcomes
    assert "Traceback" not in done.stderr
    assert 0 == batches.run("verify", "latest").code
    events = (batches.dispatch / "events.ndjson").read_text().splitlines()
    assert "dispatch.complete" in events[-1]
    log = (batches.var / "logs" / "dispatcher.out").read_text()
    assert 1 == log.count("Seal: ")
    is_lost = how.startswith(("|", ">/dev/full"))
    assert int(is_lost) == log.count("Warning: cannot write to stdout")


@pytest.mark.parametrize(("how", "why"), [(">/dev/full", "No space left"), ("| true", "Broken pipe")])
@pytest.mark.parametrize("form", ["json", "csv --keep-order"])
def test_a_batch_that_cannot_write_its_results_stops(batches: Batches, how: str, why: str, form: str) -> None:
    """When results cannot be written the batch stops with exit 8, its record is closed, and a resume finishes it."""
    flags = f"--max-workers 1 --results {form}"
    done = _in_shell(batches, batches.words(range(6), "exit", "0", flags=flags), how)
    assert 8 == done.returncode, done.stderr
    assert f"Exit 8: cannot write to stdout: {why}" in done.stderr
    assert not (batches.dispatch / "traceback.txt").exists()
    assert 8 == batches.manifest["exitCode"]
    assert 0 == batches.run("verify", "latest").code
    assert 0 == batches.run("batch", "run", "--resume").code
    assert ["success"] * 6 == batches.outcomes
    assert [1] * 6 == [item["attempt"] for item in batches.summary["items"]]


def test_a_late_result_that_cannot_be_written_is_an_error(batches: Batches) -> None:
    """When a result that --keep-order holds until the end cannot be written, the exit code is 8."""
    gate = batches.folder / "gate"
    file = batches.folder / "items"
    file.write_text("1\n2\n")
    command = f"test {{{{ item }}}} = 1 || test -e '{gate}'"
    assert 6 == batches.run("batch", "run", "--items", str(file), "--shell", "--", command).code
    gate.touch()
    done = _in_shell(batches, shlex.split("batch run --resume --results csv --keep-order"), ">/dev/full")
    assert 8 == done.returncode, done.stderr
    assert "Exit 8: cannot write to stdout: No space left" in done.stderr
    assert ["success"] * 2 == batches.outcomes
    assert 0 == batches.run("verify", "latest").code


@pytest.mark.parametrize("how", CLOSED)
@pytest.mark.parametrize(("words", "code"), [("config show", 0), ("--help", 0), ("nope", 2), ("batch run -- true", 4)])
def test_a_closed_stream_is_no_bug(batches: Batches, words: str, code: int, how: str) -> None:
    """Each verb has the same exit code when a stream is closed at its start."""
    done = _in_shell(batches, words.split(), how)
    assert code == done.returncode, done.stderr


@pytest.mark.parametrize("words", ["config show", "--help"])
def test_an_answer_that_cannot_be_written_is_an_error(batches: Batches, words: str) -> None:
    """When stdout is on a full disk the exit code is 8, and there is no traceback."""
    done = _in_shell(batches, words.split(), ">/dev/full")
    assert 8 == done.returncode
    assert "cannot write to stdout: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
