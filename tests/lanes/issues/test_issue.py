"""One reader makes issues of what trackers say; a bad issue is refused, and the others stay."""

from __future__ import annotations

from typing import Any

import pytest

from trailblazer.lanes.issues.issue import (
    Issue,
    RefusedIssue,
    read_issue,
    read_issues,
    records_in,
    settle_blockers,
    wrong_with_id,
)

ONE = {"id": "bd-1", "title": "One"}


@pytest.mark.parametrize(
    "document",
    [[ONE], {"issues": [ONE]}, {"data": [ONE]}, {"schema_version": 1, "data": {"issues": [ONE]}}, ONE, {"data": ONE}],
)
def test_a_list_may_be_in_an_envelope(document: Any) -> None:
    """An array, one issue, and an envelope around either are read alike."""
    assert [ONE] == records_in(document)


@pytest.mark.parametrize(
    "document", [7, "x", None, {}, {"error": "no"}, {"issues": 3}, {"data": {"data": {"data": {}}}}]
)
def test_what_holds_no_list_is_refused(document: Any) -> None:
    """A document without a list of issues is a ValueError, never an empty list."""
    with pytest.raises(ValueError, match="no list of issues"):
        records_in(document)


@pytest.mark.parametrize("good", ["bd-1", "a", "A.b_c:d#e-9", "_x", "#12", "x" * 200, "tb-1.2.3"])
def test_a_usual_id_is_taken(good: str) -> None:
    """Letters, digits and . _ : # - make an id."""
    assert "" == wrong_with_id(good)


@pytest.mark.parametrize(
    "bad",
    [
        "", "-x", "--all", ".hidden", "..", "a/b", "../x", "a b", "a\n", "a\x1b[31m", "a\0", "x" * 201, "é", "a;b",
        "$(id)", None, 3.5, True, [], {},
    ],
)  # fmt: skip
def test_an_id_that_could_do_harm_is_refused(bad: Any) -> None:
    """An empty id, an option, a path and control characters are refused, each with a plain line that says why."""
    reason = wrong_with_id(bad)
    assert reason
    assert reason.isprintable()
    assert len(reason) < 200


def test_a_bad_issue_does_not_spoil_the_list() -> None:
    """Each record that cannot be used is refused with its place, and the rest is read."""
    records = [
        ONE,
        {"id": "-x", "title": "t"},
        7,
        {"id": "bd-2"},
        {"id": "bd-1", "title": "again"},
        {"id": 12, "title": "t"},
    ]
    listing = read_issues(records)
    assert ["bd-1", "12"] == [issue.id for issue in listing.issues]
    assert ["issue 2", "issue 3", "bd-2", "issue 5"] == [refused.place for refused in listing.refused]
    assert "begins with '-'" in listing.refused[0].reason
    assert "$.title" in listing.refused[2].reason
    assert RefusedIssue("issue 5", "the id bd-1 is there twice") == listing.refused[3]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", 5), ("priority", -1), ("priority", "high"), ("priority", True), ("title", 3), ("labels", [3]),
        ("assignee", {}), ("status", 1), ("description", []), ("dependencies", [[]]), ("dependencies", [{"id": 3}]),
    ],
)  # fmt: skip
def test_a_field_of_another_kind_is_refused(field: str, value: Any) -> None:
    """A field that breaks the schema is named in the refusal of that issue."""
    reason = read_issue({**ONE, field: value})
    assert isinstance(reason, str)
    assert f"$.{field}" in reason


def test_every_field_is_read() -> None:
    """An issue as bd lists it has all its fields."""
    record = {
        "id": "bd-1",
        "title": "One",
        "description": "Do it",
        "status": "in_progress",
        "priority": 0,
        "issue_type": "bug",
        "assignee": "Ada Lovelace",
        "labels": ["repo:site"],
        "external_ref": "https://tracker.example/1",
        "dependencies": [
            {"issue_id": "bd-1", "depends_on_id": "bd-2", "type": "blocks"},
            {"issue_id": "bd-1", "depends_on_id": "bd-3", "type": "related"},
            {"issue_id": "bd-9", "depends_on_id": "bd-4", "type": "blocks"},
            {"issue_id": "bd-1", "depends_on_id": "bd-2", "type": "waits-for"},
        ],
        "created_at": "2026-11-21T03:17:00Z",
    }
    expected = Issue(
        "bd-1", "One", "Do it", "in_progress", 0, "bug", "Ada Lovelace", ("repo:site",), ("bd-2",),
        "https://tracker.example/1", ("bd-2",), is_ready=False,
    )  # fmt: skip
    assert expected == read_issue(record)


def test_forms_of_other_trackers_are_read() -> None:
    """A number as id, `body`, `state`, labels with names and P1 mean what people mean by them."""
    record = {"number": 12, "title": "t", "body": "b", "state": "OPEN", "labels": [{"name": "x"}], "priority": "P1"}
    assert Issue("12", "t", "b", "open", 1, labels=("x",)) == read_issue(record)


def test_an_issue_is_blocked_by_what_is_not_closed() -> None:
    """A dependency that is closed, or that the list does not have, blocks nothing."""
    records = [
        {**ONE, "dependencies": ["bd-2", "bd-3", "bd-4"]},
        {"id": "bd-2", "title": "Two"},
        {"id": "bd-3", "title": "Three", "status": "closed"},
    ]
    issue = settle_blockers(read_issues(records)).issues[0]
    assert ("bd-2", "bd-3", "bd-4") == issue.dependencies
    assert ("bd-2",) == issue.blocked_by
    assert not issue.is_ready


def test_an_issue_that_depends_on_itself_is_blocked() -> None:
    """A circle of dependencies is no endless loop, and nothing in it is ready."""
    records = [{**ONE, "dependencies": ["bd-2"]}, {"id": "bd-2", "title": "Two", "dependencies": ["bd-1", "bd-2"]}]
    assert [False, False] == [issue.is_ready for issue in settle_blockers(read_issues(records)).issues]


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("\x1b[2J\x1b[31mred", "^[[2J^[[31mred"),
        ("two\nlines\ttab", "two lines tab"),
        ("turned \u202e", "turned <U+202E>"),
        ("<b>{{ x }}</b>", "<b>{{ x }}</b>"),
        ("half \ud83d", "half ?"),
    ],
)
def test_a_title_is_shown_plain(title: str, shown: str) -> None:
    """What a title holds cannot act on a terminal."""
    issue = read_issue({**ONE, "title": title})
    assert isinstance(issue, Issue)
    assert shown == issue.headline()


def test_a_long_title_is_kept_and_shown_short() -> None:
    """A title of 100 KB is whole in the issue, and one short line where it is shown."""
    issue = read_issue({**ONE, "title": "long " * 20_000})
    assert isinstance(issue, Issue)
    assert 100_000 == len(issue.title)
    assert 120 == len(issue.headline())


def test_a_hundred_thousand_dependencies_are_read_at_once() -> None:
    """The time to read an issue grows with its size, not with its square."""
    issue = read_issue({**ONE, "dependencies": [f"bd-{number}" for number in range(100_000)]})
    assert isinstance(issue, Issue)
    assert 100_000 == len(issue.dependencies)
