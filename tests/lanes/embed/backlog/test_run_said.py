"""What `trailblazer run` says of the backlog is so, and runs that are gone do not wait for ever (B3, B4, B6)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lanes.embed.backlog.conftest import RUNS
from lanes.embed.project import Project, texts_of, write_documents


def _states(project: Project) -> dict[str, str]:
    rows: dict[str, str] = dict(project.query("SELECT run_id, status FROM processed_runs"))
    return rows


def test_what_waits_for_the_other_phase_is_counted(project: Project) -> None:
    """B4: `nothing is waiting` names its phase, and what waits for the other one is counted."""
    assert 0 == project.run("run", "phases=chunk", f"runs={RUNS[0]}").code
    assert 0 == project.run("run", "phases=embed").code
    done = project.run("run", "phases=embed")
    assert (0, 1) == (done.code, len(project.dispatches) - 1)
    assert ["backlog_total=0 nothing is waiting to be embedded", "Not in these phases: 5 runs to be chunked"] == (
        done.err.splitlines()
    )
    limited = project.run("run", "phases=embed", "limit=1")
    assert "5 runs to be chunked" in limited.err


@pytest.mark.parametrize("scope", ["processed", "embeddings"])
def test_embedding_alone_takes_a_reset_run_that_has_chunks(project: Project, scope: str) -> None:
    """B4: `--phases embed` takes every run that has chunks, whatever its reset kept; the others wait for chunking."""
    assert 0 == project.run("run", f"runs={RUNS[0]}").code
    assert 0 == project.run("runs", "reset", f"scope={scope}", f"runs={RUNS[0]}", "yes").code
    done = project.run("run", "--phases", "embed")
    assert 0 == done.code, done.err
    assert done.err.startswith("backlog_total=1 first_normalized_at=")
    assert "Not in these phases: 5 runs to be chunked" in done.err
    assert {RUNS[0]: "embedded", **dict.fromkeys(RUNS[1:], "normalized")} == _states(project)


def test_runs_that_failed_for_good_are_not_kept_quiet(project: Project) -> None:
    """`nothing is waiting` is followed by the runs that nobody tries again without a reset."""
    assert 0 == project.run("run").code
    project.query(
        "UPDATE processed_runs SET status = 'failed', failed_phase = 'embed', failure_reason = 'a test' "
        "WHERE run_id = %s RETURNING run_id",
        RUNS[0],
    )
    done = project.run("run")
    assert (0, "backlog_total=0 nothing is waiting") == (done.code, done.err.splitlines()[0])
    assert "Not tried again: 1 failed run; see `trailblazer runs list status=failed`" in done.err


def test_progress_of_one_run_is_an_event(project: Project) -> None:
    """B4, B6: --progress-every N emits runs.progress with run_id and the percent of that run, and 0 emits none."""
    write_documents(project.folder, "large", texts_of("large", 30))
    settings = {"embed_batch_size": "5"}
    done = project.run("run", "runs=large", "--progress-every", "10", "events=-", **settings)
    assert 0 == done.code, done.err
    found = [(e["run_id"], e["percent"]) for e in done.events if e["event"] == "runs.progress"]
    assert [("large", 33), ("large", 67), ("large", 100)] == found
    quiet = project.run("run", f"runs={RUNS[0]}", "progress-every=0", "events=-", **settings)
    assert [] == [event for event in quiet.events if event["event"] == "runs.progress"]


def test_a_run_whose_folder_is_gone_is_named_once_and_can_be_forgotten(project: Project) -> None:
    """`run` says once what it cannot find, and does the rest; `runs forget` ends the waiting, and deletes with yes."""
    assert 0 == project.run("run", f"runs={RUNS[0]}").code
    assert 0 == project.run("runs", "backfill").code
    assert 0 == project.run("runs", "reset", "scope=processed", f"runs={RUNS[0]}").code
    for rid in RUNS[:2]:
        shutil.rmtree(project.run_folder(rid))
    done = project.run("run", "limit=3")
    assert 0 == done.code, done.err
    assert 1 == done.err.count("Not found in ")
    assert f"runs: 2 runs ({RUNS[0]}, {RUNS[1]})" in done.err
    assert {"embedded"} == {_states(project)[rid] for rid in RUNS[2:5]}
    assert 0 == project.run("run").code
    left = project.run("run")
    assert (0, True) == (left.code, "nothing is waiting" not in left.err)
    assert 0 == project.run("runs", "forget", RUNS[1]).code, "it has a row and nothing else"
    refused = project.run("runs", "forget", RUNS[0])
    assert (2, True) == (refused.code, "embeddings: 2, chunks: 2, documents: 2" in refused.err)
    assert 0 == project.run("runs", "forget", RUNS[0], "dry-run").code
    assert RUNS[0] in project.vectors()
    assert 0 == project.run("runs", "forget", RUNS[0], "yes").code
    assert (RUNS[0] in project.vectors(), RUNS[0] in _states(project)) == (False, False)
    assert "nothing is waiting" in project.run("run").err
    assert 4 == project.run("runs", "forget", RUNS[0], "yes").code
    assert "is still there" in project.run("runs", "forget", RUNS[2], "yes").err


def test_what_dead_processes_left_is_cleaned_at_the_start(project: Project) -> None:
    """The next dispatch deletes the items and worker settings of processes that are gone, and no others."""
    assert 0 == project.run("run", "limit=1").code
    logs = project.var / "logs"
    host = Path("/proc/sys/kernel/hostname").read_text().strip()
    gone = [logs / "embed_env.1073741824.json", logs / "dispatch" / f".items-{host}-1073741824.ndjson"]
    kept = [logs / "embed_env.1.json", logs / "dispatch" / f".items-{host}-1.ndjson"]
    kept.append(logs / "dispatch" / ".items-elsewhere-1073741824.ndjson")
    for file in (*gone, *kept):
        file.write_text("{}\n")
    workers = {*logs.glob("embed_env.*.json")} - {*gone, *kept}
    assert 0 == project.run("run", "limit=1").code
    assert ([False, False], [True] * 3) == ([file.exists() for file in gone], [file.exists() for file in kept])
    assert not any(file.exists() for file in workers)
    gone[1].write_text("{}\n")
    pruned = project.run("logs", "prune", "yes")
    assert (0, False) == (pruned.code, gone[1].exists()), pruned.err
