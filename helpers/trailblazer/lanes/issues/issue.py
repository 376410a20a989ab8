"""An issue of a tracker, and the one reader that makes issues of JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from trailblazer import schemas
from trailblazer.plain import one_line

LONGEST_ID = 200
_ID = re.compile(r"[A-Za-z0-9_:#][A-Za-z0-9._:#-]*")
_BLOCKING = {"blocks", "conditional-blocks", "waits-for"}
_ENVELOPES = ("issues", "data", "items", "results")
_SHOWN = 120
OPEN, CLOSED = "open", "closed"


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as the tracker has it. Its texts come from outside: `headline` is what may be shown.

    `dependencies` are the ids of the issues that must be closed before it, and `blocked_by` those of them that are not
    closed yet. `is_ready` is the tracker's word: open, and nothing blocks it. Priority 0 is the most urgent, 4 the
    least.
    """

    id: str
    title: str
    description: str = ""
    status: str = OPEN
    priority: int = 2
    issue_type: str = "task"
    assignee: str = ""
    labels: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    url: str | None = None
    blocked_by: tuple[str, ...] = ()
    is_ready: bool = True

    def headline(self, limit: int = _SHOWN) -> str:
        """Return the title as one plain line of at most `limit` characters."""
        return one_line(self.title, limit)


@dataclass(frozen=True, slots=True)
class RefusedIssue:
    """An issue of a list that cannot be used: where it stands (`issue 17`, or its id), and why, as plain lines."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The issues of a tracker in its order, and those that were refused."""

    issues: tuple[Issue, ...]
    refused: tuple[RefusedIssue, ...] = ()


def wrong_with_id(issue_id: Any) -> str:
    """Return why an id cannot be used, or an empty text: it becomes a word of a command and the name of a file."""
    if not isinstance(issue_id, str):
        return "the id is no text" if issue_id is not None else "there is no id"
    if not issue_id:
        return "the id is empty"
    if len(issue_id) > LONGEST_ID:
        return f"the id has {len(issue_id):,} characters, at most {LONGEST_ID} are taken"
    if issue_id[0] in "-.":
        return f"the id {one_line(issue_id, 60)!r} begins with {issue_id[0]!r}"
    if not _ID.fullmatch(issue_id):
        return f"the id {one_line(issue_id, 60)!r} holds more than letters, digits and . _ : # -"
    return ""


def records_in(document: Any) -> list[Any]:
    """Return the records of an array, or of an envelope around one ({"issues": […]}, {"data": …}); else ValueError."""
    for _ in range(3):  # an envelope may hold another one
        if isinstance(document, list):
            return document
        if not isinstance(document, Mapping):
            break
        if "id" in document:
            return [document]
        inside = [document[name] for name in _ENVELOPES if isinstance(document.get(name), list | Mapping)]
        if not inside:
            break
        document = inside[0]
    raise ValueError("it holds no list of issues")


def read_issues(records: Iterable[Any]) -> Listing:
    """Return the issues of a list of records. A record that cannot be used is refused, and the others stay.

    What a record does not say of its dependencies, `settle_blockers` finds out in the whole list.
    """
    issues: dict[str, Issue] = {}
    refused = []
    for number, record in enumerate(records, start=1):
        issue = read_issue(record)
        if isinstance(issue, str):
            refused.append(RefusedIssue(_place_of(record, number), issue))
        elif issue.id in issues:
            refused.append(RefusedIssue(f"issue {number}", f"the id {issue.id} is there twice"))
        else:
            issues[issue.id] = issue
    return Listing(tuple(issues.values()), tuple(refused))


def settle_blockers(listing: Listing) -> Listing:
    """Return a listing with what blocks each issue. An issue that the listing does not have counts as closed."""
    open_ids = {issue.id for issue in listing.issues if issue.status != CLOSED}
    return replace(listing, issues=tuple(blocked_among(issue, open_ids) for issue in listing.issues))


def blocked_among(issue: Issue, open_ids: set[str]) -> Issue:
    """Return an issue with those of its dependencies that are among the ids of the issues that are not closed."""
    blocked_by = tuple(name for name in issue.dependencies if name in open_ids)
    return replace(issue, blocked_by=blocked_by, is_ready=issue.status == OPEN and not blocked_by)


def read_issue(record: Any) -> Issue | str:
    """Return the issue that a record of a tracker means, or why it cannot be used, as one plain line."""
    if not isinstance(record, Mapping):
        return "it is no object with an id and a title"
    issue_id = _id_of(record)
    if wrong := wrong_with_id(issue_id):
        return wrong
    document = {
        "id": issue_id,
        "title": record.get("title"),
        "description": _first(record, "description", "body", default=""),
        "status": _lower(_first(record, "status", "state", default=OPEN)),
        "priority": _priority(record.get("priority")),
        "issue_type": _first(record, "issue_type", "type", default="task"),
        "assignee": _first(record, "assignee", default=""),
        "labels": [_name_of(label) for label in _listed(record.get("labels"))],
        "dependencies": _without_twins(_blockers(record, issue_id)),
        "url": _address(record),
    }
    document = {key: _clean(value) for key, value in document.items()}
    if violations := schemas.violations_in("issue")(document):
        return one_line(violations[0], 300)
    return blocked_among(schemas.as_record(Issue, document), set(document["dependencies"]) - _closed_in(record))


def _id_of(record: Any) -> Any:
    """Return the id of a record; a YAML file may hold a number there."""
    found = _first(record, "id", "number", default=None) if isinstance(record, Mapping) else None
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else found


def _place_of(record: Any, number: int) -> str:
    found = _id_of(record)
    return f"issue {number}" if wrong_with_id(found) else str(found)


def _first(record: Mapping[str, Any], *names: str, default: Any) -> Any:
    """Return the first of these fields that is there and is not null."""
    return next((record[name] for name in names if record.get(name) is not None), default)


def _lower(value: Any) -> Any:
    return value.lower().replace(" ", "_") if isinstance(value, str) else value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _priority(value: Any) -> Any:
    """Return 0 to 4 for 2, "2" and "P2"; a priority that is not said is 2, the usual one."""
    if isinstance(value, str) and re.fullmatch(r"[pP]?[0-9]", value):
        return int(value[-1])
    return 2 if value is None else value


def _name_of(value: Any) -> Any:
    return value["name"] if isinstance(value, Mapping) and "name" in value else value


def _blockers(record: Mapping[str, Any], issue_id: str) -> Iterable[Any]:
    """Yield the ids of what must be closed before an issue: bd lists edges in `list`, and whole issues in `show`."""
    for edge in _listed(record.get("dependencies")):
        if not isinstance(edge, Mapping):
            yield str(edge) if isinstance(edge, int) and not isinstance(edge, bool) else edge
            continue
        blocks = _first(edge, "dependency_type", "type", default="blocks") in _BLOCKING
        if blocks and edge.get("issue_id") in (None, issue_id):
            yield _first(edge, "depends_on_id", "id", default=None)


def _without_twins(values: Iterable[Any]) -> list[Any]:
    return list({str(value): value for value in values}.values())


def _closed_in(record: Mapping[str, Any]) -> set[Any]:
    """Return the ids of the dependencies that a record itself calls closed, as that of `bd show` does."""
    edges = [edge for edge in _listed(record.get("dependencies")) if isinstance(edge, Mapping)]
    return {edge.get("id") for edge in edges if edge.get("status") == CLOSED and isinstance(edge.get("id"), str)}


def _address(record: Mapping[str, Any]) -> str | None:
    found = _first(record, "url", "external_ref", default=None)
    return found if isinstance(found, str) and re.match(r"https?://", found) else None


def _clean(value: Any) -> Any:
    """Return a text without half characters, which no file and no terminal takes."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value
