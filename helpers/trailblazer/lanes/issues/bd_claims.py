"""Claims and releases an issue of bd: what bd says is never enough, the issue is read back."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

from trailblazer.errors import Trouble
from trailblazer.lanes.issues.bd_calls import BdCalls, down, errors_in, what_it_said
from trailblazer.lanes.issues.bd_fence import BdFence
from trailblazer.lanes.issues.bd_version import BdCommands
from trailblazer.lanes.issues.issue import CLOSED, OPEN, Issue, read_issue, wrong_with_id
from trailblazer.lanes.issues.tracker import ClaimAnswer, IsOver, ReleaseAnswer, TrackerDown
from trailblazer.plain import one_line
from trailblazer.processes.ask import Answer

_CLAIMED_BY = re.compile(r"already claimed by (?P<name>.+?)(?: at \d{1,4}[-:]\S.*)?\s*$", re.MULTILINE)
_ERROR = re.compile(r"^\W*error\b", re.IGNORECASE | re.MULTILINE)
_RELEASABLE = {OPEN, "in_progress"}


class BdClaims:
    """The claims of this program on the issues of bd."""

    def __init__(
        self,
        calls: BdCalls,
        commands: BdCommands,
        fence: BdFence,
        is_over: IsOver,
        release_command: Sequence[str] | None,
    ) -> None:
        self._calls, self._commands, self._fence, self._is_over = calls, commands, fence, is_over
        self._release_command = release_command

    def claim(self, issue_id: str, holder: str) -> ClaimAnswer:
        """Claim an issue: read it, take the fence, let bd claim it, read it back. Any error means not held.

        It takes four calls of bd, three more when it takes a claim over, and up to five to give back what it took.
        """
        if wrong := wrong_with_id(issue_id) or wrong_with_actor(holder):
            return ClaimAnswer(is_held=False, reason=wrong)
        try:
            issue = self.look(issue_id)
            if refusal := self._refusal(issue_id, issue, holder):
                return refusal
            first = self._fence.take(issue_id, holder)
        except Trouble as trouble:
            return ClaimAnswer(is_held=False, reason=one_line(trouble.what), has_failed=True)
        if first != holder:
            return _held_by(first)
        try:
            answer = self._claim_fenced(issue_id, issue, holder)
        except Trouble as trouble:
            answer = ClaimAnswer(is_held=False, reason=one_line(trouble.what), has_failed=True)
        if not answer.is_held:
            self._give_up(issue_id, holder)
        return answer

    def look(self, issue_id: str) -> Issue | None:
        """Return an issue as bd shows it now; None when there is none with exactly this id."""
        record = self._calls.record(issue_id)
        if record is None:
            return None
        issue = read_issue(record)
        if isinstance(issue, str):
            raise TrackerDown(f"bd shows {issue_id}, but {issue}", "Mend that issue in the tracker.")
        return issue

    def _refusal(self, issue_id: str, issue: Issue | None, holder: str) -> ClaimAnswer | None:
        """Return the answer to a claim that the issue itself refuses."""
        if issue is None:
            return ClaimAnswer(is_held=False, reason=f"there is no issue {issue_id} any more")
        if issue.status == CLOSED:
            return ClaimAnswer(is_held=False, reason="the issue is closed")
        if issue.assignee not in {"", holder} and not self._is_over(issue_id, issue.assignee):
            return _held_by(issue.assignee)
        if issue.status != OPEN and not issue.assignee:
            return ClaimAnswer(is_held=False, reason=f"the issue is {one_line(issue.status)}")
        return None

    def _claim_fenced(self, issue_id: str, issue: Issue | None, holder: str) -> ClaimAnswer:
        """Claim an issue whose fence is ours."""
        if issue is not None and issue.assignee not in {"", holder}:
            now = self.look(issue_id)  # another process may have taken it over before we had the fence
            if now is not None and now.assignee == issue.assignee:
                self._unassign(issue_id, issue.assignee)
        answer = self._calls.ask("update", issue_id, "--claim", "--json", actor=holder)
        if answer.is_late:
            raise down("update --claim", answer)
        now = self.look(issue_id)
        if now is None:
            return ClaimAnswer(is_held=False, reason=f"the issue {issue_id} vanished while it was claimed")
        if now.assignee not in {"", holder}:
            return _held_by(now.assignee)
        named = claimed_by_in(answer)
        if named not in {"", holder}:
            return _held_by(named)
        if now.assignee == holder and now.status != CLOSED and (named == holder or not is_error(answer)):
            return ClaimAnswer(is_held=True)
        what = f"the issue is {one_line(now.status)}, and bd says: {what_it_said(answer)}"
        return ClaimAnswer(is_held=False, reason=what, has_failed=True)

    def _give_up(self, issue_id: str, holder: str) -> None:
        """Give back what a claim that failed may have taken. What bd does not take now is recovered later."""
        if not self.release(issue_id, holder).is_released:
            with contextlib.suppress(Trouble):
                self._fence.give_back(issue_id, holder)

    def release(self, issue_id: str, holder: str) -> ReleaseAnswer:
        """Make an issue that is still ours open again, then give the fence back. A closed issue stays closed."""
        if wrong := wrong_with_id(issue_id) or wrong_with_actor(holder):
            return ReleaseAnswer(is_released=False, reason=wrong)
        try:
            issue = self.look(issue_id)
            is_ours = issue is not None and issue.assignee == holder
            if issue is not None and is_ours and issue.status in _RELEASABLE:
                self._unassign(issue_id, holder)
                issue = self.look(issue_id)
            if issue is not None and issue.assignee == holder and issue.status in _RELEASABLE:
                return ReleaseAnswer(is_released=False, reason="bd still shows the issue as claimed")
            self._fence.give_back(issue_id, holder)
        except Trouble as trouble:
            return ReleaseAnswer(is_released=False, reason=one_line(trouble.what))
        return _released(issue_id, issue, holder)

    def _unassign(self, issue_id: str, holder: str) -> None:
        """Let bd take an issue from its holder, in the holder's name; TrackerDown when bd refuses."""
        if self._release_command:
            filled = [word.replace("{id}", issue_id).replace("{holder}", holder) for word in self._release_command]
            answer = self._calls.ask_other(filled, holder)
        elif self._commands.has("unclaim"):
            answer = self._calls.ask("unclaim", issue_id, actor=holder)
        else:
            answer = self._calls.ask("update", issue_id, "--status", OPEN, "--assignee", "", actor=holder)
        if answer.code != 0:
            raise down("unclaim", answer)


def claimed_by_in(answer: Answer) -> str:
    """Return who has the issue by the words `already claimed by NAME` of bd, on either stream; empty without them.

    NAME may have spaces. It ends at the end of its line, or before ` at TIME`.
    """
    found = (_CLAIMED_BY.search(text) for text in errors_in(answer))
    return next((match["name"].strip() for match in found if match), "")


def is_error(answer: Answer) -> bool:
    """Say whether an answer tells of an error; old versions do so with exit 0."""
    return answer.code != 0 or any(_ERROR.search(text) for text in (answer.err, answer.out))


def wrong_with_actor(name: str) -> str:
    """Return why a holder's name cannot be the actor of bd, or an empty text: it becomes a word of a command."""
    if not name or name.startswith("-") or not name.isprintable() or len(name) > 250:
        return f"the holder {one_line(name, 60)!r} is no name"
    return ""


def _held_by(name: str) -> ClaimAnswer:
    return ClaimAnswer(is_held=False, held_by=name, reason=f"already claimed by {one_line(name)}")


def _released(issue_id: str, issue: Issue | None, holder: str) -> ReleaseAnswer:
    """Return what the release of an issue, as it is now, came to."""
    if issue is None:
        return ReleaseAnswer(is_released=True, reason=f"there is no issue {issue_id} any more")
    if issue.assignee not in {"", holder}:
        return ReleaseAnswer(is_released=False, reason=f"it is claimed by {one_line(issue.assignee)}")
    if issue.status == OPEN:
        return ReleaseAnswer(is_released=True)
    return ReleaseAnswer(is_released=issue.status == CLOSED, reason=f"the issue is {one_line(issue.status)}")
