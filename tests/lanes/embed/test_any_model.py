"""Runs are embedded with any model of an OpenAI-compatible address, without naming its dimension (issue 10: 27)."""

from __future__ import annotations

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import Project

ANY = {"TRAILBLAZER_EMBED_MODEL": "BAAI/bge-m3", "TRAILBLAZER_EMBED_DIMENSION": "null"}


def test_a_dispatch_asks_for_the_dimension_itself(project: Project, service: EmbeddingServer) -> None:
    """Plan, dispatch and search need no dimension: the vectors have the one that the service answered."""
    service.models = {"BAAI/bge-m3": 24}
    bundle = project.run("embed", "plan-preflight", **ANY)
    assert 0 == bundle.code, bundle.err
    assert 1 == len(service.requests)
    assert 0 == project.run("dispatch", "plan=latest", **ANY).code
    rows = project.query("SELECT DISTINCT provider, model, dimension, vector_dims(embedding) FROM chunk_embeddings")
    assert [("openai", "BAAI/bge-m3", 24, 24)] == rows
    assert 24 == project.manifest["dimension"]
    assert 0 == project.run("ask", "the valve", **ANY).code


def test_a_model_that_the_service_lacks_closes_the_gate(project: Project, service: EmbeddingServer) -> None:
    """An unknown model is exit code 5 before a dispatch folder is made."""
    service.models = {"other": 24}
    project.write_plan("alpha")
    done = project.run("dispatch", "plan=list.txt", **ANY)
    assert (5, []) == (done.code, project.dispatches)
    assert "answered 404: model BAAI/bge-m3 not found" in done.err


def test_another_dimension_is_refused_before_the_first_write(project: Project, service: EmbeddingServer) -> None:
    """A model that has changed since leaves texts and vectors of the run as they were."""
    assert 0 == project.run("embed", "run", "--run", "alpha").code
    texts = "SELECT chunk_id, text_md, xmin::text FROM chunks ORDER BY chunk_id"
    vectors = "SELECT chunk_id, embedding::text, xmin::text FROM chunk_embeddings ORDER BY chunk_id"
    before = project.query(texts), project.query(vectors)
    service.dimension = 9
    done = project.run("embed", "run", "--run", "alpha")
    assert 8 == done.code
    assert "answered with vectors of 9 numbers, not 8" in done.err
    assert before == (project.query(texts), project.query(vectors))
