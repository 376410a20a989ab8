"""`batch run` with an idle limit, a grace and evidence: what an item comes to, and why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lanes.items.batches import Batches

RESULT = '{"type":"result","is_error":false,"result":"READY","session_id":"s-1"}'


def _result(batches: Batches, *words: str, **settings: str) -> dict[str, object]:
    done = batches.run("batch", "run", "--items", '["x"]', "--preflight", "go", *words, **settings)
    assert done.code in {0, 6}, done.err
    return batches.result()


def test_a_silent_command_is_ended(batches: Batches) -> None:
    """--idle ends what prints nothing; the item is a time-out whose code and cause stand in result.json."""
    result = _result(batches, "--idle", "0.3", "--shell", "--", "sleep 600 # {{ item }}")
    assert ("timeout", "silent for 0.3 s") == (result["status"], result["reason"])
    assert ("timeout", "idle") == (result["code"], result["cause"])
    assert "timeout" == batches.outcomes[0]


def test_an_agent_that_stays_is_ended_and_its_result_counts(batches: Batches, tmp_path: Path) -> None:
    """The grace of the configuration begins with the result."""
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n[ \"$1\" = -p ] || exit 0\necho '{RESULT}'\nsleep 600\n")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    words = ["--provider", "claude", "--prompt", "Do {{ item }}"]
    result = _result(batches, *words, PATH=path, TRAILBLAZER_PROVIDERS_GRACE_SECONDS="0.3")
    assert ("success", "s-1") == (result["status"], result["session"])


@pytest.mark.parametrize(
    ("expect", "script", "cause"),
    [
        ("answer", "true", "no_change"),
        ("answer", "echo done", None),
        ("file", "echo done", "no_change"),
        ("file", "echo done > {{ output_file }}", None),
        ("json", "echo done", "output"),
        ("json", "echo {}", None),
    ],
)
def test_success_needs_its_evidence(batches: Batches, expect: str, script: str, cause: str | None) -> None:
    """Exit 0 without what was expected is an error with a cause."""
    result = _result(batches, "--expect", expect, "--shell", "--", f"{script} # {{{{ item }}}}")
    assert (cause is None) is (result["status"] == "success")
    assert cause == result.get("cause")


def test_a_command_that_is_not_there_has_a_cause(batches: Batches) -> None:
    """What cannot be started says why, as every failure does."""
    result = _result(batches, "--", "no-such-command")
    assert ("provider_unavailable", "not_installed") == (result["code"], result["cause"])


def test_changes_need_a_checkout(batches: Batches) -> None:
    """--expect changes is refused where nothing could be seen."""
    done = batches.run(
        "batch", "run", "--items", '["x"]', "--expect", "changes", "--", "true", GIT_CEILING_DIRECTORIES="/"
    )
    assert 2 == done.code
    assert "--expect changes needs a git checkout" in done.err


def test_an_idle_limit_needs_logs(batches: Batches) -> None:
    """What keeps no logs cannot be seen to be silent."""
    done = batches.run("batch", "run", "--items", '["x"]', "--idle", "1m", "--no-worker-logs", "--", "true")
    assert 2 == done.code
    assert "--idle needs the logs" in done.err
