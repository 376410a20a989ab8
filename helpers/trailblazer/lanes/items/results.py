"""Prints the results of items on stdout as they come, or in the order of the items."""

from __future__ import annotations

import csv
import io
import json
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trailblazer.plain import one_line
from trailblazer.record.outcomes import Item, Outcome
from trailblazer.record.standing import Standing
from trailblazer.reports.audience import Audience, Shown
from trailblazer.streams import put_out

COLUMNS = ("index", "item", "status", "reason", "exit_code", "duration_ms", "domain_status", "folder")


class ItemAudience(Audience):
    """Shows items as every audience does, and prints a result for each when `form` is json (NDJSON) or csv."""

    def __init__(self, shown: Shown, folder: Path, form: str | None, *, keeps_order: bool) -> None:
        super().__init__(shown)
        self._folder, self._form, self._keeps_order = folder, form, keeps_order
        self._lock = threading.Lock()
        self._early: dict[int, dict[str, Any]] = {}
        self._next = 0
        self._head = ",".join(COLUMNS) + "\r\n" if form == "csv" else ""

    def started(self, item: Item, number: int) -> None:
        """Emit nothing: an item is short, and the journal has its start."""

    def settled(self, item: Item, outcome: Outcome, standing: Standing) -> None:
        """Show an outcome. Print its result now, or when its turn comes."""
        super().settled(item, outcome, standing)
        if self._form is None:
            return
        result = {
            "index": item.index,
            "item": item.body,
            "status": outcome.status.value,
            "reason": outcome.reason,
            "exit_code": outcome.details.get("exit_code"),
            "duration_ms": outcome.details.get("duration_ms"),
            "domain_status": outcome.details.get("domain_status"),
            "folder": str(self._folder / f"task_{item.index}"),
        }
        with self._lock:
            if not self._keeps_order:
                self._print(result)
                return
            self._early[item.index] = result
            while self._next in self._early:
                self._print(self._early.pop(self._next))
                self._next += 1

    def end(self) -> None:
        """Print the results that still wait for items that were not run, and the header if there was no result."""
        with self._lock:
            if self._head:
                self._put("")
            for index in sorted(self._early):
                self._print(self._early[index])
            self._early.clear()

    def _print(self, result: dict[str, Any]) -> None:
        self._put(json.dumps(result) + "\n" if self._form == "json" else _as_row(result))

    def _put(self, text: str) -> None:
        with self._shown.progress.room():
            head, self._head = self._head, ""
            put_out(head + text)


def _as_row(result: Mapping[str, Any]) -> str:
    if sys.stdout.isatty():
        result = {key: one_line(str(value)) for key, value in result.items() if value is not None}
    row = io.StringIO()
    csv.DictWriter(row, COLUMNS).writerow(result)
    return row.getvalue()
