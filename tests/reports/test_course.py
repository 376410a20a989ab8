"""What a report knows of a dispatch, read once from its journal."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as some

from reports.recorded import HOSTILE_ITEM, at, attempt, large_dispatch, small_dispatch, write_dispatch
from trailblazer.errors import DocumentInvalid
from trailblazer.paths import Places
from trailblazer.record.folder import JOURNAL
from trailblazer.record.lines import Grown, Opened, Resumed, Started
from trailblazer.record.standing import read_standing
from trailblazer.reports.course.columns import MOST, Columns
from trailblazer.reports.course.durations import durations_of
from trailblazer.reports.course.model import Report
from trailblazer.reports.course.reading import read_course, read_report


def test_the_counts_are_those_of_the_standing(rich: Report) -> None:
    """A report counts as the journal's own standing does."""
    standing, _ = read_standing(rich.folder / JOURNAL)
    assert standing.counted() == rich.course.counts
    assert dict(sorted(standing.usage.items())) == pytest.approx(dict(rich.course.usage))


def test_causes_are_counted_by_the_newest_outcome(rich: Report) -> None:
    """What a resume mended has no cause any more; reasons that differ in numbers are one cause."""
    causes = [(cause.status, cause.items, cause.named) for cause in rich.course.causes]
    assert ("error", 3, ("task_31", "task_32", "task_33")) == causes[0]
    assert ["skipped"] == [cause.status for cause in rich.course.refusals]


def test_every_try_has_its_cause(rich: Report) -> None:
    """A retry, a try that was put back, and a failure before a resume are tries of their items."""
    tries = {
        one.item: [(made.attempt, made.status, made.provider) for made in one.tries] for one in rich.course.retried
    }
    assert [(1, "error", "claude")] == tries["item-12"]
    assert [(1, "again", "claude")] == tries["item-13"]
    assert [(1, "error", "")] == tries["item-30"]
    assert 3 == rich.course.retried_in_all


def test_a_gap_before_a_resume_is_no_time_of_work(rich: Report) -> None:
    """The hour in which no process was there is left out, and the process that came later says so."""
    assert 273 == pytest.approx(rich.course.timeline.seconds)
    assert 3737 == pytest.approx(rich.course.processes[1].gap)


def test_a_wait_for_a_provider_is_seen(rich: Report) -> None:
    """The time in which everything waited is there, and each switch with its reason."""
    timeline = rich.course.timeline
    assert 55 == pytest.approx(sum(timeline.waited) * timeline.width)
    assert "claude closed until" in rich.course.switches[0].text


def test_the_longest_silence_names_what_ran(rich: Report) -> None:
    """The longest time in which nothing ended is that of the item that ran into its limit."""
    assert 60 == pytest.approx(rich.course.silence.seconds)
    assert ("item-34",) == rich.course.silence.items


def test_money_of_failed_attempts_is_known(rich: Report) -> None:
    """What attempts cost that did not succeed is added up."""
    assert 0.12 == pytest.approx(rich.course.wasted["costUSD"])


def test_the_dispatch_before_is_found(rich: Report) -> None:
    """The dispatch of the same lane before this one is there to compare with."""
    assert rich.before is not None
    assert "20261119T031700Z" == rich.before.dispatch_id


def test_a_dispatch_that_runs_is_read_too(places: Places) -> None:
    """Attempts without an outcome are underway, and a torn last line is left out."""
    lines = [Opened(dispatch="x", planned=3, host="h", pid=1, at=at(0)), *attempt(0, 1, 0, 1)]
    folder = write_dispatch(
        places,
        [*lines, Started(item="b", index=1, attempt=1, at=at(2))],
        status="running",
        finished_on=None,
        exit_code=None,
    )
    with (folder / JOURNAL).open("ab") as journal:
        journal.write(b'{"at":"2026')
    report = read_report(folder)
    assert ["b"] == [one.item for one in report.course.underway]
    assert 2 == report.course.counts["unrun"]
    assert "running" == report.status


def test_a_plan_that_grew_has_all_its_items(places: Places) -> None:
    """An item that came after the start is counted and has its row."""
    lines = [
        Opened(dispatch="x", planned=1, host="h", pid=1, at=at(0)),
        Grown(planned=3, at=at(1)),
        *attempt(2, 1, 1, 2),
    ]
    course = read_course(write_dispatch(places, lines) / JOURNAL, is_running=False)
    assert (3, 1) == (course.counts["planned"], course.counts["success"])
    assert ["item-2"] == [row.item for row in course.rows]


def test_attempts_of_a_killed_process_end_with_it(places: Places) -> None:
    """After a resume the attempts of the earlier process are no longer underway."""
    lines = [
        Opened(dispatch="x", planned=1, host="h", pid=1, at=at(0)),
        Started(item="a", index=0, attempt=1, at=at(1)),
        Resumed(host="h", pid=2, at=at(100)),
    ]
    course = read_course(write_dispatch(places, lines) / JOURNAL, is_running=True)
    assert () == course.underway


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b'{"kind":"settle","at":"2026-11-20T03:17:00Z","item":"a","index":7,"attempt":1,"status":"success","reason":""}',
        b'{"kind":"settle","at":"2026-11-20T03:17:00Z","item":"a","index":0,"attempt":1,"status":"odd","reason":""}',
        b'{"kind":"open","at":"2026-11-20T03:17:00Z","planned":1e30}',
        b'{"kind":"start","at":"yesterday","item":"a","index":0,"attempt":1}',
    ],
    ids=["no object", "index", "status", "planned", "moment"],
)
def test_a_journal_that_no_dispatch_writes_is_refused(places: Places, line: bytes) -> None:
    """Whatever a line holds, the answer is DocumentInvalid and not a traceback."""
    folder = small_dispatch(places)
    (folder / JOURNAL).write_bytes(line + b"\n")
    with pytest.raises(DocumentInvalid):
        read_course(folder / JOURNAL, is_running=False)


def test_few_items_are_all_shown_and_many_are_chosen(places: Places) -> None:
    """With more items than asked for there are the failed ones, the slowest and a sample, and the rest is counted."""
    folder = large_dispatch(places, 600)
    assert 600 == len(read_report(folder, 600).course.rows)
    course = read_report(folder, 599).course
    assert 100 <= len(course.rows) <= 200
    assert 600 == len(course.rows) + course.rows_left_out


def test_the_memory_does_not_grow_with_the_lines(places: Places) -> None:
    """Reading 20,000 items takes at most two megabytes more than reading 1,000."""

    def peak(planned: int) -> int:
        root = places.root / str(planned)
        folder = large_dispatch(Places(root, root / "var"), planned)
        tracemalloc.start()
        read_report(folder, 500)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(20_000) - peak(1_000) < 2_500_000


@given(spans=some.lists(some.tuples(some.floats(0, 1e6), some.floats(0, 1e5)), max_size=40))
def test_columns_lose_no_time(spans: list[tuple[float, float]]) -> None:
    """However often columns merge, they hold as many seconds as were put in, in no more columns than fit."""
    columns = Columns()
    for start, length in spans:
        columns.spread(start, start + length, "busy")
    row = columns.of("busy", MOST)
    assert sum(length for _, length in spans) == pytest.approx(sum(row), rel=1e-6, abs=1e-3)
    assert all(amount >= -1e-6 for amount in row)


@given(seconds=some.lists(some.floats(-1, 1e5), max_size=60))
def test_each_item_that_ran_is_in_one_bin(seconds: list[float]) -> None:
    """The bins hold every time from 0 on, and the percentiles are times that were measured."""
    found = durations_of(seconds)
    known = [one for one in seconds if one >= 0]
    assert (len(known), len(known)) == (found.items, sum(found.bins) if known else 0)
    assert not known or {found.p50, found.p95, found.longest} <= set(known)


def test_hostile_ids_reach_the_model_as_they_are(rich: Report) -> None:
    """The model keeps what the journal says; who draws it makes it plain."""
    assert HOSTILE_ITEM in [row.item for row in rich.course.rows]
