"""The backlog while its database is down: one line, exit 8, nothing lost, and the same command works later."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.backlog.conftest import RUNS
from lanes.embed.project import Project, says_one_thing, wait_for
from trailblazer.database import server
from trailblazer.database.account import choose_account

pytestmark = pytest.mark.proof


@pytest.fixture
def down() -> str:
    """The address of a database that does not answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"postgresql://nobody:hidden-word@127.0.0.1:{listener.getsockname()[1]}/none"


def _standing(project: Project, rid: str) -> tuple[str, int]:
    shown = json.loads(project.run("runs", "show", rid, "--json").out)
    return shown["status"], shown["total_docs"]


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("run", "dry-run"),
        ("dispatch", "plan=backlog"),
        ("runs", "list"),
        ("runs", "status"),
        ("runs", "backfill"),
        ("runs", "reset", "scope=all", "yes"),
    ],
    ids=" ".join,
)
def test_without_a_database_nothing_is_begun(project: Project, down: str, words: tuple[str, ...]) -> None:
    """B2, B5: whatever needs the table is exit 8, one line and a hint, and makes no dispatch."""
    done = project.run(*words, db_url=down)
    assert (8, True, []) == (done.code, says_one_thing(done), project.dispatches), done.err
    assert "hidden-word" not in done.err + done.out


def test_a_run_that_found_no_database_works_when_repeated(project: Project, down: str) -> None:
    """Issue 3: `run` without a database leaves all where it was; the same words do it all once it is there."""
    assert 8 == project.run("run", db_url=down).code
    done = project.run("run")
    assert 0 == done.code, done.err
    assert {rid: project.chunks(rid) for rid in RUNS} == project.vectors()


def test_a_text_that_was_normalised_without_a_database_waits_after_a_repeat(
    project: Project, down: str, tmp_path: Path
) -> None:
    """B2: what was normalised while the database was away waits once it is normalised again, a new run at once."""
    page = tmp_path / "pages" / "one.md"
    page.parent.mkdir()
    words = ("normalize", str(page.parent), "--run", "pages")
    page.write_text("# One\n\nThe valve is opened.\n")
    assert 0 == project.run(*words).code
    assert 0 == project.run("run", "runs=pages").code
    page.write_text("# One\n\nThe valve is closed.\n")
    away = project.run(*words, db_url=down)
    assert (0, ("embedded", 1)) == (away.code, _standing(project, "pages"))
    assert "normalize: warning: the table of runs is not up to date: " in away.err
    assert "hidden-word" not in away.err
    repeated = project.run(*words)
    assert (0, ("normalized", 1)) == (repeated.code, _standing(project, "pages"))
    assert "(unchanged)" in repeated.err
    other = tmp_path / "others" / "two.md"
    other.parent.mkdir()
    other.write_text("# Two\n\nThe pump stands still.\n")
    assert 0 == project.run("normalize", str(other.parent), "--run", "others", db_url=down).code
    assert 0 == project.run("run", "runs=[op]*").code
    assert {"pages", "others"} == set(project.vectors())


def test_a_database_that_goes_away_in_mid_run_loses_no_run(
    project: Project, service: EmbeddingServer, base: Path
) -> None:
    """Issue 3: Postgres stops as in a crash while runs are embedded; what was not done waits, and `run` does it."""
    service.delay = 0.2
    account = choose_account(base, server.find_binaries())
    stop = account.command("pg_ctl", "stop", "-D", str(base / "data"), "-m", "immediate", "-w")
    with project.running("run", "retries=0", backlog_claim_ttl_minutes="0.03") as process:
        wait_for(lambda: project.vectors() and project.workers(), "one is embedded and one is at work")
        subprocess.run(stop, check=True, capture_output=True, **account.options)
        service.released.set()
        _, said = process.communicate(timeout=60)
    server.start(base)
    assert process.returncode in {6, 8}, said
    assert (True, True) == ("Traceback" not in said, "the database" in said), said
    assert 0 == project.run("verify", "latest").code
    assert set(project.vectors()) < set(RUNS)
    assert 0 == project.run("run", backlog_claim_ttl_minutes="0.03").code
    assert {rid: project.chunks(rid) for rid in RUNS} == project.vectors()
    states = project.query("SELECT run_id, status, claimed_by FROM processed_runs ORDER BY run_id")
    assert [(rid, "embedded", None) for rid in RUNS] == states


@pytest.mark.parametrize("at", ["chunk", "embed"])
def test_a_database_that_was_away_for_a_moment_keeps_no_run_from_its_own_dispatch(
    project: Project, base: Path, at: str
) -> None:
    """B2: with its retries a `run` goes on after a crash of Postgres, and does not wait for its own claims."""
    account = choose_account(base, server.find_binaries())
    stop = account.command("pg_ctl", "stop", "-D", str(base / "data"), "-m", "immediate", "-w")
    with project.running("run", "retries=6", "--monitor-interval", "0") as process:
        claimed = "SELECT count(*) FROM processed_runs WHERE status = %s"
        wait_for(
            lambda: project.query(claimed, {"chunk": "chunking", "embed": "embedding"}[at]) != [(0,)],
            f"one is held to {at}",
        )
        subprocess.run(stop, check=True, capture_output=True, **account.options)
        server.start(base)
        _, said = process.communicate(timeout=120)
    assert 0 == process.returncode, said
    assert "Waiting for what others hold" not in said
    states = project.query("SELECT run_id, status, claimed_by FROM processed_runs ORDER BY run_id")
    assert [(rid, "embedded", None) for rid in RUNS] == states
    assert {rid: project.chunks(rid) for rid in RUNS} == project.vectors()
