"""What the signals of a dispatch cost: a record for each, also of those that failed, and their sums."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from trailblazer import schemas
from trailblazer.atomic import cut_torn_tail, write_all
from trailblazer.errors import storage_trouble
from trailblazer.lanes.signals.measures import Spent
from trailblazer.lanes.signals.scenario import Prices
from trailblazer.record.outcomes import FAILED, Status, Usage
from trailblazer.signals.files import Result
from trailblazer.signals.tokens import TokenRecord

TOKENS = "tokens.ndjson"
POSTPONED = "postponed"  # a signal whose provider closed: another one takes its place, and it is no failure


class Costs:
    """The token records of a dispatch, in tokens.ndjson of its folder. `spent` is what earlier processes used."""

    def __init__(self, folder: Path, spent: Usage, prices: Prices) -> None:
        self._file, self._prices = folder / TOKENS, prices
        self._lock = threading.Lock()
        self.tokens = spent.get("input_tokens", 0.0) + spent.get("output_tokens", 0.0)
        self._handle: int | None = None

    def add(self, record: TokenRecord, result: Result, status: Status) -> TokenRecord:
        """Write the record of a signal that has ended, and return it."""
        return self._write(record.ended(result.artifact, result.usage), result.dispatch_id, status.value)

    def postpone(self, record: TokenRecord, result: Result) -> TokenRecord:
        """Write the record of a signal that is sent again: it used what its agent says, and without a word nothing."""
        used = {"input_tokens": 0, "output_tokens": 0, **result.usage}
        return self._write(record.ended(b"", used), result.dispatch_id, POSTPONED)

    def _write(self, ended: TokenRecord, dispatch_id: int, status: str) -> TokenRecord:
        if not ended.cost_usd:
            ended = ended.priced(self._prices.cost(ended.prompt_tokens, ended.artifact_tokens))
        document = {"dispatch_id": dispatch_id, "status": status, **ended.document()}
        schemas.check_shape("token_record", document, TOKENS, is_flat=True)
        with self._lock:
            self.tokens += ended.prompt_tokens + ended.artifact_tokens
            try:
                if self._handle is None:
                    self._handle = _opened(self._file)
                write_all(self._handle, orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
            except OSError as error:
                error.filename = str(self._file)
                raise storage_trouble(error, "write") from error
        return ended

    def usage(self, record: TokenRecord) -> Usage:
        """Return a record as the usage of an attempt."""
        cost = {"costUSD": record.cost_usd} if record.cost_usd else {}
        return {"input_tokens": record.prompt_tokens, "output_tokens": record.artifact_tokens, **cost}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None


def _opened(file: Path) -> int:
    """Open the records to append to them; half a line of a process that was killed, or of a full disk, is cut off."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(handle, "r+b", buffering=0, closefd=False) as opened:
        cut_torn_tail(opened)
    return handle


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the token records of a dispatch."""
    if (folder / TOKENS).is_file():
        yield from schemas.read_lines(folder / TOKENS)


def spent_in(folder: Path) -> Spent:
    """Return what a dispatch spent on its signals. Those count as failed whose case has no answer at that step.

    What postponed ones used counts, and they themselves do not.
    """
    records = list(read_records(folder))
    ended = [record for record in records if record["status"] != POSTPONED]
    answered = {(record["case_id"], record["step"]) for record in ended if record["status"] == Status.SUCCESS}
    return Spent(
        signals=len(ended),
        failed=sum(
            record["status"] in FAILED and (record["case_id"], record["step"]) not in answered for record in ended
        ),
        prompt_tokens=sum(record["prompt_tokens"] for record in records),
        artifact_tokens=sum(record["artifact_tokens"] for record in records),
        cost_usd=sum(record["cost_usd"] for record in records),
        seconds=sum(record["wall_clock_ms"] for record in ended) / 1000,
    )


def cost_lines(folder: Path) -> Iterator[str]:
    """Yield the cost report: a line for each step, for each case, and the sum."""
    records = list(read_records(folder))
    for name in ("step", "case_id"):
        sums: defaultdict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0])
        for record in records:
            for place, value in enumerate((1, record["prompt_tokens"], record["artifact_tokens"], record["cost_usd"])):
                sums[record[name]][place] += value
        yield f"{name.removesuffix('_id'):<20} {'signals':>7} {'prompt':>10} {'artifact':>10} {'US$':>10}"
        for key, (signals, prompt, artifact, cost) in sums.items():
            yield f"{key[:20]:<20} {signals:>7} {prompt:>10,} {artifact:>10,} {cost:>10.4f}"
    all_of = spent_in(folder)
    yield (
        f"{'total':<20} {all_of.signals:>7} {all_of.prompt_tokens:>10,} {all_of.artifact_tokens:>10,} "
        f"{all_of.cost_usd:>10.4f}"
    )
