"""Which models each run has vectors of, and what those vectors were made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trailblazer.database.driver import Connection
from trailblazer.database.statements import statement


@dataclass(frozen=True, slots=True)
class ModelKey:
    """The identity of vectors: their provider, their model, and how many numbers each vector has."""

    provider: str
    model: str
    dimension: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of a run by one model; `manifest` is the content of embed/manifest.json."""

    key: ModelKey
    manifest: Mapping[str, Any]


def key_parameters(key: ModelKey | None) -> dict[str, Any]:
    """Return a key as parameters of statements. Without a key no run lacks the vectors of a model."""
    if key is None:
        return {"provider": None, "model": None, "dimension": None}
    return {"provider": key.provider, "model": key.model, "dimension": key.dimension}


def read_embedded(
    connection: Connection, run_ids: Sequence[str], key: ModelKey
) -> dict[str, tuple[dict[str, Any] | None, int]]:
    """Return for each run the manifest of its vectors by one model, and how many of them there are.

    The manifest is None where the run was never embedded with that model.
    """
    parameters = {"run_ids": list(run_ids), **asdict(key)}
    manifests = dict(connection.execute(statement("manifests_of_model"), parameters).fetchall())
    counts = dict(connection.execute(statement("count_vectors"), parameters).fetchall())
    return {run_id: (manifests.get(run_id), counts.get(run_id, 0)) for run_id in run_ids}


def record_embedded(connection: Connection, made: Mapping[str, Embedded], attempts: Mapping[str, int]) -> list[str]:
    """Record what attempts have embedded, by run id, and return the runs whose claims are lost.

    It is one statement, so on an autocommit connection one transaction. It writes nothing for a lost claim. The claims
    are completed later: an attempt that ends before that leaves a record that the next attempt replaces.
    """
    rows = connection.execute(statement("record_models"), {"made": _rows(made, attempts)})
    recorded = {row[0] for row in rows}
    return [run_id for run_id in made if run_id not in recorded]


def adopt_manifests(connection: Connection, found: Mapping[str, Embedded]) -> None:
    """Record the manifests on the disk of embedded runs whose vectors of that model are stored."""
    connection.execute(statement("adopt_models"), {"made": _rows(found, dict.fromkeys(found, 0))})


def runs_without_model(connection: Connection, run_ids: Sequence[str]) -> list[str]:
    """Return those of the runs that are embedded and have no recorded model."""
    return [row[0] for row in connection.execute(statement("runs_without_model"), {"run_ids": list(run_ids)})]


def _rows(made: Mapping[str, Embedded], attempts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "rows": [
            {"run_id": run_id, "attempt": attempts[run_id], **asdict(one.key), "manifest": dict(one.manifest)}
            for run_id, one in sorted(made.items())
        ]
    }
