"""Two processes that want to carry the same dispatch on: one does, the other is refused (exit 7)."""

from __future__ import annotations

import sys

import pytest

from chaos.batch import RESUME, batch_words, diary_of
from chaos.watching import kill, survivors, wait_until
from lanes.items.batches import Batches

pytestmark = pytest.mark.proof

# Leaves a process behind that writes down each TERM and goes on.
STUBBORN = """
import pathlib, signal, sys, time
note = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: note.open("a").write("TERM\\n"))
note.touch()
time.sleep(60 if not note.with_name("quick").exists() else 0)
"""


def test_of_two_resumes_at_once_one_is_refused(batches: Batches) -> None:
    """Rule 10: one resume carries the batch on, the other exits 7, and no item runs twice or beside itself."""
    diary = diary_of(batches)
    with batches.running(*batch_words(batches, ["plain"] * 20, 60, "--max-workers", "8")) as process:
        assert wait_until(lambda: len(diary.begun()) == 8, 90)
        kill(process.pid)
    before = diary.begun()
    for _ in range(3):
        with batches.running(*RESUME) as one, batches.running(*RESUME) as other:
            assert wait_until(lambda: 7 in (one.poll(), other.poll()), 90)
            assert wait_until(lambda: sum(diary.begun().values()) >= sum(before.values()) + 8, 90)  # noqa: B023
            assert sorted([str(one.poll()), str(other.poll())]) == ["7", "None"]
            kill(one.pid if one.poll() is None else other.pid)
        before = diary.begun()
    (diary.folder / "quick").touch()
    done = batches.run(*RESUME)
    assert (0, ["success"] * 20) == (done.code, batches.outcomes), done.err
    assert ([], []) == (diary.beside(), survivors(batches.dispatch))


def test_a_resume_that_is_refused_touches_no_process(batches: Batches) -> None:
    """Rule 5: while a resume ends what a kill left behind, a second resume exits 7 and signals nothing."""
    note = batches.folder / "note"
    (batches.folder / "items.json").write_text("[1]")
    flags = ["--items", "items.json", "--skip-preflight"]
    words = ["batch", "run", *flags, "--", sys.executable, "-c", STUBBORN, str(note)]
    with batches.running(*words) as process:
        assert wait_until(note.exists, 90)
        kill(process.pid)
    note.with_name("quick").touch()
    with batches.running(*RESUME) as first:
        assert wait_until(note.read_text, 90), first.communicate(timeout=90)
        second = batches.run(*RESUME)
        assert 7 == second.code, second.err
        assert 0 == first.wait(60)
    assert "TERM\n" == note.read_text()


def test_two_resumes_of_a_sealed_dispatch_leave_it_sealed(batches: Batches) -> None:
    """Rule 10: two resumes of a finished batch leave one seal that is proved."""
    assert 0 == batches.run(*batch_words(batches, ["plain"], 0)).code
    for _ in range(3):
        with batches.running(*RESUME) as one, batches.running(*RESUME) as other:
            assert {one.wait(60), other.wait(60)} <= {0, 7}
        assert 0 == batches.run("verify", "latest").code
