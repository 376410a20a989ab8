"""The provenance document of a dispatch: what was asked for, what went in, what came out (E5)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.processes.identity import Identity, is_running, own_identity

MANIFEST = "dispatch_manifest.json"
SCHEMA = "https://trailblazer.invalid/schemas/dispatch_manifest.schema.json"
RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Seed:
    """The fields that say what was asked for (E5). The document has them at the start, in camel case."""

    plan_preflight_dir: str | None
    plan_file_used: str
    runs_planned: int
    provider: str
    model: str | None
    dimension: int | None
    workers: int
    batch_size: int | None
    git_commit: str | None
    qa_dir: str | None
    notes: str
    mode: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A file that went in, as in-toto describes one: its name in the folder, where it came from, and its digest.

    A link is never followed: instead of a digest it has the path that it points to.
    """

    name: str
    uri: str
    sha256: str | None = None
    link: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the resource as the manifest holds it."""
        proof = {"link": self.link} if self.sha256 is None else {"digest": {"sha256": self.sha256}}
        return {"name": self.name, "uri": self.uri, **proof}


@dataclass(frozen=True, slots=True)
class Builder:
    """The process that carries a dispatch out."""

    name: str
    host: str
    pid: int
    ticks: int
    boot: str

    @property
    def is_here(self) -> bool:
        """Whether the process belongs to this machine."""
        return self.host == os.uname().nodename

    @property
    def is_gone(self) -> bool:
        """Whether the process belonged to this machine and no longer lives."""
        return self.is_here and not is_running(Identity(self.pid, self.ticks, self.boot))


def this_builder() -> Builder:
    """Return this process as a builder."""
    own = own_identity()
    return Builder("trailblazer", os.uname().nodename, own.pid, own.ticks, own.boot)


@dataclass(frozen=True, slots=True)
class Caps:
    """What a dispatch may use at most, by its words and the configuration; None is no limit.

    An attempt may take so many seconds, or so many times the median. Money is in US dollars.
    """

    workers: int
    retries: int
    attempt_seconds: float | None = None
    attempt_medians: float | None = None
    max_cost_usd: float | None = None
    max_tokens: float | None = None
    provider_max_cost_usd: float | None = None
    provider_max_tokens: float | None = None
    item_max_cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest. `counts` and `usage` are those of the standing; `parameters` belong to the lane.

    `resume_with` and `retry_with` are the words before the name of the dispatch that carry it on, and that try again
    what failed; empty where an older version wrote it, as `caps` are None then.
    """

    dispatch_ts: str
    seed: Seed
    dispatch_id: str
    started_on: str
    builder: Builder
    parameters: Mapping[str, Any]
    traceparent: str
    status: str = RUNNING
    finished_on: str | None = None
    exit_code: int | None = None
    reason: str = ""
    inputs: tuple[Resource, ...] = ()
    outputs: tuple[Resource, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    usage: Mapping[str, float] = field(default_factory=dict)
    journal_head: str = ""
    resumes: tuple[str, ...] = ()
    seal_kept_in: str | None = None
    resume_with: str = ""
    retry_with: str = ""
    caps: Caps | None = None

    @property
    def lane(self) -> str:
        """The kind of work: embed, backlog, items."""
        return str(self.parameters.get("lane", ""))

    @property
    def is_lost(self) -> bool:
        """Whether the dispatch was running on this machine and the process that carried it out is gone."""
        return self.status == RUNNING and self.builder.is_gone

    @property
    def retry_command(self) -> str:
        """The command that tries the failed items again, empty where none failed or an older version wrote this."""
        failed = self.counts.get("error", 0) + self.counts.get("timeout", 0)
        return f"{self.retry_with} {self.dispatch_id}" if self.retry_with and failed else ""

    def document(self) -> dict[str, Any]:
        """Return the manifest as dispatch_manifest.json holds it, the fields of E5 first."""
        flat = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        first = {"dispatch_ts": flat.pop("dispatch_ts"), **dataclasses.asdict(flat.pop("seed"))}
        flat |= {
            "builder": dataclasses.asdict(self.builder),
            "inputs": [resource.document() for resource in self.inputs],
            "outputs": [resource.document() for resource in self.outputs],
            "resumes": list(self.resumes),
            "caps": None if self.caps is None else dataclasses.asdict(self.caps),
        }
        return {**schemas.in_camel_case(first), "$schema": SCHEMA, **schemas.in_camel_case(flat)}


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a dispatch; one that breaks its schema is refused with DocumentInvalid."""
    document = schemas.read_json(folder / MANIFEST)
    schemas.check("dispatch_manifest", document, str(folder / MANIFEST))
    return dataclasses.replace(
        schemas.as_record(Manifest, document, seed=schemas.as_record(Seed, document)),
        builder=Builder(**document["builder"]),
        inputs=_resources(document["inputs"]),
        outputs=_resources(document["outputs"]),
        caps=schemas.as_record(Caps, document["caps"]) if document.get("caps") else None,
    )


def _resources(entries: list[dict[str, Any]]) -> tuple[Resource, ...]:
    return tuple(
        Resource(entry["name"], entry["uri"], entry.get("digest", {}).get("sha256"), entry.get("link"))
        for entry in entries
    )
