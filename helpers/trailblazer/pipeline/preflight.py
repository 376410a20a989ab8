"""Whether a run can be embedded, what it would cost, and the documents that say so: asked before money is spent."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.config import Config
from trailblazer.errors import ConfigWrong
from trailblazer.paths import Places, timestamp
from trailblazer.pipeline.documents import ENRICHED, run_folder
from trailblazer.pipeline.embedders import check_ready
from trailblazer.pipeline.inventory import Inventory, take_inventory

PREFLIGHT = Path("preflight/preflight.json")
SKIPLIST = Path("preflight/doc_skiplist.json")

MISSING_ENRICH = "MISSING_ENRICH"
MISSING_CHUNKS = "MISSING_CHUNKS"
TOKENIZER_MISSING = "TOKENIZER_MISSING"
CONFIG_INVALID = "CONFIG_INVALID"
NOTHING_EMBEDDABLE = "EMBEDDABLE_DOCS=0"


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a preflight found. A run with reasons is blocked; `details` explains each reason in words.

    `documents`, `embeddable` and `blank` count documents; `skipped` holds the ids of documents below the quality
    threshold. Quality is advice only: `below_pct` is the share of scored documents below the threshold, in percent;
    p50 and p90 are None when no document has a score. `cost` is in US dollars, 0 for a model without a price.
    `inventory` is what the folder held at that moment.
    """

    rid: str
    reasons: tuple[str, ...]
    details: tuple[str, ...]
    documents: int
    embeddable: int
    blank: int
    skipped: tuple[str, ...]
    is_enriched: bool
    chunks: int
    tokens: int
    cost: float
    p50: float | None
    p90: float | None
    below_pct: float
    advice: str | None
    provider: str
    model: str | None
    dimension: int | None
    inventory: Inventory

    @property
    def is_ready(self) -> bool:
        """Whether no reason blocks the run."""
        return not self.reasons

    @property
    def why(self) -> str:
        """The reasons as one line: first the codes, then the words."""
        return f"{', '.join(self.reasons)}: {'; '.join(self.details)}" if self.reasons else ""


def examine_run(places: Places, config: Config, rid: str) -> Preflight:
    """Return whether a run can be embedded, and why not. It reads only: it writes nothing and calls no service.

    A run without a folder is refused with PlanUnusable, a run with half a JSON line with DocumentInvalid.
    """
    folder = run_folder(places, rid)
    inventory = take_inventory(folder, config["preflight.min_quality"])
    blocked = dict(_reasons_of_run(folder, inventory, config))
    model, dimension = config["embed.model"], config["embed.dimension"]
    try:
        identity = check_ready(config)
        model, dimension = identity.model, identity.dimension
        _check_overlap(config)
    except ConfigWrong as trouble:
        blocked[CONFIG_INVALID] = trouble.what
    below = 100 * len(inventory.skipped) / len(inventory.scores) if inventory.scores else 0.0
    return Preflight(
        rid=rid,
        reasons=tuple(blocked),
        details=tuple(blocked.values()),
        documents=inventory.documents,
        embeddable=inventory.embeddable,
        blank=inventory.blank,
        skipped=inventory.skipped,
        is_enriched=(folder / ENRICHED).is_file(),
        chunks=inventory.chunks,
        tokens=inventory.tokens,
        cost=cost_of(config, model, inventory.tokens),
        p50=_percentile(inventory.scores, 50),
        p90=_percentile(inventory.scores, 90),
        below_pct=round(below, 1),
        advice=_advice(below, config),
        provider=config["embed.provider"],
        model=model,
        dimension=dimension,
        inventory=inventory,
    )


def publish_preflight(places: Places, config: Config, found: Preflight) -> None:
    """Write preflight/preflight.json and preflight/doc_skiplist.json into the folder of the run.

    Both can be made again at any time, so they need not survive a power cut.
    """
    folder = run_folder(places, found.rid)
    schemas.publish("doc_skiplist", _skiplist(found, config), folder / SKIPLIST, durable=False, once_per_shape=True)
    schemas.publish("preflight", _document(found, config), folder / PREFLIGHT, durable=False, once_per_shape=True)


def cost_of(config: Config, model: str | None, tokens: int) -> float:
    """Return the price of that many tokens with a model of the configured provider, in US dollars (embed.prices)."""
    price = config["embed.prices"].get(f"{config['embed.provider']}/{model}", 0)
    return round(float(tokens * price) / 1_000_000, 6)


def has_price(config: Config, model: str | None) -> bool:
    """Say whether the price of a model of the configured provider is known; what runs on this machine is free."""
    return (
        config["embed.provider"] in {"local", "minilm"}
        or f"{config['embed.provider']}/{model}" in config["embed.prices"]
    )


def _reasons_of_run(folder: Path, inventory: Inventory, config: Config) -> list[tuple[str, str]]:
    """Return the reasons that lie in the run itself, each with its words."""
    reasons = []
    if (folder / ENRICHED).parent.exists() and not (folder / ENRICHED).is_file():
        reasons.append((MISSING_ENRICH, f"the run has an enrich step but no {ENRICHED}"))
    if not inventory.all_chunks:
        reasons.append((MISSING_CHUNKS, f"no chunks; make them with `trailblazer chunk --run {folder.name}`"))
    elif inventory.is_stale:
        reasons.append(
            (MISSING_CHUNKS, f"the chunks are of other documents; run `trailblazer chunk --run {folder.name}`")
        )
    if not has_tokenizer():
        reasons.append((TOKENIZER_MISSING, f"splintr, which counts {config['chunk.encoding']}, is not installed"))
    if not inventory.embeddable:
        left_out = f"{len(inventory.skipped)} below the quality threshold, {inventory.blank} without text"
        reasons.append((NOTHING_EMBEDDABLE, f"none of {inventory.documents} documents can be embedded ({left_out})"))
    return reasons


def has_tokenizer() -> bool:
    """Say whether the tokenizer is installed, without loading it."""
    return importlib.util.find_spec("splintr") is not None


def _check_overlap(config: Config) -> None:
    if config["chunk.overlap"] >= config["chunk.max_tokens"]:
        raise ConfigWrong("chunk.overlap leaves no room under chunk.max_tokens")


def _percentile(scores: tuple[float, ...], percent: int) -> float | None:
    return round(scores[(len(scores) - 1) * percent // 100], 4) if scores else None


def _advice(below: float, config: Config) -> str | None:
    most, least = config["preflight.max_below_threshold_pct"], config["preflight.min_quality"]
    if below <= most:
        return None
    return f"{below:.0f} % of the documents have a quality below {least:g}; at most {most:g} % is advised"


def _skiplist(found: Preflight, config: Config) -> dict[str, Any]:
    return {
        "skip": list(found.skipped),
        "reason": "quality_below_min",
        "min_quality": config["preflight.min_quality"],
        "total_docs": found.documents,
        "skipped_count": len(found.skipped),
    }


def _document(found: Preflight, config: Config) -> dict[str, Any]:
    return {
        "run_id": found.rid,
        "timestamp": timestamp(),
        "status": "READY" if found.is_ready else "BLOCKED",
        "reasons": list(found.reasons),
        "details": list(found.details),
        "docTotals": {
            "all": found.documents,
            "embeddable": found.embeddable,
            "skipped": len(found.skipped),
            "blank": found.blank,
        },
        "chunks": found.chunks,
        "tokens": found.tokens,
        "estCostUSD": found.cost,
        "quality": {
            "p50": found.p50,
            "p90": found.p90,
            "belowThresholdPct": found.below_pct,
            "minQuality": config["preflight.min_quality"],
            "maxBelowThresholdPct": config["preflight.max_below_threshold_pct"],
        },
        "advisory": {"quality": found.advice},
        "artifacts": {
            "enriched": found.is_enriched,
            "chunks": MISSING_CHUNKS not in found.reasons,
            "tokenizer": TOKENIZER_MISSING not in found.reasons,
            "config": CONFIG_INVALID not in found.reasons,
        },
        "provider": found.provider,
        "model": found.model,
        "dimension": found.dimension,
    }
