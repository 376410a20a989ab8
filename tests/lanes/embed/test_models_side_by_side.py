"""What is known of a run's vectors is kept by provider, model and dimension: models live side by side."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import STOCK, Project

pytestmark = pytest.mark.proof

LOCAL = {
    "TRAILBLAZER_EMBED_PROVIDER": "local",
    "TRAILBLAZER_EMBED_MODEL": "null",
    "TRAILBLAZER_EMBED_DIMENSION": "null",
}


def _dimensions(project: Project) -> dict[int, int]:
    return dict(project.query("SELECT dimension, count(DISTINCT run_id) FROM chunk_embeddings GROUP BY dimension"))


def test_a_run_waits_for_each_model_by_itself(make_project: Callable[[EmbeddingServer | None], Project]) -> None:
    """After a load with 256 numbers `run dimension=64` embeds every run, and then nothing waits for either."""
    project = make_project(None)
    assert 0 == project.run("run").code
    assert {256: len(STOCK)} == _dimensions(project)
    done = project.run("run", "dimension=64")
    assert 0 == done.code, done.err
    assert f"backlog_total={len(STOCK)} " in done.err
    assert {256: len(STOCK), 64: len(STOCK)} == _dimensions(project)
    for words in ([], ["dimension=64"]):
        again = project.run("run", *words)
        assert (0, "backlog_total=0 nothing is waiting") == (again.code, again.err.strip())


def test_providers_that_alternate_are_paid_once(project: Project, service: EmbeddingServer) -> None:
    """With skip-unchanged each provider embeds once, however often they alternate; `diff` compares with its own."""
    plan = str(project.write_plan(*STOCK))
    words = ("dispatch", f"plan-file={plan}", "skip-unchanged")
    assert [0, 0] == [project.run(*words).code, project.run(*words, **LOCAL).code]
    paid = len(service.requests)
    for settings in ({}, LOCAL, {}, LOCAL):
        done = project.run(*words, **settings)
        assert 0 == done.code, done.err
        assert f"Skipped (unchanged): {len(STOCK)}" in done.err
    texts = [body for body in service.requests[paid:] if any("page" in text for text in body["input"])]
    assert [] == texts, "a text was sent again"
    assert {8: len(STOCK), 256: len(STOCK)} == _dimensions(project)
