"""Issues of a tracker: each is looked at again, claimed there, and given to a provider with its prompt."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trailblazer.dispatch.lane import Dispatch, Handle, Held, OwnedLane, Running
from trailblazer.errors import StaleClaim, Trouble
from trailblazer.lanes.issues.conflicts import ConflictLocks
from trailblazer.lanes.issues.earlier import Claims
from trailblazer.lanes.issues.holder import own_holder
from trailblazer.lanes.issues.issue import CLOSED
from trailblazer.lanes.issues.prompt import values_of
from trailblazer.lanes.issues.questions import Question, count_open_changes, open_change
from trailblazer.lanes.issues.selection import Candidate, why_not_open
from trailblazer.lanes.issues.tracker import Tracker, TrackerDown
from trailblazer.lanes.issues.trees import Trees
from trailblazer.lanes.orders import Orders, Try
from trailblazer.providers.command import Judged
from trailblazer.providers.lineup import Lineup
from trailblazer.record.admission import WIDE, Room
from trailblazer.record.outcomes import Again, Item, Left, Outcome, Refusal, Refused, Status

GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Means:
    """What the lane works with. `root` is the folder that holds config/."""

    tracker: Tracker
    claims: Claims
    lineup: Lineup
    orders: Orders
    trees: Trees
    has_open_change: Question | None
    open_changes: Question | None
    max_open: int | None
    root: Path
    conflicts: ConflictLocks


class IssuesLane(OwnedLane):
    """Claims issues in the tracker for as long as an agent works on them.

    A claim is given back when nothing runs any more and nothing was done. After a success it stays: the change waits
    for review. While a runner may still work on an issue its claim stays as well.
    """

    def __init__(self, means: Means, repos: Mapping[str, Path], *, settles_only: bool = False) -> None:
        self._means, self._repos, self._settles_only = means, repos, settles_only
        self._holder = ""
        self._running: dict[str, Running | None] = {}
        self.left: set[str] = set()
        self.most: int | None = None  # no more changes than this may be made
        self._lock = threading.Lock()
        self._next_sign = 0.0
        self._asked_last = ""  # the issue that was looked at last

    def check(self) -> None:
        """Ask once whether the tracker answers, and how many changes wait for review."""
        self._means.tracker.check()
        if not self._settles_only:
            self._means.lineup.check()
            self.most = count_open_changes(self._means.open_changes, self._means.max_open, self._means.root)

    @property
    def provider(self) -> str:
        """The provider that works first, or would."""
        choice = self._means.lineup.choice()
        return choice.provider if choice is not None else self._means.lineup.members[0].name

    def room(self) -> Room:
        """Return how many attempts the providers stand."""
        return WIDE if self._settles_only else self._means.orders.room()

    def widen(self, slots: int) -> None:
        """Allow so many attempts at once."""
        self._means.lineup.widen(slots)

    def open(self, dispatch: Dispatch) -> None:
        """Take the name for the claims of this dispatch, and make the place where orders run."""
        self._holder = own_holder(dispatch.id)
        self._means.orders.open(dispatch)

    def probe(self) -> None:
        """Ask the tracker whether it answers, and for the issue that was looked at last."""
        self._means.tracker.check()
        self._means.tracker.show(self._asked_last)

    def gate(self, items: Sequence[Item]) -> list[Refused]:
        """Look at the issues again: a night is long."""
        return [refused for item in items if (refused := self.refusal(item))]

    def refusal(self, item: Item) -> Refused | None:
        """Return why an issue is refused now, or None."""
        self._asked_last = item.id
        issue = self._means.tracker.show(item.id)
        if issue is None:
            return Refused(item, "the tracker does not have it any more")
        if issue.assignee != self._holder and (why := why_not_open(issue, self._means.claims)) is not None:
            return Refused(item, why[1], Refusal.HELD if issue.assignee else Refusal.GATE)
        if (checkout := self._repos.get(item.body.repo)) is None:  # a resume under another configuration
            return Refused(item, f"nightly.repos has no {item.body.repo} any more")
        values = {"id": issue.id, "title": issue.headline(), "repo": item.body.repo}
        why_open = open_change(self._means.has_open_change, values, checkout)
        return Refused(item, why_open) if why_open else None

    def claim(self, items: Sequence[Item]) -> list[Held | Refused]:
        """Claim an issue in the tracker, unless an issue with the same conflict key runs in another dispatch."""
        return [self._claim(item) for item in items]

    def _claim(self, item: Item) -> Held | Refused:
        if why := self._means.conflicts.take(item.id, item.body.conflicts):
            return Refused(item, why, Refusal.HELD)
        answer = self._means.tracker.claim(item.id, self._holder)
        if not answer.is_held:
            self._means.conflicts.free(item.id)
            if answer.has_failed:
                raise TrackerDown(answer.reason)
            return Refused(item, answer.reason, Refusal.HELD)
        with self._lock:
            self._running[item.id] = None
        return Held(item)

    def begin(self, held: Sequence[Held]) -> Running:
        """Take a working folder, fill the prompt in, and give both to a provider."""
        (one,) = held
        candidate: Candidate = one.item.body
        place = self._means.trees.take(candidate, one.attempt)
        known = {"issue": one.item.id, "repo": str(self._repos[candidate.repo])}
        wanted = Try(
            values=values_of(candidate.issue, candidate.repo, place.branch),
            known=known,
            sessions=place.sessions,
            tree=place.path,
            amend=lambda judged, _order, _finished: self._with_changes(candidate, judged),
        )
        return self._follow(one, self._means.orders.begin(one, wanted))

    def _with_changes(self, candidate: Candidate, judged: Judged) -> Outcome:
        """Return an outcome with what was done in the working folder, as far as git says it."""
        try:
            changes = self._means.trees.changes(candidate)
        except Trouble:  # a git that is away must not make a failure of a success
            return judged.outcome
        return replace(judged.outcome, details={**judged.outcome.details, **changes})

    def _follow(self, one: Held, running: Running) -> Running:
        with self._lock:
            self._running[one.item.id] = running
        return _Work(self, one, running)

    def find(self, held: Sequence[Held], handle: Handle) -> Running | None:
        """Return the job that a runner still has, or the good result that an earlier process did not settle."""
        (one,) = held
        running = self._means.orders.find(one, handle)
        return self._follow(one, running) if running is not None else None

    def answered(self, one: Held, answer: Outcome | Again | Left) -> None:
        """Give the working folder back. Keep the claim of an issue that is done, or that was left.

        The change of an issue that is done waits for review.
        """
        if isinstance(answer, Left):
            self.left.add(one.item.id)
        else:
            with contextlib.suppress(Trouble):  # a folder that cannot be removed stays: it may hold work
                self._means.trees.leave(one.item.body, _session_of(answer))
        is_good = isinstance(answer, Outcome) and answer.status is Status.SUCCESS
        if is_good:
            self._release_closed(one.item.id)
        if is_good or isinstance(answer, Left):
            self._forget(one.item.id)

    def _release_closed(self, issue: str) -> None:
        """Release the claim of an issue that its agent has closed: nobody waits for its change."""
        with contextlib.suppress(Trouble):  # a tracker that is away must not make a failure of a success
            now = self._means.tracker.show(issue)
            if now is None or now.status == CLOSED:
                self._means.tracker.release(issue, self._holder)

    def let_go(self, held: Held, outcome: Outcome) -> None:  # noqa: ARG002 - nothing runs any more, however it ended
        """Give the claim back."""
        self._forget(held.item.id)
        answer = self._means.tracker.release(held.item.id, self._holder)
        if not answer.is_released:
            raise StaleClaim(f"{held.item.id}: {answer.reason}")

    def _forget(self, issue: str) -> None:
        with self._lock:
            self._running.pop(issue, None)
        self._means.conflicts.free(issue)

    def keep_alive(self) -> None:
        """Tell the tracker now and then that the claims live. An attempt whose claim is lost is ended."""
        if time.monotonic() < self._next_sign:
            return
        self._next_sign = time.monotonic() + self._means.tracker.keep_alive_seconds
        with self._lock:
            running = dict(self._running)
        lost = self._means.tracker.keep_alive(sorted(running), self._holder) if running else ()
        for claim in lost:
            if (work := running[claim.issue_id]) is not None:
                work.end("cancelled", GRACE_SECONDS)
        if lost:
            raise StaleClaim("; ".join(f"{claim.issue_id}: {claim.reason}" for claim in lost))

    def close(self) -> None:
        """End whatever still runs here."""
        self._means.orders.close()


def _session_of(answer: Outcome | Again) -> Mapping[str, str]:
    """Return the session that an attempt leaves, by its provider."""
    details = answer.details if isinstance(answer, Outcome) else {}
    return {details["provider"]: details["session"]} if {"provider", "session"} <= details.keys() else {}


class _Work:
    """An issue that a provider works on."""

    def __init__(self, lane: IssuesLane, held: Held, running: Running) -> None:
        self._lane, self._held, self._running = lane, held, running
        self.handle: Handle = running.handle

    def wait(self) -> Iterator[tuple[Held, Outcome | Again | Left]]:
        """Yield the one answer."""
        for one, answer in self._running.wait():
            self._lane.answered(one, answer)
            yield one, answer

    def end(self, why: str, grace: float) -> None:
        """Ask the provider to end."""
        self._running.end(why, grace)
