"""What `dispatch` and `run` were asked for, and what the manifest keeps of it for a resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trailblazer import schemas
from trailblazer.database.claims import PHASES, Phase
from trailblazer.errors import PlanUnusable, WordsWrong
from trailblazer.record.manifest import Manifest

BACKLOG = "backlog"
EMBED = "embed"
EMBED_ONLY: tuple[Phase, ...] = ("embed",)
FLAGS = {
    "embed.provider": "provider",
    "embed.model": "model",
    "embed.dimension": "dimension",
    "embed.batch_size": "batch_size",
    "dispatch.workers": "workers",
    "dispatch.retries": "retries",
    "dispatch.fail_fast": "fail_fast",
    "dispatch.progress_every": "progress_every",
}


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """The words of `dispatch` and of `run`; None is what was not said."""

    plan: str | None = None
    plan_file: str | None = None
    plan_preflight_dir: str | None = None
    qa_dir: str | None = None
    resume: str | None = None
    only_failed: bool = False
    skip_unchanged: bool = False
    force: bool = False
    dry_run: bool = False
    notes: str = ""
    provider: str | None = None
    model: str | None = None
    dimension: int | None = None
    batch_size: int | None = None
    workers: int | None = None
    retries: int | None = None
    fail_fast: int | None = None
    halt: str | None = None
    phases: tuple[Phase, ...] = PHASES
    runs: str | None = None
    source: str | None = None
    limit: int | None = None
    no_wait: bool = False
    progress_every: int | None = None
    monitor_interval: float = 10.0
    verbose: bool = False
    events: str | None = None
    json: bool = False

    @property
    def is_backlog(self) -> bool:
        """Whether the plan is what waits in the table of runs."""
        return self.plan == BACKLOG

    def flags(self) -> dict[str, Any]:
        """Return the settings that were given as flags, by their dotted keys."""
        return {key: value for key, name in FLAGS.items() if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class EmbedParameters:
    """What a resume needs of a dispatch. `since` is the database's moment at the start; `waits` comes back to runs that
    others held; `flags` are settings by dotted key."""

    lane: str = EMBED
    phases: tuple[Phase, ...] = EMBED_ONLY
    waits: bool = False
    flags: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False
    since: str = ""
    retries: int = 1
    fail_fast: int = 5
    halt: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the parameters as the manifest keeps them."""
        document = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return schemas.in_camel_case({**document, "phases": list(self.phases), "flags": dict(self.flags)})


def stored_parameters(manifest: Manifest) -> EmbedParameters:
    """Return what an earlier dispatch was asked for; one of another lane is refused with PlanUnusable (exit 4)."""
    if manifest.lane not in {EMBED, BACKLOG}:
        raise PlanUnusable(
            f"dispatch {manifest.dispatch_id} holds no embedding runs",
            f"To resume it: {manifest.resume_with or 'trailblazer batch run --resume'} {manifest.dispatch_id}",
        )
    return schemas.as_record(EmbedParameters, manifest.parameters)


def read_phases(text: str) -> tuple[Phase, ...]:
    """Return the phases that words like `chunk,embed` name, in the order in which they are done."""
    named = {name.strip() for name in text.split(",")}
    if not named <= set(PHASES):
        raise WordsWrong(f"{text!r} names no phases", f"--phases {','.join(PHASES)}, or one of them.")
    return tuple(phase for phase in PHASES if phase in named)
