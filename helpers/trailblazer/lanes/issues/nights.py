"""What makes a night good, shown over nights (N10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trailblazer.config import load_config
from trailblazer.cron.jobs import jobs_in
from trailblazer.cron.wrapper import folder_of_jobs
from trailblazer.lanes.issues.history import Night, read_nights
from trailblazer.plain import counted
from trailblazer.reports.answers import print_document
from trailblazer.streams import tell

JOB = "nightly"


def print_history(*, as_json: bool) -> int:
    """Print a line for each night, the oldest first, and the totals; return the exit code."""
    places = load_config().places
    nights = list(read_nights(places, _warn))[::-1]
    jobs = [job for job in jobs_in(folder_of_jobs(places)) if job.name.startswith(JOB)]
    starts, good_ends = sum(job.starts for job in jobs), sum(job.good_ends for job in jobs)
    if as_json:
        cron = {"starts": starts, "good": good_ends}
        print_document("nights", {"nights": [_document(night) for night in nights], "cron": cron})
        return 0
    print(f"{'NIGHT':<20} {'EXIT':>4} {'DONE':>5} {'FAILED':>6} {'FALLBACKS':>9} {'COST':>9}  FAILURES BY CODE")
    for night in nights:
        codes = ", ".join(f"{code} {count}" for code, count in _codes([night]).most_common())
        exit_code = night.manifest.exit_code
        print(
            f"{night.folder.name:<20} {'-' if exit_code is None else exit_code:>4} {_done([night]):>5} "
            f"{_failed([night]):>6} {_fallbacks([night]):>9} {_cost([night]):>9.4f}  {codes}".rstrip()
        )
    codes = ", ".join(f"{code} {count}" for code, count in _codes(nights).most_common())
    codes = f" ({codes})" if codes else ""
    print(
        f"{counted(len(nights), 'night')}: {_done(nights)} done, {_failed(nights)} failed{codes}, "
        f"{counted(_fallbacks(nights), 'fallback')}, US$ {_cost(nights):.4f}"
    )
    if starts:
        print(f"Cron: {good_ends} of {counted(starts, 'start')} ended well ({100 * good_ends // starts} %)")
    return 0


def _warn(folder: Path, why: str) -> None:
    tell(f"Warning: {folder.name} is left out: {why}\n")


def _document(night: Night) -> dict[str, Any]:
    alone = [night]
    return {
        "dispatchId": night.folder.name,
        "startedOn": night.manifest.started_on,
        "exitCode": night.manifest.exit_code,
        "done": _done(alone),
        "failed": _failed(alone),
        "codes": dict(_codes(alone)),
        "fallbacks": _fallbacks(alone),
        "costUSD": _cost(alone),
    }


def _done(nights: Iterable[Night]) -> int:
    return sum(not ending.has_failed for night in nights for ending in night.endings)


def _failed(nights: Iterable[Night]) -> int:
    return sum(ending.has_failed for night in nights for ending in night.endings)


def _codes(nights: Iterable[Night]) -> Counter[str]:
    return Counter(ending.code or "unknown" for night in nights for ending in night.endings if ending.has_failed)


def _fallbacks(nights: Iterable[Night]) -> int:
    return sum(bool(ending.fallback) for night in nights for ending in night.endings)


def _cost(nights: Sequence[Night]) -> float:
    return sum(night.manifest.usage.get("costUSD", 0.0) for night in nights)
