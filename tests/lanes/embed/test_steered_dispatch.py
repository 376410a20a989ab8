"""A dispatch of runs is steered while it runs: claims stay true, and what was cancelled can be resumed."""

from __future__ import annotations

import json

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import STOCK, Project, wait_for

pytestmark = pytest.mark.proof


def states(project: Project) -> dict[str, str]:
    """Return the state of each run in the table."""
    rows: dict[str, str] = dict(project.query("SELECT run_id, status FROM processed_runs"))
    return rows


def test_a_run_is_cancelled_and_its_claim_released(project: Project, service: EmbeddingServer) -> None:
    """Cancel ends a run that is embedded, the others of the plan are embedded, and a resume does the rest."""
    project.write_plan(*STOCK)
    service.behaviour, service.delay, service.well = "slow", 60, 1
    with project.running("dispatch", "plan=list.txt") as process:
        wait_for(lambda: len(service.requests) >= 3, "two runs are being embedded")
        running = json.loads(project.run("dispatch", "--status", "latest").out)["oldestRunning"]["item"]
        service.behaviour = "ok"
        done = project.run("control", "cancel", running)
        assert (0, f"{project.dispatch.name}: {running} (embed) is ended\n") == (done.code, done.out), done.err
        wait_for(lambda: "cancelled" == project.statuses.get(running), "the run to be cancelled")
        service.released.set()
        process.communicate(timeout=60)
    assert 6 == process.returncode
    others = set(STOCK) - {running}
    assert dict.fromkeys(others, "success") | {running: "cancelled"} == project.statuses
    assert {"embedded"} == {states(project)[run] for run in others}
    assert "embedded" != states(project)[running]
    assert [(0,)] == project.query("SELECT count(*) FROM processed_runs WHERE claimed_by IS NOT NULL")
    resumed = project.run("dispatch", "resume=latest")
    assert 0 == resumed.code, resumed.err
    assert dict.fromkeys(STOCK, "embedded") == states(project)
    assert {rid: project.chunks(rid) for rid in STOCK} == project.vectors()
    assert 0 == project.run("verify").code


def test_a_paused_dispatch_says_so_in_its_progress(project: Project, service: EmbeddingServer) -> None:
    """progress.json says that a dispatch is paused; drained it leaves the rest to a resume."""
    project.write_plan(*STOCK)
    service.behaviour, service.delay, service.well = "slow", 60, 1
    file = None
    with project.running("dispatch", "plan=list.txt", "workers=1") as process:
        wait_for(lambda: len(service.requests) >= 2, "a run is being embedded")
        assert 0 == project.run("control", "pause").code
        file = project.dispatch / "progress.json"
        wait_for(lambda: file.is_file() and json.loads(file.read_bytes())["paused"], "progress.json says paused")
        assert 5 == project.run("control", "add", "list.txt").code, "runs are no list that grows"
        assert 0 == project.run("control", "drain").code
        service.behaviour = "ok"
        service.released.set()
        process.communicate(timeout=60)
    assert 130 == process.returncode
    assert 0 == project.run("dispatch", "resume=latest").code
    assert dict.fromkeys(STOCK, "embedded") == states(project)


def test_a_run_that_was_skipped_is_tried_again(project: Project, service: EmbeddingServer) -> None:
    """A run that its gate refused is mended, and tried again at once in the same dispatch."""
    chunks = project.run_folder("alpha") / "chunk" / "chunks.ndjson"
    kept = chunks.read_bytes()
    chunks.unlink()
    project.write_plan("alpha", "bravo")
    service.behaviour, service.delay, service.well = "slow", 60, 1
    with project.running("dispatch", "plan=list.txt") as process:
        wait_for(lambda: "skipped" == project.statuses.get("alpha"), "a run to be skipped")
        wait_for(lambda: len(service.requests) >= 2, "the other run is being embedded")
        chunks.write_bytes(kept)
        done = project.run("control", "retry", "alpha")
        wait_for(lambda: len(service.requests) >= 3, "the run is being embedded")
        service.released.set()
        process.communicate(timeout=60)
    assert (0, True) == (done.code, "attempt 1" in done.out), done.err
    assert (0, {"alpha": "success", "bravo": "success"}) == (process.returncode, project.statuses)
