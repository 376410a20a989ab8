"""A dispatch of embedding runs as the story sees it: which plan, which lane, and the words that only runs have."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trailblazer.atomic import digest_of
from trailblazer.config import load_config
from trailblazer.database.connection import answering, connect
from trailblazer.dispatch.engine import Closing
from trailblazer.dispatch.halting import Halts, read_rule
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.settling import Limits
from trailblazer.dispatch.work import Answer, Show
from trailblazer.errors import PlanUnusable, Trouble, WordsWrong
from trailblazer.events import Console
from trailblazer.lanes.embed import plan as plans
from trailblazer.lanes.embed import words
from trailblazer.lanes.embed.audience import RunsAudience
from trailblazer.lanes.embed.grouping import group_size
from trailblazer.lanes.embed.lane import EmbedLane
from trailblazer.lanes.embed.measure import Measure
from trailblazer.lanes.embed.request import BACKLOG, EMBED, EMBED_ONLY, EmbedParameters, EmbedRequest, stored_parameters
from trailblazer.lanes.embed.runs import PLAN, RunsPlan, Step, read_steps, steps_of, write_steps
from trailblazer.lanes.embed.scan import Waiting, scan
from trailblazer.pipeline.indexes import build_index
from trailblazer.processes.git import commit_of
from trailblazer.record.folder import JOURNAL, Record, find_folder
from trailblazer.record.manifest import Caps, Manifest, Resource, Seed, read_manifest
from trailblazer.record.outcomes import FAILED, Status, is_open
from trailblazer.record.proof import archive, archive_file
from trailblazer.record.standing import read_standing
from trailblazer.reports.audience import Shown
from trailblazer.reports.preview import preview
from trailblazer.reports.progress import Progress


class EmbedWork:
    """The work of one dispatch of runs. Its plan is chosen at once: a bad plan is refused before a folder exists."""

    noun, phase = "runs", "embed"
    command = "trailblazer dispatch"
    schema = "embed_parameters"

    def __init__(self, request: EmbedRequest) -> None:
        _refuse_contradictions(request)
        self.request = request
        self.config = load_config(request.flags())
        self.only_failed, self.force = request.only_failed, request.force
        answer = Answer.JSON if request.json else Answer.FOLDER
        self.show = Show(request.monitor_interval, request.verbose, request.events is not None, answer)
        self.unreadable: Sequence[str] = ()
        self.resumes: Path | None = None
        self._chosen: plans.Plan | None = None
        if request.resume is not None:
            self._resume(find_folder(self.config.places, request.resume))
        else:
            self._choose()
        flags = self.parameters_.flags
        self.limits = Limits(
            self.config["dispatch.workers"],
            self.parameters_.retries,
            probe_after=self.config["dispatch.probe_after"],
            halts=Halts(
                self.parameters_.fail_fast, read_rule(self.parameters_.halt) if self.parameters_.halt else None
            ),
        )
        self.planned = len(self.steps)
        is_backlog = self.parameters_.lane == BACKLOG
        upcoming: dict[str, list[str]] = {
            phase: [step.run for step in self.steps if step.phase == phase] for phase in self.parameters_.phases
        }
        self.lane = EmbedLane(
            self.config,
            dataclasses.replace(self.parameters_, flags=flags),
            group=group_size(self.config.places, [step.run for step in self.steps], self.limits.slots),
            only_changed=self._only_changed,
            waiting_only=is_backlog,
            upcoming=upcoming,
        )

    def _resume(self, folder: Path) -> None:
        manifest = read_manifest(folder)
        stored = stored_parameters(manifest)
        if not manifest.inputs:
            raise PlanUnusable(
                f"dispatch {folder.name} ended before its plan was archived", "Nothing was run: start it anew."
            )
        flags = {**stored.flags, **self.request.flags()}
        self.config = load_config(flags)
        self.parameters_ = dataclasses.replace(stored, flags=flags, halt=self.request.halt or stored.halt)
        self._only_changed = manifest.seed.mode == "reembed-if-changed" and not stored.force
        self.resumes, self._manifest = folder, manifest
        self.steps = read_steps(folder, stored.phases)

    def _choose(self) -> None:
        request = self.request
        waiting: Waiting | None = None
        if request.is_backlog:
            console = Console(self.config.places.logs / "dispatcher.out")
            waiting = scan(self.config, request, console)
            self.unreadable = waiting.unreadable
        self._chosen = _choose_plan(request, self.config.places, waiting)
        runs = self._chosen.items
        self.steps = list(waiting.steps) if waiting else steps_of(runs)
        self._only_changed = request.skip_unchanged and not request.force
        self.parameters_ = EmbedParameters(
            lane=BACKLOG if request.is_backlog else EMBED,
            phases=request.phases if request.is_backlog else EMBED_ONLY,
            waits=request.is_backlog and not request.no_wait,
            flags=request.flags(),
            force=request.force,
            retries=self.config["dispatch.retries"],
            fail_fast=self.config["dispatch.fail_fast"],
            halt=request.halt,
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self.steps

    def preview(self, console: Console) -> int:
        """Say what would be dispatched, and do nothing."""
        runs = list(dict.fromkeys(step.run for step in self._waiting()))
        source = f"dispatch {self.resumes.name}" if self.resumes else _source(self._chosen)
        shown = iter(runs[:10] if self.request.is_backlog else runs)
        json_of = self.show.json_of("run" if self.request.is_backlog else self.command)
        return preview(shown, len(runs), self.noun, source, console, json_of=json_of)

    def _waiting(self) -> list[Step]:
        if self.resumes is None:
            return self.steps
        standing, _ = read_standing(self.resumes / JOURNAL)
        only_failed = self.only_failed
        return [step for n, step in enumerate(self.steps) if is_open(standing.of(n), only_failed=only_failed)]

    def seed(self) -> Seed:
        """Return the fields of E5."""
        assert self._chosen is not None
        key, qa_dir = self.lane.identity.key, self.request.qa_dir
        return Seed(
            plan_preflight_dir=str(self._chosen.bundle) if self._chosen.bundle else None,
            plan_file_used=str(self._chosen.file or self._chosen.source),
            runs_planned=len(self._chosen.items),
            provider=key.provider,
            model=key.model,
            dimension=key.dimension,
            workers=self.config["dispatch.workers"],
            batch_size=self.config["embed.batch_size"],
            git_commit=commit_of(self.config.places.root),
            qa_dir=str(Path(qa_dir)) if qa_dir else None,
            notes=self.request.notes,
            mode="reembed-if-changed" if self.request.skip_unchanged else "embed",
        )

    def caps(self) -> Caps:
        """Return what the dispatch may use at most; an embedder has no budget."""
        return Caps(self.limits.slots, self.limits.retries, 60 * self.config["dispatch.item_timeout_minutes"])

    def parameters(self) -> Mapping[str, Any]:
        """Return what a resume needs to know."""
        return self.lane.parameters.document()

    def archive(self, folder: Path) -> Sequence[Resource]:
        """Copy the plan, the bundle and the QA folder (E4)."""
        assert self._chosen is not None
        chosen = self._chosen
        write_steps(folder, self.steps)
        inputs = [Resource(PLAN, str(chosen.file or "postgres:processed_runs"), digest_of(folder / PLAN))]
        if chosen.bundle:
            inputs += archive(chosen.bundle, folder / "plan_preflight")
        elif chosen.file:
            inputs.append(archive_file(chosen.file, folder / "plan"))
        if self.request.qa_dir:
            inputs += archive(Path(self.request.qa_dir), folder / "retrieval_qc")
        return inputs

    def opening_words(self, record: Record) -> Iterable[str]:
        """Say the plan and how it is carried out, and the totals of the bundle (E8)."""
        standing = record.standing
        if self._chosen is None:
            yield f"Resuming dispatch {record.dispatch_id}: {standing.good} of {standing.planned} done"
            return
        seed = record.manifest.seed
        how = "/".join(str(part) for part in (seed.provider, seed.model, seed.dimension, seed.workers, seed.batch_size))
        yield f"Using plan: {self._chosen.source} (planned: {len(self._chosen.items)}; {how})"
        if self._chosen.bundle:
            yield from words.totals_of_bundle(self._chosen.bundle, self.config, seed)

    def plan(self, record: Record, progress: Progress, interrupts: Interrupts) -> RunsPlan:  # noqa: ARG002 - asks nobody
        """Return the steps. What failed in this dispatch is tried again by a resume."""
        for index, step in enumerate(self.steps):
            if record.standing.of(index) in FAILED:
                self.lane.claims.failed.add((step.run, step.phase))
        if self.resumes is not None:
            self.lane.identity = dataclasses.replace(self.lane.identity, since=self.parameters_.since)
        embedded = [(index, step.run) for index, step in enumerate(self.steps) if step.phase == "embed"]
        done = [run for index, run in embedded if record.has_good_result(index)]
        self._measure = Measure(record.folder, self.config.places, [run for _, run in embedded], done)
        self._plan = RunsPlan(self.config, record, self.steps, waits=self.parameters_.waits, say=progress.say)
        return self._plan

    def audience(self, shown: Shown, record: Record) -> RunsAudience:  # noqa: ARG002 - the contract's words
        """Return who is informed of each run."""
        audience = RunsAudience(shown, self._plan.settled, self._measure, self.config["dispatch.progress_every"])
        self.lane.progressed = audience.progressed
        self._shown = shown
        return audience

    def finish(self, record: Record, closing: Closing, progress: Progress) -> Closing:
        """Make the index after the load; runs that cannot be read leave the exit code 6."""
        for line in words.lines_of_unrun(self.steps, record.standing):
            progress.log(line)
        if self.unreadable and not closing.exit_code:
            closing = Closing(6, f"{len(self.unreadable)} in var/runs cannot be read: {', '.join(self.unreadable[:3])}")
        if record.standing.counts[Status.SUCCESS] and "embed" in self.parameters_.phases and closing.exit_code < 128:
            self._index(record.manifest, progress)
        self._shown.emitter.emit("runs.complete", "complete", counts=record.standing.counted())
        return closing

    def _index(self, manifest: Manifest, progress: Progress) -> None:
        seed = manifest.seed
        try:
            with answering(), connect(self.config) as connection:
                build_index(connection, seed.provider, str(seed.model), int(seed.dimension or 0))
        except Trouble as trouble:
            progress.say(f"Warning: no index was made ({trouble.what}); `ask` searches without one", "yellow")

    def closing_words(self, record: Record) -> Iterable[str]:
        """Say the counts in the form of E8, and what was spent."""
        return words.closing_words(self.steps, record.standing)


def _refuse_contradictions(request: EmbedRequest) -> None:
    named = [word for word in (request.plan, request.plan_file, request.plan_preflight_dir) if word]
    if request.resume is not None and (named or request.qa_dir):
        raise WordsWrong("a resumed dispatch has its plan already", "Leave out the plan, or leave out resume.")
    if len(named) > 1:
        raise WordsWrong("more than one plan is named", f"Keep one of: {', '.join(named)}.")


def _choose_plan(request: EmbedRequest, places: Any, waiting: Waiting | None) -> plans.Plan:
    if request.qa_dir is not None and not Path(request.qa_dir).is_dir():
        raise PlanUnusable(f"there is no QA folder at {request.qa_dir}", "Name a folder of var/retrieval_qc.")
    asked = plans.Asked(
        bundle=Path(request.plan_preflight_dir) if request.plan_preflight_dir else None,
        file=Path(request.plan_file) if request.plan_file else None,
        plan=request.plan,
        waiting=waiting.runs if waiting else None,
    )
    return plans.choose_plan(asked, places)


def _source(chosen: plans.Plan | None) -> str:
    return chosen.source if chosen else ""
