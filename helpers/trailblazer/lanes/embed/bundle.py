"""The plan-preflight bundle: which runs are ready, which are blocked and why, and the cost of embedding them."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.atomic import make_folder, sync_folder, write_whole
from trailblazer.config import Config
from trailblazer.errors import DocumentInvalid, PlanUnusable, storage_trouble
from trailblazer.lanes.embed.plan import made_at
from trailblazer.paths import Places, is_id, stamp, timestamp
from trailblazer.pipeline.preflight import cost_of, examine_run, publish_preflight
from trailblazer.plain import counted, one_line

READY, BLOCKED = "READY", "BLOCKED"


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of a bundle, None where the bundle has none; `cost` is in US dollars.

    `made_for` is the provider, model and dimension that tokens and cost were estimated for.
    """

    ready: int | None
    blocked: int | None
    tokens: int | None
    cost: float | None
    made_for: tuple[str, str | None, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle: its folder, when it was made, the ids of the ready runs, and its totals."""

    folder: Path
    made_at: datetime | None
    ready: list[str]
    totals: Totals


@dataclass(frozen=True, slots=True)
class Detail:
    """One run in a bundle. The names of the fields are the columns of plan_preflight.csv."""

    rid: str
    status: str
    reason: str
    docs_total: int = 0
    docs_embeddable: int = 0
    docs_skipped: int = 0
    chunks: int = 0
    tokens: int = 0
    estCostUSD: float = 0.0  # noqa: N815 - a field of the format
    quality_p50: float | None = None
    quality_below_threshold_pct: float | None = None


def write_bundle(
    places: Places,
    config: Config,
    rids: Iterable[str],
    *,
    source: str = "all runs",
    say: Callable[[str], None] = lambda _line: None,
) -> Bundle:
    """Preflight every run, each once and sorted, and publish var/plan_preflight/<TS>/ whole or not at all (E10).

    A run that is missing or cannot be read is blocked with its reason; the others are examined all the same.
    `source` is written into the bundle: it names where the runs came from. `say` gets one line per run.
    A plan without runs is refused with PlanUnusable.
    """
    unique = sorted(set(rids))
    if not unique:
        raise PlanUnusable("there is no run to plan", "Make some: trailblazer normalize --sample")
    details, log = [], []
    for rid in unique:
        detail = _examine(places, config, rid)
        details.append(detail)
        line = _line_of(detail)
        log.append(f"{timestamp()} {line}")
        say(line)
    moment = datetime.now(UTC).replace(microsecond=0)
    document = _document(details, config, moment, source)
    schemas.check("plan_preflight", document, "plan_preflight.json")
    ready = [detail.rid for detail in details if detail.status == READY]
    files = {
        "plan_preflight.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n",
        "plan_preflight.csv": _as_csv(details),
        "plan_preflight.md": _as_markdown(details, document),
        "ready.txt": "".join(f"var/runs/{rid}\n" for rid in ready),
        "blocked.txt": "".join(
            f"var/runs/{detail.rid} # {one_line(detail.reason)}\n" for detail in details if detail.status == BLOCKED
        ),
        "log.out": "".join(line + "\n" for line in log),
    }
    folder = _publish(places, files, moment)
    return Bundle(folder, made_at(folder), ready, _totals(document))


def read_totals(folder: Path) -> Totals:
    """Return the totals of a bundle, by their present or their older names. A missing total is None."""
    try:
        document = schemas.read_json(folder / "plan_preflight.json")
    except DocumentInvalid:
        document = None
    return _totals(document if isinstance(document, dict) else {})


def _totals(document: dict[str, Any]) -> Totals:
    def number(*names: str) -> Any:
        values = (document.get(name) for name in names)
        return next((value for value in values if isinstance(value, (int, float)) and value is not True), None)

    provider, model, dimension = (document.get(name) for name in ("provider", "model", "dimension"))
    return Totals(
        ready=number("ready_runs", "runsReady", "ready"),
        blocked=number("blocked_runs", "runsBlocked", "blocked"),
        tokens=number("total_tokens", "tokens", "estTokens"),
        cost=number("estCostUSD", "est_cost_usd"),
        made_for=(provider, model, dimension) if isinstance(provider, str) else None,
    )


def _examine(places: Places, config: Config, rid: str) -> Detail:
    if not is_id(rid) or not places.run(rid).is_dir():
        return Detail(rid, BLOCKED, f"RUN_MISSING: there is no folder {places.runs / rid}")
    try:
        found = examine_run(places, config, rid)
        publish_preflight(places, config, found)
    except DocumentInvalid as trouble:
        return Detail(rid, BLOCKED, f"DOCUMENT_INVALID: {trouble.what}")
    return Detail(
        rid=rid,
        status=READY if found.is_ready else BLOCKED,
        reason=found.why,
        docs_total=found.documents,
        docs_embeddable=found.embeddable,
        docs_skipped=len(found.skipped),
        chunks=found.chunks,
        tokens=found.tokens,
        estCostUSD=found.cost,
        quality_p50=found.p50,
        quality_below_threshold_pct=found.below_pct if found.p50 is not None else None,
    )


def _line_of(detail: Detail) -> str:
    if detail.status == BLOCKED:
        return one_line(f"{detail.rid}: blocked: {detail.reason}")
    cost = f", {detail.estCostUSD:.4f} USD" if detail.estCostUSD else ""
    size = f"{counted(detail.docs_embeddable, 'document')}, {counted(detail.tokens, 'token')}"
    return f"{detail.rid}: ready: {size}{cost}"


def _document(details: list[Detail], config: Config, moment: datetime, source: str) -> dict[str, Any]:
    from trailblazer.errors import ConfigWrong
    from trailblazer.pipeline.embedders import identify

    model, dimension = config["embed.model"], config["embed.dimension"]
    try:
        identity = identify(config)
        model, dimension = identity.model, identity.dimension
    except ConfigWrong:  # the reason is at every run: CONFIG_INVALID
        pass
    ready = [detail for detail in details if detail.status == READY]
    tokens = sum(detail.tokens for detail in ready)
    return {
        "timestamp": moment.isoformat().replace("+00:00", "Z"),
        "provider": config["embed.provider"],
        "model": model,
        "dimension": dimension,
        "total_runs_planned": len(details),
        "ready_runs": len(ready),
        "blocked_runs": len(details) - len(ready),
        "total_embeddable_docs": sum(detail.docs_embeddable for detail in ready),
        "total_skipped_docs": sum(detail.docs_skipped for detail in ready),
        "total_tokens": tokens,
        "estCostUSD": cost_of(config, model, tokens),
        "runs_detail": [asdict(detail) for detail in details],
        "parameters": {
            "source": source,
            "minQuality": config["preflight.min_quality"],
            "maxBelowThresholdPct": config["preflight.max_below_threshold_pct"],
            "maxTokens": config["chunk.max_tokens"],
            "overlap": config["chunk.overlap"],
            "pricePerMillionTokens": config["embed.prices"].get(f"{config['embed.provider']}/{model}", 0),
        },
    }


def _as_csv(details: list[Detail]) -> str:
    text = io.StringIO()
    columns = [field.name for field in fields(Detail)]
    rows = csv.DictWriter(text, columns, lineterminator="\n")
    rows.writeheader()
    rows.writerows(asdict(detail) for detail in details)
    return text.getvalue()


def _as_markdown(details: list[Detail], document: dict[str, Any]) -> str:
    lines = [
        f"# Plan preflight {document['timestamp']}",
        "",
        f"{document['provider']} / {document['model']} / {document['dimension']}: "
        f"{document['ready_runs']} runs ready, {document['blocked_runs']} blocked, "
        f"{document['total_embeddable_docs']:,} documents, {document['total_tokens']:,} tokens, "
        f"{document['estCostUSD']:.4f} USD",
        "",
        "| run | status | documents | left out | tokens | USD | reason |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for detail in details:
        reason = one_line(detail.reason).replace("|", "\\|")
        counts = f"{detail.docs_embeddable:,} | {detail.docs_skipped:,} | {detail.tokens:,} | {detail.estCostUSD:.4f}"
        lines.append(f"| {detail.rid} | {detail.status} | {counts} | {reason} |")
    return "\n".join(lines) + "\n"


def _publish(places: Places, files: dict[str, str], moment: datetime) -> Path:
    """Write the files into a draft folder, then rename it to the moment, or to the next second that is free."""
    make_folder(places.bundles)
    draft = places.bundles / f".{stamp(moment)}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    make_folder(draft, exist_ok=False)
    try:
        for name, content in files.items():
            write_whole(draft / name, content)
        while True:
            target = places.bundles / stamp(moment)
            try:
                if not target.exists():
                    draft.rename(target)
                    sync_folder(places.bundles)
                    return target
            except FileExistsError:
                pass
            except OSError as error:
                if not target.exists():
                    raise storage_trouble(error, "publish the bundle") from error
            moment += timedelta(seconds=1)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
