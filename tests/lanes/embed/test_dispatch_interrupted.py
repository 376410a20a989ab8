"""Interrupted is a state: whatever kills a dispatch, `resume=latest` finishes its plan (rule 10 of the house)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import DOCUMENTS, STOCK, Project, wait_for
from trailblazer.database import server
from trailblazer.database.account import choose_account
from trailblazer.processes.identity import start_ticks

pytestmark = pytest.mark.proof


@pytest.fixture
def slow(service: EmbeddingServer) -> Iterator[EmbeddingServer]:
    """A service that takes its time for an answer until it is released."""
    service.behaviour, service.delay = "slow", 0.15
    yield service
    service.released.set()


def _finish(project: Project, service: EmbeddingServer) -> None:
    """Resume, and hold what is there then against what must be.

    A run is unchanged for the second try when the database went away behind its completion, before it answered.
    """
    service.released.set()
    done = project.run("dispatch", "--resume", "latest")
    assert 0 == done.code, done.err
    assert sorted(STOCK) == sorted(project.statuses)
    assert {"success", "unchanged"} >= set(project.statuses.values())
    assert {rid: project.chunks(rid) for rid in STOCK} == project.vectors()
    assert [(len(STOCK) * DOCUMENTS,) * 2] == project.query(
        "SELECT count(*), count(DISTINCT (run_id, chunk_id)) FROM chunk_embeddings"
    )
    assert [(rid, "embedded", None) for rid in STOCK] == project.query(
        "SELECT run_id, status, claimed_by FROM processed_runs ORDER BY 1"
    )
    proved = project.run("verify", "latest")
    assert 0 == proved.code, proved.out
    assert "finished" == project.manifest["status"]


def _half_way(project: Project, settled: int = 1) -> bool:
    """Say whether so many runs are settled and a worker is at work on another."""
    kinds = [line["kind"] for line in project.journal]
    return settled <= kinds.count("settle") < kinds.count("start")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_dispatch_in_order_and_it_can_be_resumed(
    project: Project, slow: EmbeddingServer, number: signal.Signals, code: int
) -> None:
    """Ctrl-C, TERM and HUP start no more runs, end the workers, give claims back, and the record says interrupted."""
    project.write_plan(*STOCK)
    with project.running("dispatch", "plan=list.txt", "notes=first") as process:
        wait_for(lambda: _half_way(project), "a run is settled and another one runs")
        workers = project.workers()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert (code, []) == (process.returncode, [pid for pid in workers if start_ticks(pid)]), said
    assert "Traceback" not in said
    assert f"--resume {project.dispatch.name}" in said
    manifest = project.manifest
    assert ("interrupted", code, "first") == (manifest["status"], manifest["exitCode"], manifest["notes"])
    assert [] == project.query("SELECT run_id FROM processed_runs WHERE claimed_by IS NOT NULL")
    assert 0 == project.run("verify", "latest").code
    _finish(project, slow)


def test_a_killed_dispatcher_leaves_nothing_behind_that_stops_the_next(project: Project, slow: EmbeddingServer) -> None:
    """After kill -9 of the dispatcher its claims are taken over at once and the plan is finished."""
    project.write_plan(*STOCK)
    with project.running("dispatch", "plan=list.txt") as process:
        wait_for(lambda: _half_way(project), "a run is settled and another one runs")
        process.kill()
        process.wait()
    assert "running" == project.manifest["status"]
    _finish(project, slow)


def test_a_killed_worker_costs_an_attempt_and_no_run(project: Project, slow: EmbeddingServer) -> None:
    """A worker that is killed is started again and its run tried again in the same dispatch."""
    project.write_plan(*STOCK)
    with project.running("dispatch", "plan=list.txt") as process:
        wait_for(project.workers, "a worker runs")
        os.kill(project.workers()[0], signal.SIGKILL)
        wait_for(lambda: any(line["kind"] == "retry" for line in project.journal), "the run is tried again")
        slow.released.set()
        _, said = process.communicate(timeout=60)
    assert 0 == process.returncode, said
    assert any("signal 9" in line["reason"] for line in project.journal if line["kind"] == "retry")
    _finish(project, slow)


def test_a_worker_that_is_killed_each_time_is_an_error_that_resume_mends(
    project: Project, slow: EmbeddingServer
) -> None:
    """Without retries the run of a killed worker is an error, the others are done, and resume does the one."""
    project.write_plan(*STOCK)
    with project.running("dispatch", "plan=list.txt", "retries=0") as process:
        wait_for(project.workers, "a worker runs")
        os.kill(project.workers()[0], signal.SIGKILL)
        slow.released.set()
        _, said = process.communicate(timeout=60)
    assert (6, ["error", *["success"] * 3]) == (process.returncode, sorted(project.statuses.values())), said
    _finish(project, slow)


def test_an_immediate_restart_of_postgres_loses_no_run(project: Project, slow: EmbeddingServer, base: Path) -> None:
    """Postgres is stopped as in a crash and started again in mid-run; the plan is finished, at the latest by resume."""
    project.write_plan(*STOCK)
    account = choose_account(base, server.find_binaries())
    stop = account.command("pg_ctl", "stop", "-D", str(base / "data"), "-m", "immediate", "-w")
    with project.running("dispatch", "plan=list.txt") as process:
        wait_for(lambda: _half_way(project), "a run is settled and another one runs")
        subprocess.run(stop, check=True, capture_output=True, **account.options)
        server.start(base)
        slow.released.set()
        _, said = process.communicate(timeout=60)
    assert process.returncode in {0, 6}, said
    assert "Traceback" not in said
    _finish(project, slow)


def _has_got_further(project: Project, process: subprocess.Popen[str], before: int) -> bool:
    return process.poll() is not None or len(project.journal) > before + 1


def test_killed_after_each_journal_line_a_dispatch_still_comes_to_its_end(
    project: Project, service: EmbeddingServer
) -> None:
    """A dispatcher that is killed a line later each time, and resumed each time, ends with every vector once."""
    project.write_plan(*STOCK)
    words, kills = ["dispatch", "plan=list.txt"], 0
    for _ in range(6):
        before = len(project.journal)
        with project.running(*words) as process:
            wait_for(partial(_has_got_further, project, process, before), "it gets further")
            if process.poll() is not None:
                break
            process.kill()
            process.wait()
        kills += 1
        words = ["dispatch", "--resume", "latest"]
    assert kills
    assert 1 == len(project.dispatches)
    _finish(project, service)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace, which kills at a system call, is not installed")
@pytest.mark.parametrize("call", ["write", "fsync,fdatasync", "rename,renameat,renameat2"])
def test_killed_at_a_system_call_a_dispatch_can_be_resumed(
    project: Project, service: EmbeddingServer, call: str
) -> None:
    """A dispatcher that dies in any thread's n-th write, fsync or rename leaves what resume finishes, n after n."""
    project.write_plan(*STOCK)
    code, number, words = 1, 0, ["plan=list.txt"]
    while code != 0:
        number += 1 if number < 8 else 5
        trace = ["strace", "-f", "-b", "execve", "-o", "/dev/null", "-e", f"trace={call}"]
        trace += ["-e", f"inject={call}:signal=KILL:when={number}"]
        with project.running("dispatch", *words, before=tuple(trace)) as process:
            _, said = process.communicate(timeout=60)
        code = process.returncode
        assert code in {0, 4, -signal.SIGKILL}, (number, said)
        assert code != 4 or "start it anew" in said or "there is no dispatch" in said, (number, said)
        is_open = code != 4 and project.dispatches and project.manifest["inputs"]
        words = ["--resume", "latest"] if is_open else ["plan=list.txt"]
    assert number > 3
    _finish(project, service)
