"""The agent's side: each signal is taken once, answered once, and never outside of the suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from signals.acting import LIMIT, contexts, reasons, reply
from trailblazer.errors import DocumentInvalid, PlanUnusable, StaleClaim
from trailblazer.signals import FileDispatcher
from trailblazer.signals.agents import Found, Taker, fail, find_signal, submit
from trailblazer.signals.documents import State, read_signal

TAKERS, SIGNALS = 16, 200
TAKING = """
import sys
from pathlib import Path
from trailblazer.signals.agents import Taker
from trailblazer.signals.suite import Suite
taker = Taker(Suite(Path(sys.argv[1])), sys.argv[2])
sys.stdin.read(1)
while (found := taker.take()) is not None:
    print(found.number)
"""


@pytest.fixture
def single(tmp_path: Path) -> FileDispatcher:
    """A dispatcher with time."""
    return FileDispatcher(tmp_path / "suite", timeout=LIMIT)


def take(single: FileDispatcher) -> Found:
    """Take the next signal."""
    found = Taker(single.suite, "a test").take()
    assert found is not None
    return found


def test_sixteen_agents_take_each_signal_once(single: FileDispatcher) -> None:
    """16 takers in 16 processes take 200 signals, each exactly once."""
    post = single.post(contexts(SIGNALS))
    running = [
        subprocess.Popen(
            [sys.executable, "-c", TAKING, str(single.suite.folder), f"agent {number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(TAKERS)
    ]
    taken: list[int] = []
    for process in running:
        assert process.stdin is not None
        process.stdin.write("x")  # all begin when all have started
        process.stdin.flush()
    for process in running:
        taken += map(int, process.communicate(timeout=LIMIT)[0].split())
    assert sorted(post.numbers) == sorted(taken)
    post.end()
    list(post.results())
    single.close()


def test_an_answer_is_published_once(single: FileDispatcher) -> None:
    """The first answer counts; a second one is StaleClaim and changes nothing."""
    post = single.post(contexts(1))
    found = take(single)
    submit(found, {"answer": 1}, {"input_tokens": 5})
    with pytest.raises(StaleClaim, match="signal 1 has an answer already"):
        submit(found, {"answer": 2})
    with pytest.raises(StaleClaim, match="signal 1 has an answer already"):
        fail(found, "no")
    (result,) = post.results()
    assert [{"answer": 1}, {"input_tokens": 5}] == [result.data, result.usage]
    with pytest.raises(StaleClaim, match="signal 1 has an answer already"):
        submit(found, {"answer": 3})
    single.close()


def test_an_answer_to_a_signal_that_has_ended_is_kept_aside(single: FileDispatcher) -> None:
    """A late submit is StaleClaim, says why, and the answer is in rejected/."""
    post = single.post(contexts(1))
    found = take(single)
    post.end()
    list(post.results())
    with pytest.raises(StaleClaim, match="signal 1 has ended: nobody waits for it any more") as stale:
        submit(found, {"answer": 1})
    kept = single.suite.rejected / "1.1.json"
    assert f"Your answer is kept in {kept}." == stale.value.hint
    assert {"dispatch_id": 1, "data": {"answer": 1}} == json.loads(kept.read_bytes())
    assert ["it is late: nobody waits for it any more"] == reasons(single.suite)
    single.close()


def test_a_failure_names_its_reason(single: FileDispatcher) -> None:
    """`fail` ends the signal with what the agent says, on one line."""
    post = single.post(contexts(1))
    fail(take(single), "the log\n is empty")
    (result,) = post.results()
    assert ("error", "the log is empty") == (result.status, result.error)
    single.close()


def test_what_others_answer_or_take_is_not_taken(single: FileDispatcher) -> None:
    """Neither a signal with an artifact, nor one that has ended, nor one that is taken."""
    post = single.post(contexts(4))
    reply(single.suite, 1)
    (single.suite.taken / "2.json").write_text("")
    results = post.results()
    next(results)
    assert [3, 4] == [take(single).number for _ in range(2)]
    assert Taker(single.suite).take() is None
    results.close()
    single.close()


def test_a_taken_signal_is_processing(single: FileDispatcher) -> None:
    """The file in taken/ names the agent, and the dispatcher moves the signal."""
    post = single.post(contexts(2))
    taken = json.loads(single.suite.taking(take(single).number).read_bytes())
    results = post.results()
    reply(single.suite, 2)
    next(results)
    assert (1, "a test") == (taken["dispatch_id"], taken["agent"])
    assert State.PROCESSING is read_signal(single.suite.signal(1)).status
    results.close()
    single.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"dispatch_id": 2},
        {"dispatch_id": "../../x"},
        {"status": "waiting for you"},
        {"case_id": None},
        {"more": 1},
    ],
)
def test_a_signal_that_is_none_is_passed_over(single: FileDispatcher, changes: dict[str, Any]) -> None:
    """What breaks the schema, or says another number than its folder, is not handed out."""
    post = single.post(contexts(1))
    document = json.loads(single.suite.signal(1).read_bytes())
    single.suite.signal(1).write_text(json.dumps(document | changes))
    assert Taker(single.suite).take() is None
    with pytest.raises(PlanUnusable, match="has no signal 1"):
        find_signal(single.suite, 1)
    post.end()
    list(post.results())
    single.close()


def test_the_paths_of_a_signal_are_not_followed(single: FileDispatcher, tmp_path: Path) -> None:
    """Paths in signal.json that lead out of the suite change neither what is read nor what is written."""
    post = single.post(contexts(1))
    secret = tmp_path / "secret"
    secret.write_text("secret")
    document = json.loads(single.suite.signal(1).read_bytes())
    document |= {"prompt_path": str(secret), "artifact_path": str(tmp_path / "elsewhere.json")}
    single.suite.signal(1).write_text(json.dumps(document))
    found = take(single)
    assert found.prompt().startswith("What is wrong with case 0?")
    submit(found, {"answer": 1})
    assert not (tmp_path / "elsewhere.json").exists()
    assert ["done"] == [result.status for result in post.results()]
    single.close()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "link to itself"])
@pytest.mark.parametrize("name", ["signal.json", "prompt.md"])
def test_what_is_no_file_is_not_read(single: FileDispatcher, tmp_path: Path, name: str, kind: str) -> None:
    """A link, a pipe or a folder in the place of a signal or its prompt is refused at once."""
    post = single.post(contexts(1))
    place = single.suite.signal(1).with_name(name)
    place.rename(tmp_path / "moved")
    if kind == "link":
        place.symlink_to(tmp_path / "moved")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(place)
    if name == "signal.json":
        assert Taker(single.suite).take() is None
        if kind == "folder":
            place.rmdir()
    else:
        with pytest.raises(DocumentInvalid, match="cannot read the prompt of signal 1"):
            take(single).prompt()
    post.end()
    list(post.results())
    single.close()


def test_an_answer_that_is_too_large_is_not_published(single: FileDispatcher) -> None:
    """An answer that the dispatcher would not read is refused, and another one may be sent."""
    post = single.post(contexts(1))
    found = take(single)
    with pytest.raises(DocumentInvalid, match="at most 16777216 are read"):
        submit(found, {"text": "x" * (17 << 20)})
    submit(found, {"text": "x"})
    assert ["done"] == [result.status for result in post.results()]
    single.close()
