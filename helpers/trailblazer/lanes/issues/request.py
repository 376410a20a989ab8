"""What `nightly` was asked for, as one record; the manifest keeps it for a resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.config import Config
from trailblazer.errors import PlanUnusable, WordsWrong
from trailblazer.lanes.issues.history import LANE
from trailblazer.record.manifest import Manifest

MOST = 100_000


@dataclass(frozen=True, slots=True)
class IssuesRequest:
    """The words of a night, with what the configuration says where a word was not given.

    `issues` are the only issues that may be taken; empty means any. `timeout_minutes` and `idle_minutes` are limits of
    one attempt. `expect` is what proves a success: changes, answer, file or none. `wait` False leaves runs of
    dx-runner running.
    """

    tracker: str
    max_dispatch: int
    max_parallel: int
    prompt: str
    expect: str
    timeout_minutes: float
    idle_minutes: float
    retries: int
    worktree: bool
    issues: tuple[str, ...] = ()
    provider: str | None = None
    model: str | None = None
    wait: bool = True
    wait_for_quota: bool = False
    max_cost_usd: float | None = None
    max_tokens: float | None = None
    item_max_cost_usd: float | None = None
    notes: str = ""

    def parameters(self) -> dict[str, Any]:
        """Return the request as the manifest keeps it."""
        return {"lane": LANE, "words": {**dataclasses.asdict(self), "issues": list(self.issues)}}


_CONFIGURED = ("max_dispatch", "max_parallel", "prompt", "expect", "timeout_minutes", "idle_minutes", "retries",
               "worktree")  # fmt: skip


RESUMED = frozenset({"max_cost_usd", "max_tokens", "wait_for_quota"})  # what a resume may be given anew
_CARRIED_ON = ("resume", "retry_failed")
_MODES = ("history", "collect", *_CARRIED_ON, "dry_run")
_NEW = frozenset({"issues", "max_dispatch", "prompt", "notes", "max_parallel", "provider", "model", "wait"})


def refuse_words_apart(said: Mapping[str, Any]) -> None:
    """Refuse words that do not go together with WordsWrong (exit 2): nothing that was said is passed over."""
    modes = [_shown(name) for name in _MODES if said.get(name)]
    if len(modes) > 1:
        raise WordsWrong(f"{modes[0]} and {modes[1]} do not go together", "Give one of them.")
    if not modes or said.get("dry_run"):
        return
    new = _NEW | {"tracker"} if modes[0] in map(_shown, _CARRIED_ON) else _NEW | RESUMED
    if others := sorted(name for name in new if said.get(name) not in (None, [], "")):
        what = "issues" if others[0] == "issues" else "--no-wait" if others[0] == "wait" else _shown(others[0])
        raise WordsWrong(f"{modes[0]} and {what} do not go together", "These words are for a new night.")


def _shown(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def read_request(config: Config, said: Mapping[str, Any]) -> IssuesRequest:
    """Return the request that words mean over a configuration. A number out of range is WordsWrong (exit 2)."""
    configured = {name: config[f"nightly.{name}"] for name in _CONFIGURED}
    prompt = said.get("prompt")
    template = str(Path(prompt).resolve() if prompt else config.places.root / configured["prompt"])
    words = {"tracker": config["tracker.source"], **configured, **said, "prompt": template}
    words["issues"] = tuple(words.get("issues", ()))
    request = IssuesRequest(**words)
    for word, number in (("max-dispatch", request.max_dispatch), ("max-parallel", request.max_parallel)):
        if not 1 <= number <= MOST:
            raise WordsWrong(f"--{word} {number} is out of range", f"From 1 to {MOST}.")
    return request


def stored_request(manifest: Manifest) -> IssuesRequest:
    """Return what an earlier night was asked for; a dispatch of another lane is refused with PlanUnusable (exit 4)."""
    if manifest.lane != LANE:
        raise PlanUnusable(
            f"dispatch {manifest.dispatch_id} is not a night", "To see the nights: trailblazer nightly --history."
        )
    return schemas.as_record(IssuesRequest, manifest.parameters.get("words", {}))
