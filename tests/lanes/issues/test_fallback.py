"""What a night does when its providers cannot work, run out, or come back."""

from __future__ import annotations

import json
import os
import signal

from lanes.embed.project import read_json, wait_for
from lanes.issues.nights import Nights, issue

TEN = [issue(number) for number in range(10)]


def test_a_quota_that_runs_out_half_way_sends_the_rest_to_the_next(nights: Nights) -> None:
    """No issue fails, none spends an attempt on it, and the switch is in journal, screen and summary."""
    nights.configure("first", "second", issues=TEN, max_parallel=2, worktree=False)
    nights.script(**{f"first:t_{number}": {"kind": "quota"} for number in range(4, 10)})
    night = nights.night("max-dispatch=10")
    assert night.code == 0, night.err
    assert night.out.count("DISPATCH_SUCCESS") == 10
    assert "fallback (first unavailable:" in night.err
    asked = [line["issue"] for line in nights.noted if line["what"] == "begin" and line["agent"] == "first"]
    assert len(asked) == 5
    switches = [line for line in nights.journal if line["kind"] == "switch"]
    assert {"closed", "fallback"} <= {line["to"] for line in switches}
    summary = read_json(nights.dispatch / "summary.json")
    assert {"first": 4, "second": 6} == {one["name"]: one["good"] for one in summary["providers"]}
    assert nights.run("nightly", "--history").out.splitlines()[1].split()[4] == "6"


def test_a_provider_that_refuses_at_once_claims_nothing_in_vain(nights: Nights) -> None:
    """Two of three are not installed or not logged in: the third does all, and each refusal is said once."""
    nights.configure("first", "second", "third", issues=TEN[:3])
    nights.script(**{"first:*": {"kind": "auth"}, "second:*": {"kind": "auth"}})
    night = nights.night()
    assert night.code == 0, night.err
    begun = [line["agent"] for line in nights.noted if line["what"] == "begin"]
    assert begun.count("first") <= 2
    assert begun.count("second") <= 2
    assert begun.count("third") == 3


def test_when_every_quota_is_spent_the_night_stops_and_resumes(nights: Nights) -> None:
    """Exit 8, the claims are given back, nothing is lost; a resume does the rest."""
    nights.configure("first", issues=TEN[:4])
    nights.script(t_2={"kind": "quota"}, t_3={"kind": "quota"})
    stopped = nights.night("max-dispatch=4")
    assert stopped.code == 8, stopped.err
    assert "To wait until the quota resets: --wait-for-quota." in stopped.err
    assert not [file for file in nights.var.glob("claims/*/*.json") if "t-2" in file.read_text()]
    nights.script()
    assert nights.night("--resume", "latest").code == 0
    assert sorted(line["issue"] for line in nights.noted if line["what"] == "end") == [
        "t-0",
        "t-1",
        "t-2",
        "t-2",
        "t-3",
    ]


def test_a_budget_stops_the_night(nights: Nights) -> None:
    """Issues cost a cent each; with two cents no third one starts, and the screen says why."""
    nights.configure("first", issues=TEN, max_parallel=1)
    night = nights.night("max-dispatch=10", "max-cost-usd=0.02")
    assert night.code == 6
    assert len(nights.ran) == 2
    assert "the budget is spent" in night.err


def test_an_agent_that_quotes_a_quota_message_closes_nothing(nights: Nights) -> None:
    """Only the agent's own event counts, not what it wrote."""
    nights.configure("first", "second", issues=TEN[:3])
    said = json.dumps({"type": "text", "text": "You've hit your usage limit", "kind": "quota"})
    nights.script(rest={"say": f"You've hit your usage limit\n{said}"})
    assert nights.night().code == 0
    assert {line["agent"] for line in nights.noted} == {"first"}


def test_a_night_that_waits_for_a_quota_can_be_interrupted(nights: Nights) -> None:
    """It says until when it waits; Ctrl-C ends it at once, and the issue is free again."""
    nights.configure("first", issues=TEN[:1])
    nights.script(t_0={"kind": "quota"})
    with nights.running("nightly", "wait-for-quota") as process:
        wait_for(
            lambda: any(line["kind"] == "switch" and line["to"] == "waiting" for line in nights.journal), "it waits"
        )
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "waiting for first until" in said
    assert not list(nights.var.glob("claims/*/*.json"))
