"""Small runs are worked on in groups; what fails for one of a group is the outcome of that one alone."""

from __future__ import annotations

import functools
import os
import signal
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import STOCK, Project, wait_for, write_documents

RUNS = [f"small-{number:02d}" for number in range(40)]
BAD = RUNS[17]
TEXT = "The pump of {} is serviced in spring."

REFUSE_ONE = f"""
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON chunk_embeddings FOR EACH ROW WHEN (NEW.run_id = '{BAD}')
EXECUTE FUNCTION refuse();
"""


@pytest.fixture
def small(project: Project) -> Iterator[Project]:
    """A project whose backlog is many runs of one short document, for one worker: ten of them are a group."""
    for rid in RUNS:
        write_documents(project.folder, rid, [TEXT.format(rid)])
    project.environment.update(TRAILBLAZER_DISPATCH_WORKERS="1", TRAILBLAZER_EMBED_BATCH_SIZE="64")
    yield project


def run_all(project: Project) -> dict[str, str]:
    """Carry the small runs out, and return the outcome of each embedding."""
    assert project.run("run", "runs=small-*", "retries=0").code in {0, 6}
    return {
        line["item"]: line["status"]
        for line in project.journal
        if line["kind"] == "settle" and line["phase"] == "embed"
    }


def is_sent(service: EmbeddingServer, times: int) -> bool:
    """Say whether the bad run was sent so often."""
    return embedded(service)[TEXT.format(BAD)] == times


def embedded(service: EmbeddingServer) -> Counter[str]:
    """Return how often each text was sent."""
    return Counter(text for request in service.requests for text in request["input"])


def test_a_group_is_one_request_and_one_commit(small: Project, service: EmbeddingServer) -> None:
    """Forty runs are few requests; every file of each of them is there."""
    assert {"success"} == set(run_all(small).values())
    assert len(service.requests) < len(RUNS) / 4
    assert {1} == set(embedded(service).values())
    for rid in RUNS:
        for file in ("chunk/chunk_assurance.json", "preflight/preflight.json", "embed/manifest.json"):
            assert (small.run_folder(rid) / file).is_file(), (rid, file)
    assert {rid: small.chunks(rid) for rid in RUNS} == small.vectors()
    assert "nothing is waiting" in small.run("run", "runs=small-*").err


def test_what_the_database_refuses_of_one_run_fails_that_run_alone(small: Project, service: EmbeddingServer) -> None:
    """The group is done again in halves; none of it was stored before, and no vector is paid for twice."""
    small.environment["TRAILBLAZER_EMBED_BATCH_SIZE"] = "4"
    small.run("db", "migrate")
    with psycopg.connect(small.dsn, autocommit=True) as connection:
        connection.execute(REFUSE_ONE.encode())
    outcomes = run_all(small)
    assert {BAD: "error"} == {rid: status for rid, status in outcomes.items() if status != "success"}
    assert "not this one" in small.reasons[BAD]
    paid = [line["usage"]["chunks"] for line in small.journal if line["kind"] == "settle" and line["phase"] == "embed"]
    assert [1] * len(RUNS) == paid
    assert {1} == set(embedded(service).values())
    assert set(RUNS) - {BAD} == set(small.vectors())
    assert [(1,)] == small.query("SELECT count(*) FROM processed_runs WHERE status = 'failed'")


def test_documents_that_cannot_be_read_fail_their_run_alone(small: Project) -> None:
    """Half a line in one run leaves the chunks of the others of its group."""
    with (small.run_folder(BAD) / "normalize" / "normalized.ndjson").open("a") as file:
        file.write('{"id": "half')
    outcomes = run_all(small)
    assert set(RUNS) - {BAD} == {rid for rid, status in outcomes.items() if status == "success"}
    assert "normalized.ndjson" in small.reasons[BAD]


def test_a_run_that_kills_its_worker_is_found_in_its_group(small: Project, service: EmbeddingServer) -> None:
    """Nobody knows which run of a group ended the worker: each is tried alone, and only the one to blame has failed."""
    service.held = BAD
    with small.running("run", "runs=small-*", "retries=0") as process:
        for seen in (1, 2):
            wait_for(functools.partial(is_sent, service, seen), "it is sent")
            for worker in small.workers():
                os.kill(worker, signal.SIGKILL)
        _, said = process.communicate(timeout=60)
    assert 6 == process.returncode, said
    outcomes = {
        line["item"]: line["status"] for line in small.journal if line["kind"] == "settle" and line["phase"] == "embed"
    }
    assert {BAD: "error"} == {rid: status for rid, status in outcomes.items() if status != "success"}
    assert "the worker process died (signal 9)" in small.reasons[BAD]
    assert set(RUNS) - {BAD} == set(small.vectors())
    several = [line["item"] for line in small.journal if "several at once" in line.get("reason", "")]
    assert BAD in several
    assert set(several).isdisjoint(STOCK)
    assert len(several) <= 10
    assert 0 == small.run("verify", "latest").code


def test_a_dispatcher_that_is_killed_in_a_group_loses_no_run(small: Project, service: EmbeddingServer) -> None:
    """After kill -9 in the middle of a group, resume embeds what is left; each run has its vectors once."""
    service.held = BAD
    with small.running("run", "runs=small-*") as process:
        wait_for(lambda: any(BAD in str(one["input"]) for one in service.requests), "its group is sent")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    service.held = ""
    service.released.set()
    assert 0 == small.run("dispatch", "--resume", "latest").code
    assert {rid: small.chunks(rid) for rid in RUNS} == small.vectors()
    assert dict.fromkeys(RUNS, "success") == small.statuses
    assert [(0,)] == small.query("SELECT count(*) FROM processed_runs WHERE claimed_by IS NOT NULL")
