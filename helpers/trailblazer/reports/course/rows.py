"""The items that a report shows: all of them where they are few; else what failed, the slowest, and a sample."""

from __future__ import annotations

import heapq
import os
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from trailblazer.errors import DocumentInvalid
from trailblazer.record.journal import line_at
from trailblazer.reports.course.model import Row

MOST_FAILED, MOST_SLOWEST, MOST_OTHERS, SAMPLE = 400, 100, 150, 100
MOST_WEIGHT = 430_000  # bytes of a page, about, that rows may take where all are shown
_WEIGHT, _LINKS, _LONGEST = 200, 120, 160
_FOLDER = re.compile(r"task_\d+/attempt_\d+")


def choose(
    codes: bytearray, seconds: Sequence[float], failed: frozenset[int], good: frozenset[int], most: int
) -> list[int]:
    """Return the indices of the items to show, in plan order: all of them where they are `most` or fewer.

    `codes` are their statuses, 0 for none yet.
    """
    settled = len(codes) - codes.count(0)
    if settled <= most:
        return [index for index, code in enumerate(codes) if code]
    bad, others, sample = list[int](), list[int](), list[int]()
    step = max(1, settled // SAMPLE)
    for index, code in enumerate(codes):
        if code in failed and len(bad) < MOST_FAILED:
            bad.append(index)
        elif code and code not in failed | good and len(others) < MOST_OTHERS:
            others.append(index)
        if code and index % step == 0 and len(sample) < SAMPLE:
            sample.append(index)
    slowest = heapq.nlargest(MOST_SLOWEST, range(len(codes)), key=seconds.__getitem__)
    return sorted({*bad, *others, *sample, *(index for index in slowest if codes[index])})


def read_rows(
    journal: Path, indices: Sequence[int], places: array[int], tries: Sequence[int], seconds: Sequence[float]
) -> Iterator[Row]:
    """Yield a row for each index, from the line of the journal that begins at its place."""
    handle = os.open(journal, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for index in indices:
            yield _row(orjson.loads(line_at(handle, places[index])), tries[index], seconds[index])
    except (ValueError, TypeError, KeyError) as error:
        raise DocumentInvalid(f"{journal} holds lines that no dispatch writes", "The journal was damaged.") from error
    finally:
        os.close(handle)


def is_heavy(rows: Sequence[Row]) -> bool:
    """Say whether rows would make a page too large: long reasons weigh more than many rows."""
    weights = [_WEIGHT + len(row.item[:80]) + (_LINKS + len(row.reason[:_LONGEST])) * bool(row.reason) for row in rows]
    return sum(weights) > MOST_WEIGHT


def _row(line: Mapping[str, Any], tries: int, seconds: float) -> Row:
    usage = line.get("usage", {})
    folder = line.get("folder", "")
    return Row(
        line["index"], line["item"], line["status"], line["attempt"], max(tries, min(1, line["attempt"])),
        line["reason"], line.get("phase", ""), seconds if seconds >= 0 else None, line.get("peak_memory_kib"),
        cost_of(usage), usage.get("input_tokens", 0) + usage.get("output_tokens", 0) + usage.get("tokens", 0),
        line.get("provider", ""), _change(line), folder if _FOLDER.fullmatch(folder) else "",
    )  # fmt: skip


def cost_of(usage: Mapping[str, float]) -> float | None:
    """Return what was spent in US dollars, as it was billed, else as it was estimated; None where nobody says."""
    return usage.get("costUSD", usage.get("estCostUSD"))


def _change(line: Mapping[str, Any]) -> str:
    """Return in words what an item made: changed lines, files, or chunks."""
    if line.get("diffstat"):
        return str(line["diffstat"])
    if line.get("files"):
        return f"{len(line['files'])} files"
    if "total_chunks" in line:
        return f"{line['total_chunks'] - line.get('kept', 0)} of {line['total_chunks']} chunks"
    return str(line.get("domain_status", ""))
