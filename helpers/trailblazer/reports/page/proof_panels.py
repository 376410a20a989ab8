"""Panels about providers, money, inputs and proof, and the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trailblazer.plain import counted, one_line
from trailblazer.record.admission import To
from trailblazer.record.folder import JOURNAL
from trailblazer.record.manifest import MANIFEST, Manifest
from trailblazer.record.proof import SEAL
from trailblazer.reports.course.model import Report
from trailblazer.reports.course.rows import cost_of
from trailblazer.reports.page.blocks import Block, Column, Command, Commands, Facts, Link, Panel, Table, Words
from trailblazer.reports.page.charts import cost_chart
from trailblazer.reports.page.verdict import resume_command
from trailblazer.reports.page.words import clock, dollars, share, short_item, short_reason, span

MOST_INPUTS, MOST_CHANGES, MOST_SWITCHES = 60, 60, 60
_OWN = frozenset({"dispatch_id", "since"})  # parameters that differ each time


def providers_panel(report: Report) -> Panel:
    """Return what each provider did, and when it was closed, opened, took over or was waited for."""
    course, seed = report.course, report.manifest.seed
    named = "/".join(str(part) for part in (seed.provider, seed.model, seed.dimension) if part)
    if not course.providers:
        words = f"{short_item(named)} made every attempt: {counted(course.attempts, 'call')}. It was never closed."
        return Panel("providers", "Providers", words)
    rows = tuple(
        (short_item(name), f"{tally.attempts:,}", f"{tally.good:,}", f"{tally.failed:,}", f"{tally.fallbacks:,}",
         f"{tally.cost_usd:.4f}", f"{tally.tokens:,.0f}", f"{tally.closed:,.0f}")
        for name, tally in course.providers
    )  # fmt: skip
    titles = ("Calls", "Good", "Failed", "Fallbacks", "US$", "Tokens", "Closed, s")
    columns = (Column("Provider"), *(Column(title, "number") for title in titles))
    blocks: list[Block] = [Table("providers", columns, rows)]
    if course.switches:
        moves = tuple((clock(event.at), short_reason(event.text)) for event in course.switches[-MOST_SWITCHES:])
        blocks.append(Table("switches of providers", (Column("Time"), Column("Circuit, quota, fallback")), moves))
    fallbacks = sum(tally.fallbacks for _, tally in course.providers)
    closed = sum(
        event.text.startswith(f"{name} {To.CLOSED}") for event in course.switches for name, _ in course.providers
    )
    answer = f"{counted(len(rows), 'provider')} worked, of the chain {short_item(named)}; "
    answer += f"{counted(fallbacks, 'item')} by fallback; a provider was closed {closed} times."
    return Panel("providers", "Providers", answer, tuple(blocks))


def money_panel(report: Report) -> Panel:
    """Return what was spent, for each item that is done and in vain, and each cap beside what was reached of it."""
    course = report.course
    cost, wasted = cost_of(course.usage), cost_of(course.wasted) or 0.0
    tokens = course.usage.get("input_tokens", 0) + course.usage.get("output_tokens", 0) + course.usage.get("tokens", 0)
    limits = limits_table(report, cost or 0.0, tokens)
    if cost is None and not tokens:
        answer = "Nobody said that this cost anything: no money, no tokens."
        return Panel("money", "Money and limits", answer, limits)
    pairs = []
    if cost is not None:
        pairs.append(("Spent", dollars(cost) + ("" if "costUSD" in course.usage else ", estimated")))
        pairs.append(("For each done item", dollars(cost / course.good) if course.good else "nothing is done"))
        pairs.append(("For attempts that failed", f"{dollars(wasted)} ({share(wasted, cost)})"))
    pairs.append(("Tokens", f"{tokens:,.0f}"))
    more = {name: amount for name, amount in course.usage.items() if name not in {"costUSD", "estCostUSD", "tokens"}}
    pairs += [(name.replace("_", " ").capitalize(), f"{amount:,.6g}") for name, amount in more.items()]
    answer = f"{dollars(cost)} and {tokens:,.0f} tokens were spent." if cost else f"{tokens:,.0f} tokens were used."
    chart = (cost_chart(course),) if cost else ()
    return Panel("money", "Money and limits", answer, (*chart, Facts(tuple(pairs)), *limits))


def limits_table(report: Report, cost: float, tokens: float) -> tuple[Table, ...]:
    """Return the caps of a dispatch beside what was reached of each; nothing where an older version wrote none."""
    caps, course = report.manifest.caps, report.course
    if caps is None:
        return ()
    tallies = [tally for _, tally in course.providers]
    tries = max((row.tries for row in course.rows), default=0)
    longest = span(course.durations.longest)
    medians = f"{caps.attempt_medians:g} x the median" if caps.attempt_medians else "no limit"
    rows = (
        ("Items at once", f"{caps.workers:,}", f"{course.timeline.most_slots:,}"),
        ("Tries of one item", f"{caps.retries + 1:,} in one go", f"{tries:,}"),
        ("Time of one attempt", span(caps.attempt_seconds) if caps.attempt_seconds else medians, longest),
        ("Money", _most(caps.max_cost_usd, dollars), dollars(cost) + _of(cost, caps.max_cost_usd)),
        ("Tokens", _most(caps.max_tokens), f"{tokens:,.0f}" + _of(tokens, caps.max_tokens)),
        ("Money of one provider", _most(caps.provider_max_cost_usd, dollars),
         dollars(max((tally.cost_usd for tally in tallies), default=0.0))),
        ("Tokens of one provider", _most(caps.provider_max_tokens),
         f"{max((tally.tokens for tally in tallies), default=0.0):,.0f}"),
        ("Money of one item", _most(caps.item_max_cost_usd, dollars),
         dollars(max((row.cost_usd or 0.0 for row in course.rows), default=0.0))),
    )  # fmt: skip
    return (Table("limits", (Column("Limit"), Column("At most"), Column("Reached")), rows),)


def _of(amount: float, cap: float | None) -> str:
    return f" ({share(amount, cap)})" if cap else ""


def _most(cap: float | None, said: Callable[[float], str] = "{:,.0f}".format) -> str:
    return "no limit" if cap is None else said(cap)


def proof_panel(report: Report) -> Panel:
    """Return what went in, the digests, the seal, what differs from the dispatch before, and the commands."""
    manifest = report.manifest
    seed = manifest.seed
    asked = (seed.mode, seed.provider, seed.model, seed.dimension)
    pairs = [
        ("Plan", f"{one_line(seed.plan_file_used, 200)} ({counted(seed.runs_planned, 'item')})"),
        ("Asked for", one_line(" ".join(str(part) for part in asked if part), 200)),
        ("Commit", seed.git_commit or "not in a git checkout"),
        ("Notes", one_line(seed.notes, 500) or "none"),
        ("Journal head", manifest.journal_head),
        ("Trace", manifest.traceparent),
        ("Seal", _seal(report)),
    ]
    commands = [Command("To prove that nothing was changed", f"trailblazer verify {report.id}")]
    if resume := resume_command(report):
        commands.append(Command("To carry it on", resume))
    commands.append(Command("To make a page again", f"trailblazer report {report.id}"))
    blocks = (Facts(tuple(pairs)), *_inputs(manifest), *_since(report), Commands(tuple(commands)))
    state = "The folder is sealed." if report.seal else "The seal is the last file that is written."
    answer = f"{counted(len(manifest.inputs), 'input')} archived with their digests. {state}"
    return Panel("proof", "Inputs and proof", answer, blocks, is_wide=True)


def _inputs(manifest: Manifest) -> Iterator[Block]:
    rows = []
    for one in manifest.inputs[:MOST_INPUTS]:
        proof = one.sha256 or f"link to {one_line(one.link or '', 80)}"
        rows.append((one_line(one.name, 120), one_line(one.uri, 120), proof))
    if rows:
        yield Table("inputs", (Column("File"), Column("From"), Column("SHA-256", "code")), tuple(rows))
    if (left := len(manifest.inputs) - MOST_INPUTS) > 0:
        yield Words(f"{counted(left, 'input')} more are in {MANIFEST}.")


def _seal(report: Report) -> str:
    kept = f"; its digest is kept in {report.manifest.seal_kept_in}" if report.manifest.seal_kept_in else ""
    if report.seal:
        return f"sha256:{report.seal}{kept}"
    return f"in {SEAL}, which also holds the digest of this page{kept}"


def _since(report: Report) -> Iterator[Block]:
    if report.before is None:
        yield Words("There is no earlier dispatch of this kind to compare with.")
        return
    changes = list(differences(report.before, report.manifest))
    before = report.before.dispatch_id
    if not changes:
        yield Words(f"The configuration is that of the dispatch before, {before}.")
        return
    columns = (Column("Setting"), Column(f"In {before}"), Column("Now"))
    yield Table("what differs in the configuration", columns, tuple(changes[:MOST_CHANGES]))


def differences(before: Manifest, now: Manifest) -> Iterator[tuple[str, str, str]]:
    """Yield each setting that differs between two dispatches: its name, its value then, and its value now."""
    flat = [dict(_flat({**_seed(one), **one.parameters})) for one in (before, now)]
    for name in sorted(flat[0].keys() | flat[1].keys()):
        values = [settings.get(name) for settings in flat]
        if values[0] != values[1] and name.rsplit(".", 1)[-1] not in _OWN:
            then, is_now = ("not set" if value in (None, "") else one_line(str(value), 120) for value in values)
            yield name, then, is_now


def _seed(manifest: Manifest) -> dict[str, Any]:
    seed = manifest.seed
    return {
        "plan": seed.plan_file_used, "planned": seed.runs_planned, "provider": seed.provider, "model": seed.model,
        "dimension": seed.dimension, "workers": seed.workers, "batch size": seed.batch_size,
        "commit": seed.git_commit, "mode": seed.mode, "notes": seed.notes, "host": manifest.builder.host,
    }  # fmt: skip


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}".removeprefix("words."), value


def journal_panel(report: Report, base: str) -> Panel:
    """Return the lines of the journal that a person looks for, and where it ran."""
    course, builder = report.course, report.manifest.builder
    rows = tuple(
        (clock(event.at), event.kind, short_item(event.item), short_reason(event.text)) for event in course.events
    )
    table = Table("journal", (Column("Time"), Column("Kind"), Column("Item"), Column("What")), rows, has_filter=True)
    lines = sum(course.lines.values())
    kinds = ", ".join(f"{count:,} {one_line(kind, 40)}" for kind, count in sorted(course.lines.items()))
    places = [
        f"{one_line(process.host, 80)}, process {process.pid}, from {clock(process.at, with_date=True)}"
        for process in course.processes
    ]
    files = tuple(Link(name, f"{base}{name}") for name in (JOURNAL, MANIFEST, "summary.json", "events.ndjson"))
    facts = Facts((("Host", "; ".join(places[:10])), ("Boot", builder.boot), ("Lines", kinds)))
    answer = f"{counted(lines, 'line')}, the newest at {clock(course.last_at)}." if lines else "The journal is empty."
    answer += " Here are those that a person looks for; good items are left out."
    if course.events_left_out:
        answer += f" {course.events_left_out:,} in the middle are left out too."
    all_files = Table("files of the record", (Column("Files", "links"),), ((files,),))
    return Panel("journal", "Journal and host", answer, (facts, table, all_files), is_wide=True)
