"""A tracker that is a JSON or YAML file: it is read and never written; claims are files in var/claims/."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from trailblazer.atomic import read_regular
from trailblazer.config import read_yaml
from trailblazer.errors import ConfigWrong, PlanUnusable, Trouble
from trailblazer.lanes.issues.claim_files import ClaimFiles
from trailblazer.lanes.issues.issue import (
    CLOSED,
    OPEN,
    Issue,
    Listing,
    read_issues,
    records_in,
    settle_blockers,
    wrong_with_id,
)
from trailblazer.lanes.issues.tracker import ClaimAnswer, DuplicatePair, HeldIssue, LostClaim, ReleaseAnswer
from trailblazer.plain import one_line
from trailblazer.schemas import parse_json

MOST_BYTES = 64 << 20
_HINT = 'It holds an array of issues, or {"issues": […]}; each needs an id and a title (schemas/issue.schema.json).'
_YAML, _LINES = {".yaml", ".yml"}, {".jsonl", ".ndjson"}


class FileTracker:
    """The issues of a file: JSON, NDJSON (.jsonl, .ndjson) or YAML (.yaml, .yml)."""

    def __init__(self, file: Path, claims: ClaimFiles, keep_alive_seconds: float) -> None:
        self.name = str(file)
        self.keep_alive_seconds = keep_alive_seconds
        self._file, self._claims = file, claims
        self._lock = threading.Lock()
        self._seen: tuple[tuple[int, int, int], Listing] | None = None

    def check(self) -> None:
        """Read the file once. PlanUnusable (exit 4) when it cannot be read."""
        self._listing()
        self._claims.sweep()

    def list_open(self) -> Listing:
        """Return the issues that are not closed. One that is claimed is in progress and has its holder as assignee."""
        listing = self._listing()
        issues = tuple(self._as_claimed(issue) for issue in listing.issues if issue.status != CLOSED)
        return replace(listing, issues=issues)

    def show(self, issue_id: str) -> Issue | None:
        """Return an issue as the file and the claims have it now; None when the file has no such issue."""
        found = next((issue for issue in self._listing().issues if issue.id == issue_id), None)
        return self._as_claimed(found) if found else None

    def claim(self, issue_id: str, holder: str) -> ClaimAnswer:
        """Claim an issue that is open in the file."""
        try:
            if refusal := self._refusal(issue_id, holder):
                return refusal
            taken = self._claims.take(issue_id, holder)
        except Trouble as trouble:
            return ClaimAnswer(is_held=False, reason=one_line(trouble.what), has_failed=True)
        if taken == holder:
            return ClaimAnswer(is_held=True)
        return ClaimAnswer(is_held=False, held_by=taken, reason=f"already claimed by {one_line(taken)}")

    def _refusal(self, issue_id: str, holder: str) -> ClaimAnswer | None:
        """Return the answer to a claim that the file itself refuses."""
        if wrong := wrong_with_id(issue_id):
            return ClaimAnswer(is_held=False, reason=wrong)
        found = next((issue for issue in self._listing().issues if issue.id == issue_id), None)
        if found is None:
            return ClaimAnswer(is_held=False, reason=f"there is no issue {issue_id} in {self.name} any more")
        if found.assignee not in {"", holder}:
            reason = f"already claimed by {one_line(found.assignee)}"
            return ClaimAnswer(is_held=False, held_by=found.assignee, reason=reason)
        if found.status != OPEN:
            return ClaimAnswer(is_held=False, reason=f"the issue is {one_line(found.status)}")
        return None

    def release(self, issue_id: str, holder: str) -> ReleaseAnswer:
        """Remove the holder's claim."""
        try:
            is_free = not wrong_with_id(issue_id) and self._claims.give_back(issue_id, holder)
        except Trouble as trouble:
            return ReleaseAnswer(is_released=False, reason=one_line(trouble.what))
        return ReleaseAnswer(is_released=is_free, reason="" if is_free else "somebody else has the claim")

    def keep_alive(self, issue_ids: Collection[str], holder: str) -> tuple[LostClaim, ...]:
        """Write the time into the holder's claims."""
        lost = []
        for issue_id in issue_ids:
            try:
                now = self._claims.refresh(issue_id, holder)
            except Trouble:  # nothing is known: the claim stands
                continue
            if now != holder:
                lost.append(LostClaim(issue_id, f"it is claimed by {one_line(now)}" if now else "the claim is gone"))
        return tuple(lost)

    def claimed_by(self, prefix: str) -> tuple[HeldIssue, ...]:
        """Return the claims of holders whose names begin with a prefix."""
        return tuple(
            HeldIssue(claim.issue, claim.holder) for claim in self._claims.held() if claim.holder.startswith(prefix)
        )

    def duplicates(self) -> tuple[DuplicatePair, ...]:
        """Return none: a file does not know its duplicates."""
        return ()

    def _as_claimed(self, issue: Issue) -> Issue:
        holder = self._claims.holder_of(issue.id)
        return replace(issue, status="in_progress", assignee=holder, is_ready=False) if holder else issue

    def _listing(self) -> Listing:
        """Return all issues of the file, also the closed ones; the file is read again only after a change."""
        with self._lock:
            try:
                found = self._file.stat()
                stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
                if self._seen is None or self._seen[0] != stamp:
                    self._seen = (stamp, settle_blockers(read_issues(records_in(_read_document(self._file)))))
            except OSError as error:
                raise PlanUnusable(f"cannot read {self._file}: {error.strerror}", "tracker.source names it.") from error
            except ConfigWrong as error:
                raise PlanUnusable(one_line(error.what), _HINT) from error
            except ValueError as error:
                raise PlanUnusable(f"{self._file}: {one_line(str(error), 300)}", _HINT) from error
            return self._seen[1]


def _read_document(file: Path) -> Any:
    """Return what a file holds. What is no JSON or YAML, is too large or is nested deeply is an error."""
    text = read_regular(file, MOST_BYTES)
    if file.suffix.lower() in _YAML:
        return read_yaml(file)
    if file.suffix.lower() in _LINES:
        return [
            _parse(line, f"line {number}") for number, line in enumerate(text.splitlines(), start=1) if line.strip()
        ]
    return _parse(text.removeprefix(b"\xef\xbb\xbf"), "it")


def _parse(text: bytes, what: str) -> Any:
    try:
        return parse_json(text, is_exact=True)
    except ValueError as error:
        raise ValueError(f"{what} is not JSON: {error}") from None
