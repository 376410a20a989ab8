"""Whatever an item leaves is that item's outcome: deep, endless, locked, or no file at all (issue 10: 11, 13, 14)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest

from fixtures.deep import remove
from lanes.embed.project import LIMIT, Finished, says_one_thing
from lanes.items.batches import HOSTILE, Batches
from trailblazer.providers.agents import Agent, Kind, read_answer
from trailblazer.providers.answers import Reading, read_reading
from trailblazer.providers.selectors import events_in, parse

GO = "--skip-preflight "
DEEP = [150, 900, 1020, 200_000]


@pytest.fixture
def swept(batches: Batches) -> Iterator[Batches]:
    """Batches whose folder is deleted without recursion: pytest's own deleting recurses."""
    yield batches
    remove(batches.var)


@pytest.mark.parametrize("depth", DEEP)
def test_output_that_is_nested_deeply_is_that_items_error(batches: Batches, depth: int) -> None:
    """An item whose JSON is nested too deeply fails alone, also where a schema recurses (P4)."""
    schema = batches.folder / "schema.json"
    schema.write_text('{"items": {"$ref": "#"}}')
    flags = f"{GO} --expect-schema {schema}".replace(str(batches.folder), ".")
    done = batches.batch([depth, 1], "nested", "{{ output_file }}", "{{ item }}", flags=flags)
    assert 6 == done.code, done.err
    assert ["error", "success"] == batches.outcomes
    assert batches.why().startswith("the output is not JSON: ")
    assert 0 == batches.run("verify", "latest").code


@pytest.mark.parametrize("depth", DEEP)
def test_what_an_agent_answers_may_be_nested_deeply(depth: int) -> None:
    """Deep JSON in an agent's output is no event and no data, wherever it stands, and nothing recurses."""
    deep = b"[" * depth + b"]" * depth
    assert None is parse(deep)
    event = b'{"type": "result", "result": ' + deep + b"}"
    assert [] == list(events_in(event))
    assert [{"good": 1}] == list(events_in(event + b"\n" + b'{"good": 1}\n'))
    reading: Reading = read_reading({"output": "text"})
    agent = Agent("told", ("told",), (), {}, {}, "stdin", (), "attempt", reading)
    answer = read_answer(agent, deep, b"", 0, None)
    assert (Kind.OK, None) == (answer.kind, answer.data)


@pytest.mark.parametrize("text", ["[" * 200_000, "[" * 200_000 + "]" * 200_000, '[1, {"a": ' * 90_000, "[" + "[" * 500])
@pytest.mark.parametrize("name", ["items.json", "items.ndjson"])
def test_items_that_are_nested_deeply_are_refused(batches: Batches, name: str, text: str) -> None:
    """An items file with a deep value is exit 4 and one line, with its place; no folder is made."""
    file = batches.folder / name
    file.write_text(text + "]" * 501 if len(text) < 1000 else text)
    done = batches.run("batch", "run", "--items", str(file), "--", "true")
    assert 4 == done.code, done.err
    assert says_one_thing(done), done.err
    assert name in done.err
    assert [] == batches.dispatches


def test_folders_in_folders_are_sealed_and_pruned(swept: Batches) -> None:
    """An item may leave 1,500 nested folders: the batch is sealed, verified, carried on and pruned."""
    done = swept.batch(["x"], "tree", "{{ output_file | replace('/output', '') }}", flags=GO)
    assert 0 == done.code, done.err
    assert "Seal: sha256:" in done.err
    assert 0 == swept.run("verify", "latest").code
    assert 0 == swept.run("batch", "run", "--resume", "latest").code
    pruned = swept.run("logs", "prune", "--days", "0", "--yes")
    assert 0 == pruned.code, pruned.err
    assert [] == swept.dispatches


def test_a_terabyte_of_nothing_is_that_items_error(batches: Batches) -> None:
    """An output of 1 TB is not read, by no verb; the seal names it, and verify says that nothing proves it."""
    began = time.monotonic()
    done = batches.batch(["x"], "hole", "{{ output_file }}", flags=GO + "--expect json")
    assert 6 == done.code, done.err
    assert f"output cannot be read: it is too large: {1 << 40} bytes, at most {64 << 20} are read" == batches.why()
    assert "Warning: the seal does not prove what was not read: task_0/attempt_1/output" in done.err
    verified = batches.run("verify", "latest")
    assert 0 == verified.code, verified.out
    assert "not proved: what task_0/attempt_1/output holds: not read: " in verified.out
    unproved = json.loads(batches.run("verify", "latest", "--json").out)["unproved"]
    assert any("task_0/attempt_1/output" in line for line in unproved)
    assert time.monotonic() - began < 50  # reading it takes half an hour


def test_pipes_in_place_of_the_record_are_not_waited_for(batches: Batches) -> None:
    """Where an item puts pipes in the place of its logs and its result, its error says so; nobody waits for them."""
    folder = "{{ output_file | replace('/output', '') }}"
    done = batches.batch(["x", "y"], "pipes", folder, flags=GO)
    assert 6 == done.code, done.err
    assert ["error", "error"] == batches.outcomes
    assert batches.why().startswith("cannot keep a record of it in ")
    assert 0 == batches.run("verify", "latest").code


def test_a_result_that_is_a_pipe_is_not_adopted(batches: Batches) -> None:
    """What an item left as its result.json before its dispatcher was killed is looked at before it is read."""
    with batches.running(*batches.words(["x"], "hang", flags=GO)) as process:
        while not (batches.dispatches and (batches.dispatch / "task_0" / "attempt_1").exists()):
            time.sleep(0.01)
        process.kill()
    os.mkfifo(batches.dispatch / "task_0" / "attempt_1" / "result.json")
    done = batches.run("batch", "run", "--resume", "latest", "--timeout", "1")
    assert 6 == done.code, done.err
    assert ["timeout"] == batches.outcomes


def plainly(batches: Batches, *words: str) -> Finished:
    """Run trailblazer as a plain user: root that may do no more than the owner of a file."""
    before = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
    with batches.running(*words, before=before) as process:
        out, err = process.communicate(timeout=LIMIT)
    return Finished(process.returncode, out, err)


@pytest.mark.parametrize("locked", ["/attempt_1", ""])
def test_an_item_that_locks_its_folder_is_an_error(batches: Batches, locked: str) -> None:
    """A plain user's item that lets nobody into its folder fails alone; the batch is sealed and names the folder."""
    folder = "{{ output_file | replace('/attempt_1/output', '') }}" + locked
    done = plainly(batches, *batches.words([1, 2], "lock", folder))
    assert 6 == done.code, done.err
    assert ["error", "cancelled"] == batches.outcomes
    assert "task_0/attempt_1: Permission denied" in batches.why()
    assert "the seal does not prove what was not read: task_0" in done.err
    verified = plainly(batches, "verify", "latest")
    assert 0 == verified.code, verified.out + verified.err
    assert "not proved: what task_0" in verified.out
    again = plainly(batches, "batch", "run", "--resume", "latest", "--preflight", "go")
    assert 6 == again.code, again.err
    assert "Seal: sha256:" in again.err
    pruned = plainly(batches, "logs", "prune", "--days", "0", "--yes")
    assert 0 == pruned.code, pruned.err
    assert [] == batches.dispatches


def test_an_item_may_be_nested_as_deeply_as_is_allowed(batches: Batches) -> None:
    """A hundred levels are no reason to refuse an item, and a template fills them in."""
    file = batches.folder / "items.ndjson"
    file.write_text("[" * 99 + "1" + "]" * 99 + "\n")
    done = batches.run("batch", "run", "--items", str(file), "--", *HOSTILE, "exit", "0", "{{ item }}")
    assert 0 == done.code, done.err


def test_shuffled_items_may_hold_any_text(batches: Batches) -> None:
    """The name of a file that is no UTF-8 is an item in random order too."""
    file = batches.folder / "items.txt"
    file.write_bytes(b"caf\xe9\nplain\n")
    done = batches.run("batch", "run", "--items", str(file), "--shuffle", "--", *HOSTILE, "exit", "0")
    assert 0 == done.code, done.err
