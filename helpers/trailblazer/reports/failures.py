"""Why items failed, grouped by cause, for the person who mends it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from trailblazer.plain import one_line
from trailblazer.record.folder import JOURNAL
from trailblazer.record.journal import read_journal
from trailblazer.record.lines import Settled
from trailblazer.record.outcomes import FAILED

MOST_CAUSES = 10
MOST_NAMED = 3
_NUMBER = re.compile(r"(?<!^exit )\d+")


def table_of_failures(folder: Path) -> Iterator[str]:
    """Yield a line a cause, the most frequent first; causes with the same exit code that differ in numbers are one."""
    latest: dict[int, tuple[str, str]] = {}
    for line in read_journal(folder / JOURNAL):
        if isinstance(line, Settled):
            latest.pop(line.index, None)
            if line.outcome.status in FAILED:
                latest[line.index] = (line.status, line.reason)
    causes: dict[tuple[str, str], list[int]] = {}
    shown: dict[tuple[str, str], str] = {}
    for index, (status, reason) in latest.items():
        cause = (status, _NUMBER.sub("#", reason))
        causes.setdefault(cause, []).append(index)
        shown.setdefault(cause, f"{status}: {reason}")
    ranked = sorted(causes.items(), key=lambda cause: (-len(cause[1]), cause[1]))
    if ranked:
        yield f"Failures: {len(latest)}, of {len(ranked)} {'cause' if len(ranked) == 1 else 'causes'}"
    for cause, indices in ranked[:MOST_CAUSES]:
        named = ", ".join(f"task_{index}" for index in sorted(indices)[:MOST_NAMED])
        more = ", …" if len(indices) > MOST_NAMED else ""
        yield f"- {len(indices)} x {one_line(shown[cause], 160)} ({named}{more})"
    if len(ranked) > MOST_CAUSES:
        yield f"- … and {len(ranked) - MOST_CAUSES} more causes: see summary.json"
