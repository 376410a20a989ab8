"""How many runs one attempt takes: many small ones together, large ones alone."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence

from trailblazer.paths import Places

MOST = 100
GROUP_BYTES = 256 << 10  # about a second of work: what a group loses at most when its worker is killed
SAMPLE = 50
NORMALIZED = "normalize/normalized.ndjson"


def group_size(places: Places, runs: Sequence[str], slots: int) -> int:
    """Return how many runs go together, by the mean size of their documents; every slot gets several groups."""
    names = list(dict.fromkeys(runs))
    sizes = []
    for name in names[:: max(1, len(names) // SAMPLE)]:
        with contextlib.suppress(OSError):
            sizes.append((places.run(name) / NORMALIZED).stat().st_size)
    if not sizes:
        return 1
    by_size = int(GROUP_BYTES / max(1.0, statistics.fmean(sizes)))
    return max(1, min(MOST, by_size, len(names) // (4 * slots)))
