"""The result.json of an attempt: written whole once it has ended, and read again by a resume."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import orjson

from trailblazer.atomic import write_all
from trailblazer.dispatch.lane import Held
from trailblazer.providers.command import Finished, Order
from trailblazer.providers.outputs import read_file
from trailblazer.record.outcomes import Outcome, Refusal, Status
from trailblazer.schemas import check_shape, parse_json

RESULT = "result.json"
_OF_THE_RESULT = ("folder", "duration_ms", "exit_code", "signal", "peak_memory_kib", "started")
_OPTIONAL = (
    *("truncated", "output_sha256", "domain_status", "session", "model", "code", "cause", "provider", "fallback"),
    *("version", "denied", "branch", "commits", "files", "diffstat"),
)


def write_result(one: Held, order: Order | None, outcome: Outcome, finished: Finished | None) -> None:
    """Write result.json, whole or absent; the journal line that follows is what counts and is made durable."""
    result = {
        "task_id": f"task_{one.item.index}",
        "index": one.item.index,
        "item": one.item.id,
        "attempt": one.attempt,
        "status": str(outcome.status),
        "reason": outcome.reason,
        "order": order.document() if order else None,
        "user_seconds": finished.user_seconds if finished else None,
        "system_seconds": finished.system_seconds if finished else None,
        **outcome.details,
    }
    if outcome.usage:
        result["usage"] = dict(outcome.usage)
    check_shape("item_result", result, one.folder, is_flat=True)
    draft = f"{one.folder}/.{RESULT}.tmp"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)  # never what an item put there
    try:
        write_all(handle, _encode(result))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)  # noqa: PTH108 - paths as text: this is the hot path
        raise
    finally:
        os.close(handle)
    os.replace(draft, f"{one.folder}/{RESULT}")  # noqa: PTH105 - paths as text: this is the hot path


def _encode(result: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(result)
    except TypeError:  # a lone surrogate, as the name of a file may hold
        import json

        return json.dumps(result).encode()


def read_result(folder: str) -> Outcome:
    """Return the outcome that the result.json of an attempt holds; a bad one raises as its reader does."""
    document = parse_json(read_file(f"{folder}/{RESULT}") or b"")
    details = {name: document[name] for name in _OF_THE_RESULT}
    details |= {name: document[name] for name in _OPTIONAL if name in document}
    return Outcome(Status(document["status"]), document["reason"], Refusal.NONE, document.get("usage", {}), details)
