"""What a dispatch of embedding runs can ask for free before anything is made: the provider and the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trailblazer.config import Config
from trailblazer.database.connection import answering, connect, statement
from trailblazer.database.embedded import ModelKey
from trailblazer.errors import GateClosed, ProviderRefused
from trailblazer.pipeline.embedders import load_embedder


@dataclass(frozen=True, slots=True)
class Identity:
    """Which vectors a dispatch makes, and the database's own time (ISO 8601) before it begins."""

    key: ModelKey
    since: str


def check_free(config: Config, phases: Sequence[str]) -> Identity:
    """Return who embeds, once provider and database have answered; a provider that refuses is GateClosed (exit 5).

    Phases that embed nothing do not ask the provider.
    """
    try:
        embedder = load_embedder(config)
        if "embed" in phases:
            embedder.probe()
    except ProviderRefused as refused:
        raise GateClosed(refused.what, refused.hint) from refused
    with answering(), connect(config) as connection:
        row = connection.execute(statement("present_moment")).fetchone()
    moment = row[0].isoformat() if row else ""
    return Identity(ModelKey(embedder.provider, embedder.model, embedder.dimension), moment)
