"""A dispatch of the backlog that was interrupted or killed is finished by `dispatch --resume`, or by the next `run`."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.backlog.conftest import RUNS
from lanes.embed.project import Project, texts_of, wait_for, write_documents
from trailblazer.config import load_config
from trailblazer.database import claims
from trailblazer.database.connection import connect

pytestmark = pytest.mark.proof

MANY = 1500


def _good(project: Project) -> dict[str, int]:
    """Return how often each run was embedded well, by the newest journal."""
    good = [line for line in project.journal if line.get("status") in {"success", "unchanged"}]
    return dict(Counter(line["item"] for line in good if line["phase"] == "embed"))


def _states(project: Project) -> list[tuple[str, str, str | None]]:
    found: list[tuple[str, str, str | None]] = project.query(
        "SELECT run_id, status, claimed_by FROM processed_runs ORDER BY run_id"
    )
    return found


def _finish(project: Project) -> None:
    """Resume, and hold what is there then against what must be."""
    done = project.run("dispatch", "--resume", "latest")
    assert 0 == done.code, done.err
    assert [(rid, "embedded", None) for rid in RUNS] == _states(project)
    assert dict.fromkeys(RUNS, 1) == _good(project)
    assert {rid: project.chunks(rid) for rid in RUNS} == project.vectors()
    assert (1, 1) == (len(project.dispatches), len(project.manifest["resumes"]))
    assert ("finished", 0) == (project.manifest["status"], project.run("verify", "latest").code)
    again = project.run("run")
    assert (0, "backlog_total=0 nothing is waiting") == (again.code, again.err.strip())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_dispatch_of_the_backlog_goes_on_where_it_stopped(
    project: Project, service: EmbeddingServer, number: signal.Signals, code: int
) -> None:
    """Issue 3, rule 10: after Ctrl-C or kill -9 resume embeds what is left, each run once and none by TTL."""
    service.delay = 0.2
    with project.running("dispatch", "plan=backlog", "skip-unchanged") as process:
        wait_for(lambda: 2 <= len(project.vectors()) and project.workers(), "some are embedded and one is at work")
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert code == process.returncode, said
    assert "Traceback" not in said
    held = [run for run, _, holder in _states(project) if holder is not None]
    assert held == [] or number == signal.SIGKILL
    service.released.set()
    _finish(project)


def test_a_dispatcher_that_is_killed_while_it_chunks_loses_no_run(project: Project) -> None:
    """B2: kill -9 between the claim of a run for chunking and its chunks leaves a run that resume chunks and embeds."""
    write_documents(project.folder, RUNS[1], texts_of(RUNS[1], MANY))
    with project.running("dispatch", "plan=backlog") as process:
        wait_for(
            lambda: project.query("SELECT 1 FROM processed_runs WHERE (run_id, status) = (%s, 'chunking')", RUNS[1]),
            "the large run is being chunked",
        )
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert (RUNS[1], "chunking") in [state[:2] for state in _states(project)]
    assert MANY not in [len(ids) for ids in project.vectors().values()]
    _finish(project)
    assert MANY == len(project.vectors()[RUNS[1]])


def test_resume_leaves_to_others_what_they_took_meanwhile(project: Project, service: EmbeddingServer) -> None:
    """B2: what another `run` did after a kill is not done again by resume, and the kill costs it nothing."""
    service.delay = 0.2
    with project.running("dispatch", "plan=backlog", "skip-unchanged") as process:
        wait_for(lambda: project.vectors() and project.workers(), "one is embedded and one is at work")
        process.kill()
        process.wait()
    service.released.set()
    killed, asked = project.dispatch, len(service.requests)
    other = project.run("run", "no-wait")
    assert 0 == other.code, other.err
    assert [(rid, "embedded", None) for rid in RUNS] == _states(project), "what the dead one held is taken over at once"
    taken = set(project.statuses) - {rid for rid, reason in project.reasons.items() if reason}
    done = project.run("dispatch", "--resume", killed.name)
    assert 0 == done.code, done.err
    lines = [json.loads(line) for line in (killed / "journal.ndjson").read_text().splitlines()]
    passed_over = {line["item"] for line in lines if line.get("reason") == "it is embedded by now"}
    assert taken
    assert set() == taken - passed_over
    assert [(rid, "embedded", None) for rid in RUNS] == _states(project)
    assert asked < len(service.requests)


def test_a_run_that_waits_takes_what_its_holder_gives_back(project: Project) -> None:
    """B2: a `run` with nothing left but what somebody else holds goes on when that is given back, before its TTL."""
    config = load_config({"db.url": project.dsn}, start=project.folder)
    with connect(config) as connection:
        held = claims.take(connection, [RUNS[0]], claims.Terms("chunk", "elsewhere/1", 600, again=True))[RUNS[0]]
        assert isinstance(held, claims.Claim)
        with project.running("run") as process:
            log = project.var / "logs" / "dispatcher.out"
            wait_for(
                lambda: log.is_file() and "Waiting for 1 run that another process holds" in log.read_text(), "it waits"
            )
            claims.release(connection, [held])
            _, said = process.communicate(timeout=60)
    assert 0 == process.returncode, said
    assert f"Skipped (held): {RUNS[0]}: held by elsewhere/1 since " in said
    assert [(rid, "embedded", None) for rid in RUNS] == _states(project)
