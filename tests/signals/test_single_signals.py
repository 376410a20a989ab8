"""One signal: what is written, what is accepted, and when the waiting ends (S1)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lanes.embed.project import wait_for
from signals.acting import LIMIT, answer_to, beside, contexts, put, reasons, reply, wait_for_signals
from trailblazer import schemas
from trailblazer.signals import Announcing, Context, FileDispatcher, Recording, Retrying
from trailblazer.signals.dispatcher import SignalFailed
from trailblazer.signals.documents import Change
from trailblazer.signals.tokens import TokenRecord

FIELDS = {"status", "dispatch_id", "case_id", "step", "prompt_path", "artifact_path", "timestamp"}


def document(dispatcher: FileDispatcher, number: int) -> dict[str, object]:
    """Return signal.json as it is on the disk."""
    found: dict[str, object] = json.loads(dispatcher.suite.signal(number).read_bytes())
    return found


def test_a_dispatch_returns_the_bytes_that_the_agent_wrote(tmp_path: Path) -> None:
    """S1: signal.json and a prompt are written, and the artifact comes back byte for byte and stays as it is."""
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)
    with beside(lambda: dispatcher.dispatch(Context("c1", "triage", "What is wrong?"))) as future:
        (number,) = wait_for_signals(dispatcher.suite, 1)
        waiting = document(dispatcher, number)
        written = reply(dispatcher.suite, number, symptom="é")
    assert written == future.result()
    assert written == dispatcher.suite.artifact(number).read_bytes()
    assert FIELDS == waiting.keys()
    assert ["waiting", number, "c1", "triage"] == [
        waiting[name] for name in ("status", "dispatch_id", "case_id", "step")
    ]
    assert str(dispatcher.suite.artifact(number)) == waiting["artifact_path"]
    assert Path(str(waiting["prompt_path"])).read_text().startswith("What is wrong?\n")
    dispatcher.close()


def test_a_signal_goes_through_its_states(tmp_path: Path) -> None:
    """S1: waiting, processing when an agent took it, done; each is in the file before it is told."""
    seen: list[tuple[str, object]] = []
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)

    def tell(change: Change) -> None:
        found = document(dispatcher, change.dispatch_id)
        schemas.check("signal", found, "signal.json")
        seen.append((change.to.value, found["status"]))

    post = dispatcher.post(contexts(1), tell)
    (number,) = post.numbers
    with beside(lambda: list(post.results())) as future:
        dispatcher.suite.taking(number).write_text("{}")
        wait_for(lambda: document(dispatcher, number)["status"] == "processing", "the signal is processing")
        reply(dispatcher.suite, number)
    assert ["done"] == [result.status for result in future.result()]
    assert [(state, state) for state in ("waiting", "processing", "done")] == seen
    dispatcher.close()


def test_nothing_comes_in_time(tmp_path: Path) -> None:
    """S1: the time-out is the end: SignalFailed, and the signal says error and why."""
    dispatcher = FileDispatcher(tmp_path, timeout=0.05)
    with pytest.raises(SignalFailed, match=r"c0: no artifact came within 0\.05 s") as failure:
        dispatcher.dispatch(contexts(1)[0])
    assert "timeout" == failure.value.status
    assert "error" == document(dispatcher, 1)["status"]
    assert "no artifact came within 0.05 s" == document(dispatcher, 1)["error"]
    dispatcher.close()


def test_the_time_out_is_ten_minutes(tmp_path: Path) -> None:
    """S1: without a word on it a signal is waited for 10 minutes."""
    assert 600.0 == FileDispatcher(tmp_path).timeout


@pytest.mark.parametrize("number", ["2", "2.0", "-1", "1.5", "1e300", "9" * 400])
def test_the_answer_to_another_signal_is_put_aside(tmp_path: Path, number: str) -> None:
    """S1: an artifact whose dispatch_id is another one goes to rejected/, and the right one is waited for."""
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)
    post = dispatcher.post(contexts(1))
    wrong = b'{"dispatch_id": %s, "data": {}}' % number.encode()
    put(dispatcher.suite.artifact(1), wrong)
    with beside(lambda: list(post.results())) as future:
        wait_for(lambda: reasons(dispatcher.suite), "the wrong one is put aside")
        written = reply(dispatcher.suite, 1)
    assert [written] == [result.artifact for result in future.result()]
    assert wrong == (dispatcher.suite.rejected / "1.1.json").read_bytes()
    (reason,) = reasons(dispatcher.suite)
    assert reason.startswith("its dispatch_id is ")
    assert reason.endswith(", not 1")
    dispatcher.close()


def test_a_number_may_be_written_as_a_float(tmp_path: Path) -> None:
    """1.0 and 1 are one number in JSON: agents whose language knows only one kind of number are understood."""
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)
    post = dispatcher.post(contexts(1))
    put(dispatcher.suite.artifact(1), b'{"dispatch_id": 1.0, "data": {}}')
    assert ["done"] == [result.status for result in post.results()]
    dispatcher.close()


def test_half_a_json_that_becomes_whole_is_taken(tmp_path: Path) -> None:
    """S2: an agent that writes in place is waited for while its file grows."""
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)
    post = dispatcher.post(contexts(1))
    whole, read = answer_to(1, text="x" * 200), iter(post.results())
    place = dispatcher.suite.artifact(1)
    with beside(lambda: next(read)) as future, place.open("wb", buffering=0) as file:
        for index in range(0, len(whole), 20):
            file.write(whole[index : index + 20])
    assert whole == future.result().artifact
    assert [] == list(dispatcher.suite.rejected.iterdir())
    dispatcher.close()


def test_half_a_json_that_stays_so_is_refused(tmp_path: Path) -> None:
    """S2: what is no JSON and does not grow any more ends its signal, long before the time-out."""
    dispatcher = FileDispatcher(tmp_path, timeout=1e6)
    post = dispatcher.post(contexts(1))
    put(dispatcher.suite.artifact(1), b'{"dispatch_id": 1, "da')
    (result,) = post.results()
    assert "error" == result.status
    assert result.error.startswith("the artifact is not accepted: it is not JSON")
    assert b'{"dispatch_id": 1, "da' == (dispatcher.suite.rejected / "1.1.json").read_bytes()
    dispatcher.close()


def test_half_a_json_that_goes_away_is_not_looked_for_without_end(tmp_path: Path) -> None:
    """S2: an agent that removes what it began is waited for as before, at rest."""
    dispatcher = FileDispatcher(tmp_path, timeout=1.5)
    post = dispatcher.post(contexts(1))
    place = dispatcher.suite.artifact(1)
    put(place, b'{"dispatch_id": 1, "da')
    wakes: list[None] = []

    def remove() -> None:
        wakes.append(None)
        place.unlink(missing_ok=True)

    (result,) = post.results(remove)
    dispatcher.close()
    assert "timeout" == result.status
    assert len(wakes) < 20


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b'{"dispatch_id": 1, "error": "the log is empty"}', "the log is empty"),
        (b'{"dispatch_id": 1, "error": "no", "data": {"x": 1}}', "no"),
        (b'{"dispatch_id": 1, "error": ""}', "the agent named no reason"),
        (b'{"dispatch_id": 1, "error": " \\n "}', "the agent named no reason"),
        (b'{"dispatch_id": 1, "error": "a\\nb\\u001b[2J"}', "a b^[[2J"),
    ],
)
def test_an_agent_that_cannot_answer_says_why(tmp_path: Path, document: bytes, error: str) -> None:
    """An error of the agent ends the signal, on one plain line, and its artifact stays where it is."""
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)
    post = dispatcher.post(contexts(1))
    put(dispatcher.suite.artifact(1), document)
    (result,) = post.results()
    dispatcher.close()
    assert ("error", error) == (result.status, result.error)
    assert document == dispatcher.suite.artifact(1).read_bytes()
    assert [] == reasons(dispatcher.suite)


def test_single_signals_have_no_manifest_and_no_briefing(tmp_path: Path) -> None:
    """S6: several signals at once are still single signals."""
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)
    post = dispatcher.post(contexts(4))
    for number in post.numbers:
        reply(dispatcher.suite, number)
    assert ["done"] * 4 == [result.status for result in post.results()]
    assert not (tmp_path / "batches").exists()
    dispatcher.close()


def test_who_stops_listening_leaves_nobody_at_work(tmp_path: Path) -> None:
    """A signal that nobody waits for any more is ended, and what still comes is put aside."""
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)
    post = dispatcher.post(contexts(2))
    results = post.results()
    reply(dispatcher.suite, 1)
    assert 1 == next(results).dispatch_id
    results.close()
    assert ["done", "error"] == [document(dispatcher, number)["status"] for number in post.numbers]
    reply(dispatcher.suite, 2)
    wait_for(lambda: reasons(dispatcher.suite), "the late one is put aside")
    assert ["it is late: nobody waits for it any more"] == reasons(dispatcher.suite)
    dispatcher.close()


def test_signals_beside_one_that_cannot_be_written_are_ended(tmp_path: Path) -> None:
    """When the second of two signals cannot be written no agent is left with the first."""
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)
    dispatcher.suite.make()
    broken = Context("c1", "triage", None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        dispatcher.post([*contexts(1), broken])
    assert "error" == document(dispatcher, 1)["status"]
    dispatcher.close()


def test_half_a_surrogate_pair_in_a_prompt_stops_nothing(tmp_path: Path) -> None:
    """What UTF-8 cannot hold is escaped in the prompt and in signal.json."""
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)
    post = dispatcher.post([Context("c\ud800", "triage", "What is \ud800?")])
    reply(dispatcher.suite, 1)
    assert ["done"] == [result.status for result in post.results()]
    assert dispatcher.suite.prompt(1).read_text().startswith("What is \\ud800?")
    dispatcher.close()


def test_what_lies_in_the_place_of_a_new_signal_is_put_aside(tmp_path: Path) -> None:
    """S8: an artifact that is older than its signal is not its answer."""
    dispatcher = FileDispatcher(tmp_path, timeout=0.05)
    dispatcher.suite.make()
    reply(dispatcher.suite, 1, forged=True)
    with pytest.raises(SignalFailed, match="no artifact came"):
        dispatcher.dispatch(contexts(1)[0])
    assert ["it came before its signal"] == reasons(dispatcher.suite)
    dispatcher.close()


class Scripted:
    """A dispatcher that answers with what it is given, one after the other."""

    def __init__(self, *answers: bytes | SignalFailed) -> None:
        self._answers = list(answers)
        self.asked = 0

    def dispatch(self, _context: Context) -> bytes:
        """Return or raise the next one."""
        self.asked += 1
        answer = self._answers.pop(0)
        if isinstance(answer, SignalFailed):
            raise answer
        return answer


def test_a_failure_is_dispatched_again(tmp_path: Path) -> None:
    """Retrying wraps any dispatcher: another number each time, and the last failure is raised."""
    dispatcher = FileDispatcher(tmp_path, timeout=0.05)
    with pytest.raises(SignalFailed):
        Retrying(dispatcher, 3).dispatch(contexts(1)[0])
    assert ["1", "2", "3"] == sorted(folder.name for folder in (tmp_path / "signals").iterdir())
    dispatcher.close()


def test_what_was_cancelled_is_not_tried_again() -> None:
    """A signal that somebody cancelled stays so."""
    inner = Scripted(SignalFailed("c0: over", status="cancelled"), b"{}")
    with pytest.raises(SignalFailed):
        Retrying(inner, 3).dispatch(contexts(1)[0])
    assert 1 == inner.asked


def test_tokens_are_recorded_also_of_a_failure() -> None:
    """S7: each dispatch has its record, by a quarter of its bytes when nothing better is known."""
    kept: list[TokenRecord] = []
    recording = Recording(Scripted(b"12345", SignalFailed("no")), kept.append)
    context = Context("c1", "triage", "é" * 6)
    assert b"12345" == recording.dispatch(context)
    with pytest.raises(SignalFailed):
        recording.dispatch(context)
    assert [(12, 3, 5, 2), (12, 3, 0, 0)] == [
        (one.prompt_bytes, one.prompt_tokens, one.artifact_bytes, one.artifact_tokens) for one in kept
    ]


def test_each_dispatch_is_announced() -> None:
    """Announcing tells of the beginning and of the end, with the reason of a failure."""
    told: list[tuple[str, str, str]] = []
    inner = Scripted(b"{}", SignalFailed("it broke"))
    announcing = Announcing(inner, lambda word, context, why: told.append((word, context.case_id, why)))
    announcing.dispatch(contexts(1)[0])
    with pytest.raises(SignalFailed):
        announcing.dispatch(contexts(1)[0])
    assert [("start", "c0", ""), ("done", "c0", ""), ("start", "c0", ""), ("error", "c0", "it broke")] == told
