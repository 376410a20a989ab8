"""Whoever is stopped, dispatcher or Postgres, delays nobody for ever and spoils nothing."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import psycopg
import pytest

from chaos.servers import OwnServer, own_server
from chaos.watching import journal_of, kill, marked, survivors, wait_until
from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import STOCK, Project, texts_of, write_documents
from trailblazer.pipeline.indexes import index_name

pytestmark = pytest.mark.proof

TTL_MINUTES = 0.03
MANY = 1500


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server that only these tests use, because they stop it."""
    with own_server() as running:
        yield running


@pytest.fixture
def frozen_later(server: OwnServer, project: Project, request: pytest.FixtureRequest) -> Project:
    """The project, with a database on that server."""
    name = f"frozen_{abs(hash(request.node.name))}"
    own = Project(project.folder, server.make_database(name), project.environment)
    assert 0 == own.run("db", "migrate").code
    return own


def _half_way(project: Project) -> bool:
    kinds = [line["kind"] for line in project.journal]
    return 1 <= kinds.count("settle") < kinds.count("start")


def _standing(project: Project) -> list[tuple[str, str, str | None]]:
    rows: list[tuple[str, str, str | None]] = project.query(
        "SELECT run_id, status, claimed_by FROM processed_runs WHERE run_id = ANY(%s) ORDER BY 1", list(STOCK)
    )
    return rows


def test_a_dispatcher_that_was_stopped_past_its_ttl_ends_well(project: Project, service: EmbeddingServer) -> None:
    """A 7: what another process did meanwhile is held by another and not an error: exit 0 (embed phase)."""
    service.behaviour, service.delay = "slow", 0.2
    project.write_plan(*STOCK)
    words = ("dispatch", "plan=list.txt", "skip-unchanged")
    with project.running(*words, backlog_claim_ttl_minutes=str(TTL_MINUTES)) as process:
        assert wait_until(lambda: _half_way(project), 90)
        own = project.dispatch
        kill(process.pid, signal.SIGSTOP)
        service.released.set()
        time.sleep(60 * TTL_MINUTES + 1)
        other = project.run(*words, backlog_claim_ttl_minutes=str(TTL_MINUTES))
        assert 0 == other.code, other.err
        assert {rid: project.chunks(rid) for rid in STOCK} == project.vectors()
        kill(process.pid, signal.SIGCONT)
        _, said = process.communicate(timeout=60)
    assert 0 == process.returncode, said
    assert [] == survivors(own)
    assert 0 == project.run("verify", own.name).code
    assert [(rid, "embedded", None) for rid in STOCK] == _standing(project)
    assert {rid: project.chunks(rid) for rid in STOCK} == project.vectors()


def test_a_chunking_dispatcher_that_was_stopped_past_its_ttl_ends_well(project: Project) -> None:
    """A 7: the same while it chunks: the stale claim is held by another, and the exit code is 0."""
    write_documents(project.folder, "echo", texts_of("echo", MANY))
    words = ("run", "runs=echo", "phases=chunk,embed")
    with project.running(*words, backlog_claim_ttl_minutes=str(TTL_MINUTES)) as process:
        claimed = "SELECT 1 FROM processed_runs WHERE run_id = 'echo' AND status = 'chunking'"
        assert wait_until(lambda: project.query(claimed), 90)
        stopped = [process.pid, *marked(project.dispatch)]
        for pid in stopped:
            kill(pid, signal.SIGSTOP)
        time.sleep(60 * TTL_MINUTES + 1)
        other = project.run(*words, "no-wait", backlog_claim_ttl_minutes=str(TTL_MINUTES))
        assert 0 == other.code, other.err
        for pid in stopped:
            kill(pid, signal.SIGCONT)
        _, said = process.communicate(timeout=60)
    assert 0 == process.returncode, said
    assert [("echo", "embedded", None)] == project.query(
        "SELECT run_id, status, claimed_by FROM processed_runs WHERE run_id = 'echo'"
    )
    assert MANY == len(project.vectors()["echo"])


def test_run_takes_over_at_once_what_a_killed_run_held(project: Project, service: EmbeddingServer) -> None:
    """A 8: `run` after kill -9 of `run` waits for no TTL (45 minutes): all is embedded within 20 s."""
    service.behaviour, service.delay = "slow", 0.2
    with project.running("run") as process:
        assert wait_until(lambda: _half_way(project), 90)
        kill(process.pid)
        process.wait()
    assert [] != [holder for _, _, holder in _standing(project) if holder is not None]
    service.released.set()
    began = time.monotonic()
    done = project.run("run")
    assert 0 == done.code, done.err
    assert time.monotonic() - began < 20
    assert [(rid, "embedded", None) for rid in STOCK] == _standing(project)


@pytest.mark.parametrize(
    ("words", "at"),
    [(("dispatch", "plan=list.txt"), "in mid-dispatch"), (("run",), "at the end")],
    ids=["dispatch, in the middle", "run, at the end"],
)
def test_ctrl_c_ends_a_dispatcher_whose_postgres_is_frozen(
    frozen_later: Project, service: EmbeddingServer, server: OwnServer, words: tuple[str, ...], at: str
) -> None:
    """A 18: within 10 s, sealed; the claims expire by themselves, and the runs are embedded afterwards."""
    project = frozen_later
    service.behaviour, service.delay = "slow", 0.2
    project.write_plan(*STOCK)
    with project.running(*words, backlog_claim_ttl_minutes=str(TTL_MINUTES)) as process:
        assert wait_until(lambda: _half_way(project), 60)
        own = project.dispatch
        server.freeze()
        try:
            if at == "at the end":
                service.released.set()
            time.sleep(1)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
            seconds = time.monotonic() - began
        finally:
            server.thaw()
        said = process.communicate()[1]
    print(f"ended {seconds:.1f} s after Ctrl-C")
    assert (130, True) == (code, seconds < 10), (seconds, said)
    assert ("interrupted", "close") == (project.manifest["status"], journal_of(own)[-1]["kind"])
    assert [] == survivors(own)
    held = "SELECT run_id FROM processed_runs WHERE claimed_by IS NOT NULL AND claim_expires_at > now()"
    assert wait_until(lambda: not project.query(held), 60 * TTL_MINUTES + 5)
    service.released.set()
    done = project.run("dispatch", "--resume", own.name)
    assert 0 == done.code, done.err
    assert [(rid, "embedded", None) for rid in STOCK] == _standing(project)
    assert 0 == project.run("verify", own.name).code


def test_term_ends_a_dispatch_that_waits_for_its_index(project: Project) -> None:
    """Rules 9 and 10: TERM between the last item and the seal ends the wait, and the seal is made (exit 143)."""

    project.write_plan(*STOCK)
    first = project.run("dispatch", "plan=list.txt")
    assert 0 == first.code, first.err
    seed = project.manifest
    name = index_name(seed["provider"], seed["model"], seed["dimension"])
    with psycopg.connect(project.dsn) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        with project.running("dispatch", "plan=list.txt", "force") as process:
            waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            assert wait_until(lambda: project.query(waiting), 90)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            code = process.wait(20)
            seconds = time.monotonic() - began
    assert (143, True) == (code, seconds < 10), seconds
    assert 0 == project.run("verify", "latest").code
    assert ("interrupted", 143) == (project.manifest["status"], project.manifest["exitCode"])
    assert dict.fromkeys(STOCK, "success") == project.statuses
