"""A dispatch seen from outside: by the monitor, by --status, and by another dispatch over the same runs (E11)."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from typing import Any

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import STOCK, TRAILBLAZER, Project, wait_for

pytestmark = pytest.mark.proof

LINE = re.compile(
    r"\d{8}T\d{6}Z(-\d+)? (running|finished|lost|interrupted|failed) \| \d+/4 \(\d+%\) \| running \d+ \| done \d+ \| "
    r"skipped \d+ \| failed \d+ \| chunks \d+/24 \| rate [\d.e+]+/min \| ETA \S.* \| oldest \S.*"
)


def _status(project: Project) -> dict[str, Any]:
    done = project.run("dispatch", "--status", "latest")
    assert 0 == done.code, done.err
    status: dict[str, Any] = json.loads(done.out)
    return status


def _counts(status: dict[str, Any]) -> tuple[int, ...]:
    return tuple(status[name] for name in ("planned", "running", "done", "skipped", "failed", "waiting"))


def test_a_dispatch_is_told_while_it_runs_and_when_it_is_done(project: Project, service: EmbeddingServer) -> None:
    """The monitor's lines and --status agree: two running and two waiting, then three done and one skipped."""
    (project.run_folder("delta") / "chunk" / "chunks.ndjson").unlink()
    project.write_plan(*STOCK)
    service.behaviour, service.delay, service.well = "slow", 60, 1
    with project.running("dispatch", "plan=list.txt") as process:
        wait_for(lambda: len(service.requests) >= 3, "two runs are being embedded")
        status = _status(project)
        assert ("running", (4, 2, 0, 0, 0, 2)) == (status["status"], _counts(status))
        assert (None, None, 1) == (status["etaSeconds"], status["exitCode"], status["oldestRunning"]["attempt"])
        assert status["oldestRunning"]["item"] in {"alpha", "bravo"}
        once = project.run("monitor", "--once")
        assert (0, "") == (once.code, once.err)
        assert LINE.fullmatch(once.out.strip()), once.out
        with project.running("monitor", "--interval", "0.05") as monitor:
            assert monitor.stdout is not None
            assert "running" in monitor.stdout.readline()
            service.released.set()
            process.communicate(timeout=60)
            lines = monitor.stdout.read().splitlines()
            assert 0 == monitor.wait(timeout=60)
    assert all(LINE.fullmatch(line) for line in lines), lines
    assert " finished | 4/4 (100%) | running 0 | done 3 | skipped 1 | failed 0 |" in lines[-1]
    status = _status(project)
    assert ("finished", 0, (4, 0, 3, 1, 0, 0)) == (status["status"], status["exitCode"], _counts(status))
    assert status["oldestRunning"] is None
    assert status == json.loads(project.run("monitor", "json").out)
    assert status["ratePerMinute"] > 0


def test_a_killed_dispatch_is_lost(project: Project, service: EmbeddingServer) -> None:
    """After kill -9 --status and the monitor say lost, and the monitor ends."""
    project.write_plan(*STOCK)
    service.behaviour, service.delay, service.well = "slow", 60, 1
    with project.running("dispatch", "plan=list.txt") as process:
        wait_for(lambda: len(service.requests) >= 3, "two runs are being embedded")
        process.kill()
        process.wait()
    assert "lost" == _status(project)["status"]
    done = project.run("monitor")
    assert (0, 1) == (done.code, len(done.out.splitlines()))
    assert " lost | " in done.out


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux, which makes a terminal to look at, is not installed")
def test_the_monitor_draws_a_live_screen_on_a_terminal(project: Project, service: EmbeddingServer) -> None:
    """In a pane of tmux the monitor shows what runs, and at last the end."""
    project.write_plan(*STOCK)
    service.behaviour, service.delay, service.well = "slow", 60, 1
    tmux = ["tmux", "-S", str(project.folder.parent / "tmux")]
    environment = project.settings(TERM="xterm-256color") | {"LC_ALL": "C.UTF-8"}
    environment.pop("NO_COLOR", None)

    def screen() -> str:
        pane = subprocess.run([*tmux, "capture-pane", "-p"], check=False, capture_output=True, text=True)
        return pane.stdout

    with project.running("dispatch", "plan=list.txt") as process:
        wait_for(lambda: len(service.requests) >= 3, "two runs are being embedded")
        command = shlex.join([*TRAILBLAZER, "monitor", "--interval", "0.1"]) + "; cat"
        try:
            subprocess.run(
                [*tmux, "-u", "-f", os.devnull, "new-session", "-d", "-x", "160", "-y", "20", command],
                cwd=project.folder,
                env=environment,
                check=True,
            )
            wait_for(lambda: re.search(r"alpha +task_0 +1 +\d+s", screen()), "the table of what runs is drawn", 20)
            drawn = screen()
            assert re.search(r"running +log +attempt +for", drawn), drawn
            assert re.search(r"bravo +task_1 +1 +\d+s", drawn), drawn
            assert "done 0 · failed 0 · skipped 0 · running 2 · waiting 2" in drawn
            service.released.set()
            process.communicate(timeout=60)
            wait_for(lambda: "finished" in screen() and "100%" in screen(), "the end is drawn")
        finally:
            subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


def test_two_dispatches_over_one_plan_embed_every_run_once(project: Project, service: EmbeddingServer) -> None:
    """Of two dispatches at once each run is embedded by one and skipped by the other with the holder's name."""
    project.write_plan(*STOCK)
    service.behaviour, service.delay, service.well = "slow", 60, 1
    with project.running("dispatch", "plan=list.txt", "workers=4", "skip-unchanged") as first:
        wait_for(lambda: len(service.requests) >= 5, "four runs are being embedded")
        service.behaviour = "ok"
        second = project.run("dispatch", "plan=list.txt", "skip-unchanged")
        service.released.set()
        first.communicate(timeout=60)
    assert (0, 0) == (first.returncode, second.code), second.err
    assert "Skipped (held): 4" in second.err
    held = [
        reason for reason in project.reasons.values() if f"held by {os.uname().nodename}/{first.pid} since " in reason
    ]
    assert 4 == len(held)
    texts = Counter(text for body in service.requests for text in body["input"] if text != "probe")
    assert {1} == set(texts.values())
    assert {rid: project.chunks(rid) for rid in STOCK} == project.vectors()
    assert 2 == len(project.dispatches)
    assert [0, 0] == [project.run("verify", folder.name).code for folder in project.dispatches]


def test_a_dispatch_that_is_carried_out_cannot_be_resumed_beside_it(project: Project, service: EmbeddingServer) -> None:
    """Resuming a dispatch that runs is refused with exit 7 and changes nothing."""
    project.write_plan("alpha")
    service.behaviour, service.delay, service.well = "slow", 60, 1
    with project.running("dispatch", "plan=list.txt") as first:
        wait_for(lambda: len(service.requests) >= 2, "a run is being embedded")
        service.behaviour = "ok"
        second = project.run("dispatch", "resume=latest")
        service.released.set()
        first.communicate(timeout=60)
    assert (0, 7) == (first.returncode, second.code), second.err
    assert "monitor" in second.err
