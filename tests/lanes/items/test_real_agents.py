"""The real claude and codex, driven by `batch run` against a model on loopback (.ci/install_agents installs them)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.model_server import ANSWER, ModelServer
from lanes.embed.project import Finished
from lanes.items.batches import Batches

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
BIN = Path(os.environ.get("TRAILBLAZER_TEST_AGENTS") or CACHE / "trailblazer-agents") / "bin"
MODELS = {"claude": "claude-sonnet-4-5", "codex": "gpt-5.1-codex"}
CODEX = """
model_provider = "loopback"
[model_providers.loopback]
name = "loopback"
base_url = "{address}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(
        not all((BIN / name).exists() for name in MODELS), reason=".ci/install_agents was not run: it needs npm"
    ),
]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A model on loopback."""
    made = ModelServer()
    yield made
    made.close()


def batch(batches: Batches, server: ModelServer, agent: str, mode: str, prompt: str, *words: str) -> Finished:
    """Run one item through a real agent whose home is empty and whose model is ours, in a mode."""
    home = batches.folder / "home"
    (home / "codex").mkdir(parents=True)
    (home / "codex" / "config.toml").write_text(CODEX.format(address=server.address(mode)))
    settings = {
        "HOME": str(home),
        "CODEX_HOME": str(home / "codex"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "ANTHROPIC_BASE_URL": server.address(mode),
        "ANTHROPIC_API_KEY": "sk-ant-none",
        "OPENAI_API_KEY": "sk-none",
    }
    given = ["--items", '["x"]', "--provider", agent, "--model", MODELS[agent], "--preflight", "go", "--timeout", "90"]
    return batches.run("batch", "run", *given, "--prompt", f"{prompt} {{{{ item }}}}", *words, **settings)


@pytest.mark.parametrize("agent", MODELS)
def test_a_real_agent_works(batches: Batches, server: ModelServer, agent: str) -> None:
    """The answer, the session and the tokens of a real CLI are those of the item."""
    done = batch(batches, server, agent, "success", "Say ready", "--expect", "answer")
    assert 0 == done.code, done.err
    result = batches.result()
    assert "success" == result["status"]
    assert result["session"]
    assert result["version"] in {"2.1.330", "0.169.0"}
    assert 1200 == result["usage"]["input_tokens"]
    assert ANSWER == (batches.attempt() / "answer.txt").read_text()


@pytest.mark.parametrize(
    ("agent", "mode", "expected"),
    [
        ("claude", "401", "provider_unavailable not_logged_in"),
        ("codex", "401", "provider_unavailable not_logged_in"),
        ("claude", "quota", "provider_unavailable no_credit"),
        ("codex", "quota", "provider_unavailable quota"),
    ],
)
def test_a_real_agent_is_refused(batches: Batches, server: ModelServer, agent: str, mode: str, expected: str) -> None:
    """A key that is refused and a quota that is used up have their code and cause; the provider is closed."""
    done = batch(batches, server, agent, mode, "Say ready")
    assert 8 == done.code, done.err
    assert f"no provider is available: {agent}" in done.out + done.err
    result = batches.result()
    assert expected == f"{result['code']} {result['cause']}"


@pytest.mark.parametrize(
    ("file", "expected"), [("made.txt", "success"), ("", "error no_change"), ("../out.txt", "error permission_denied")]
)
def test_a_real_agent_shows_its_changes(batches: Batches, server: ModelServer, file: str, expected: str) -> None:
    """claude writes a file with its own tool; what changed nothing, or was not permitted, is no success."""
    subprocess.run(["git", "init", "-q", batches.folder], check=True)
    (batches.folder / ".gitignore").write_text("var/\nhome/\n")
    target = (batches.folder / file).resolve()
    batch(batches, server, "claude", "success", f"MAKE {target}\n" if file else "Say ready", "--expect", "changes")
    result = batches.result()
    assert expected == " ".join(filter(None, [result["status"], result.get("cause")])), result["reason"]
    assert (expected == "success") is target.is_file()
    assert ("denied" in result) is (expected == "error permission_denied")


def test_a_real_agent_that_waits_is_silent(batches: Batches, server: ModelServer) -> None:
    """A model that does not answer ends at the idle limit; the agent and what it started have gone."""
    done = batch(batches, server, "codex", "hang", "Say ready", "--idle", "4")
    assert 6 == done.code, done.err
    result = batches.result()
    assert ("timeout", "silent for 4 s", "idle") == (result["status"], result["reason"], result["cause"])
