"""Which issues of a tracker may be taken, in which order, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trailblazer.lanes.issues.earlier import Claims
from trailblazer.lanes.issues.issue import OPEN, Issue
from trailblazer.lanes.issues.rules import IssueRules
from trailblazer.plain import counted, one_line

CONFLICTS_LABEL = "conflicts:"
SHOWN = 20  # refused issues that the screen names one by one


@dataclass(frozen=True, slots=True)
class Candidate:
    """An issue that may be taken, the name of its checkout, and the keys of issues that never run beside it."""

    issue: Issue
    repo: str
    conflicts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NotTaken:
    """An issue that is not taken: the gate that refuses it, and why, in one line."""

    issue: str
    gate: str
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The issues that may be taken, most urgent first, and those that are not."""

    candidates: tuple[Candidate, ...]
    refused: tuple[NotTaken, ...]

    def lines(self) -> Iterator[str]:
        """Yield why issues are not taken: one line each when they are few, else one for each gate."""
        if len(self.refused) <= SHOWN:
            yield from (f"  {one.issue}: not taken: {one.reason}" for one in self.refused)
            return
        for gate, count in Counter(one.gate for one in self.refused).most_common():
            first = [one.issue for one in self.refused if one.gate == gate][:3]
            more = ", …" if count > len(first) else ""
            yield f"  {counted(count, 'issue')} not taken: {gate} ({', '.join(first)}{more})"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the issues: earlier nights, pairs that may say the same, and issues that cannot be read."""

    claims: Claims
    duplicates: Mapping[str, str]
    unreadable: Sequence[NotTaken] = ()


def select(issues: Iterable[Issue], rules: IssueRules, known: Known, *, worktree: bool) -> Selection:
    """Return the issues that may be taken: by priority, then as the tracker lists them.

    Without a worktree for each issue those of one checkout never run together.
    """
    ordered = sorted(issues, key=lambda issue: issue.priority)
    candidates: list[Candidate] = []
    refused = [one for one in known.unreadable if not rules.only or one.issue in rules.only]
    for issue in ordered:
        if rules.only and issue.id not in rules.only:
            continue
        why = _refusal(issue, rules, known)
        if why is not None:
            refused.append(NotTaken(issue.id, why[0], one_line(why[1], 300)))
            continue
        repo = rules.repos.name_for(issue.labels)
        keys = {label for label in issue.labels if label.startswith(CONFLICTS_LABEL)}
        candidates.append(Candidate(issue, repo, frozenset(keys if worktree else {*keys, f"repo:{repo}"})))
    return Selection(tuple(candidates), tuple(refused))


def _refusal(issue: Issue, rules: IssueRules, known: Known) -> tuple[str, str] | None:
    """Return the gate that refuses an issue and why, or None."""
    if night := known.claims.done_in(issue.id, issue.assignee):
        return "done", f"it was done in {night} and waits for review; release it in the tracker to take it again"
    if (closed := why_not_open(issue, known.claims)) is not None:
        return closed
    if rules.labels and not rules.labels & set(issue.labels):
        return "label", f"it has none of the labels {', '.join(sorted(rules.labels))}"
    if excluded := rules.exclude_labels & set(issue.labels):
        return "label", f"it has the label {', '.join(sorted(excluded))}"
    if problem := rules.repos.problem_with(issue.labels):
        return "repo", problem
    if rules.only:
        return None
    if twin := known.duplicates.get(issue.id):
        return "duplicate", f"it may say the same as {twin}"
    failures = known.claims.history.failures_in_a_row(issue.id)
    if rules.park_after and failures >= rules.park_after:
        return "parked", f"it failed {counted(failures, 'night')} in a row; to take it again: nightly {issue.id}"
    return None


def why_not_open(issue: Issue, claims: Claims) -> tuple[str, str] | None:
    """Return why an issue cannot be worked on by what the tracker says now: its gate and the reason, or None.

    A claim that a killed night left stands in nobody's way.
    """
    is_left = bool(issue.assignee) and claims.is_over(issue.id, issue.assignee)
    if issue.assignee and not is_left:
        return "claimed", f"already claimed by {issue.assignee}"
    if issue.status != OPEN and not is_left:
        return issue.status.replace("_", " ")[:40], f"its status is {issue.status}"
    if issue.blocked_by:
        return "blocked", f"it waits for {', '.join(issue.blocked_by[:3])}"
    return None
