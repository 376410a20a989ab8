"""How long the items took: percentiles and bins."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable

from trailblazer.reports.course.model import Durations

_STEPS = [number * 10.0**power for power in range(-3, 6) for number in (1, 2, 5)]


def durations_of(seconds: Iterable[float]) -> Durations:
    """Return the percentiles of times in seconds, and how many lie in each bin of the series 1, 2, 5.

    A time below 0 is that of an item that did not run.
    """
    known = sorted(one for one in seconds if one >= 0)
    if not known:
        return Durations()
    first = max(0, bisect.bisect_right(_STEPS, known[0]) - 1)
    last = bisect.bisect_left(_STEPS, known[-1])
    edges = _STEPS[first : last + 1]
    places = [0, *(bisect.bisect_right(known, edge) for edge in edges[1:-1]), len(known)]
    bins = tuple(after - before for before, after in itertools.pairwise(places))
    longest = known[-1]
    return Durations(len(known), sum(known), _at(known, 0.5), _at(known, 0.95), longest, tuple(edges), bins)


def _at(known: list[float], share: float) -> float:
    return known[min(len(known) - 1, int(share * len(known)))]
