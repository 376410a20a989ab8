"""An artifact that comes after the end of its signal changes nothing, and is kept with its reason (S8)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanes.embed.project import wait_for
from signals.acting import LIMIT, answer_to, contexts, put, reasons, reply
from trailblazer.signals import FileDispatcher
from trailblazer.signals.dispatcher import SignalFailed
from trailblazer.signals.documents import State, read_signal

LATE = "it is late: no artifact came within 0.05 s"


@pytest.fixture
def timed_out(tmp_path: Path) -> FileDispatcher:
    """A dispatcher that lives, and whose signal 1 has timed out."""
    dispatcher = FileDispatcher(tmp_path, timeout=0.05)
    with pytest.raises(SignalFailed):
        dispatcher.dispatch(contexts(1)[0])
    return dispatcher


def is_rejected(dispatcher: FileDispatcher, written: bytes, reason: str = LATE) -> None:
    """Check that an artifact is in rejected/ as it was written, with its reason, and nowhere else."""
    assert [reason] == reasons(dispatcher.suite)
    assert written == (dispatcher.suite.rejected / "1.1.json").read_bytes()
    assert not dispatcher.suite.artifact(1).exists()
    assert State.ERROR is read_signal(dispatcher.suite.signal(1)).status


def test_late_while_the_dispatcher_lives(timed_out: FileDispatcher) -> None:
    """The dispatcher hears of it and puts it aside."""
    written = reply(timed_out.suite, 1)
    wait_for(lambda: reasons(timed_out.suite) and not timed_out.suite.artifact(1).exists(), "it is put aside")
    is_rejected(timed_out, written)
    timed_out.close()


def test_late_at_the_close(timed_out: FileDispatcher) -> None:
    """What nobody told it of, the dispatcher finds when it closes."""
    timed_out.mailbox.close()
    written = reply(timed_out.suite, 1)
    timed_out.close()
    is_rejected(timed_out, written)


def test_late_while_nobody_listened(timed_out: FileDispatcher) -> None:
    """The sweep of the next dispatcher finds it."""
    timed_out.close()
    written = reply(timed_out.suite, 1)
    FileDispatcher(timed_out.suite.folder).sweep()
    is_rejected(timed_out, written)


def test_late_is_a_question_of_order_and_not_of_clocks(timed_out: FileDispatcher) -> None:
    """A file that claims to be older than the end of its signal is late all the same."""
    import os

    timed_out.close()
    written = reply(timed_out.suite, 1)
    os.utime(timed_out.suite.artifact(1), (1, 1))
    os.utime(timed_out.suite.signal(1), (4e9, 4e9))
    FileDispatcher(timed_out.suite.folder).sweep()
    is_rejected(timed_out, written)


def test_late_is_not_taken_by_a_dispatcher_that_finds_the_signal(timed_out: FileDispatcher) -> None:
    """The end of a signal is final: who finds it again gets its error, at once, whatever came meanwhile."""
    timed_out.close()
    reply(timed_out.suite, 1)
    other = FileDispatcher(timed_out.suite.folder, timeout=LIMIT)
    post = other.find([1], contexts(1))
    assert post is not None
    (result,) = post.results()
    assert ("error", b"", "no artifact came within 0.05 s") == (result.status, result.artifact, result.error)
    is_rejected(other, answer_to(1))
    other.close()


def test_an_answer_after_a_refused_one_is_late(tmp_path: Path) -> None:
    """An agent that corrects what was refused is too late: the signal has ended."""
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)
    post = dispatcher.post(contexts(1))
    put(dispatcher.suite.artifact(1), b'{"dispatch_id": 1, "data": 5}')
    assert ["error"] == [result.status for result in post.results()]
    reply(dispatcher.suite, 1)
    wait_for(lambda: len(reasons(dispatcher.suite)) == 2, "it is put aside")
    first, second = reasons(dispatcher.suite)
    assert first == "it is no artifact: $.data: 5 is not of type 'object'"
    assert second == f"it is late: the artifact is not accepted: {first}"
    dispatcher.close()


def test_many_late_ones_are_all_kept(timed_out: FileDispatcher) -> None:
    """Each late artifact has a name of its own in rejected/."""
    for index in range(3):
        reply(timed_out.suite, 1, index=index)
        wait_for(lambda: not timed_out.suite.artifact(1).exists(), "it is put aside")
    kept = [(timed_out.suite.rejected / f"1.{number}.json").read_bytes() for number in (1, 2, 3)]
    assert [answer_to(1, index=index) for index in range(3)] == kept
    timed_out.close()


def test_what_was_accepted_stays(tmp_path: Path) -> None:
    """Sweep and close leave accepted artifacts alone, and those in which an agent says why it has no answer."""
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)
    post = dispatcher.post(contexts(2))
    written = reply(dispatcher.suite, 1)
    failure = b'{"dispatch_id":2, "error": "the log\\nis  empty"}'
    put(dispatcher.suite.artifact(2), failure)
    assert ["done", "error"] == [result.status for result in post.results()]
    dispatcher.close()
    FileDispatcher(tmp_path).sweep()
    assert [written, failure] == [dispatcher.suite.artifact(number).read_bytes() for number in (1, 2)]
    assert [] == reasons(dispatcher.suite)


def test_an_accepted_artifact_that_was_removed_is_an_error(tmp_path: Path) -> None:
    """A signal that is done stays done; without its artifact there is no result."""
    dispatcher = FileDispatcher(tmp_path, timeout=LIMIT)
    post = dispatcher.post(contexts(1))
    reply(dispatcher.suite, 1)
    list(post.results())
    dispatcher.suite.artifact(1).unlink()
    again = dispatcher.find([1], contexts(1))
    assert again is not None
    assert ["its artifact was removed"] == [result.error for result in again.results()]
    dispatcher.close()
