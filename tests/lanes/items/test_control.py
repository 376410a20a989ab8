"""A batch is steered from another terminal: real sockets, real signals, another user."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat

import pytest

from dispatch.steered import wait_for
from fixtures.plain_user import NOBODY
from lanes.items.batches import Batches
from lanes.items.held import HOLD, held
from trailblazer import schemas

pytestmark = pytest.mark.proof


def test_every_word_answers_and_is_journalled(batches: Batches) -> None:
    """Each word answers in one line what it did; the journal says who, what and when, and the folder verifies."""
    with held(batches, 6) as one:
        control = [
            ("pause", "paused: nothing new starts; what runs goes on (2 items)"),
            ("workers 3", "3 at once instead of 2"),
            ("first id-5", "next: id-5"),
            ("cancel id-4", "id-4 is taken from the queue"),
            ("resume", "resumed"),
        ]
        for words, answer in control:
            done = batches.run("control", *words.split())
            assert (0, f"{batches.dispatch.name}: {answer}\n", "") == (done.code, done.out, done.err)
        wait_for(lambda: len(one.begun) == 3, "a third item to run")
        assert "id-5" == one.begun[2]
    assert 6 == one.code, one.err
    steered = [line for line in batches.journal if line["kind"] == "steer"]
    assert [words for words, _ in control] == [f"{line['action']} {line.get('word', '')}".strip() for line in steered]
    assert {os.getuid()} == {line["uid"] for line in steered}
    assert {"id-4": "cancelled"} == {item: status for item, status in batches.statuses.items() if status != "success"}
    for line in batches.journal:
        schemas.check("journal_line", line, "journal")
    assert 0 == batches.run("verify").code
    assert not one.socket.exists()


def test_items_are_added_and_a_resume_finds_them(batches: Batches) -> None:
    """Added items run after the others; a batch that is drained before keeps them for its resume."""
    with held(batches, 3) as one:
        (batches.folder / "more.json").write_text('["id-9", {"id": "id-8"}]')
        assert "2 items added; the plan has 5 now" in batches.run("control", "add", "more.json").out
        assert 4 == batches.run("control", "add", "missing").code
        assert 0 == batches.run("control", "drain").code
    assert 130 == one.code, one.err
    assert 5 == batches.manifest["counts"]["planned"]
    inputs = {one["name"]: one["uri"] for one in batches.manifest["inputs"]}
    assert str(batches.folder.resolve() / "more.json") == inputs["added_1.ndjson"]
    assert 0 == batches.run("verify").code
    for name in ("id-8", "id-9"):
        (batches.folder / f"go.{name}").touch()
    resumed = batches.run("batch", "run", "--resume")
    assert 0 == resumed.code, resumed.err
    assert ["success"] * 5 == batches.outcomes
    assert 0 == batches.run("verify").code


def test_an_item_is_retried_in_the_same_batch(batches: Batches) -> None:
    """A failed item is tried again at once, as attempt 2, while the batch runs."""
    command = "[ {} = id-0 ] && [ ! -e mended ] && exit 3; " + HOLD
    (batches.folder / "ids").write_text("id-0\nid-1\n")
    words = ["batch", "run", "--items", "ids", "--skip-preflight", "--", "sh", "-c", command]
    with batches.running(*words) as process:
        wait_for(lambda: "error" == batches.statuses.get("id-0"), "the first item to fail")
        for name in ("mended", "go.id-0"):
            (batches.folder / name).touch()
        assert "tried again: id-0: attempt 2" in batches.run("control", "retry", "id-0").out
        wait_for(lambda: "success" == batches.statuses.get("id-0"), "the second attempt to end well")
        (batches.folder / "go.id-1").touch()
        process.communicate(timeout=60)
    assert 0 == process.returncode


def test_json_is_one_object_with_a_schema(batches: Batches) -> None:
    """With --json the answer is one object, also when nothing was done; the exit code is in it."""
    with held(batches, 2):
        done = batches.run("control", "--json", "cancel", "nobody")
        answer = json.loads(done.out)
        schemas.check("control_answer", answer, "the answer")
        assert (4, 4, ["cancel", "nobody"]) == (done.code, answer["exitCode"], answer["words"])
        assert "the plan has no item nobody" == answer["answer"]


def test_a_paused_batch_says_so_in_its_progress(batches: Batches) -> None:
    """progress.json counts items, says that the batch is paused, and at the end no more."""
    with held(batches, 2):
        assert 0 == batches.run("control", "pause").code
        file = batches.dispatch / "progress.json"
        wait_for(lambda: file.is_file() and json.loads(file.read_bytes())["paused"], "progress.json says paused")
        assert 0 == batches.run("control", "resume").code
    last = json.loads(file.read_bytes())
    schemas.check("progress", last, str(file))
    assert (False, "items", 2, 2) == (last["paused"], last["unit"], last["done"], last["planned"])


def test_a_killed_batch_does_not_run(batches: Batches) -> None:
    """After kill -9 the socket is stale: control says in one line that nothing runs. A resume takes its place."""
    with held(batches, 2) as one:
        os.killpg(one.pid, signal.SIGKILL)
    assert one.socket.exists()
    for words in (["pause"], ["latest", "pause"], [batches.dispatch.name, "pause"]):
        done = batches.run("control", *words)
        assert 4 == done.code
        assert re.search(r"^control: (no dispatch runs|dispatch \S+ does not run)$", done.err, re.MULTILINE)
    with batches.running("batch", "run", "--resume") as process:
        process.communicate(timeout=60)
    assert 0 == process.returncode
    assert not one.socket.exists()


def test_only_the_owner_may_connect(batches: Batches) -> None:
    """The socket is 0600 in a folder that is 0700; another user is kept out, also where the modes let it in."""
    with held(batches, 1) as one:
        assert 0o600 == stat.S_IMODE(one.socket.stat().st_mode)
        assert 0o700 == stat.S_IMODE(one.socket.parent.stat().st_mode)
        if os.getuid() != 0:
            pytest.skip("only root can become another user")
        opened = os.open(one.socket.parent, os.O_PATH)
        assert "PermissionError" == said_as_nobody(opened, one.socket.name)
        one.socket.chmod(0o666)
        one.socket.parent.chmod(0o755)
        assert "may not steer" in said_as_nobody(opened, one.socket.name)
        os.close(opened)
    assert [] == [line for line in batches.journal if line["kind"] == "steer"]


def said_as_nobody(folder: int, name: str) -> str:
    """Return what a process of another user gets for an answer at a socket in an open folder."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - it ends here
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with socket.socket(socket.AF_UNIX) as connected:
                connected.settimeout(30)
                connected.connect(f"/proc/self/fd/{folder}/{name}")
                with contextlib.suppress(BrokenPipeError):  # it is answered without being heard
                    connected.sendall(b'{"words": ["stop"]}\n')
                os.write(writing, connected.recv(4096))
        except BaseException as error:  # noqa: BLE001 - its name is the answer
            os.write(writing, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def test_a_deep_folder_is_steered_too(batches: Batches) -> None:
    """A socket's address has 107 bytes; a project in a deeper folder is steered all the same."""
    deep = batches.folder / "/".join(["a folder with a long name é"] * 8)
    (deep / "config").mkdir(parents=True)
    (deep / "config" / ".trailblazer.yaml").write_text("dispatch: {workers: 2}\n")
    with held(Batches(deep, "null"), 1) as one:
        assert len(os.fsencode(one.socket)) > 200
        assert 0 == one.batches.run("control", "pause").code


@pytest.mark.parametrize("text", ["", "\n", "[]\n", '{"words": []}\n', '{"words": [1]}\n', "{" * 99_999 + "\n"])
def test_what_is_no_steering_is_refused(batches: Batches, text: str) -> None:
    """Whatever comes at the socket is answered with a refusal, and the batch goes on."""
    with held(batches, 1) as one, socket.socket(socket.AF_UNIX) as connected:
        folder = os.open(one.socket.parent, os.O_PATH)
        connected.settimeout(30)
        connected.connect(f"/proc/self/fd/{folder}/{one.socket.name}")
        os.close(folder)
        connected.sendall(text.encode())
        connected.shutdown(socket.SHUT_WR)
        assert json.loads(connected.recv(1 << 16))["exitCode"] in {2, 3}
        assert 0 == one.batches.run("control", "pause").code
        assert 0 == one.batches.run("control", "resume").code
    assert 0 == one.code, one.err
