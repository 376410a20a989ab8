"""What a dispatcher and its worker processes say to each other: one JSON object a line, each with a schema."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from trailblazer import errors, schemas
from trailblazer.errors import DocumentInvalid, Trouble

Doing = Literal["gate", "chunk", "embed"]


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do with one run. `attempt` fences what is written; `since` keeps only vectors made after it.

    A worker does tasks of one kind together, but those that are `alone`.
    """

    do: Doing
    run: str
    attempt: int = 0
    only_changed: bool = False
    since: str | None = None
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """Tasks for one worker, answered in their order; `flags` are settings by dotted key, `holder` signs the claims."""

    flags: Mapping[str, Any]
    holder: str
    tasks: Sequence[Task]


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one task, or with `kind` progress how far it is. A trouble is named by its class in errors.

    `refused` says why a gate refuses the run, `unchanged` that nothing is to be done. `chunks` and `kept` are those of
    the run; `embedded`, `tokens` and `cost` (US dollars) are what this task has paid for, also when it fails.
    `limited` counts the 429 of the service since the reply before, `failed` its other failures; each request was sent
    again.
    """

    run: str
    kind: Literal["done", "progress", "trouble"] = "done"
    refused: str = ""
    unchanged: bool = False
    documents: int = 0
    chunks: int = 0
    embedded: int = 0
    kept: int = 0
    tokens: int = 0
    cost: float = 0.0
    limited: int = 0
    failed: int = 0
    trouble: str = ""
    what: str = ""
    hint: str = ""

    def raise_trouble(self) -> None:
        """Raise the trouble that the reply tells of, if it does."""
        if self.kind == "trouble":
            kind = getattr(errors, self.trouble, Trouble)
            raise kind(self.what, self.hint)


def encode_request(request: Request) -> bytes:
    """Return a request as a line."""
    document = dataclasses.asdict(request)
    document["tasks"] = list(document["tasks"])
    schemas.check_shape("worker_request", document, "worker request")
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def decode_request(line: bytes) -> Request:
    """Return the request of a line."""
    document = orjson.loads(line)
    return Request(**{**document, "tasks": tuple(Task(**task) for task in document["tasks"])})


def encode_reply(reply: Reply) -> bytes:
    """Return a reply as a line; only what says something is in it."""
    document = {f.name: value for f in dataclasses.fields(reply) if (value := getattr(reply, f.name)) != f.default}
    schemas.check_shape("worker_reply", document, "worker reply")
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def decode_reply(line: bytes) -> Reply:
    """Return the reply of a line."""
    try:
        return Reply(**orjson.loads(line))
    except (ValueError, TypeError) as error:
        raise DocumentInvalid(f"a worker answered what nobody understands: {error}", "") from None
