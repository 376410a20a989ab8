"""What is left of an agent's allowance, where its own files tell it: nobody is asked, nothing is spent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailblazer.providers.answers import end_of_file, files_like
from trailblazer.providers.selectors import events_in, is_number, read_path, values_at


@dataclass(frozen=True, slots=True)
class Quota:
    """The share that is left of the tightest limit, in percent, and when that limit begins anew (epoch seconds).

    It is what the agent's last session heard: another machine may have used more since.
    """

    left_percent: float
    resets_at: float | None

    def document(self) -> dict[str, float | None]:
        """Return what --json shows."""
        return {"leftPercent": self.left_percent, "resetsAt": self.resets_at}


def read_quota(rules: Mapping[str, Any], environment: Mapping[str, str]) -> Quota | None:
    """Return what the newest file says by the rules of `quota` in agents.yaml; None where there is nothing to read.

    A limit that has begun anew since is whole.
    """
    newest = max(files_like(rules["files"], environment), key=_changed_at, default=None)
    events = [] if newest is None else list(events_in(end_of_file(newest)))
    for event in reversed(events):
        windows = [window for path in rules["windows"] for window in values_at(event, read_path(path))]
        found = [quota for window in windows if (quota := _quota(rules, window)) is not None]
        if found:
            return min(found, key=lambda quota: quota.left_percent)
    return None


def _quota(rules: Mapping[str, Any], window: Any) -> Quota | None:
    used = [value for value in values_at(window, read_path(rules["used_percent"])) if is_number(value)]
    resets = [value for value in values_at(window, read_path(rules.get("resets_at", "*"))) if is_number(value)]
    if not used:
        return None
    resets_at = float(resets[0]) if "resets_at" in rules and resets else None
    if resets_at is not None and resets_at <= time.time():
        return Quota(100.0, None)
    return Quota(max(0.0, 100.0 - used[0]), resets_at)


def _changed_at(file: str) -> float:
    try:
        return Path(file).stat().st_mtime
    except OSError:
        return 0.0
