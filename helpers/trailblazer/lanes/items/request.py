"""What `batch run` was asked for, as one record; the manifest keeps it for a resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trailblazer import schemas
from trailblazer.errors import PlanUnusable
from trailblazer.record.manifest import Manifest

LANE = "items"


@dataclass(frozen=True, slots=True)
class ItemsRequest:
    """The words of a batch. A word that was not given has its default: None, 0 or empty in most cases.

    `timeout`, `idle`, `delay`, `min_free_memory` and `log_cap` are amounts as people write them: 90, 10m, 3x, 2G.
    """

    command: tuple[str, ...] = ()
    format: str = "auto"
    provider: str | None = None
    model: str | None = None
    template: str | None = None
    prompt: str | None = None
    skill: str | None = None
    shell: bool = False
    shuffle: bool = False
    notes: str = ""
    timeout: str | None = None
    retries: int = 0
    delay: str = "0"
    max_load: float | None = None
    min_free_memory: str | None = None
    idle: str | None = None
    expect: str | None = None
    expect_schema: str | None = None
    fail_fast: int = 0
    halt: str | None = None
    preflight: str | None = None
    skip_preflight: bool = False
    yes: bool = False
    monitor_interval: float = 120.0
    results: str | None = None
    keep_order: bool = False
    no_worker_logs: bool = False
    log_cap: str = "64M"
    max_workers: int | None = None
    wait_for_quota: bool = False
    max_cost_usd: float | None = None
    max_tokens: float | None = None
    item_max_cost_usd: float | None = None

    def with_words(self, said: Mapping[str, Any]) -> ItemsRequest:
        """Return the request with the words of now in place of the earlier ones."""
        known = {field.name for field in dataclasses.fields(self)}
        return dataclasses.replace(self, **{name: value for name, value in said.items() if name in known})

    def parameters(self) -> dict[str, Any]:
        """Return the request as the manifest keeps it."""
        return {"lane": LANE, "words": {**dataclasses.asdict(self), "command": list(self.command)}}


def stored_request(manifest: Manifest) -> ItemsRequest:
    """Return what an earlier batch was asked for; a dispatch of another lane is refused with PlanUnusable (exit 4)."""
    if manifest.lane != LANE:
        raise PlanUnusable(
            f"dispatch {manifest.dispatch_id} is not a batch",
            f"To resume it: {manifest.resume_with or 'trailblazer dispatch --resume'} {manifest.dispatch_id}",
        )
    return schemas.as_record(ItemsRequest, manifest.parameters.get("words", {}))
