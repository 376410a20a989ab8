"""The story of one dispatch of embedding runs, from the words on the command line to the seal."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trailblazer.config import Config, load_config
from trailblazer.database import claims
from trailblazer.database.connection import answering, connect, statement
from trailblazer.dispatch.closing import close_dispatch
from trailblazer.dispatch.engine import Closing, Limits, carry_out
from trailblazer.dispatch.halting import Halts
from trailblazer.errors import GateClosed, PlanUnusable, ProviderRefused, Trouble, WordsWrong
from trailblazer.events import Emitter, Words
from trailblazer.lanes.embed import plan as plans
from trailblazer.lanes.embed.backlog import BacklogLane
from trailblazer.lanes.embed.backlog_plan import BACKLOG, BacklogTelling, Line, read_phases, scan
from trailblazer.lanes.embed.lane import EmbedLane
from trailblazer.pipeline.ask import build_index
from trailblazer.processes.children import Children, ask_git
from trailblazer.record import folder as record
from trailblazer.record import proof
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import GOOD, Item, Refusal, Standing, Status
from trailblazer.reports.audience import Telling
from trailblazer.reports.progress import Progress

EMBED_ONLY = ("embed",)
FLAGS = {
    "embed.provider": "provider",
    "embed.model": "model",
    "embed.dimension": "dimension",
    "embed.batch_size": "batch_size",
    "dispatch.workers": "workers",
    "dispatch.retries": "retries",
    "dispatch.fail_fast": "fail_fast",
}


def carry_out_runs(words: argparse.Namespace) -> int:
    """Choose the plan, ask all that is free to ask, dispatch, prove; return the exit code."""
    flags = {key: value for key, name in FLAGS.items() if (value := getattr(words, name)) is not None}
    if words.resume is not None and (words.plan or words.plan_file or words.plan_preflight_dir or words.qa_dir):
        raise WordsWrong("a resumed dispatch has its plan already", "Leave out the plan, or leave out resume.")
    config = load_config(flags)
    people = Words(config.places.logs / "dispatcher.out", quiet=words.quiet)
    unreadable: Sequence[str] = ()
    if words.resume is not None:
        folder = record.find_folder(config.places, words.resume)
        manifest = record.read_manifest(folder)
        if not manifest["inputs"]:
            raise PlanUnusable(
                f"dispatch {folder.name} ended before its plan was archived", "Nothing was run: start it anew."
            )
        flags = manifest["parameters"]["flags"] | flags
        config = load_config(flags)
        if words.dry_run:
            return _tell_dry_run(_waiting(folder), f"dispatch {folder.name}", people)
        _ask_what_is_free(config, manifest["parameters"].get("phases", EMBED_ONLY))
        opened = record.reopen_record(folder)
        opened.publish(workers=config["dispatch.workers"])
        _take_back(config, opened)
        people.say(f"Resuming dispatch {opened.dispatch_id}: {opened.standing.good} of {opened.standing.planned} done")
    else:
        waiting, unreadable = scan(config, words, people) if words.plan == BACKLOG else (None, ())
        if waiting == []:
            return 6 if unreadable else 0
        chosen = _choose(words, config, waiting)
        if words.dry_run and waiting is not None:
            people.say(f"Dry run: {len(waiting)} runs; nothing was done. First: {', '.join(waiting[:10])}", "green")
            return 0
        if words.dry_run:
            return _tell_dry_run(chosen.items, chosen.source, people)
        opened = _open(words, config, flags, chosen, people)
    return _carry_out(opened, config, flags, words, people, unreadable)


def _take_back(config: Config, opened: Record) -> None:
    """Let go of what a dispatcher that was killed still holds of this plan, instead of waiting until it expires."""
    holders = record.earlier_holders(opened.folder)
    with answering(), connect(config) as connection:
        claims.release_of(connection, holders, record.read_plan(opened.folder))


def _choose(words: argparse.Namespace, config: Config, waiting: Sequence[str] | None) -> plans.Plan:
    named = [word for word in (words.plan, words.plan_file, words.plan_preflight_dir) if word]
    if len(named) > 1:
        raise WordsWrong("more than one plan is named", f"Keep one of: {', '.join(named)}.")
    if words.qa_dir is not None and not Path(words.qa_dir).expanduser().is_dir():
        raise PlanUnusable(f"there is no QA folder at {words.qa_dir}", "Name a folder of var/retrieval_qc.")
    asked = plans.Asked(
        bundle=Path(words.plan_preflight_dir) if words.plan_preflight_dir else None,
        file=Path(words.plan_file) if words.plan_file else None,
        plan=words.plan,
        waiting=waiting,
    )
    return plans.choose_plan(asked, config.places)


def _ask_what_is_free(config: Config, phases: Sequence[str]) -> dict[str, Any]:
    """Return provider, model, dimension and the database's time, once both have answered.

    A provider that these phases have no need of is not asked.
    """
    from trailblazer.pipeline.embedders import load_embedder

    try:
        embedder = load_embedder(config)
        if "embed" in phases:
            embedder.probe()
    except ProviderRefused as refused:
        raise GateClosed(refused.what, refused.hint) from refused
    with answering(), connect(config) as connection:
        row = connection.execute(statement("present_moment")).fetchone()
    moment = row[0].isoformat() if row else ""
    return {
        "provider": embedder.provider,
        "model": embedder.model,
        "dimension": embedder.dimension,
        "since": moment,
    }


def _open(
    words: argparse.Namespace, config: Config, flags: Mapping[str, Any], chosen: plans.Plan, people: Words
) -> Record:
    phases = read_phases(words.phases) if words.plan == BACKLOG else EMBED_ONLY
    free = _ask_what_is_free(config, phases)
    qa_dir = Path(words.qa_dir).expanduser() if words.qa_dir else None
    seed = {
        "planPreflightDir": str(chosen.bundle) if chosen.bundle else None,
        "planFileUsed": str(chosen.file or chosen.source),
        "runsPlanned": len(chosen.items),
        "provider": free["provider"],
        "model": free["model"],
        "dimension": free["dimension"],
        "workers": config["dispatch.workers"],
        "batchSize": config["embed.batch_size"],
        "gitCommit": ask_git(config.places.root, "rev-parse", "--short", "HEAD") or None,
        "qaDir": str(qa_dir) if qa_dir else None,
        "notes": words.notes,
        "mode": "reembed-if-changed" if words.skip_unchanged else "embed",
    }
    parameters = {
        "lane": BACKLOG if words.plan == BACKLOG else "embed",
        "phases": list(phases),
        "waits": words.plan == BACKLOG and not words.no_wait,
        "flags": dict(flags),
        "force": words.force,
        "since": free["since"],
        "retries": config["dispatch.retries"],
        "failFast": config["dispatch.fail_fast"],
    }
    opened = record.open_record(config.places, seed, planned=len(chosen.items), parameters=parameters)
    try:
        opened.publish(inputs=_archive(opened.folder, chosen, qa_dir))
    except Trouble as trouble:
        opened.complete(trouble.exit_code, trouble.what)
        opened.seal()
        raise
    people.say(_start_line(chosen, seed), "green")
    if chosen.bundle and (totals := _totals(chosen.bundle)):
        people.say(totals)
    return opened


def _archive(folder: Path, chosen: plans.Plan, qa_dir: Path | None) -> list[dict[str, Any]]:
    """Copy what the dispatch works from into its folder, and return it with its digests (E4)."""
    record.write_plan(folder, chosen.items)
    uri = str(chosen.file or "postgres:processed_runs")
    inputs: list[dict[str, Any]] = [
        {"name": "plan.txt", "uri": uri, "digest": {"sha256": proof.digest(folder / "plan.txt")}}
    ]
    if chosen.bundle:
        inputs += proof.archive(chosen.bundle, folder / "plan_preflight")
    elif chosen.file:
        inputs.append(proof.archive_file(chosen.file, folder / "plan"))
    return inputs + (proof.archive(qa_dir, folder / "retrieval_qc") if qa_dir else [])


def _start_line(chosen: plans.Plan, seed: Mapping[str, Any]) -> str:
    how = "/".join(str(seed[name]) for name in ("provider", "model", "dimension", "workers", "batchSize"))
    return f"Using plan: {chosen.source} (planned: {len(chosen.items)}; {how})"


def _totals(bundle: Path) -> str:
    from trailblazer.lanes.embed.bundle import read_totals

    totals = read_totals(bundle)
    named = {"ready": totals.ready, "blocked": totals.blocked, "estTokens": totals.tokens, "estCostUSD": totals.cost}
    known = [f"{name}: {value}" for name, value in named.items() if value is not None]
    return f"Bundle totals: {', '.join(known)}" if known else ""


def _waiting(folder: Path) -> list[str]:
    standing, _, _ = record.read_standing(folder)
    return [rid for index, rid in enumerate(record.read_plan(folder)) if standing.of(index) not in GOOD]


def _tell_dry_run(items: list[str], source: str, people: Words) -> int:
    people.say(f"Dry run: {source} would dispatch {len(items)} runs; nothing was done", "green")
    for item in items:
        print(item)
    return 0


def _carry_out(
    opened: Record,
    config: Config,
    flags: Mapping[str, Any],
    words: argparse.Namespace,
    people: Words,
    unreadable: Sequence[str],
) -> int:
    children = Children()
    progress = Progress(people, interval=words.monitor_interval, quiet=words.quiet)
    emitter = Emitter("embed", "embed", opened.folder / "events.ndjson", to_stdout=True, dispatch_id=opened.dispatch_id)
    lane: EmbedLane
    telling: Telling
    parameters = opened.manifest["parameters"]
    only_changed = opened.manifest["mode"] == "reembed-if-changed" and not parameters["force"]
    limits = Limits(config["dispatch.workers"], config["dispatch.retries"], halts=Halts(config["dispatch.fail_fast"]))
    plan = record.read_plan(opened.folder)
    if is_backlog := parameters["lane"] == BACKLOG:
        line = Line(config, opened, plan, limits.stopping, people, waits=parameters["waits"])
        items, telling = line.items(), (backlog_telling := BacklogTelling(progress, emitter, line))
        phases, announce = parameters["phases"], backlog_telling.claimed
        lane = BacklogLane(config, flags, opened, children, only_changed=only_changed, phases=phases, announce=announce)
    else:
        items, telling = (Item(index, rid) for index, rid in enumerate(plan)), Telling(progress, emitter, "runs")
        lane = EmbedLane(config, flags, opened, children, only_changed=only_changed)
    emitter.emit("dispatch.start", "start", planned=opened.standing.planned)
    closing = carry_out(items, lane, opened, children, limits, telling)
    if unreadable and not closing.exit_code:
        closing = Closing(6, f"{len(unreadable)} in var/runs cannot be read: {', '.join(unreadable[:3])}")
    lane.close()
    progress.end(opened.standing)
    has_embedded = opened.standing.counts[Status.SUCCESS] and "embed" in parameters.get("phases", EMBED_ONLY)
    if has_embedded and closing.exit_code < 128:
        closing = _index(config, opened, closing, people)
    if is_backlog:
        emitter.emit("runs.complete", "complete", counts=record.counts_of(opened.standing))
    emitter.emit("dispatch.complete", "complete", exit_code=closing.exit_code, counts=record.counts_of(opened.standing))
    emitter.close()
    people.say(_end_line(opened.standing))
    if opened.standing.counts[Status.UNCHANGED] == opened.standing.planned:
        people.say("Nothing has changed since these runs were embedded.", "green")
    return close_dispatch(
        opened, closing, people, "trailblazer dispatch", lambda seal: _keep_seal(config, opened, seal)
    )


def _end_line(standing: Standing) -> str:
    skipped = standing.counts[Status.SKIPPED]
    held = standing.refused[Refusal.HELD]
    unchanged = standing.counts[Status.UNCHANGED]
    line = (
        f"Queued: {standing.completed - skipped - unchanged}, Skipped (preflight): {skipped - held}, "
        f"Skipped (unchanged): {unchanged}, Errors: {standing.failed}/{standing.planned}"
    )
    line += f", Skipped (held by others): {held}" if held else ""
    return line + (
        f", Not run: {standing.planned - standing.completed}" if standing.completed < standing.planned else ""
    )


def _index(config: Config, opened: Record, closing: Closing, people: Words) -> Closing:
    """Make the index after the load; a database that is away then leaves the search exact, and says so."""
    manifest = opened.manifest
    try:
        with answering(), connect(config) as connection:
            build_index(connection, manifest["provider"], manifest["model"], manifest["dimension"])
    except Trouble as trouble:
        people.say(f"Warning: no index was made ({trouble.what}); `ask` searches without one", "yellow")
    return closing


def _keep_seal(config: Config, opened: Record, seal: str) -> None:
    """Write the seal's own SHA-256 where whoever can change the folder cannot change it."""
    manifest = opened.manifest
    row = {
        "dispatch_id": opened.dispatch_id,
        "started_at": manifest["startedOn"],
        "finished_at": manifest["finishedOn"],
        "status": manifest["status"],
        "folder": str(opened.folder),
        "seal_sha256": seal,
        "counts": manifest["counts"],
    }
    with answering(), connect(config) as connection:
        connection.execute(statement("keep_dispatch"), row)
