"""JSON and YAML from outside that are nested deeply are one clear line, never a RecursionError (issue 10: 11)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.runs import chunked_run, configured, write_run
from trailblazer.cli import main
from trailblazer.config import load_config
from trailblazer.errors import ConfigWrong, DocumentInvalid
from trailblazer.lanes.embed.bundle import Totals, read_totals, write_bundle
from trailblazer.paths import CONFIG_NAME
from trailblazer.pipeline.chunk import ASSURANCE, chunk_run
from trailblazer.pipeline.chunk_file import CHUNKS
from trailblazer.pipeline.documents import NORMALIZED
from trailblazer.pipeline.fingerprint import MANIFEST, read_manifest
from trailblazer.pipeline.preflight import examine_run
from trailblazer.schemas import DEEPEST, parse_json, read_json

TEXTS = {
    "torn": "[" * 200_000,
    "whole": "[" * 200_000 + "]" * 200_000,
    "objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "a few hundred": "[" * 900 + "]" * 900,
}
deep = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())


@deep
def test_a_document_that_is_nested_deeply_is_that_runs_outcome(tmp_path: Path, text: str) -> None:
    """A deep line of normalized.ndjson is refused with file and line; a bundle blocks that run and no other."""
    file = write_run(tmp_path, "deep", {"id": "a", "text_md": "x"}) / NORMALIZED
    file.write_text(file.read_text() + '{"id": "b", "text_md": "x", "meta": {"m": ' + text + "}}\n")
    chunked_run(tmp_path, "good", "some text")
    config = configured(tmp_path)
    with pytest.raises(DocumentInvalid, match=r"normalized\.ndjson:2 is not JSON: "):
        chunk_run(config.places, config, "deep")
    bundle = write_bundle(config.places, config, ["deep", "good"])
    assert ["good"] == bundle.ready
    assert "DOCUMENT_INVALID" in (bundle.folder / "blocked.txt").read_text()


@deep
def test_chunks_that_are_nested_deeply_are_refused(tmp_path: Path, text: str) -> None:
    """A deep line of chunks.ndjson is refused with file and line (exit 3)."""
    file = chunked_run(tmp_path, "r", "some text") / CHUNKS
    file.write_text(file.read_text() + text)
    config = configured(tmp_path)
    with pytest.raises(DocumentInvalid, match=r"chunks\.ndjson:2 is not JSON: "):
        examine_run(config.places, config, "r")


@deep
def test_documents_of_a_run_that_are_nested_deeply_count_as_missing(tmp_path: Path, text: str) -> None:
    """A deep assurance is cut anew, a deep manifest is no manifest, a deep plan_preflight.json has no totals."""
    run = chunked_run(tmp_path, "r", "some text")
    config = configured(tmp_path)
    (run / ASSURANCE).write_text(text)
    assert examine_run(config.places, config, "r").is_ready
    assert chunk_run(config.places, config, "r").changed
    (run / MANIFEST).parent.mkdir()
    (run / MANIFEST).write_text(text)
    assert None is read_manifest(config.places, "r")
    (tmp_path / "plan_preflight.json").write_text(text)
    assert Totals(None, None, None, None) == read_totals(tmp_path)


@deep
def test_a_document_of_json_names_its_file(tmp_path: Path, text: str) -> None:
    """read_json refuses a deep file by its name."""
    file = tmp_path / "deep.json"
    file.write_text(text)
    with pytest.raises(DocumentInvalid, match=r"deep\.json is not JSON: "):
        read_json(file)


def test_a_hundred_levels_are_read() -> None:
    """JSON that is nested as deeply as allowed is read, and one level more is refused."""
    allowed = b"[" * DEEPEST + b"]" * DEEPEST
    assert json.loads(allowed) == parse_json(allowed)
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        parse_json(b"[" + allowed + b"]")


def test_what_only_pythons_reader_takes_is_read() -> None:
    """Lone surrogates, NaN and a byte order mark, which other tools write, are read."""
    assert {"a": "\ud800"} == parse_json(b'{"a": "\\ud800"}')
    assert str(float("nan")) == str(parse_json(b"NaN"))
    assert [1] == parse_json("[1]".encode("utf-8-sig"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("paths: " + "[" * 200_000, 1),
        ("paths: " + "{a: " * 200_000, 1),
        ("dispatch:\n  workers: " + "[" * 150 + "]" * 150, 2),
        ("- " * 100_000, 1),
        ("? " * 50_000, 1),
        ("".join(" " * depth + "a:\n" for depth in range(500)), 101),
    ],
)
def test_a_configuration_that_is_nested_deeply_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, line: int
) -> None:
    """A deep configuration is one line with its place and exit code 3, whatever its style."""
    (tmp_path / CONFIG_NAME).parent.mkdir()
    (tmp_path / CONFIG_NAME).write_text(text)
    monkeypatch.chdir(tmp_path)
    assert 3 == main(["config", "show"])
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith(f"{CONFIG_NAME}:{line}: not YAML: it is nested more than 100 deep")
    assert 2 == len(said)


def test_a_variable_that_is_nested_deeply_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deep value of a TRAILBLAZER_ variable is a mistake in that variable."""
    monkeypatch.setenv("TRAILBLAZER_DISPATCH_WORKERS", "[" * 50_000)
    with pytest.raises(ConfigWrong, match="TRAILBLAZER_DISPATCH_WORKERS"):
        load_config(start=tmp_path)
