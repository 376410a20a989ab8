"""Batches: one manifest, one briefing, N signals that do not stop one another (S2, S3)."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from lanes.embed.project import wait_for
from signals.acting import LIMIT, beside, contexts, put, reply, run_script, wait_for_signals
from trailblazer import schemas
from trailblazer.errors import DocumentInvalid
from trailblazer.signals import BatchFileDispatcher, Context, FileDispatcher, read_manifest
from trailblazer.signals.dispatcher import SignalFailed
from trailblazer.signals.documents import BatchState, Change, read_signal

FIELDS = {"batch_id", "status", "phase", "created_at", "updated_at", "total", "counts", "briefing_path", "signals"}


@pytest.fixture
def single(tmp_path: Path) -> FileDispatcher:
    """A dispatcher of single signals."""
    return FileDispatcher(tmp_path, timeout=LIMIT)


def test_a_batch_with_one_time_out(tmp_path: Path) -> None:
    """S3: three results in the order of the input and one error; the batch is done with 3 done and 1 error."""
    single = FileDispatcher(tmp_path, timeout=0.3)
    batch = BatchFileDispatcher(single, phase="triage").post(contexts(4))
    for number in reversed(batch.numbers[:2] + batch.numbers[3:]):
        reply(single.suite, number, of=number)
    found = {result.dispatch_id: result for result in batch.results()}
    results = [found[number] for number in batch.numbers]
    assert ["done", "done", "timeout", "done"] == [result.status for result in results]
    assert [f"c{index}" for index in range(4)] == [result.context.case_id for result in results]
    assert [{"of": number} for number in batch.numbers if number != batch.numbers[2]] == [
        result.data for result in results if result.status == "done"
    ]
    manifest = json.loads(single.suite.manifest(batch.id).read_bytes())
    assert ("done", 4, "triage") == (manifest["status"], manifest["total"], manifest["phase"])
    assert {"pending": 0, "in_progress": 0, "done": 3, "error": 1} == manifest["counts"]
    assert ["done", "done", "error", "done"] == [entry["status"] for entry in manifest["signals"]]
    assert "no artifact came within 0.3 s" == manifest["signals"][2]["error"]
    assert FIELDS == manifest.keys()
    single.close()


def test_results_come_in_the_order_of_the_input(single: FileDispatcher) -> None:
    """S2: dispatch_batch returns the results in the order in which it was asked, however they came."""
    with beside(lambda: BatchFileDispatcher(single).dispatch_batch(contexts(5))) as future:
        for number in reversed(wait_for_signals(single.suite, 5)):
            reply(single.suite, number, of=number)
    assert [f"c{index}" for index in range(5)] == [result.context.case_id for result in future.result()]
    assert ["done"] * 5 == [result.status for result in future.result()]
    single.close()


def test_a_batch_dispatcher_is_a_dispatcher(single: FileDispatcher) -> None:
    """S2: the interface stays dispatch(context) -> bytes; a failure is SignalFailed."""
    batches = BatchFileDispatcher(single)
    with beside(lambda: batches.dispatch(contexts(1)[0])) as future:
        written = reply(single.suite, wait_for_signals(single.suite, 1)[-1])
    assert written == future.result()
    with beside(lambda: batches.dispatch(contexts(1)[0])) as future:
        number = wait_for_signals(single.suite, 2)[-1]
        put(single.suite.artifact(number), b'{"dispatch_id": %d, "error": "no"}' % number)
    with pytest.raises(SignalFailed, match="c0: no"):
        future.result()
    single.close()


def test_a_reader_sees_every_state_and_never_half_a_file(single: FileDispatcher) -> None:
    """S3: manifest and briefing are whole at every moment, and pending, in_progress and done can all be read."""
    batch = BatchFileDispatcher(single).post(contexts(3))
    seen: list[str] = []
    broken: list[str] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            try:
                manifest = json.loads(single.suite.manifest(batch.id).read_bytes())
                schemas.check("batch_manifest", manifest, "manifest")
                if manifest["total"] != sum(manifest["counts"].values()):
                    broken.append(str(manifest))
                text = single.suite.briefing(batch.id).read_text()
                if not (text.startswith("# Briefing") and text.endswith("\n")):
                    broken.append(text)
            except (OSError, ValueError, DocumentInvalid) as error:
                broken.append(repr(error))
            if manifest["status"] not in seen:
                seen.append(manifest["status"])

    with beside(read):
        try:
            wait_for(lambda: "pending" in seen, "the reader sees pending")
            with beside(lambda: list(batch.results())) as future:
                single.suite.taking(batch.numbers[0]).write_text("{}")
                wait_for(lambda: "in_progress" in seen, "the reader sees in_progress")
                for number in batch.numbers:
                    reply(single.suite, number)
                future.result()
            wait_for(lambda: "done" in seen, "the reader sees done")
        finally:
            over.set()
    assert ["pending", "in_progress", "done"] == seen
    assert [] == broken
    single.close()


def test_a_batch_goes_through_in_progress_also_when_everybody_was_faster(single: FileDispatcher) -> None:
    """S3: the history of a batch has pending, in_progress and done, also when all answers were there at once."""
    told: list[Change] = []
    batch = BatchFileDispatcher(single, tell=told.append).post(contexts(2))
    for number in batch.numbers:
        reply(single.suite, number)
    list(batch.results())
    assert ["pending", "in_progress", "done"] == [change.to for change in told if not change.dispatch_id]
    single.close()


def test_what_is_told_is_what_the_files_show(single: FileDispatcher) -> None:
    """Each transition of a signal or a batch is in the files when it is told, and nothing else changed meanwhile."""
    told: list[tuple[str, str]] = []
    wrong: list[str] = []

    def tell(change: Change) -> None:
        told.append((f"{change.dispatch_id or 'batch'}", change.to.value))
        if not change.dispatch_id:
            shown = read_manifest(single.suite.manifest(change.batch_id)).status.value
        else:
            shown = read_signal(single.suite.signal(change.dispatch_id)).status.value
        if shown != change.to.value:
            wrong.append(f"{change} but the file says {shown}")

    batch = BatchFileDispatcher(single, tell=tell).post(contexts(2))
    first, second = batch.numbers
    with beside(lambda: list(batch.results())) as future:
        single.suite.taking(first).write_text("{}")
        wait_for(lambda: (f"{first}", "processing") in told, "the first is taken")
        reply(single.suite, first)
        put(single.suite.artifact(second), b'{"dispatch_id": %d, "error": "no"}' % second)
        future.result()
    assert [] == wrong
    assert ["pending", "in_progress", "done"] == [to for who, to in told if who == "batch"]
    assert ["waiting", "processing", "done"] == [to for who, to in told if who == f"{first}"]
    assert ["waiting", "error"] == [to for who, to in told if who == f"{second}"]
    single.close()


def test_signals_then_briefing_then_manifest(single: FileDispatcher) -> None:
    """The briefing is made when every signal is there, and the manifest is not there before it."""
    found: list[object] = []

    def brief(asked: Sequence[Context]) -> str:
        found.append([len(asked), len(list(single.suite.signals.glob("*/signal.json")))])
        found.append(list(single.suite.batches.glob("*/*")))
        return "# Briefing\n"

    batch = BatchFileDispatcher(single, brief=brief).post(contexts(3))
    batch.end()
    list(batch.results())
    assert [[3, 3], []] == found
    assert BatchState.ERROR is read_manifest(single.suite.manifest(batch.id)).status
    single.close()


KILLED = """
import os, signal, sys
left = int(sys.argv[2])

def count(event, _given):
    global left
    if event == "os.rename":
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

from pathlib import Path
from trailblazer.signals import BatchFileDispatcher, Context, FileDispatcher
sys.addaudithook(count)
single = FileDispatcher(Path(sys.argv[1]), timeout=60)
batch = BatchFileDispatcher(single).post([Context(f"c{n}", "triage", "?") for n in range(3)])
for number in batch.numbers:
    single.suite.artifact(number).write_text('{"dispatch_id": %d, "data": {}}' % number)
list(batch.results())
"""


def test_killed_at_each_step(tmp_path: Path) -> None:
    """S3: a dispatcher that is killed before each of its renames leaves whole files; the manifest is the commit."""
    steps, code = 0, -9
    while code:
        folder = tmp_path / f"{steps}"
        done = run_script(KILLED, folder, steps)
        code = done.returncode
        assert code in {0, -9}, done.stderr
        signals = [read_signal(file) for file in folder.glob("signals/*/signal.json")]
        for manifest in map(read_manifest, folder.glob("batches/*/batch-manifest.json")):
            assert 3 == len(signals)
            assert Path(manifest.briefing_path).read_text().startswith("# Briefing")
            single = FileDispatcher(folder, timeout=LIMIT)
            numbers = [int(Path(entry.signal_path).parent.name) for entry in manifest.signals]
            again = BatchFileDispatcher(single).find(manifest.batch_id, numbers, contexts(3))
            assert again is not None
            for number in numbers:
                reply(single.suite, number)
            assert ["done"] * 3 == [result.status for result in again.results()]
            assert single.suite.next_id() > manifest.batch_id
            single.close()
        steps += 1
    assert steps > 10


def test_a_briefing_that_cannot_be_made_leaves_nobody_at_work(single: FileDispatcher) -> None:
    """A batch that could not be written has no manifest, and its signals are ended."""

    def brief(_asked: Sequence[Context]) -> str:
        raise DocumentInvalid("the store is broken", "")

    with pytest.raises(DocumentInvalid, match="the store is broken"):
        BatchFileDispatcher(single, brief=brief).post(contexts(2))
    signals = [read_signal(file) for file in sorted(single.suite.signals.glob("*/signal.json"))]
    assert [("error", "its batch could not be written")] * 2 == [(one.status, one.error) for one in signals]
    assert [] == list(single.suite.batches.glob("*/*"))
    single.close()


def test_a_killed_batch_takes_what_was_published_and_waits_for_the_rest(single: FileDispatcher) -> None:
    """A second dispatcher that finds the batch has what came meanwhile, and the ends that were final."""
    batch = BatchFileDispatcher(single).post(contexts(4))
    first, second, third, fourth = batch.numbers
    reply(single.suite, first, of="first")
    results = batch.results()
    next(results)  # and here the process is killed
    reply(single.suite, second, of="second")
    put(single.suite.artifact(third), b'{"dispatch_id": %d, "error": "no", "usage": {"input_tokens": 7}}' % third)
    other = FileDispatcher(single.suite.folder, timeout=LIMIT)
    found = BatchFileDispatcher(other).find(batch.id, batch.numbers, contexts(4))
    assert found is not None
    with beside(lambda: {result.dispatch_id: result for result in found.results()}) as future:
        reply(single.suite, fourth, of="fourth")
    came = [future.result()[number] for number in batch.numbers]
    assert ["done", "done", "error", "done"] == [result.status for result in came]
    assert [{"of": "first"}, {"of": "second"}, {}, {"of": "fourth"}] == [dict(result.data) for result in came]
    assert {"input_tokens": 7} == came[2].usage
    manifest = read_manifest(single.suite.manifest(batch.id))
    assert BatchState.DONE is manifest.status
    again = BatchFileDispatcher(other).find(batch.id, batch.numbers, contexts(4))
    assert again is not None
    once_more = {result.dispatch_id: result for result in again.results()}
    assert came == [once_more[number] for number in batch.numbers]
    other.close()


def test_a_batch_that_is_not_there_is_not_found(single: FileDispatcher) -> None:
    """find returns None without a manifest, with half of one, or for signals that are not in it."""
    batches = BatchFileDispatcher(single)
    batch = batches.post(contexts(2))
    assert batches.find(batch.id + 7, batch.numbers, contexts(2)) is None
    assert batches.find(batch.id, (1, 99), contexts(2)) is None
    single.suite.manifest(batch.id).write_text('{"batch_id"')
    assert batches.find(batch.id, batch.numbers, contexts(2)) is None
    batch.end()
    list(batch.results())
    single.close()


def test_overlapping_batches_do_not_touch_one_another(single: FileDispatcher) -> None:
    """Two batches of one suite at once have manifests of their own."""
    batches = BatchFileDispatcher(single)
    one, other = batches.post(contexts(2)), batches.post(contexts(2))
    for number in (*one.numbers, *other.numbers):
        reply(single.suite, number)
    list(one.results())
    assert BatchState.PENDING is read_manifest(single.suite.manifest(other.id)).status
    list(other.results())
    assert ["done", "done"] == [read_manifest(single.suite.manifest(batch.id)).status for batch in (one, other)]
    single.close()


def test_a_batch_that_is_ended_is_an_error_that_says_why(single: FileDispatcher) -> None:
    """S3: error when the batch itself could not be carried out; what had come counts."""
    batch = BatchFileDispatcher(single).post(contexts(3))
    reply(single.suite, batch.numbers[1])
    batch.end()
    results = {result.dispatch_id: result.status for result in batch.results()}
    assert ["cancelled", "done", "cancelled"] == [results[number] for number in batch.numbers]
    manifest = read_manifest(single.suite.manifest(batch.id))
    assert ("error", "nobody waits for it any more") == (manifest.status, manifest.error)
    single.close()
