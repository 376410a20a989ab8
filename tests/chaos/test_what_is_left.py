"""What a killed dispatcher leaves: results that count, and no process that goes on."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import orjson
import pytest

from chaos.batch import RESUME, batch_words, diary_of
from chaos.watching import kill, marked, settled_well, survivors, wait_until, whole_on_disk
from lanes.embed.project import Project
from lanes.items.batches import Batches
from trailblazer.places.workers import WorkerEnded, Workers
from trailblazer.processes.identity import start_ticks

pytestmark = pytest.mark.proof

ECHO = """
import os, sys
from trailblazer.places.workers import WorkerEnded, Workers
from trailblazer.processes.marks import die_with
die_with(int(sys.argv[1]))
for line in sys.stdin:
    print(line, end="", flush=True)
"""
LARGE = 100 * 1024 * 1024


def _cut_last_settle(journal: Path) -> int:
    """Cut a journal before its last settle line, as a kill just before that line does; return the item's index."""
    lines = journal.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"kind":"settle"' in line)
    journal.write_bytes(b"".join(lines[:last]))
    return int(orjson.loads(lines[last])["index"])


def test_a_result_that_is_whole_on_the_disk_is_adopted(batches: Batches) -> None:
    """A 3: killed between result.json and its journal line, the item is settled by resume and not run again."""
    diary = diary_of(batches)
    with batches.running(*batch_words(batches, ["plain"] * 12, 0.05, "--max-workers", "1")) as process:
        assert wait_until(lambda: batches.dispatches and len(settled_well(batches.dispatch)) >= 4, 90)
        kill(process.pid)
        process.wait()
    cut = _cut_last_settle(batches.dispatch / "journal.ndjson")
    good = whole_on_disk(batches.dispatch)
    assert cut in good - settled_well(batches.dispatch)
    begun = diary.begun()
    done = batches.run(*RESUME)
    assert (0, ["success"] * 12) == (done.code, batches.outcomes), done.err
    assert {index: begun[index] for index in good} == {index: diary.begun()[index] for index in good}
    assert 0 == batches.run("verify", "latest").code


@pytest.mark.parametrize(("kind", "processes"), [("fork", 2), ("daemon", 4)])
def test_what_an_item_leaves_behind_ends_before_its_next_try(batches: Batches, kind: str, processes: int) -> None:
    """A 4: a background child, a daemon and the daemon's own children end with their attempt, not with the batch."""
    diary = diary_of(batches)
    with batches.running(*batch_words(batches, [kind], 60, "--max-workers", "1", "--retries", "1")) as process:
        assert wait_until(diary.begun, 90)
        assert wait_until(lambda: len(marked(batches.dispatch)) == processes, 90)
        (leader,) = [line["handle"]["pid"] for line in batches.journal if line["kind"] == "begun"]
        kill(leader)
        assert wait_until(lambda: diary.begun()[0] == 2, 90), "the second try begins"
        process.send_signal(signal.SIGINT)
        assert 130 == process.wait(90)
    assert ([], []) == (diary.beside(), survivors(batches.dispatch))


def test_a_worker_dies_with_its_dispatcher_whatever_it_does(project: Project) -> None:
    """Rule 5: a worker that is busy with one line of 100 MB ends at once when its dispatcher is killed."""
    target = project.run_folder("large") / "normalize" / "normalized.ndjson"
    target.parent.mkdir(parents=True)
    with target.open("wb") as file:
        file.write(b'{"id": "1", "title": "Large", "text_md": "' + b"word " * (LARGE // 5) + b'"}\n')
    with project.running("run", "runs=large") as process:
        assert wait_until(project.workers, 60)
        claimed = "SELECT 1 FROM processed_runs WHERE run_id = 'large' AND status = 'chunking'"
        assert wait_until(lambda: project.query(claimed), 60)
        workers = project.workers()
        kill(process.pid)
        process.wait()
    assert workers
    assert wait_until(lambda: not any(start_ticks(pid) for pid in workers), 2)
    assert [] == survivors(project.dispatch)


def test_a_worker_does_not_die_with_the_slot_that_started_it(tmp_path: Path) -> None:
    """Rule 5: a slot that ends takes no worker with it that another slot uses; closing ends the worker."""
    workers = Workers([sys.executable, "-c", ECHO, str(os.getpid())], tmp_path, dict(os.environ), 60)
    slot = threading.Thread(target=lambda: _ask(workers, b"first\n"))
    slot.start()
    slot.join()
    time.sleep(0.2)
    assert b"second\n" == _ask(workers, b"second\n")
    workers.close()
    with pytest.raises(WorkerEnded):
        workers.exchange(b"third\n")
    assert [] == survivors(tmp_path)


def _ask(workers: Workers, request: bytes) -> bytes:
    exchange = workers.exchange(request)
    answer = next(exchange.answers())
    exchange.over()
    return answer
