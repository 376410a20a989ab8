"""What all dispatches of a project came to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reports.recorded import BEGIN, at, attempt, small_dispatch, write_dispatch
from trailblazer.paths import Places
from trailblazer.record.lines import Closed, Line, Opened
from trailblazer.reports.history.model import History
from trailblazer.reports.history.page import index_page, lines_of_history
from trailblazer.reports.history.reading import read_history
from trailblazer.reports.page.html import draw_html


def nights(places: Places, *failed: str) -> History:
    """Write a dispatch of two items a night; each word holds the indices of the items that fail. Return the history."""
    for night, indices in enumerate(failed):
        lines: list[Line] = [Opened(dispatch="x", planned=2, host="h", pid=1, at=at(0))]
        for index in range(2):
            is_bad = str(index) in indices
            reason = f"exit 2: no host db-{night}" if is_bad else ""
            status = "error" if is_bad else "success"
            lines += attempt(index, 1, index, index + 1, status, reason=reason, usage={"costUSD": 0.5})
        lines.append(Closed(status="finished", exit_code=6 if indices else 0, at=at(3)))
        begun = BEGIN + timedelta(days=night)
        finished = (begun + timedelta(minutes=9)).isoformat().replace("+00:00", "Z")
        write_dispatch(places, lines, begun=begun, exit_code=6 if indices else 0, finished_on=finished)
    return read_history(places, 3)


def test_a_cause_that_comes_back_is_counted_by_dispatches(places: Places) -> None:
    """Reasons that differ in numbers are one cause, with its newest words and the number of its dispatches."""
    (cause,) = nights(places, "0", "", "01").recurring
    assert ("error: exit 2: no host db-2", 2, 3) == (cause.reason, cause.dispatches, cause.items)


def test_the_index_names_the_command_that_retries_what_failed(places: Places) -> None:
    """The newest dispatch of a lane counts: while its items failed, page and terminal say how they are retried."""
    history = nights(places, "0", "01")
    command = f"trailblazer batch run --retry-failed {history.dispatches[0].id}"
    page = draw_html(index_page(history)).decode()
    assert (True, False) == (command in page, history.dispatches[1].id + "</code>" in page)
    assert any(line.endswith(command) for line in lines_of_history(history))
    mended = nights(Places(places.root / "2", places.root / "2" / "var"), "0", "")
    assert not any("To retry" in line for line in lines_of_history(mended))


def test_an_item_is_stuck_until_it_is_good(places: Places) -> None:
    """An item that failed in the newest dispatches in a row is stuck; a good result in between ends the row."""
    found = {one.item: one.times for one in nights(places, "01", "0", "01", "01").stuck}
    assert {"item-0": 4, "item-1": 2} == found


def test_the_spend_of_a_week_is_added_up(places: Places) -> None:
    """Dispatches, those that did not end well, and US dollars are counted by ISO week, the newest first."""
    weeks = nights(places, "", "0", "", "").weeks
    assert [("2026-W48", 1, 0, 1.0), ("2026-W47", 3, 1, 3.0)] == [tuple(week) for week in weeks]


def test_the_age_of_the_last_success_is_by_lane(places: Places) -> None:
    """The newest dispatch with exit code 0 counts, and a lane without one says never."""
    (good,) = nights(places, "", "0").last_good
    assert ("items", "20261120T031700Z") == (good.lane, good.id)
    assert good.ago is not None
    (never,) = nights(Places(places.root / "2", places.root / "2" / "var"), "0").last_good
    assert never.ago is None


def test_a_folder_that_cannot_be_read_is_named(places: Places) -> None:
    """A damaged manifest or journal leaves one dispatch out, and says so."""
    folder = small_dispatch(places)
    (folder / "journal.ndjson").write_text('{"kind":"settle"}\n')
    history = read_history(places, 3)
    assert 1 == len(history.left_out)
    assert any("Left out" in line for line in lines_of_history(history))


@pytest.mark.parametrize(("park_after", "parked"), [(0, []), (2, ["item-0", "item-1"]), (3, ["item-0"]), (4, [])])
def test_an_issue_is_parked_by_the_configuration(places: Places, park_after: int, parked: list[str]) -> None:
    """So many failures in a row park an issue, not one that no provider worked on, and no item of another lane."""
    for night, indices in enumerate(((0, 1), (0,), (0, 1))):
        lines: list[Line] = [Opened(dispatch="x", planned=2, host="h", pid=1, at=at(0))]
        for index in indices:
            details = {"provider": "claude", "code": "runner_error"}
            lines += attempt(index, 1, index, index + 1, "error", reason="exit 2", details=details)
        details = {"provider": "claude", "code": "provider_unavailable"}
        lines += attempt(1, 1, 3, 4, "error", reason="gone", details=details) if night == 1 else []
        write_dispatch(places, lines, begun=BEGIN + timedelta(days=night), parameters={"lane": "issues"})
    history = read_history(places, park_after)
    assert parked == [one.item for one in history.stuck if one.is_parked]
    assert len(parked) == sum(line.startswith("Parked, failed") for line in lines_of_history(history))


@pytest.mark.parametrize("failed", [[], [""], ["0", "01"]], ids=["none", "one", "two"])
def test_the_page_is_drawn_for_any_history(places: Places, failed: list[str]) -> None:
    """A project without a dispatch has a page too."""
    history = nights(places, *failed)
    text = draw_html(index_page(history)).decode()
    assert all(f"{one.id}" in text for one in history.dispatches)
    assert "<h1>" in text
