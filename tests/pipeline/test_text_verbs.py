"""The verbs normalize and chunk: their lines and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.runs import write_run
from trailblazer.cli import main
from trailblazer.database import server
from trailblazer.paths import CONFIG_NAME


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a database for all tests of this file."""
    folder = tmp_path_factory.mktemp("text_verbs") / "postgres"
    yield server.start(folder)
    server.stop(folder)


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    (tmp_path / CONFIG_NAME).parent.mkdir()
    (tmp_path / CONFIG_NAME).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAILBLAZER_DB_URL", dsn)


def test_text_becomes_runs_and_chunks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file becomes a run, the run chunks; both say so on stderr, the second time as unchanged (E12, G2)."""
    (tmp_path / "guide.md").write_text("# Guide\n\nText")
    for state in ("", " (unchanged)"):
        assert 0 == main(["normalize", "guide.md", "--run", "g"])
        assert 0 == main(["chunk", "--run", "g"])
        said = capsys.readouterr()
        assert f"normalize: g: 1 document, 13 characters{state}\nchunk: g: 1 chunk, 4 tokens{state}\n" == said.err
        assert "" == said.out


def test_the_sample_can_be_read_by_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints one object a run to stdout, and nothing else."""
    assert 0 == main(["normalize", "--sample", "--runs", "2", "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert 3 == len(lines)
    assert "package-readmes" == lines[-1]["rid"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["normalize"], 2),
        (["normalize", "x.md", "--sample"], 2),
        (["normalize", "x.md", "--runs", "3"], 2),
        (["normalize", "--sample", "--runs", "0"], 2),
        (["normalize", "--sample", "--run", "r"], 2),
        (["normalize", "x.md", "--run", "../r"], 2),
        (["normalize", "missing.md"], 4),
        (["normalize", "x.md", "--source", ""], 2),
        (["normalize", "x.md", "--source", " x"], 2),
        (["normalize", "x.md", "--source", "a\udcff"], 2),
        (["chunk"], 4),
        (["chunk", "--run", "missing"], 4),
        (["chunk", "--run", "a/b"], 2),
        (["chunk", "--max-tokens", "1"], 3),
    ],
)
def test_wrong_words_are_refused(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Words that are not understood are exit code 2, settings out of bounds 3, missing text or runs 4."""
    assert code == main(words)
    assert capsys.readouterr().err.startswith(words[0] + ": ")


def test_one_bad_run_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of all runs, those that can be chunked are; the others have a line each, and the exit code is 6."""
    write_run(tmp_path, "b-good", {"id": "a", "text_md": "text"})
    (write_run(tmp_path, "a-torn", {"id": "a", "text_md": "x"}) / "normalize/normalized.ndjson").write_text('{"id"')
    assert 6 == main(["chunk"])
    said = capsys.readouterr().err.splitlines()
    assert ["chunk: a-torn", "chunk: b-good"] == [line[:13] for line in said]
    assert "normalized.ndjson:1 is not JSON" in said[0]
