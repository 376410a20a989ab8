"""`trailblazer runs`: listed, shown, counted, filled and reset, with nothing deleted by chance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lanes.embed.backlog.conftest import RUNS
from lanes.embed.project import Finished, Project
from trailblazer import schemas

NOTHING = {"runs": 0, "embeddings": 0, "chunks": 0, "documents": 0}


def _events(done: Finished) -> list[str]:
    for event in done.events:
        schemas.check("event", event, "stdout")
    return [event["event"] for event in done.events]


@pytest.fixture
def embedded(project: Project) -> Project:
    """The project with all its runs embedded."""
    done = project.run("run")
    assert 0 == done.code, done.err
    return project


def test_backfill_a_second_time_adds_nothing(project: Project) -> None:
    """B1: backfill puts each run in once, tells start, tick and complete, and changes nothing when repeated."""
    first = project.run("runs", "backfill", "--events", "-")
    assert (0, ["runs.backfill.start", "runs.backfill.tick", "runs.backfill.complete"]) == (first.code, _events(first))
    before = project.query("SELECT * FROM processed_runs ORDER BY run_id")
    again = project.run("runs", "backfill", "--events", "-")
    assert [len(RUNS), 0] == [done.events[-1]["added"] for done in (first, again)]
    assert before == project.query("SELECT * FROM processed_runs ORDER BY run_id")


def test_the_answer_of_a_change_is_a_sentence(project: Project) -> None:
    """Stdout holds what was done and no event; --events and --json are two answers, and only one may be asked for."""
    done = project.run("runs", "backfill")
    assert (0, f"Backfill: {len(RUNS)} runs found, {len(RUNS)} added, 0 not readable\n") == (done.code, done.out)
    assert 2 == project.run("runs", "backfill", "events=-", "json").code


def test_backfill_knows_what_was_done_before_the_table(embedded: Project) -> None:
    """B1: runs that were embedded before the table knew them are embedded, and those with chunks are chunked."""
    embedded.query("DELETE FROM processed_runs RETURNING run_id")
    embedded.query("DELETE FROM chunk_embeddings WHERE run_id = %s RETURNING run_id", RUNS[0])
    assert 0 == embedded.run("runs", "backfill").code
    totals = json.loads(embedded.run("runs", "status", "--json").out)["totals"]
    assert (len(RUNS) - 1, 1, 0) == (totals["embedded"], totals["chunked"], totals["normalized"])


def test_runs_are_listed_by_filter_in_words_and_json(project: Project) -> None:
    """B5: source, glob, span of time and state choose; the order is by id; what is no state or date is refused."""
    assert 0 == project.run("runs", "backfill").code
    listed = project.run("runs", "list", "runs=*0[12]", "status=normalized,reset")
    assert list(RUNS[:2]) == [line.split()[0] for line in listed.out.splitlines()]
    everyone = json.loads(project.run("runs", "list", "--json", "--since", "2026-01-01").out)
    assert list(RUNS) == [run["run_id"] for run in everyone]
    assert [] == json.loads(project.run("runs", "list", "json", "until=2026-01-01").out)
    assert [] == json.loads(project.run("runs", "list", "json", "source=elsewhere").out)
    wrong = (("list", "status=done"), ("list", "since=soon"), ("show", "nobody"))
    assert [2, 2, 4] == [project.run("runs", *words).code for words in wrong]


def test_a_reset_without_yes_deletes_nothing(embedded: Project) -> None:
    """G4, B5: what would go is counted; without a yes, or in a dry run, every row stays."""
    before = embedded.vectors(), embedded.query("SELECT * FROM processed_runs ORDER BY run_id")
    asked: list[tuple[str, tuple[str, ...], int]] = [
        ("embeddings", (), 2),
        ("embeddings", ("dry-run", "yes"), 0),
        ("all", (), 2),
        ("all", ("dry-run",), 0),
        ("processed", ("dry-run",), 0),
    ]
    for scope, words, code in asked:
        done = embedded.run("runs", "reset", f"scope={scope}", "runs=2026-0[1-3]", "events=-", *words)
        assert (code, ["runs.reset.start", "runs.reset.complete"]) == (done.code, _events(done)), done.err
        vectors, texts = 0 if scope == "processed" else 6, 6 if scope == "all" else 0
        would_be = {"runs": 3, "embeddings": vectors, "chunks": texts, "documents": texts}
        assert [would_be, NOTHING] == [event["counts"] for event in done.events]
        assert "nothing was changed" in done.err
    assert before == (embedded.vectors(), embedded.query("SELECT * FROM processed_runs ORDER BY run_id"))


def test_a_reset_deletes_its_scope_alone_and_the_next_run_makes_it_anew(embedded: Project) -> None:
    """B5: with yes the vectors of the chosen runs go; `run` makes them again and touches no other."""
    before = embedded.vectors()
    done = embedded.run("runs", "reset", "scope=embeddings", f"runs={RUNS[0]}", "yes")
    assert (0, "Reset runs: 1, embeddings: 2, chunks: 0, documents: 0\n", "") == (done.code, done.out, done.err)
    assert {rid: ids for rid, ids in before.items() if rid != RUNS[0]} == embedded.vectors()
    assert 0 == embedded.run("run").code
    assert (before, [RUNS[0]]) == (embedded.vectors(), list(embedded.statuses))


def test_a_reset_of_what_is_processed_deletes_nothing_and_needs_no_yes(embedded: Project) -> None:
    """B5: scope=processed puts runs back in line for chunking; vectors that are still good are kept."""
    before = embedded.vectors()
    done = embedded.run("runs", "reset", "scope=processed", "json")
    assert (0, len(RUNS), before) == (done.code, json.loads(done.out)["counts"]["runs"], embedded.vectors())
    assert 0 == embedded.run("run").code
    assert {0} == {
        line["usage"]["chunks"] for line in embedded.journal if line.get("phase") == "embed" and "status" in line
    }


def test_normalising_puts_a_run_in_line_again(project: Project, tmp_path: Path) -> None:
    """B2: normalising upserts the row; the same text again leaves it, another text puts it back in line."""
    page = tmp_path / "pages" / "one.md"
    page.parent.mkdir()
    page.write_text("# One\n\nThe valve is opened.\n")
    words = ("normalize", str(page.parent), "--run", "pages")
    standings = []
    for text in ("The valve is opened.", "The valve is opened.", "The valve is closed."):
        page.write_text(f"# One\n\n{text}\n")
        assert 0 == project.run(*words).code
        shown = json.loads(project.run("runs", "show", "pages", "--json").out)
        standings.append((shown["status"], shown["source"], shown["total_docs"]))
        assert 0 == project.run("run", "runs=pages").code
    waits, done = ("normalized", "files", 1), ("embedded", "files", 1)
    assert [waits, done, waits] == standings


def test_normalising_without_a_database_writes_the_run_and_warns(project: Project, tmp_path: Path) -> None:
    """B2: the text is written; the warning names what puts the run into the table, and that does it."""
    page = tmp_path / "page.md"
    page.write_text("# One\n\nThe valve is opened.\n")
    away = "postgresql://nobody@127.0.0.1:9/nothing"
    done = project.run("normalize", str(page), "--run", "page", TRAILBLAZER_DB_URL=away)
    assert (0, True) == (done.code, project.run_folder("page").is_dir())
    assert "warning: the table of runs is not up to date" in done.err
    assert "`trailblazer runs backfill` adds new runs" in done.err
    assert 0 == project.run("runs", "backfill").code
    assert "normalized" == json.loads(project.run("runs", "show", "page", "--json").out)["status"]
