"""What is asked of a run before anything is spent on it: free, and written down."""

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
    """What a preflight found: blocked when there are reasons; `details` says each in words for people.

    Quality is advice only: `below_pct` is the share of documents under the threshold, p50 and p90 are None where no
    document has a score. `cost` is in US dollars, 0 where the price table does not list the model.
    """

    rid: str
    reasons: tuple[str, ...]
    details: tuple[str, ...]
    documents: int
    embeddable: int
    skipped: tuple[str, ...]
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

    @property
    def is_ready(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.reasons

    @property
    def why(self) -> str:
        """The reasons as one line: the codes, then the words."""
        return f"{', '.join(self.reasons)}: {'; '.join(self.details)}" if self.reasons else ""


def preflight_run(places: Places, config: Config, rid: str) -> Preflight:
    """Ask what is free to ask about a run, and write preflight.json and doc_skiplist.json into its folder.

    A run without its folder is refused with PlanUnusable, one with half a JSON line with DocumentInvalid.
    """
    folder = run_folder(places, rid)
    held = take_inventory(folder, config["preflight.min_quality"])
    closed = dict(_closed(folder, held, config))
    model, dimension = config["embed.model"], config["embed.dimension"]
    try:
        identity = check_ready(config)
        model, dimension = identity.model, identity.dimension
        _check_overlap(config)
    except ConfigWrong as trouble:
        closed[CONFIG_INVALID] = trouble.what
    below = 100 * len(held.skipped) / len(held.scores) if held.scores else 0.0
    found = Preflight(
        rid=rid,
        reasons=tuple(closed),
        details=tuple(closed.values()),
        documents=held.documents,
        embeddable=held.embeddable,
        skipped=held.skipped,
        chunks=held.chunks,
        tokens=held.tokens,
        cost=cost_of(config, model, held.tokens),
        p50=_percentile(held.scores, 50),
        p90=_percentile(held.scores, 90),
        below_pct=round(below, 1),
        advice=_advice(below, config),
        provider=config["embed.provider"],
        model=model,
        dimension=dimension,
    )
    # Both can be made again at any time: they need not survive a power cut.
    schemas.publish("doc_skiplist", _skiplist(found, config), folder / SKIPLIST, durable=False)
    schemas.publish("preflight", _document(found, folder, held, config), folder / PREFLIGHT, durable=False)
    return found


def cost_of(config: Config, model: str | None, tokens: int) -> float:
    """Return what so many tokens cost with a model of the configured provider, in US dollars, by the price table."""
    price = config["embed.prices"].get(f"{config['embed.provider']}/{model}", 0)
    return round(float(tokens * price) / 1_000_000, 6)


def _closed(folder: Path, held: Inventory, config: Config) -> list[tuple[str, str]]:
    """Return the reasons that the run itself gives, each with its words."""
    closed = []
    if (folder / ENRICHED).parent.exists() and not (folder / ENRICHED).is_file():
        closed.append((MISSING_ENRICH, f"the run has an enrich step but no {ENRICHED}"))
    if not held.all_chunks:
        closed.append((MISSING_CHUNKS, f"no chunks; make them with `trailblazer chunk --run {folder.name}`"))
    elif held.stale:
        closed.append(
            (MISSING_CHUNKS, f"the chunks are of other documents; run `trailblazer chunk --run {folder.name}`")
        )
    if not has_tokenizer():
        closed.append((TOKENIZER_MISSING, f"splintr, which counts {config['chunk.encoding']}, is not installed"))
    if not held.embeddable:
        left = f"{len(held.skipped)} below the quality threshold, {held.blank} without text"
        closed.append((NOTHING_EMBEDDABLE, f"none of {held.documents} documents can be embedded ({left})"))
    return closed


def has_tokenizer() -> bool:
    """Say whether tokens can be counted here, without loading what counts them."""
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
    return f"{below:.0f} % of the documents are below a quality of {least:g}; more than {most:g} % is advised against"


def _skiplist(found: Preflight, config: Config) -> dict[str, Any]:
    return {
        "skip": list(found.skipped),
        "reason": "quality_below_min",
        "min_quality": config["preflight.min_quality"],
        "total_docs": found.documents,
        "skipped_count": len(found.skipped),
    }


def _document(found: Preflight, folder: Path, held: Inventory, config: Config) -> dict[str, Any]:
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
            "blank": held.blank,
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
            "enriched": (folder / ENRICHED).is_file(),
            "chunks": MISSING_CHUNKS not in found.reasons,
            "tokenizer": TOKENIZER_MISSING not in found.reasons,
            "config": CONFIG_INVALID not in found.reasons,
        },
        "provider": found.provider,
        "model": found.model,
        "dimension": found.dimension,
    }
