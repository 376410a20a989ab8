"""What real agent CLIs printed in 120 situations, and what it means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from trailblazer.config import load_config
from trailblazer.paths import CONFIG_NAME
from trailblazer.providers.agents import Agent, Answer, load_agents, read_answer

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
RECORDINGS = FIXTURES / "agent_recordings"
EXPECTED: dict[str, dict[Any, dict[str, Any]]] = yaml.safe_load((RECORDINGS / "expected.yaml").read_text())
CASES = [(agent, str(name)) for agent, names in EXPECTED.items() for name in names]


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Agent]:
    """The shipped agents, and those of a configuration that adds its own."""
    file = tmp_path_factory.mktemp("project") / CONFIG_NAME
    file.parent.mkdir()
    file.write_text((FIXTURES / "more_agents.yaml").read_text())
    return load_agents(load_config(start=file.parents[1]))


def answer_in(agent: Agent, name: str, wants_data: bool = False) -> Answer:
    """Return what the agent makes of a recording; null as exit code means that the recorder ended the process."""
    stem = RECORDINGS / agent.name.split("-")[0] / name
    stdout, stderr = (Path(f"{stem}.{stream}").read_bytes() for stream in ("stdout", "stderr"))
    exit_code = json.loads(Path(f"{stem}.exit").read_text())["exit"]
    signal = 15 if exit_code is None else None
    return read_answer(agent, stdout, stderr, exit_code, signal, wants_data=wants_data)


def test_every_recording_has_its_meaning() -> None:
    """The table names each recording once."""
    recorded = sorted(str(file.relative_to(RECORDINGS).with_suffix("")) for file in RECORDINGS.rglob("*.stdout"))
    assert recorded == sorted(f"{agent.split('-')[0]}/{name}" for agent, name in CASES)


@pytest.mark.parametrize(("agent", "name"), CASES)
def test_recording_is_understood(agents: dict[str, Agent], agent: str, name: str) -> None:
    """A recording has its kind; a good one its text and usage; any other one its reason, on one line."""
    expected = {str(key): entry for key, entry in EXPECTED[agent].items()}[name]
    answer = answer_in(agents[agent], name, wants_data="data" in expected)
    assert expected["kind"] == answer.kind
    if "text" in expected or expected["kind"] == "ok":
        assert expected.get("text", "READY") == answer.text
    if "used" in expected:
        used = [answer.usage.get(amount) for amount in ("input_tokens", "output_tokens", "costUSD")]
        assert expected["used"] == [amount if amount is None else pytest.approx(amount) for amount in used]
    assert (expected["kind"] == "ok") is (answer.reason == "")
    assert expected.get("said", "") in answer.reason
    assert "\n" not in answer.reason
    assert expected.get("denied", 0) == answer.denied
    assert expected.get("resets_at") == answer.resets_at
    for part in ("data", "session", "model"):
        if part in expected:
            assert expected[part] == getattr(answer, part)
