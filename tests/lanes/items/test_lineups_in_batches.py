"""Chains of providers in whole batches: the words, the screen, the events, a kill. The agents are stand-ins."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from lanes.embed.project import wait_for
from lanes.items.batches import Batches
from lanes.items.standins import OK, calls, configure, refuses, says
from trailblazer import schemas

QUOTA = {"kind": "quota", "text": "spent", "resets_in": 900, "cost": 0.05}


def _words(items: str = '["a", "b", "c", "d"]', provider: str = "alpha,beta") -> list[str]:
    words = ["--items", items, "--prompt", "{{ item }}", "--provider", provider, "--max-workers", "1", "--yes"]
    return ["batch", "run", *words]


def _chain(folder: Path) -> None:
    """Write stand-ins `alpha`, whose quota ends after an item, and `beta`."""
    configure(folder, {"alpha": says(folder, "alpha", OK, QUOTA), "beta": says(folder, "beta", OK)})


def test_a_chain_is_a_word(batches: Batches) -> None:
    """`--provider alpha,beta`: the fallback is on the screen, in the events, in the results and in the summary."""
    _chain(batches.folder)
    batch, run, *rest = _words()
    done = batches.run(batch, run, "--events", "-", *rest)
    assert 0 == done.code, done.err
    assert "alpha is closed until" in done.err
    assert "beta takes over: fallback (alpha unavailable: spent)" in done.err
    assert "beta: 3 attempts, 3 good, 0 failed, 3 as fallback" in done.err
    switches = [event for event in done.events if event["event"] == "providers.switch"]
    for event in switches:
        schemas.check("event", event, "stdout")
    assert [("alpha", "closed"), ("beta", "fallback")] == [(event["provider"], event["to"]) for event in switches]
    assert "alpha unavailable: spent" == batches.result(1, 2)["fallback"]
    assert ["alpha", "beta", "beta", "beta"] == [item["provider"] for item in batches.summary["items"]]
    assert "alpha,beta" == batches.manifest["provider"]
    assert 0 == batches.run("verify", "latest").code


def test_chain_is_the_configured_one(batches: Batches) -> None:
    """`--provider chain` takes providers.chain; an unknown name is refused."""
    _chain(batches.folder)
    refuses(batches.folder, "alpha", "no_credit")
    done = batches.run(*_words(provider="chain"))
    assert 0 == done.code, done.err
    assert "[preflight/alpha] it says no_credit" in done.err
    assert 4 == len(calls(batches.folder, "beta"))
    assert 2 == batches.run(*_words(provider="alpha,gamma")).code


def test_a_quota_is_waited_for_and_the_wait_is_shown(batches: Batches) -> None:
    """`--wait-for-quota` says for whom and until when; Ctrl-C ends the wait, and nothing is lost."""
    _chain(batches.folder)
    with batches.running(*_words(), "--wait-for-quota") as process:
        wait_for(
            lambda: any(line["kind"] == "switch" and line["to"] == "waiting" for line in batches.journal), "a wait"
        )
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert 130 == process.returncode, err
    assert 1 == err.count("waiting for alpha until")
    assert ["success", "cancelled", "cancelled", "cancelled"] == batches.outcomes
    assert [] == calls(batches.folder, "beta")


def test_a_kill_loses_nothing(batches: Batches) -> None:
    """After kill -9 while the second provider works a resume runs only what has no good result, and adds the costs."""
    _chain(batches.folder)
    says(batches.folder, "beta", OK, {**OK, "hang": 120})
    with batches.running(*_words()) as process:
        wait_for(lambda: len(calls(batches.folder, "beta")) == 2, "beta works on c")
        wait_for(lambda: sum(line["kind"] == "begun" for line in batches.journal) == 4, "its handle is kept")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    says(batches.folder, "alpha", OK)
    done = batches.run("batch", "run", "--resume", "latest", "--yes")
    assert 0 == done.code, done.err
    assert ["success"] * 4 == batches.outcomes
    assert ["a", "b", "c", "d"] == calls(batches.folder, "alpha")
    rows = {row["name"]: row["costUSD"] for row in batches.summary["providers"]}
    assert {"alpha": 0.25 + 0.05 + 2 * 0.25, "beta": 0.25} == rows


def test_one_preflight_a_dispatch(batches: Batches) -> None:
    """Four items, one preflight of the provider that works, and none of the one behind it (N3)."""
    configure(batches.folder, {"alpha": says(batches.folder, "alpha", OK), "beta": says(batches.folder, "beta", OK)})
    assert 0 == batches.run(*_words()).code
    assert ["asked"] == (batches.folder / "alpha.says.checks").read_text().splitlines()
    assert not (batches.folder / "beta.says.checks").exists()
