"""`normalize` and `chunk` move the state of a run as the dispatcher does (B1, B2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lanes.embed.backlog.conftest import RUNS
from lanes.embed.project import Project, says_one_thing, write_documents
from trailblazer.database import server
from trailblazer.paths import CONFIG_NAME

HELD = (
    "UPDATE processed_runs SET status = 'chunking', attempt = attempt + 1, claimed_by = 'there/7', claimed_at = now(),"
    " claim_expires_at = now() + interval '1 hour', claimed_from = 'normalized' WHERE run_id = %s"
)


def shown(project: Project, rid: str) -> dict[str, Any]:
    """Return all that the table says of a run."""
    found: dict[str, Any] = json.loads(project.run("runs", "show", rid, "--json").out)
    return found


def test_chunking_takes_a_run_from_normalized_to_chunked(project: Project) -> None:
    """A run that the table does not know is added, claimed and completed, with its counts and both moments."""
    done = project.run("chunk", "--run", RUNS[0])
    assert (0, f"chunk: {RUNS[0]}: 2 chunks, ") == (done.code, done.err[:26])
    run = shown(project, RUNS[0])
    assert ("chunked", 2, 2, None) == tuple(
        run[name] for name in ("status", "total_docs", "total_chunks", "claimed_by")
    )
    assert run["chunk_started_at"] <= run["chunk_completed_at"]
    assert 0 == project.run("run", "phases=embed").code
    assert [RUNS[0]] == list(project.vectors())


def test_chunking_what_is_unchanged_leaves_the_state(project: Project) -> None:
    """An embedded run stays embedded when its chunks are the right ones, and waits for embedding when they change."""
    rid = RUNS[0]
    assert 0 == project.run("run", f"runs={rid}").code
    states = []
    for words in ((), ("--force",), ()):
        assert 0 == project.run("chunk", "--run", rid, *words).code
        states.append(shown(project, rid)["status"])
    assert ["embedded", "chunked", "chunked"] == states


def test_chunking_that_needed_no_work_still_completes(project: Project) -> None:
    """A run whose chunks were made before the table knew it is chunked afterwards."""
    assert 0 == project.run("chunk", "--run", RUNS[0]).code
    project.query("DELETE FROM processed_runs RETURNING run_id")
    done = project.run("chunk", "--run", RUNS[0])
    assert "(unchanged)" in done.err
    assert ("chunked", 2) == (shown(project, RUNS[0])["status"], shown(project, RUNS[0])["total_chunks"])


def test_a_run_that_somebody_else_holds_is_refused(project: Project) -> None:
    """A held run is exit code 7 with the name of its holder, and its chunks and claim stay as they are."""
    assert 0 == project.run("runs", "backfill").code
    project.query(HELD + " RETURNING run_id", RUNS[0])
    done = project.run("chunk", "--run", RUNS[0])
    assert (7, True) == (done.code, says_one_thing(done)), done.err
    assert f"{RUNS[0]} is held by there/7 since " in done.err
    assert not (project.run_folder(RUNS[0]) / "chunk").exists()
    assert ("chunking", "there/7") == tuple(shown(project, RUNS[0])[name] for name in ("status", "claimed_by"))
    others = project.run("chunk")
    assert 7 == others.code
    assert all((project.run_folder(rid) / "chunk" / "chunks.ndjson").is_file() for rid in RUNS[1:])


def test_a_run_that_cannot_be_read_has_failed(project: Project) -> None:
    """Half a line is exit code 3 and the reason in the table; settings that cannot work leave the run waiting."""
    (project.run_folder(RUNS[0]) / "normalize" / "normalized.ndjson").write_text('{"id": "a", "text_md": "x"}\n{"id"')
    assert 3 == project.run("chunk", "--run", RUNS[0]).code
    run = shown(project, RUNS[0])
    assert ("failed", "chunk") == (run["status"], run["failed_phase"])
    assert "normalized.ndjson:2 is not JSON" in run["failure_reason"]
    assert 3 == project.run("chunk", "--run", RUNS[1], "--max-tokens", "16", "--overlap", "16").code
    assert ("normalized", None) == tuple(shown(project, RUNS[1])[name] for name in ("status", "claimed_by"))


def test_chunking_without_a_database_does_nothing(project: Project) -> None:
    """Without the table nobody knows who holds a run: exit code 8, and nothing is written."""
    done = project.run("chunk", "--run", RUNS[0], TRAILBLAZER_DB_URL="postgresql://nobody@127.0.0.1:9/nothing")
    assert (8, True) == (done.code, says_one_thing(done)), done.err
    assert not (project.run_folder(RUNS[0]) / "chunk").exists()


def test_a_missing_run_is_not_put_into_the_table(project: Project) -> None:
    """A run without a folder is exit code 4 and leaves no row."""
    assert 4 == project.run("chunk", "--run", "gone").code
    assert [] == project.query("SELECT run_id FROM processed_runs WHERE run_id = 'gone'")


@pytest.mark.parametrize(("words", "source"), [((), "files"), (("--source", "Müller & Söhne"), "Müller & Söhne")])
def test_the_source_is_what_normalize_says(
    project: Project, tmp_path: Path, words: tuple[str, ...], source: str
) -> None:
    """B1: the documents and the table have the source that --source names, else files."""
    (tmp_path / "page.md").write_text("# One\n\nThe valve is opened.\n")
    assert 0 == project.run("normalize", str(tmp_path / "page.md"), *words).code
    assert source == shown(project, "page")["source"]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["dita", "dita"], "dita"),
        (["dita", "confluence"], "mixed"),
        ([None, None], "unknown"),
        (["", 7], "unknown"),
        ([None, "dita"], "dita"),
    ],
)
def test_the_source_comes_from_the_documents(project: Project, sources: list[Any], expected: str) -> None:
    """B1: one source is that source, several are mixed, none is unknown; it is never null."""
    write_documents(project.folder, "several", ["x"])
    records = [{"id": str(number), "text_md": "x"} for number in range(len(sources))]
    for record, source in zip(records, sources, strict=True):
        if source is not None:
            record["source_system"] = source
    file = project.run_folder("several") / "normalize" / "normalized.ndjson"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert 0 == project.run("runs", "backfill").code
    assert expected == shown(project, "several")["source"]


def test_a_fresh_project_has_its_row(tmp_path: Path) -> None:
    """B2: `normalize` starts the database of a project that never had one, and writes the row."""
    (tmp_path / CONFIG_NAME).parent.mkdir()
    (tmp_path / CONFIG_NAME).touch()
    (tmp_path / "page.md").write_text("# One\n\nThe valve is opened.\n")
    project = Project(tmp_path, "null")
    try:
        done = project.run("normalize", "page.md")
        assert (0, "normalize: page: 1 document, 27 characters\n") == (done.code, done.err)
        assert ("normalized", "files", 1) == tuple(
            shown(project, "page")[name] for name in ("status", "source", "total_docs")
        )
    finally:
        server.stop(tmp_path / "var" / "postgres")
