"""Each failure has one of six codes and a finer cause (N6): real recordings, the codes of dx-runner, and the line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from trailblazer.config import load_config
from trailblazer.paths import CONFIG_NAME
from trailblazer.providers.agents import Agent, Kind, load_agents
from trailblazer.providers.command import Command
from trailblazer.providers.failure_codes import (
    KINDS,
    Cause,
    Code,
    Failure,
    failure_of,
    failure_of_runner,
    outcome_line,
)
from trailblazer.providers.order import Expectation, Finished
from trailblazer.record.outcomes import Outcome, Refusal, Status

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
RECORDINGS = FIXTURES / "agent_recordings"
EXPECTED = yaml.safe_load((RECORDINGS / "expected.yaml").read_text())
CASES = [(agent, str(name), entry["kind"]) for agent, names in EXPECTED.items() for name, entry in names.items()]
# Written by hand: what a kind means to a person who filters on the six codes.
MEANING = {
    "quota": "provider_unavailable quota",
    "billing": "provider_unavailable no_credit",
    "auth": "provider_unavailable not_logged_in",
    "model": "provider_unavailable model_missing",
    "rate": "provider_unavailable rate_limited",
    "transient": "provider_unavailable unreachable",
    "refused": "runner_error permission_denied",
    "capped": "runner_error capped",
    "stopped": "runner_error stopped",
    "failed": "runner_error failed",
}
PROVIDERS_OWN = {"quota", "billing", "auth", "model", "rate", "transient"}


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Agent]:
    """The shipped agents, and those of a configuration that adds its own."""
    file = tmp_path_factory.mktemp("project") / CONFIG_NAME
    file.parent.mkdir()
    file.write_text((FIXTURES / "more_agents.yaml").read_text())
    return load_agents(load_config(start=file.parents[1]))


def judged(agent: Agent, name: str, folder: Path, why: str) -> Outcome:
    """Return what an attempt comes to that printed a recording; `why` says whether we ended it."""
    stem = RECORDINGS / agent.name.split("-")[0] / name
    sizes = []
    for stream in ("stdout", "stderr"):
        printed = Path(f"{stem}.{stream}").read_bytes()
        (folder / f"worker.{stream}").write_bytes(printed)
        sizes.append(len(printed))
    exit_code = json.loads(Path(f"{stem}.exit").read_text())["exit"]
    signal = 15 if exit_code is None else None
    provider = Command((), None, agent, None, 1 << 26, Expectation(), idle_seconds=60.0)
    order = provider.order({"output_file": str(folder / "output")}, str(folder), 60.0, {"prompt": "x"})
    ended = Finished(exit_code, signal, why, 1.0, 0.0, 0.0, 0, sizes[0], sizes[1], truncated=False)
    return provider.judge(order, ended, lambda *_: "").outcome


@pytest.mark.parametrize(("agent", "name", "kind"), CASES)
def test_a_recording_has_its_code_and_cause(
    agents: dict[str, Agent], tmp_path: Path, agent: str, name: str, kind: str
) -> None:
    """What a real agent printed comes to a success, or to an error with one of six codes and a cause."""
    outcome = judged(agents[agent], name, tmp_path, "")
    is_good = kind == "ok" or name == "json-schema-unmet"  # nobody asked for data here
    assert is_good is (outcome.status is Status.SUCCESS)
    if not is_good:
        assert MEANING[kind] == f"{outcome.details['code']} {outcome.details['cause']}"


@pytest.mark.parametrize("why", ["timeout", "idle"])
@pytest.mark.parametrize(("agent", "name", "kind"), CASES)
def test_a_recording_that_we_ended(
    agents: dict[str, Agent], tmp_path: Path, agent: str, name: str, kind: str, why: str
) -> None:
    """A result that was there is kept; without one it is a time-out, with the cause of what the agent waited for."""
    outcome = judged(agents[agent], name, tmp_path, why)
    if outcome.status is Status.SUCCESS:
        assert kind in {"ok", "failed"}  # the schema that one failed by is not asked for here
        return
    assert Status.TIMEOUT is outcome.status
    assert "timeout" == outcome.details["code"]
    causes = {"timeout", "idle"} | ({MEANING[kind].split()[1]} if kind in PROVIDERS_OWN else set())
    assert outcome.details["cause"] in causes


def test_an_agent_that_waited_for_its_provider_has_the_providers_cause(
    agents: dict[str, Agent], tmp_path: Path
) -> None:
    """claude told of its retries when it was ended: the key was refused."""
    outcome = judged(agents["claude"], "401", tmp_path, "timeout")
    assert {"code": "timeout", "cause": "not_logged_in"} == {key: outcome.details[key] for key in ("code", "cause")}


def test_every_kind_has_a_failure() -> None:
    """The table knows every kind but ok."""
    assert set(Kind) - {Kind.OK} == set(KINDS)
    assert MEANING == {str(kind): f"{failure.code} {failure.cause}" for kind, failure in KINDS.items()}


@pytest.mark.parametrize(
    ("verb", "exit_code", "reason_code", "expected"),
    [
        ("start", 20, "", "provider_unavailable unreachable"),
        ("start", 21, "", "preflight_failed unknown"),
        ("start", 21, "opencode_auth_missing", "preflight_failed not_logged_in"),
        ("start", 21, "auth_or_quota_blocked", "preflight_failed quota"),
        ("start", 22, "", "runner_error worktree"),
        ("start", 24, "", "runner_error tracker"),
        ("start", 25, "", "provider_unavailable model_missing"),
        ("start", 26, "", "runner_error runner_busy"),
        ("start", 27, "", "runner_error runner_mode"),
        ("start", 29, "", "runner_error runner_scope"),
        ("start", 1, "", "runner_error unknown"),
        ("start", 1, "NO_AUTH_SOURCE", "provider_unavailable not_logged_in"),
        ("check", 2, "", "timeout idle"),
        ("check", 3, "", "runner_error failed"),
        ("check", 3, "provider_rate_limited", "provider_unavailable rate_limited"),
        ("check", 3, "process_exited_with_error", "runner_error crashed"),
        ("check", 23, "", "runner_error no_change"),
        ("check", None, "", "runner_error unknown"),
    ],
)
def test_a_code_of_dx_runner_has_its_failure(verb: str, exit_code: int, reason_code: str, expected: str) -> None:
    """Every known exit code means one of six codes; a reason code says the cause more exactly."""
    failure = failure_of_runner(verb, exit_code, reason_code)
    assert expected == f"{failure.code} {failure.cause}"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(Status.SKIPPED, "held", Refusal.HELD), Failure(Code.CLAIM_FAILED, Cause.HELD)),
        (Outcome(Status.SKIPPED, "no", Refusal.GATE), Failure(Code.PREFLIGHT_FAILED, Cause.UNKNOWN)),
        (Outcome(Status.ERROR, "no", Refusal.TRANSIENT), Failure(Code.PROVIDER_UNAVAILABLE, Cause.UNREACHABLE)),
        (Outcome(Status.TIMEOUT, "late"), Failure(Code.TIMEOUT, Cause.TIMEOUT)),
        (Outcome(Status.CANCELLED, "ended"), Failure(Code.RUNNER_ERROR, Cause.CANCELLED)),
        (Outcome(Status.ERROR, "?"), Failure(Code.UNKNOWN, Cause.UNKNOWN)),
        (Outcome(Status.ERROR, "?", details={"code": "odd", "cause": "odd"}), Failure(Code.UNKNOWN, Cause.UNKNOWN)),
        (
            Outcome(Status.ERROR, "?", details=Failure(Code.TIMEOUT, Cause.IDLE).details),
            Failure(Code.TIMEOUT, Cause.IDLE),
        ),
    ],
)
def test_an_outcome_has_a_failure(outcome: Outcome, expected: Failure) -> None:
    """The details say why; without them the status and the refusal do."""
    assert expected == failure_of(outcome)


def test_the_line_of_an_outcome_is_one_plain_line() -> None:
    """A line has the words of N6 in their order; what comes from outside is quoted and can be no second line."""
    assert "DISPATCH_SUCCESS beads=x-1 provider=dx-runner:opencode duration_ms=1201" == outcome_line(
        "x-1", "dx-runner:opencode", Outcome(Status.SUCCESS), 1200.6
    )
    hostile = Outcome(
        Status.ERROR, 'no\nDISPATCH_SUCCESS beads="y" \x1b[31m', details=failure_of_runner("start", 25).details
    )
    expected = (
        "DISPATCH_FAILURE beads=x-1 provider=claude code=provider_unavailable cause=model_missing "
        'error="no DISPATCH_SUCCESS beads=\\"y\\" ^[[31m" duration_ms=7'
    )
    assert expected == outcome_line("x-1", "claude", hostile, 7.0)
