"""The manifest says what the vectors were made from; the diff says what has changed since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.runs import chunked_run, configured, write_run
from trailblazer import schemas
from trailblazer.pipeline.chunk import chunk_run
from trailblazer.pipeline.documents import ENRICHED
from trailblazer.pipeline.fingerprint import (
    DIFF,
    EMBED_ASSURANCE,
    MANIFEST,
    build_manifest,
    compare,
    publish_diff,
    publish_manifest,
    read_manifest,
)


def reasons(folder: Path, vectors: int | None = None, **keys: Any) -> tuple[str, ...]:
    """Return what has changed of the run r since its manifest was written."""
    config = configured(folder, **keys)
    current = build_manifest(config.places, config, "r")
    return compare(read_manifest(config.places, "r"), current, vectors).reasons


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    """Return a folder with a run that has a manifest."""
    chunked_run(tmp_path, "r", "the cat sat", "the dog ran")
    config = configured(tmp_path)
    publish_manifest(config.places, build_manifest(config.places, config, "r"))
    return tmp_path


def test_nothing_has_changed_since_the_manifest(embedded: Path) -> None:
    """The same run, model and settings are unchanged; the documents keep their schemas (E7, E9, G6)."""
    run = embedded / "var/runs/r"
    assert () == reasons(embedded, vectors=2)
    schemas.check("embed_manifest", schemas.read_json(run / MANIFEST), "manifest.json")
    schemas.check("embed_assurance", schemas.read_json(run / EMBED_ASSURANCE), "embed_assurance.json")
    assert (2, 2) == tuple(schemas.read_json(run / MANIFEST)[name] for name in ("chunksEmbedded", "totalChunks"))


def test_a_text_with_the_same_number_of_tokens_is_a_change(embedded: Path) -> None:
    """The text is digested: "cat" for "bat" is CONTENT_CHANGE though every count is the same."""
    chunked_run(embedded, "r", "the bat sat", "the dog ran")
    assert ("CONTENT_CHANGE",) == reasons(embedded)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"embed__dimension": 64}, ("DIMENSION_CHANGE",)),
        (
            {"embed__provider": "minilm"},
            ("PROVIDER_CHANGE", "MODEL_CHANGE", "DIMENSION_CHANGE", "TOKENIZER_CHANGE"),
        ),
    ],
)
def test_another_embedder_gives_a_reason_for_each_difference(
    embedded: Path, keys: dict[str, Any], expected: tuple[str]
) -> None:
    """Another provider, model, dimension or tokenizer makes other vectors, each with its own reason."""
    assert expected == reasons(embedded, **keys)


def test_another_way_of_cutting_is_no_change_of_content(embedded: Path) -> None:
    """Chunks cut with another cap are CHUNK_CONFIG_CHANGE only: the documents say the same."""
    config = configured(embedded, chunk__max_tokens=400)
    chunk_run(config.places, config, "r")
    assert ("CHUNK_CONFIG_CHANGE",) == reasons(embedded)


def test_a_document_that_is_left_out_now_is_a_change(tmp_path: Path) -> None:
    """Another threshold skips other documents, and that is CONTENT_CHANGE."""
    write_run(tmp_path, "r", *({"id": name, "text_md": name, "quality_score": 0.5} for name in "ab"), to=ENRICHED)
    config = configured(tmp_path)
    chunk_run(config.places, config, "r")
    publish_manifest(config.places, build_manifest(config.places, config, "r"))
    assert () == reasons(tmp_path)
    assert ("CONTENT_CHANGE",) == reasons(tmp_path, preflight__min_quality=0.6)


def test_vectors_that_are_not_there_are_a_reason(embedded: Path) -> None:
    """A manifest proves nothing about the database: fewer vectors than chunks is VECTORS_MISSING."""
    assert ("VECTORS_MISSING",) == reasons(embedded, vectors=1)
    assert () == reasons(embedded, vectors=3)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_manifest_that_cannot_be_read_is_none(embedded: Path, content: str | None) -> None:
    """Without a readable manifest everything counts as changed: NO_MANIFEST."""
    file = embedded / "var/runs/r" / MANIFEST
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    assert ("NO_MANIFEST", "VECTORS_MISSING") == reasons(embedded, vectors=0)


def test_the_diff_is_written(embedded: Path) -> None:
    """The diff keeps its schema and holds both sides."""
    config = configured(embedded, embed__dimension=64)
    diff = compare(read_manifest(config.places, "r"), build_manifest(config.places, config, "r"))
    publish_diff(config.places, diff)
    written = schemas.read_json(embedded / "var/runs/r" / DIFF)
    schemas.check("embed_diff", written, "diff.json")
    assert (True, 64, 256) == (written["changed"], written["current"]["dimension"], written["previous"]["dimension"])


def test_odd_settings_in_another_tools_assurance_are_unknown(tmp_path: Path) -> None:
    """Settings with a wrong type become null, and the manifest keeps its schema."""
    run = chunked_run(tmp_path, "r", "text")
    odd = {"chunkerVersion": 7, "tokenCap": {"max": "800", "overlap": True}, "tokenizer": {"name": [], "version": "1"}}
    (run / "chunk/chunk_assurance.json").write_text(json.dumps(odd))
    config = configured(tmp_path)
    manifest = build_manifest(config.places, config, "r")
    publish_manifest(config.places, manifest)
    expected = {"maxTokens": None, "overlap": None, "encoding": None, "encodingVersion": "1"}
    assert (None, expected) == (manifest.chunker_version, manifest.chunk_config)
