"""`trailblazer run`: everything that waits, shared by whoever runs it, lost by nobody."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from pathlib import Path

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.backlog.conftest import RUNS
from lanes.embed.project import Finished, Project, wait_for
from trailblazer import schemas

BOTH = ("chunk", "embed")


def _journal(folder: Path) -> list[dict[str, str]]:
    lines = (folder / "journal.ndjson").read_bytes().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def _embedded(project: Project) -> Counter[str]:
    """Return how often each run was embedded, over the journals of all dispatches."""
    lines = [line for folder in project.dispatches for line in _journal(folder)]
    good = [line for line in lines if line["kind"] == "settle" and line["status"] == "success"]
    return Counter(line["item"] for line in good if line["phase"] == "embed")


def _states(project: Project) -> dict[str, str]:
    rows: dict[str, str] = dict(project.query("SELECT run_id, status FROM processed_runs"))
    return rows


def _check_events(done: Finished, file: Path) -> None:
    assert done.events
    for event in [*done.events, *map(json.loads, file.read_text().splitlines())]:
        schemas.check("event", event, "stdout")


def test_what_cannot_be_read_is_named_and_is_not_a_good_end(project: Project) -> None:
    """B1, B3: a folder that is no run is reported each night, with what waits and without, until somebody mends it."""
    for name, text in (("2026-torn", '{"id": "a", "te'), ("no id", '{"id": "a", "text_md": "b"}\n')):
        file = project.var / "runs" / name / "normalize" / "normalized.ndjson"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    assert 0 == project.run("run", "limit=1", f"runs={RUNS[0]}").code, "not asked for"
    done = project.run("run")
    assert 6 == done.code, done.err
    assert ["Not readable: 2026-torn", "Not readable: no id"] == done.err.splitlines()[:2]
    assert "Exit 6: 2 in var/runs cannot be read: 2026-torn, no id" in done.err
    assert (6, 0) == (project.manifest["exitCode"], project.run("verify").code)
    assert dict.fromkeys(RUNS, "embedded") == _states(project)
    again = project.run("run")
    assert (6, 2) == (again.code, again.err.count("Not readable"))


def test_a_run_without_scope_does_all_that_waits(project: Project) -> None:
    """B3, B6: the banner says what waits; all is chunked, embedded and in the events; a second run finds nothing."""
    done = project.run("run", "--events", "-")
    assert 0 == done.code, done.err
    assert dict.fromkeys(RUNS, "embedded") == _states(project)
    assert {rid: project.chunks(rid) for rid in RUNS} == project.vectors()
    banner = done.err.splitlines()[0]
    moment = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    form = (
        rf"backlog_total={len(RUNS)} first_normalized_at={moment} last_normalized_at={moment} sample={','.join(RUNS)}"
    )
    assert re.fullmatch(form, banner)
    _check_events(done, project.var / "logs" / "runs_events.ndjson")
    claims = [(event["run_id"], event["phase"]) for event in done.events if event["event"] == "runs.claim"]
    assert sorted((rid, phase) for rid in RUNS for phase in BOTH) == sorted(claims)
    names = {event["event"] for event in done.events}
    assert {"runs.scan.start", "runs.scan.complete", "runs.progress", "runs.complete"} <= names
    assert ("backlog", 0) == (project.manifest["planFileUsed"], project.run("verify").code)
    again = project.run("run")
    assert (0, "backlog_total=0 nothing is waiting") == (again.code, again.err.strip())
    assert 1 == len(project.dispatches)


def test_a_dry_run_says_the_count_and_the_first_ten(project: Project) -> None:
    """B4: a dry run lists what would be done, within its limit and its glob, and does nothing."""
    done = project.run("run", "dry-run", "runs=*0[2-5]", "limit=3")
    assert 0 == done.code, done.err
    assert "Dry run: backlog would dispatch 3 runs; nothing was done" == done.err.splitlines()[-1]
    assert ["2026-02", "2026-03", "2026-04"] == [line for line in done.out.splitlines() if not line.startswith("{")]
    assert ([], dict.fromkeys(RUNS, "normalized")) == (project.dispatches, _states(project))
    assert 2 == project.run("run", "phases=ship", "dry-run").code


def test_phases_are_done_one_at_a_time_when_asked(project: Project) -> None:
    """B4: `--phases chunk` asks no provider; `--phases embed` leaves alone what is not chunked."""
    asleep = {"embed_base_url": "http://127.0.0.1:9/v1"}
    assert 0 == project.run("run", "--phases", "chunk", "--limit", "2", **asleep).code
    assert Counter(normalized=4, chunked=2) == Counter(_states(project).values())
    assert 0 == project.run("run", "phases=embed").code
    assert Counter(normalized=4, embedded=2) == Counter(_states(project).values())


def test_the_dispatcher_takes_the_backlog_as_a_plan(project: Project) -> None:
    """Issue 3: `dispatch plan=backlog` is the same plan source, and its snapshot is the plan that is archived."""
    done = project.run("dispatch", "plan=backlog", "skip-unchanged")
    assert 0 == done.code, done.err
    assert dict.fromkeys(RUNS, "embedded") == _states(project)
    assert list(RUNS) == (project.dispatch / "plan.txt").read_text().split()


def test_two_share_the_work_and_no_run_is_embedded_twice(project: Project, service: EmbeddingServer) -> None:
    """B2: while one holds a run the other does the rest, and takes that run over when the claim has expired."""
    service.delay = 0.1
    with project.running("run", backlog_claim_ttl_minutes="0.05") as first:
        wait_for(lambda: any("page" in body["input"][0] for body in service.requests), "the first one embeds")
        own = project.dispatch
        os.kill(first.pid, signal.SIGSTOP)
        second = project.run("run", backlog_claim_ttl_minutes="0.05")
        os.kill(first.pid, signal.SIGCONT)
        _, said = first.communicate(timeout=60)
    assert (0, 0) == (first.returncode, second.code), said + second.err
    assert dict.fromkeys(RUNS, 1) == dict(_embedded(project))
    shares = [
        {line["item"] for line in _journal(folder) if line.get("status") == "success"}
        for folder in (own, project.dispatch)
    ]
    assert own != project.dispatch
    assert all(shares)
    assert dict.fromkeys(RUNS, "embedded") == _states(project)


def test_what_a_killed_one_held_is_taken_over(project: Project, service: EmbeddingServer) -> None:
    """B2: kill -9 of one loses nothing: the other says who holds the run, waits, and does it after the TTL."""
    service.delay = 0.1
    with project.running("run", backlog_claim_ttl_minutes="0.03") as first:
        wait_for(project.workers, "the first one embeds")
        own, workers = project.dispatch, project.workers()
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        held = {line["item"] for line in project.journal if line["kind"] == "start"} - set(_embedded(project))
        with project.running("run", backlog_claim_ttl_minutes="0.03") as second:
            wait_for(lambda: own != project.dispatch and "skipped" in project.statuses.values(), "it is skipped")
            reasons = [reason for reason in project.reasons.values() if reason]
            for pid in (first.pid, *workers):
                os.kill(pid, signal.SIGKILL)
            _, said = second.communicate(timeout=60)
    assert 0 == second.returncode, said
    assert any(f"/{first.pid} since " in reason for reason in reasons), reasons
    assert dict.fromkeys(RUNS, "embedded") == _states(project)
    assert held <= {line["item"] for line in project.journal if line.get("status") == "success"}
    assert {1} == set(_embedded(project).values())
    assert {rid: project.chunks(rid) for rid in RUNS} == project.vectors()


def test_who_does_not_want_to_wait_leaves_held_runs_to_their_holder(project: Project) -> None:
    """With `no-wait` a run that somebody else holds is skipped for good, with his name and exit code 0."""
    assert 0 == project.run("runs", "backfill").code
    project.query(
        "UPDATE processed_runs SET status = 'chunking', claimed_by = 'elsewhere/1', claimed_at = now(), claimed_from = "
        "'normalized', claim_expires_at = now() + interval '1 hour' WHERE run_id = %s RETURNING run_id",
        RUNS[0],
    )
    done = project.run("run", "no-wait")
    assert 0 == done.code, done.err
    assert f"Skipped (held): {RUNS[0]}: held by elsewhere/1 since " in done.err
    assert set(RUNS[1:]) == set(_embedded(project))
    status = json.loads(project.run("runs", "status", "json").out)
    assert [(RUNS[0], "elsewhere/1")] == [(held["run_id"], held["claimed_by"]) for held in status["held"]]


def test_a_run_that_cannot_be_chunked_fails_with_its_reason(project: Project) -> None:
    """B2: a run whose text is damaged is failed in the table, and the others are done."""
    broken = project.run_folder(RUNS[1]) / "normalize" / "normalized.ndjson"
    assert 0 == project.run("runs", "backfill").code
    broken.write_text("{not json\n")
    done = project.run("run")
    assert 6 == done.code, done.err
    assert {rid: "failed" if rid == RUNS[1] else "embedded" for rid in RUNS} == _states(project)
    shown = json.loads(project.run("runs", "show", RUNS[1], "--json").out)
    assert ("chunk", True) == (shown["failed_phase"], "normalized.ndjson" in shown["failure_reason"])
