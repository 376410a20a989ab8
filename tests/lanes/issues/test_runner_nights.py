"""Nights whose issues dx-runner works on, with a stand-in for it whose agent is a shell."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lanes.embed.project import Finished, read_json, wait_for
from lanes.issues.nights import Nights, issue

STAND_INS = Path(__file__).resolve().parents[2] / "stand_ins"
Run = Callable[..., Finished]


@pytest.fixture
def run(nights: Nights) -> Run:
    """Return what runs a night over one issue at dx-runner; `how` says how the stand-in behaves."""
    folder = nights.folder
    nights.configure(issues=[issue(1)], expect="none", retries=0)
    configuration = folder / "config" / ".trailblazer.yaml"
    settings = yaml.safe_load(configuration.read_text())
    del settings["providers"]
    configuration.write_text(yaml.safe_dump(settings))

    def run_night(*words: str, work: str = "true", how: dict[str, Any] | None = None) -> Finished:
        (folder / "prompts" / "100_fix_issue.md").write_text(f"echo {{{{ id }}}} >> '{folder}/worked'; {work}\n")
        return nights.night(
            *words,
            PATH=f"{STAND_INS}:{os.environ['PATH']}",
            DX_RUNNER_HOME=str(folder / "dx"),
            DX_STAND_IN=json.dumps(how or {}),
        )

    return run_night


def test_dx_runner_is_the_default_where_it_is_installed(nights: Nights, run: Run) -> None:
    """Its first provider does the work, the outcome comes from its report, and no prompt is left elsewhere."""
    night = run()
    assert night.code == 0, night.err
    assert night.out.startswith("DISPATCH_SUCCESS beads=t-1 provider=dx-runner:opencode duration_ms=")
    assert (nights.folder / "worked").read_text() == "t-1\n"
    assert "[preflight/dx-runner:opencode] available" in night.err


def test_a_provider_of_the_runner_that_is_down_is_passed_over(run: Run) -> None:
    """Its preflight says why; the fallback is said and the next provider works."""
    how = {"providers": {"opencode": {"refuse": 1, "complains": "ERROR: canonical model missing"}}}
    night = run(how=how)
    assert night.code == 0, night.err
    assert "provider=dx-runner:cc-glm" in night.out
    assert "[preflight/dx-runner:opencode] " in night.err
    assert "fallback (dx-runner:opencode unavailable: " in night.err


def test_a_job_that_fails_says_why(nights: Nights, run: Run) -> None:
    """The code and the cause are those of the runner's report."""
    night = run(work="exit 3")
    assert night.code == 6
    assert "DISPATCH_FAILURE beads=t-1 provider=dx-runner:opencode code=runner_error" in night.out
    assert not list(nights.var.glob("claims/*/*.json"))


def test_no_wait_leaves_the_job_running_and_collect_settles_it(nights: Nights, run: Run) -> None:
    """The night ends while the job runs, and the claim stays; a later collect settles it, and takes no issue."""
    gate = nights.folder / "gate"
    left = run("no-wait", work=f"while [ ! -e '{gate}' ]; do sleep 0.05; echo it works; done")
    assert left.code == 0, left.err
    assert list(nights.var.glob("claims/*/*.json"))
    dispatch = nights.dispatch
    assert nights.run("verify", dispatch.name).code == 0
    still = run("--collect")
    assert still.code == 0
    assert [line["kind"] for line in nights.journal].count("left") == 2
    assert "t-1" not in still.out
    assert "Left running: 1 issue. To settle what has ended: trailblazer nightly --collect" in still.err
    gate.touch()
    wait_for(lambda: json.loads((nights.folder / "dx" / "t-1.json").read_text())["state"] == "exited_ok", "it ends")
    settled = run("--collect")
    assert settled.code == 0, settled.err
    assert "DISPATCH_SUCCESS beads=t-1" in settled.out
    assert nights.dispatch == dispatch
    assert read_json(dispatch / "dispatch_manifest.json")["counts"]["success"] == 1
    assert nights.run("verify", dispatch.name).code == 0
    assert (nights.folder / "worked").read_text() == "t-1\n"


def test_the_next_night_settles_what_was_left(nights: Nights, run: Run) -> None:
    """It settles the job of the night before, and does not take its issue again."""
    assert run("no-wait").code == 0
    wait_for(lambda: json.loads((nights.folder / "dx" / "t-1.json").read_text())["state"] == "exited_ok", "it ends")
    night = run()
    assert night.code == 0, night.err
    assert night.out.count("DISPATCH_SUCCESS beads=t-1") == 1
    assert (nights.folder / "worked").read_text() == "t-1\n"


def test_what_was_left_is_settled_by_its_own_provider(nights: Nights, run: Run) -> None:
    """The chain is another one since: the job still runs, its claim stays, and it is settled when it has ended."""
    gate = nights.folder / "gate"
    assert run("no-wait", work=f"while [ ! -e '{gate}' ]; do sleep 0.05; done").code == 0
    nights.configure("stub", issues=[issue(1)], expect="none")
    still = run("--collect", work="true")
    assert "gave back" not in still.err
    assert list(nights.var.glob("claims/*/*.json"))
    gate.touch()
    wait_for(lambda: json.loads((nights.folder / "dx" / "t-1.json").read_text())["state"] == "exited_ok", "it ends")
    assert "DISPATCH_SUCCESS beads=t-1 provider=dx-runner:opencode" in run("--collect", work="true").out
