"""What a batch prints on stdout where it is no terminal: its answer, and events only where they are asked for."""

from __future__ import annotations

import json

import pytest

from lanes.items.batches import Batches
from trailblazer import schemas

ONE = ["--items", '["x"]', "--skip-preflight", "--", "true"]


def test_the_answer_is_the_folder(batches: Batches) -> None:
    """Without a flag stdout gets one line, the folder of the dispatch, also where items failed (G2)."""
    done = batches.run("batch", "run", *ONE)
    assert (0, f"{batches.dispatch}\n") == (done.code, done.out)
    failed = batches.run("batch", "run", *ONE[:-1], "false")
    assert (6, f"{batches.dispatch}\n") == (failed.code, failed.out)


def test_events_come_where_they_are_asked_for(batches: Batches) -> None:
    """With --events - stdout has the events of the folder, and nothing else (G2)."""
    done = batches.run("batch", "run", "--events", "-", *ONE)
    assert 0 == done.code, done.err
    assert (batches.dispatch / "events.ndjson").read_text() == done.out
    assert {"dispatch.start", "items.settle", "dispatch.complete"} <= {event["event"] for event in done.events}


@pytest.mark.parametrize(("program", "code"), [("true", 0), ("false", 6)])
@pytest.mark.parametrize("flags", [[], ["--events", "-"], ["--results", "json"]])
def test_json_has_a_line_first_and_a_line_last(batches: Batches, flags: list[str], program: str, code: int) -> None:
    """With --json the first line says where the dispatch is and how to reach it, the last how it ended."""
    done = batches.run("batch", "run", "--json", *flags, *ONE[:-1], program)
    first, *between, last = done.events
    for line in (first, last):
        schemas.check("dispatch_line", line, "stdout")
    assert code == done.code, done.err
    assert ("launch", str(batches.dispatch), batches.dispatch.name) == (
        first["event"], first["folder"], first["dispatchId"],
    )  # fmt: skip
    assert first["socket"].endswith(f"/.control/{batches.dispatch.name}.sock")
    assert ("done", code) == (last["event"], last["exitCode"])
    assert bool(flags) == bool(between)


def test_a_refusal_has_no_first_line(batches: Batches) -> None:
    """A batch that is refused before it has a folder prints nothing on stdout."""
    done = batches.run("batch", "run", "--json", "--items", "missing", "--", "true")
    assert (4, "") == (done.code, done.out)


def test_a_line_can_be_parsed_by_a_machine(batches: Batches) -> None:
    """Each line of --json with --events - is one JSON object."""
    done = batches.run("batch", "run", "--json", "--events", "-", *ONE)
    assert [dict] * len(done.out.splitlines()) == [type(json.loads(line)) for line in done.out.splitlines()]
