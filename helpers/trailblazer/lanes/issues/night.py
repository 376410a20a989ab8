"""One night: settle what earlier nights left, look at the issues, choose a provider, and carry the issues out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from trailblazer.atomic import make_folder, write_whole
from trailblazer.config import Config, load_config
from trailblazer.dispatch.story import carry_out
from trailblazer.dispatch.work import Answer, Show
from trailblazer.errors import GateClosed, PlanUnusable, ServiceDown, Trouble
from trailblazer.events import Console
from trailblazer.lanes.issues.earlier import Claims, unsettled
from trailblazer.lanes.issues.history import read_nights
from trailblazer.lanes.issues.holder import own_prefix
from trailblazer.lanes.issues.issue import Listing
from trailblazer.lanes.issues.lane import IssuesLane
from trailblazer.lanes.issues.means import make_lane, read_lineup
from trailblazer.lanes.issues.opening import open_tracker
from trailblazer.lanes.issues.plan import SPARE
from trailblazer.lanes.issues.prompt import read_issue_template, values_of
from trailblazer.lanes.issues.request import RESUMED, IssuesRequest, read_request, refuse_words_apart, stored_request
from trailblazer.lanes.issues.rules import IssueRules, read_issue_rules
from trailblazer.lanes.issues.selection import Candidate, Known, NotTaken, Selection, select
from trailblazer.lanes.issues.tracker import Tracker
from trailblazer.lanes.issues.work import IssuesWork
from trailblazer.plain import counted, one_line
from trailblazer.providers.failure_codes import Cause, Code, Failure, outcome_line
from trailblazer.providers.lineup import Lineup
from trailblazer.providers.seats import Listener
from trailblazer.providers.templates import Render
from trailblazer.record.folder import find_folder
from trailblazer.record.manifest import read_manifest
from trailblazer.record.outcomes import Item, Outcome, Status
from trailblazer.reports.answers import print_answer
from trailblazer.streams import put_out

PROMPTS = "nightly/prompts"  # below var: where a dry run writes the prompts
INTERVAL = 120.0  # seconds between progress lines
_OPTIONS = frozenset(
    {
        "quiet",
        "verbose",
        "no_color",
        "dry_run",
        "resume",
        "retry_failed",
        "force",
        "collect",
        "history",
        "json",
        "events",
    }
)


def carry_out_night(said: Mapping[str, Any]) -> int:
    """Do what the words of `nightly` ask for, and return the exit code of the house."""
    refuse_words_apart(said)
    show = Show(INTERVAL, bool(said["verbose"]), "events" in said, Answer.JSON if said["json"] else Answer.OWN)
    config = load_config({"tracker.source": said.get("tracker")})
    words = {name: value for name, value in said.items() if name not in _OPTIONS}
    if resumed := said.get("resume", said.get("retry_failed")):
        folder = _folder_of(config, str(resumed))
        request = replace(
            stored_request(read_manifest(folder)), **{name: words[name] for name in RESUMED & words.keys()}
        )
        return _Night(request, show, earlier=folder).resume(
            folder, only_failed="retry_failed" in said, force=said["force"]
        )
    night = _Night(read_request(config, words), show)
    if said["collect"]:
        return night.collect()
    assert callable(night.prompt)  # a prompt that cannot be read is refused before anything is settled
    if said["dry_run"]:
        return night.preview()
    settled = night.settle_earlier()
    return night.carry_out() or settled


def _folder_of(config: Config, name: str) -> Path:
    """Return the folder of an earlier night; `latest` is the newest night, whatever else was dispatched since."""
    if name != "latest":
        return find_folder(config.places, name)
    for night in read_nights(config.places):
        return night.folder
    raise PlanUnusable("there is no earlier night", "To start one: trailblazer nightly.")


class _Night:
    """A night over the tracker of its request."""

    def __init__(self, request: IssuesRequest, show: Show, *, earlier: Path | None = None) -> None:
        self._earlier = earlier  # the folder of the night, when it is an earlier one
        self.config = config = load_config({"tracker.source": request.tracker})
        self.request, self.show = request, show
        self.console = Console(config.places.logs / "dispatcher.out")
        self.rules: IssueRules = read_issue_rules(config, request.issues)
        self.claims = Claims(read_nights(config.places))
        self.tracker: Tracker = open_tracker(config, is_over=self.claims.is_over)
        self.tracker.check()

    @cached_property
    def prompt(self) -> Render:
        """What fills the prompt in; an earlier night has a copy of its own, whatever became of the file."""
        copy = self._earlier / "inputs" / Path(self.request.prompt).name if self._earlier else None
        return read_issue_template(copy if copy is not None and copy.is_file() else Path(self.request.prompt))

    def carry_out(self) -> int:
        """Select issues, choose a provider and carry the issues out."""
        selection = self._select()
        if not selection.candidates:
            return self._nothing(selection)
        lineup = self._checked_lineup(selection)
        lane = make_lane(self.config, self.request, self.tracker, self.claims, self.rules, lineup)
        return carry_out(IssuesWork(self.config, self.request, lane, self.show, selection))

    def preview(self) -> int:
        """Say which issues would be taken, by whom and why, and write their prompts. Nothing is claimed."""
        selection = self._select()
        if not selection.candidates:
            code = self._nothing(selection)
            if self.show.answer is Answer.JSON:
                print_answer("nightly", "unchanged", (), {"issues": 0})
            return code
        for line in selection.lines():
            self.console.say(line)
        lineup = self._checked_lineup(selection)
        lineup.listen(Listener(say=self.console.say))
        lane = make_lane(self.config, self.request, self.tracker, self.claims, self.rules, lineup)
        lane.check()
        most = self._first_open(lane, selection)
        issues = counted(len(most), "issue")
        choice = lineup.choice()
        who = f"{choice.provider} would" if choice is not None else "a provider whose quota is waited for would"
        why = f": {choice.line}" if choice is not None and choice.line else ""
        self.console.say(f"Dry run: {who} work on {issues}{why}; nothing was claimed", "green")
        folder = make_folder(self.config.places.var / PROMPTS)
        written = list[Path]()
        for candidate in most:
            file = folder / f"{candidate.issue.id}.md"
            values = values_of(candidate.issue, candidate.repo, "")
            write_whole(file, self.prompt({**values, "attempt": 1, "output_file": "…", "prompt_file": str(file)}))
            written.append(file)
            if self.show.answer is not Answer.JSON:
                print(f"{candidate.issue.id}\t{candidate.issue.headline()}\t{file}")
        if self.show.answer is Answer.JSON:
            print_answer("nightly", "would change", written, {"issues": len(written)}, [f"{who} work on {issues}{why}"])
        return 0

    def _first_open(self, lane: IssuesLane, selection: Selection) -> list[Candidate]:
        """Return the issues that a night would take, and say which are refused when they are looked at again."""
        found: list[Candidate] = []
        most = self.request.max_dispatch if lane.most is None else min(self.request.max_dispatch, lane.most)
        for index, candidate in enumerate(selection.candidates[: self.request.max_dispatch + SPARE]):
            if len(found) == most:
                break
            refused = lane.refusal(Item(index, candidate.issue.id, candidate))
            if refused is None:
                found.append(candidate)
            else:
                self.console.say(f"  {candidate.issue.id}: not taken: {one_line(refused.reason)}")
        return found

    def resume(self, folder: Path, *, only_failed: bool, force: bool) -> int:
        """Carry an earlier night on."""
        lineup = read_lineup(self.config, self.request, self.prompt)
        lane = make_lane(self.config, self.request, self.tracker, self.claims, self.rules, lineup)
        work = IssuesWork(
            self.config, self.request, lane, self.show, resumes=folder, only_failed=only_failed, force=force
        )
        return carry_out(work)

    def settle(self, folder: Path) -> int:
        """Settle what an earlier night left, and begin nothing."""
        lineup = read_lineup(self.config, self.request, self.prompt)
        lane = make_lane(self.config, self.request, self.tracker, self.claims, self.rules, lineup, settles_only=True)
        return carry_out(IssuesWork(self.config, self.request, lane, self.show, resumes=folder, settles_only=True))

    # -- what earlier nights left -----------------------------------------------------------------------------

    def collect(self) -> int:
        """Settle what earlier nights left, take no issue, and return the worst exit code."""
        if not any(unsettled(read_nights(self.config.places))):
            self.console.say("No earlier night left anything to settle", "green")
        return self.settle_earlier()

    def settle_earlier(self) -> int:
        """Settle the nights that were killed or left work running, and give back the claims of dead ones.

        Returns the worst exit code of them; 0 when there was none.
        """
        codes = [self._settle(folder) for folder in unsettled(read_nights(self.config.places))]
        self.claims.reread(read_nights(self.config.places))
        for held in self.tracker.claimed_by(own_prefix()):
            if self.claims.is_over(held.issue_id, held.holder):
                answer = self.tracker.release(held.issue_id, held.holder)
                what = "gave back the claim of a killed night" if answer.is_released else answer.reason
                self.console.say(f"{held.issue_id}: {what}", "yellow")
        return max(codes, default=0)

    def _settle(self, folder: Path) -> int:
        try:
            request = stored_request(read_manifest(folder))
            return _Night(request, self.show, earlier=folder).settle(folder)
        except Trouble as trouble:  # tonight's issues do not wait for it
            self.console.say(f"Warning: night {folder.name} cannot be settled: {trouble.what}", "yellow")
            return trouble.exit_code

    # -- what this one takes ----------------------------------------------------------------------------------

    def _select(self) -> Selection:
        listing = self.tracker.list_open()
        listed = {issue.id for issue in listing.issues} | {one.place for one in listing.refused}
        if unknown := [one_line(name, 60) for name in self.rules.only if name not in listed]:
            what = f"{self.request.tracker} has no open issue {', '.join(unknown)}"
            raise PlanUnusable(what, "To see the issues that may be taken: trailblazer nightly --dry-run.")
        unreadable = [NotTaken(one.place, "unreadable", one.reason) for one in listing.refused]
        known = Known(self.claims, self._duplicates(listing), unreadable)
        return select(listing.issues, self.rules, known, worktree=self.request.worktree)

    def _duplicates(self, listing: Listing) -> dict[str, str]:
        """Return for each issue that may be a duplicate the earlier issue that may say the same."""
        places = {issue.id: place for place, issue in enumerate(listing.issues)}
        found = {}
        for pair in self.tracker.duplicates() if self.config["gates.duplicates"] else ():
            if {pair.first, pair.second} <= places.keys():
                earlier, later = sorted((pair.first, pair.second), key=places.__getitem__)
                found[later] = earlier
        return found

    def _checked_lineup(self, selection: Selection) -> Lineup:
        """Return the providers, of which one can work. Else say a line for each issue, and raise ServiceDown (N4)."""
        lineup: Lineup | None = None
        try:
            lineup = read_lineup(self.config, self.request, self.prompt)
            lineup.check()
        except (ServiceDown, GateClosed) as trouble:
            cause = Cause.NOT_INSTALLED
            if lineup is not None:
                lineup.listen(Listener(say=self.console.say))
                closure = lineup.members[0].breaker.closure
                cause = closure.cause if closure is not None else Cause.UNKNOWN
            self._say_unavailable(selection, trouble, cause)
            raise ServiceDown(trouble.what, trouble.hint) from trouble
        # Who settles this night later needs the same providers, whatever is configured or installed by then.
        self.request = replace(self.request, provider=",".join(member.name for member in lineup.members))
        return lineup

    def _nothing(self, selection: Selection) -> int:
        for line in selection.lines():
            self.console.say(line)
        if self.rules.only:
            raise GateClosed("no issue that was named can be taken", "Nothing was claimed. The lines above say why.")
        self.console.say(f"No issue from {self.request.tracker} can be taken: nothing was claimed", "green")
        return 0

    def _say_unavailable(self, selection: Selection, trouble: Trouble, cause: Cause) -> None:
        """Print a line for each issue that would have been taken (N4); the cause is that of the first provider."""
        details = Failure(Code.PROVIDER_UNAVAILABLE, cause).details
        outcome = Outcome(Status.ERROR, one_line(trouble.what), details=details)
        for candidate in selection.candidates[: self.request.max_dispatch]:
            put_out(outcome_line(candidate.issue.id, "none", outcome, 0.0) + "\n")
