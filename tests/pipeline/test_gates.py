"""A run is blocked for five reasons and no others; poor quality is advice."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.runs import chunked_run, configured, write_run
from trailblazer import schemas
from trailblazer.errors import DocumentInvalid, PlanUnusable
from trailblazer.pipeline.chunk import chunk_run
from trailblazer.pipeline.chunk_file import CHUNKS, read_chunks
from trailblazer.pipeline.documents import ENRICHED
from trailblazer.pipeline.preflight import PREFLIGHT, SKIPLIST, Preflight, examine_run, publish_preflight


def reasons(folder: Path, rid: str = "r", **keys: Any) -> tuple[str, ...]:
    """Return why a run is blocked."""
    return examine(folder, rid, **keys).reasons


def examine(folder: Path, rid: str = "r", **keys: Any) -> Preflight:
    """Examine a run, publish what was found and return it."""
    config = configured(folder, **keys)
    found = examine_run(config.places, config, rid)
    publish_preflight(config.places, config, found)
    return found


def test_a_chunked_run_is_ready_and_counted(tmp_path: Path) -> None:
    """A run with chunks is ready; both files keep their schema and count what can be embedded (E7, E9, G6)."""
    run = chunked_run(tmp_path, "r", "one two three", "four five", " ")
    found = examine(tmp_path)
    assert (True, "", 3, 2, 2) == (found.is_ready, found.why, found.documents, found.embeddable, found.chunks)
    assert ("local", "l2-supercat-256", 256, 0) == (found.provider, found.model, found.dimension, found.cost)
    written = schemas.read_json(run / PREFLIGHT)
    schemas.check("preflight", written, "preflight.json")
    schemas.check("doc_skiplist", schemas.read_json(run / SKIPLIST), "doc_skiplist.json")
    assert ("READY", found.tokens) == (written["status"], written["tokens"])
    assert {"all": 3, "embeddable": 2, "skipped": 0, "blank": 1} == written["docTotals"]


def test_without_chunks_it_is_blocked(tmp_path: Path) -> None:
    """No chunks file, an empty one, and chunks of other documents than the run has now are all MISSING_CHUNKS."""
    run = write_run(tmp_path, "r", {"id": "a", "text_md": "one"})
    assert ("MISSING_CHUNKS",) == reasons(tmp_path)
    (run / CHUNKS).parent.mkdir()
    (run / CHUNKS).touch()
    assert ("MISSING_CHUNKS",) == reasons(tmp_path)
    chunked_run(tmp_path, "r", "one")
    assert () == reasons(tmp_path)
    write_run(tmp_path, "r", {"id": "a", "text_md": "two"})
    assert ("MISSING_CHUNKS",) == reasons(tmp_path)
    assert "BLOCKED" == schemas.read_json(run / PREFLIGHT)["status"]


def test_an_enrich_step_without_its_result_blocks(tmp_path: Path) -> None:
    """A run with an enrich folder but no enriched.jsonl is MISSING_ENRICH; without the folder it is not asked."""
    run = chunked_run(tmp_path, "r", "one")
    (run / "enrich").mkdir()
    assert ("MISSING_ENRICH",) == reasons(tmp_path)


def test_documents_below_the_quality_are_left_out(tmp_path: Path) -> None:
    """Documents below min_quality are on the skip list; many of them are advised against, not blocked."""
    scores = {"a": 0.1, "b": 0.2, "c": 0.34, "d": 0.9}
    enriched = [{"id": name, "text_md": "text " + name, "quality_score": score} for name, score in scores.items()]
    run = write_run(tmp_path, "r", *enriched, {"id": "e", "text_md": "no score"}, to=ENRICHED)
    config = configured(tmp_path)
    chunk_run(config.places, config, "r")
    found = examine(tmp_path)
    assert found.is_ready
    assert (("a", "b", "c"), 2, 2) == (found.skipped, found.embeddable, found.chunks)
    assert (0.2, 0.34, 75.0) == (found.p50, found.p90, found.below_pct)
    assert "75 % of the documents have a quality below 0.35; at most 50 % is advised" == found.advice
    assert ["a", "b", "c"] == schemas.read_json(run / SKIPLIST)["skip"]
    assert None is examine(tmp_path, preflight__min_quality=0.2).advice


def test_nothing_to_embed_blocks(tmp_path: Path) -> None:
    """A run whose documents are all blank, all below the quality, or not there is EMBEDDABLE_DOCS=0."""
    write_run(tmp_path, "r", {"id": "a", "text_md": "text", "quality_score": 0.1}, to=ENRICHED)
    config = configured(tmp_path)
    chunk_run(config.places, config, "r")
    assert ("EMBEDDABLE_DOCS=0",) == reasons(tmp_path)
    chunked_run(tmp_path, "blank", " ")
    assert ("MISSING_CHUNKS", "EMBEDDABLE_DOCS=0") == reasons(tmp_path, "blank")
    (tmp_path / "var/runs/bare").mkdir()
    assert ("MISSING_CHUNKS", "EMBEDDABLE_DOCS=0") == reasons(tmp_path, "bare")


def test_a_configuration_the_embedder_cannot_work_with_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong model or dimension, a missing key and an overlap without room are CONFIG_INVALID, each in words."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    chunked_run(tmp_path, "r", "one")
    assert ("CONFIG_INVALID",) == reasons(tmp_path, embed__model="nope")
    assert ("CONFIG_INVALID",) == reasons(tmp_path, embed__dimension=77)
    assert ("CONFIG_INVALID",) == reasons(tmp_path, chunk__overlap=800)
    assert "CONFIG_INVALID: OPENAI_API_KEY is not set" == examine(tmp_path, embed__provider="openai").why


def test_a_missing_tokenizer_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where splintr is not installed, nothing can count tokens: TOKENIZER_MISSING."""
    chunked_run(tmp_path, "r", "one")
    monkeypatch.setitem(sys.modules, "splintr", None)
    assert ("TOKENIZER_MISSING",) == reasons(tmp_path)


def test_the_price_table_gives_the_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cost is tokens by the price of provider/model per million; a model without a price costs nothing (E10)."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    chunked_run(tmp_path, "r", "word " * 2500)
    prices = {"openai/text-embedding-3-small": 20}
    found = examine(tmp_path, embed__provider="openai", embed__prices=prices)
    assert found.tokens > 2500
    assert round(found.tokens * 20 / 1e6, 6) == found.cost


def test_chunks_of_another_tool_are_read(tmp_path: Path) -> None:
    """Chunks with only the fields of the format and no digest, with another tool's assurance, are ready."""
    run = write_run(tmp_path, "r", {"id": "a", "text_md": "one two"})
    (run / CHUNKS).parent.mkdir()
    chunk = {"chunk_id": "a:0000", "doc_id": "a", "ord": 0, "text_md": "one two", "token_count": 7}
    (run / CHUNKS).write_text(json.dumps(chunk) + "\n")
    (run / "chunk/chunk_assurance.json").write_text('{"status": "PASS", "tokenCap": {"max": 800}}')
    found = examine(tmp_path)
    assert (True, 7) == (found.is_ready, found.tokens)


def test_a_missing_run_and_half_a_line_are_refused(tmp_path: Path) -> None:
    """A missing run folder is exit code 4; half a JSON line is exit code 3 and names file and line."""
    with pytest.raises(PlanUnusable, match="there is no run r"):
        reasons(tmp_path)
    run = chunked_run(tmp_path, "r", "one", "two")
    (run / CHUNKS).write_bytes((run / CHUNKS).read_bytes()[:-9])
    with pytest.raises(DocumentInvalid, match=r"chunks\.ndjson:2 is not JSON"):
        reasons(tmp_path)


@pytest.mark.parametrize(
    "fields",
    [
        {"token_count": None, "char_count": "many", "ord": -1, "meta": [1], "chunk_type": 7},
        {"token_count": 2**40, "char_start": "x", "char_end": True, "title": 5},
        {"meta": {"section": "a\0b", "deep": [float("nan"), "\ud800"]}},
    ],
)
def test_odd_fields_in_another_tools_chunks_get_defaults(tmp_path: Path, fields: dict[str, Any]) -> None:
    """A field with a wrong type does not stop a run: only ids and text are required."""
    run = write_run(tmp_path, "r", {"id": "a", "text_md": "one two", "quality_score": float("nan")})
    (run / CHUNKS).parent.mkdir()
    (run / CHUNKS).write_text(json.dumps({"chunk_id": "a:0000", "doc_id": "a", "text_md": "one two", **fields}) + "\n")
    found = examine(tmp_path)
    assert (True, 1) == (found.is_ready, found.tokens)
    (chunk,) = read_chunks(run / CHUNKS)
    json.dumps(chunk.meta, allow_nan=False).encode()
    assert "\0" not in str(chunk.meta)


def test_a_repeated_chunk_id_is_refused(tmp_path: Path) -> None:
    """Two chunks with one id, which the database could not store, are refused by the number of the second."""
    run = chunked_run(tmp_path, "r", "one")
    (run / CHUNKS).write_text(2 * (run / CHUNKS).read_text())
    with pytest.raises(DocumentInvalid, match=r"chunks\.ndjson: chunk 2 repeats the id 'd0:0000'"):
        examine(tmp_path)


def test_examining_a_run_reads_no_metadata_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions of packages are read once per process: reading them took half of the time of a small run."""
    chunked_run(tmp_path, "r", "one")
    examine(tmp_path)

    def refuse(name: str) -> str:
        raise AssertionError(f"the version of {name} was read again")

    monkeypatch.setattr("importlib.metadata.version", refuse)
    assert examine(tmp_path).is_ready
