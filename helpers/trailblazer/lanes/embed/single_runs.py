"""What `trailblazer embed` does to one run, or to all before a dispatch; answers on stdout, words on stderr."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trailblazer.config import load_config
from trailblazer.database.claims import HeldBy
from trailblazer.database.connection import answering, connect, statement
from trailblazer.database.holdings import Holdings
from trailblazer.errors import AlreadyRunning, GateClosed, PlanUnusable, Trouble
from trailblazer.events import Console
from trailblazer.lanes.embed.reasons import group_reasons
from trailblazer.pipeline.embedders import learn_dimension
from trailblazer.pipeline.embedding import Embedding
from trailblazer.pipeline.fingerprint import publish_diff
from trailblazer.pipeline.indexes import build_index
from trailblazer.pipeline.preflight import examine_run, publish_preflight
from trailblazer.plain import counted
from trailblazer.reports.answers import print_answer, print_document


def preflight(flags: Mapping[str, Any], rid: str, *, as_json: bool) -> int:
    """Print whether a run is ready, or why it is blocked (exit 5)."""
    config = load_config(flags)
    learn_dimension(config)
    found = examine_run(config.places, config, rid)
    publish_preflight(config.places, config, found)
    if as_json:
        counts: dict[str, float] = {
            "documents": found.documents,
            "embeddable": found.embeddable,
            "chunks": found.chunks,
        }
        counts |= {"tokens": found.tokens, "cost_usd": found.cost}
        reasons = [] if found.is_ready else [found.why]
        print_answer("embed preflight", "ready" if found.is_ready else "blocked", [rid], counts, reasons)
    else:
        print("READY" if found.is_ready else f"BLOCKED {found.why}")
    advice = f"; advice: {found.advice}" if found.advice else ""
    Console().say(
        f"{rid}: {found.embeddable} of {found.documents} documents, {found.chunks} chunks, {found.tokens} tokens, "
        f"US$ {found.cost:.4f}{advice}"
    )
    return 0 if found.is_ready else GateClosed.exit_code


def plan_preflight(flags: Mapping[str, Any], plan: str | None, *, verbose: bool, as_json: bool) -> int:
    """Write a bundle over all runs or those of a plan, print its folder; exit 5 when no run is ready.

    The screen shows each distinct reason once, with `verbose` each run; log.out has a line for each run.
    """
    from trailblazer.lanes.embed.bundle import write_bundle
    from trailblazer.lanes.embed.plan import blocked_of, read_items
    from trailblazer.pipeline.documents import all_runs

    config = load_config(flags)
    learn_dimension(config)
    rids = read_items(Path(plan)) if plan else all_runs(config.places)
    if not rids:
        raise PlanUnusable(
            f"there are no runs in {plan or config.places.runs}", "Make some: trailblazer normalize PATH --run RID"
        )
    console = Console()
    bundle = write_bundle(
        config.places, config, rids, source=plan or "all runs", say=console.say if verbose else _say_nothing
    )
    totals = bundle.totals
    blocked = group_reasons(blocked_of(bundle.folder))
    if as_json:
        counts = {"ready": totals.ready, "blocked": totals.blocked, "tokens": totals.tokens, "cost_usd": totals.cost}
        state = "ready" if bundle.ready else "blocked"
        print_answer("embed plan-preflight", state, [bundle.folder], counts, list(blocked))
    else:
        print(bundle.folder)
    for reason, runs in blocked.items():
        named = ", ".join(runs[:3]) + (", …" if len(runs) > 3 else "")
        console.say(f"Blocked: {counted(len(runs), 'run')} ({named}): {reason}", "red")
    console.say(
        f"Bundle {bundle.folder.name}: {totals.ready} ready, {totals.blocked} blocked, {totals.tokens} tokens, "
        f"US$ {totals.cost or 0:.4f}",
        "green" if bundle.ready else "red",
    )
    return 0 if bundle.ready else GateClosed.exit_code


def _say_nothing(line: str) -> None:
    """Leave a line to log.out."""


def manifest(flags: Mapping[str, Any], rid: str) -> int:
    """Print the manifest that embedding the run now would leave."""
    from trailblazer.pipeline.fingerprint import build_manifest

    config = load_config(flags)
    learn_dimension(config)
    print_document("embed_manifest", build_manifest(config.places, config, rid).document())
    return 0


def diff(flags: Mapping[str, Any], rid: str, *, as_json: bool) -> int:
    """Print what changed since the run was embedded, and write embed/diff.json; exit 6 when anything has."""
    embedding = Embedding(flags)
    try:
        found = embedding.diff(rid)
    finally:
        embedding.close()
    target = publish_diff(embedding.config.places, found)
    if as_json:
        print_answer("embed diff", "changed" if found.changed else "unchanged", [target], {}, found.reasons)
    else:
        print("changed: " + ", ".join(found.reasons) if found.changed else "unchanged")
    Console().say(f"Diff: {target}")
    return 6 if found.changed else 0


def embed(flags: Mapping[str, Any], rid: str, *, only_changed: bool, as_json: bool) -> int:
    """Embed a run under a claim, or only what changed of it; what somebody else holds is refused (exit 7)."""
    config = load_config(flags)
    learn_dimension(config)
    found = examine_run(config.places, config, rid)
    if not found.is_ready:
        publish_preflight(config.places, config, found)
        raise GateClosed(f"{rid} is blocked: {found.why}", f"See {config.places.run(rid)}/preflight/preflight.json.")
    embedding = Embedding(flags)
    holdings = Holdings(
        lambda: connect(config), 60 * config["backlog.claim_ttl_minutes"], config["backlog.max_attempts"]
    )
    try:
        if only_changed and not embedding.diff(rid).changed:
            if as_json:
                print_answer("embed", "unchanged", [rid])
            else:
                print("unchanged")
            return 0
        claim = holdings.take([rid], "embed", again=True)[rid]
        if isinstance(claim, HeldBy):
            raise AlreadyRunning(f"{rid} is {claim}", "Wait for it, or until its claim expires.")
        with answering(), connect(config) as connection:
            since = None if only_changed else connection.execute(statement("present_moment")).fetchone()
        try:
            (done,) = embedding.embed([claim], since[0] if since else None)
        except Trouble as trouble:
            holdings.fail(rid, claim.attempt, trouble.what)
            raise
        except BaseException:
            holdings.release([rid])
            raise
        if lost := holdings.settle({rid: done.counts}):
            raise lost[rid]
        with answering(), connect(config) as connection:
            build_index(connection, embedding.embedder.provider, embedding.embedder.model, embedding.embedder.dimension)
    finally:
        embedding.close()
        holdings.close()
    if as_json:
        print_answer("embed", "done", [rid], {**asdict(done.stored), "cost_usd": done.cost})
        return 0
    print(
        f"embedded {done.stored.embedded} of {done.stored.chunks} chunks, kept {done.stored.kept}, "
        f"{done.stored.tokens} tokens, US$ {done.cost:.4f}"
    )
    return 0
