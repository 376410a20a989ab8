"""When a dispatch of runs stops early, and when bad runs do not stop it (E7, P4)."""

from __future__ import annotations

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import STOCK, Project


def test_bad_runs_at_the_head_of_a_plan_keep_no_good_one_from_running(project: Project) -> None:
    """E7: 20 runs whose preflight cannot be made are skipped, never errors; fail_fast does not count them."""
    bad = [f"Bad-{number:02}" for number in range(20)]
    for rid in bad[:4]:
        (project.run_folder(rid) / "normalize").mkdir(parents=True)
        (project.run_folder(rid) / "normalize" / "normalized.ndjson").write_text('{"id": "a", "text_md": "half\n')
    project.write_plan(*bad, "alpha", "bravo")
    done = project.run("dispatch", "plan=list.txt", "fail-fast=1", "workers=1")
    assert 0 == done.code, done.err
    assert {**dict.fromkeys(bad, "skipped"), "alpha": "success", "bravo": "success"} == project.statuses
    assert "Queued: 2, Skipped (preflight): 20, Skipped (unchanged): 0, Errors: 0/22" in done.err


@pytest.mark.parametrize("behaviour", ["500", "drop"])
def test_a_provider_that_dies_in_mid_dispatch_is_probed_and_stops_it(
    project: Project, service: EmbeddingServer, behaviour: str
) -> None:
    """After so many failures alike the provider is probed once; when it does not answer, exit 8, and resume does it."""
    project.write_plan(*STOCK)
    service.behaviour, service.well = behaviour, 4  # the probe at the start, and the three batches of alpha
    settings = {"embed_max_retries": "0", "dispatch_probe_after": "2"}
    done = project.run("dispatch", "plan=list.txt", "workers=1", "retries=0", **settings)
    assert 8 == done.code, done.err
    assert "Exit 8: stopped: 2 items in a row failed, and a probe failed: " in done.err
    assert ["success", "error", "error", "cancelled"] == [project.statuses[rid] for rid in STOCK]
    assert "probe" in str(service.requests[-1]["input"])
    service.behaviour = "ok"
    assert 0 == project.run("dispatch", "resume=latest").code
    assert sorted(STOCK) == sorted(project.vectors())


@pytest.mark.parametrize("words", [("dispatch", "plan=list.txt", "halt=now,fail=1"), ("run", "halt=soon,same=1")])
def test_a_rule_to_halt_by_holds_for_runs_too(
    project: Project, service: EmbeddingServer, words: tuple[str, ...]
) -> None:
    """P4: --halt in `dispatch` and `run` stops after the first failure, though one run before it was good."""
    project.write_plan(*STOCK)
    service.behaviour, service.well = "500", 4
    done = project.run(*words, "workers=1", "retries=0", embed_max_retries="0")
    assert 8 == done.code, done.err
    assert ["success", "error", "cancelled", "cancelled"] == [project.statuses[rid] for rid in STOCK]
    assert words[-1].removeprefix("halt=") == project.manifest["parameters"]["halt"]
    refused = project.run(*words[:-1], "halt=never")
    assert (2, True) == (refused.code, "'never' is not a rule to halt by" in refused.err)
