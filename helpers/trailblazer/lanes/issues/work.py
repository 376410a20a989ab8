"""The work of one night: its issues, its lane, and the lines that only a night shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trailblazer.atomic import digest_of
from trailblazer.config import Config
from trailblazer.dispatch.engine import Closing
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.settling import Limits
from trailblazer.dispatch.work import Show
from trailblazer.lanes.issues.audience import IssueAudience
from trailblazer.lanes.issues.lane import IssuesLane
from trailblazer.lanes.issues.plan import ISSUES, NOT_TAKEN, SPARE, IssuesPlan, write_candidates
from trailblazer.lanes.issues.request import IssuesRequest
from trailblazer.lanes.issues.selection import Selection
from trailblazer.lanes.spending import caps_of, read_budget
from trailblazer.plain import counted
from trailblazer.processes.git import commit_of
from trailblazer.record.folder import Record
from trailblazer.record.manifest import Caps, Resource, Seed
from trailblazer.record.outcomes import Outcome, Status
from trailblazer.record.proof import archive_file
from trailblazer.reports.audience import Shown
from trailblazer.reports.progress import Progress

NOT_REACHED = Outcome(Status.SKIPPED, "its turn did not come")
LOST = Outcome(Status.CANCELLED, "the night was killed while it was worked on")


class IssuesWork:
    """The work of a night. With `resumes` it carries an earlier night on, and with `settles_only` it begins nothing."""

    noun = phase = "issues"
    command = "trailblazer nightly"
    schema = "issues_parameters"

    def __init__(
        self,
        config: Config,
        request: IssuesRequest,
        lane: IssuesLane,
        show: Show,
        selection: Selection | None = None,
        *,
        resumes: Path | None = None,
        settles_only: bool = False,
        only_failed: bool = False,
        force: bool = False,
    ) -> None:
        self.config, self.request, self.lane = config, request, lane
        self.resumes, self.only_failed, self.force = resumes, only_failed, force
        self._selection, self._settles_only = selection, settles_only
        self.show = show
        candidates = selection.candidates if selection is not None else ()
        self._candidates = candidates[: request.max_dispatch + SPARE]
        self.planned = len(self._candidates)
        self.limits = Limits(
            request.max_parallel,
            request.retries,
            retry_failures=True,
            probe_after=config["dispatch.probe_after"],
        )

    def seed(self) -> Seed:
        """Return the fields of the manifest that say what was asked for (E5)."""
        return Seed(
            plan_preflight_dir=None,
            plan_file_used=self.request.tracker,
            runs_planned=self.planned,
            provider=self.lane.provider,
            model=self.request.model,
            dimension=None,
            workers=self.request.max_parallel,
            batch_size=None,
            git_commit=commit_of(self.config.places.root),
            qa_dir=None,
            notes=self.request.notes,
            mode="nightly",
        )

    def caps(self) -> Caps:
        """Return what the night may use at most."""
        return caps_of(self.limits, 60 * self.request.timeout_minutes, read_budget(self.request, self.config))

    def parameters(self) -> Mapping[str, Any]:
        """Return the request, so that a resume need not repeat it."""
        return self.request.parameters()

    def archive(self, folder: Path) -> Sequence[Resource]:
        """Write the issues into the folder, with why the others are not taken, and copy the prompt."""
        refused = self._selection.refused if self._selection is not None else ()
        write_candidates(folder, self._candidates, refused)
        lists = [Resource(name, self.request.tracker, digest_of(folder / name)) for name in (ISSUES, NOT_TAKEN)]
        return [*lists, archive_file(Path(self.request.prompt), folder / "inputs")]

    def opening_words(self, record: Record) -> Iterable[str]:
        """Say how many issues there are, who works on them, and why the others are not taken."""
        request = self.request
        if self.resumes is not None:
            doing = "Settling" if self._settles_only else "Resuming"
            yield f"{doing} night {record.dispatch_id}: {record.standing.good} of {record.standing.planned} good"
            return
        most = min(request.max_dispatch, self.planned)
        found = counted(self.planned, "issue")
        yield (
            f"Night {record.dispatch_id}: {found} from {request.tracker} can be taken; up to {most}, "
            f"{request.max_parallel} at once"
        )
        yield from self._selection.lines() if self._selection is not None else ()

    def plan(self, record: Record, progress: Progress, interrupts: Interrupts) -> IssuesPlan:  # noqa: ARG002 - nothing is asked
        """Return the plan."""
        most = self.request.max_dispatch if self.lane.most is None else min(self.request.max_dispatch, self.lane.most)
        return IssuesPlan(record, most, settles_only=self._settles_only)

    def audience(self, shown: Shown, record: Record) -> IssueAudience:  # noqa: ARG002 - it shows outcomes only
        """Return the audience that prints a line for each outcome (N6)."""
        return IssueAudience(shown)

    def finish(self, record: Record, closing: Closing, progress: Progress) -> Closing:  # noqa: ARG002 - nothing to show
        """Settle the issues whose turn did not come, and those that a killed night lost; what was left stays open."""
        if closing.exit_code >= 128:
            return closing
        for item in IssuesPlan(record, 0).items():
            attempt = record.standing.attempt_of(item.index)
            has_outcome = record.standing.of(item.index) is not None
            if not has_outcome and item.id not in self.lane.left and record.is_due(item.index):
                record.settle(item, attempt, LOST if attempt else NOT_REACHED)
        return closing

    def closing_words(self, record: Record) -> Iterable[str]:
        """Say what the night came to."""
        standing = record.standing
        cost = standing.usage.get("costUSD")
        spent = f", US$ {cost:.4f}" if cost else ""
        yield f"Issues: {standing.good} done, {standing.failed} failed{spent}"
        if left := len(self.lane.left):
            yield f"Left running: {counted(left, 'issue')}. To settle what has ended: trailblazer nightly --collect"
