"""Why runs are blocked, each distinct reason once: what is said 305 times is read by nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CODES = re.compile(r"^[A-Z_]+(?:=\d+)?(?:, [A-Z_]+(?:=\d+)?)*: ")
RUN = "RID"


def group_reasons(blocked: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the runs of each distinct reason, the most frequent first; `blocked` holds pairs of run and reason.

    A run's own id in its reason counts as RID.
    """
    found: dict[str, list[str]] = {}
    for rid, reason in blocked:
        pattern = rf"(?<![\w.@+=-]){re.escape(rid)}(?![\w@+=-])"
        found.setdefault(re.sub(pattern, RUN, reason), []).append(rid)
    return dict(sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])))


def without_codes(reason: str) -> str:
    """Return a reason in words alone: `CONFIG_INVALID: no key is set` is `no key is set`."""
    return _CODES.sub("", reason)
