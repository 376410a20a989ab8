"""Events for machines and words for people: one line each, complete, and never mixed (G2, G3)."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from trailblazer import schemas, streams
from trailblazer.errors import StorageTrouble
from trailblazer.events import LARGEST_FILE, Console, Emitter, runs_events

TALKER = """
import sys
from pathlib import Path
from trailblazer.events import Emitter, Console
emitter = Emitter("embed", "embed", None, to_stdout=True)
emitter.emit("runs.claim", "start", run_id="r", attempt=1)
Console().say("so it is", "green")
"""


def _events(file: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in file.read_text().splitlines()]
    for event in found:
        schemas.check("event", event, str(file))
    return found


def test_an_event_says_when_who_what_and_where(tmp_path: Path) -> None:
    """G2: every event has ts, run_id, phase, component, level, pid and a number that grows, and fits its schema."""
    emitter = Emitter("runs", "chunk", tmp_path / "logs" / "events.ndjson", dispatch_id="20261120T223000Z")
    emitter.emit("runs.claim", "start", run_id="r", attempt=2)
    emitter.emit("runs.settle", "complete", level="error", run_id="r", msg="no\x1b[2J\nmore " + "x" * 9_000)
    emitter.close()
    emitter.emit("runs.settle", "complete")
    first, second = _events(tmp_path / "logs" / "events.ndjson")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(first.pop("ts")))
    assert {
        "v": 1,
        "seq": 1,
        "run_id": "r",
        "level": "info",
        "event": "runs.claim",
        "action": "start",
        "worker_id": None,
        "phase": "chunk",
        "component": "runs",
        "pid": os.getpid(),
        "dispatch_id": "20261120T223000Z",
        "attempt": 2,
    } == first
    assert (2, "error", True) == (second["seq"], second["level"], str(second["msg"]).startswith("no^[[2J more xxx"))
    assert 0o600 == (tmp_path / "logs" / "events.ndjson").stat().st_mode & 0o777


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(msg=some.text(some.characters()), run_id=some.text(some.characters(exclude_categories=["Cs"]), max_size=9))
def test_whatever_an_event_says_is_one_line(tmp_path: Path, msg: str, run_id: str) -> None:
    """G2: no text breaks a line of NDJSON."""
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"")
    emitter = Emitter("runs", "chunk", file)
    emitter.emit("runs.claim", "start", run_id=run_id, msg=msg)
    emitter.close()
    assert (1, True) == (file.read_bytes().count(b"\n"), file.read_bytes().endswith(b"\n"))
    assert run_id == json.loads(file.read_bytes())["run_id"]


def test_many_threads_and_emitters_write_whole_lines(tmp_path: Path) -> None:
    """G2: lines of several emitters into one file are whole, and each emitter's are in its order."""
    file = tmp_path / "events.ndjson"
    emitters = [Emitter("runs", "chunk", file, worker_id=str(number)) for number in range(3)]

    def write(emitter: Emitter) -> None:
        for number in range(100):
            emitter.emit("runs.progress", "tick", percent=number)

    threads = [threading.Thread(target=write, args=(emitter,)) for emitter in emitters * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for emitter in emitters:
        emitter.close()
    found = [json.loads(line) for line in file.read_text().splitlines()]
    for number in range(3):
        assert list(range(1, 201)) == [event["seq"] for event in found if event["worker_id"] == str(number)]


def test_a_disk_that_is_full_is_reported() -> None:
    """An event that finds no space is exit 8 with a hint."""
    with pytest.raises(StorageTrouble, match="No space left"):
        Emitter("runs", "chunk", Path("/dev/full")).emit("runs.claim", "start")


def test_a_file_is_put_aside_at_its_limit_and_not_before(tmp_path: Path) -> None:
    """Issue 3: a file of one byte less is written on; at the limit it is put aside, and a new one begun."""
    file = tmp_path / "runs_events.ndjson"
    for size, aside in ((LARGEST_FILE - 1, 0), (LARGEST_FILE, 1)):
        with file.open("wb") as hole:
            hole.truncate(size)
        runs_events(tmp_path, "backlog", to_stdout=False).close()
        found = list(tmp_path.glob("runs_events.*.ndjson"))
        assert ([LARGEST_FILE] * aside, 0 if aside else size) == (
            [kept.stat().st_size for kept in found],
            file.stat().st_size,
        )


def _on_a_terminal(which: str, **environment: str) -> tuple[str, str, str]:
    """Return what the talker says on its terminal (stdout or stderr, as named), on its other stdout, other stderr."""
    own, theirs = pty.openpty()
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {which: theirs}
    known = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM"}}
    with subprocess.Popen(
        [sys.executable, "-c", TALKER],
        stdin=subprocess.DEVNULL,
        stdout=streams["stdout"],
        stderr=streams["stderr"],
        text=True,
        env=known | environment,
    ) as process:
        out, err = process.communicate()
    os.close(theirs)
    try:
        seen = os.read(own, 9999).decode()
    except OSError:  # a terminal on which nothing was said
        seen = ""
    os.close(own)
    return seen.replace("\r\n", "\n"), out or "", err or ""


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TERM": "xterm"}, "\x1b[32mso it is\x1b[0m\n"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "so it is\n"),
        ({"TERM": "xterm", "NO_COLOR": ""}, "\x1b[32mso it is\x1b[0m\n"),
        ({"TERM": "dumb"}, "so it is\n"),
    ],
)
def test_colour_is_for_terminals_that_want_it(environment: dict[str, str], said: str) -> None:
    """G3: words are coloured on a terminal alone, unless NO_COLOR is set; events go to stdout, never among them."""
    seen, out, _ = _on_a_terminal("stderr", **environment)
    assert (said, "runs.claim") == (seen, json.loads(out)["event"])


def test_events_go_where_they_are_asked_for() -> None:
    """Who asks for events on stdout gets them there, also on a terminal; words elsewhere carry no colour."""
    seen, out, err = _on_a_terminal("stdout", TERM="xterm")
    assert ("runs.claim", "", "so it is\n") == (json.loads(seen)["event"], out, err)


def test_the_log_has_the_moment_and_no_colour(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said goes to the log with its moment; `hush` keeps it off stderr alone."""
    log = tmp_path / "logs" / "dispatcher.out"
    Console(log).say("one", "red")
    monkeypatch.setattr(streams, "_is_quiet", True)
    Console(log).say("two\nlines")
    assert "one\n" == capsys.readouterr().err
    assert re.fullmatch(r"20\S+Z one\n20\S+Z two lines\n", log.read_text())
