"""Agents as providers of items: the shipped ones as they were recorded, and one that only a configuration knows."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lanes.embed.project import Finished
from lanes.items.batches import Batches

FIXTURES = Path(__file__).parents[2] / "fixtures"
RECORDED = FIXTURES / "agent_recordings"
DOCTOR = FIXTURES / "preflight_recordings" / "codex-doctor-json.stdout"
SAYS = """#!/bin/sh
case "$1 $2" in
*--version*) exit 0 ;;
doctor*) cat "{doctor}"; exit ;;
auth*) exit ;;
esac
cat >"$0.stdin"
printf '%s\\n' "$@" >"$0.argv"
cat "{stdout}"
cat "{stderr}" >&2
exit {code}
"""


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """A folder for programs of the test's own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def _says(folder: Path, agent: str, situation: str, code: int) -> None:
    """Put a program on the path that says what an agent was recorded to say."""
    recorded = RECORDED / agent / situation
    program = folder / agent
    says = SAYS.format(stdout=f"{recorded}.stdout", stderr=f"{recorded}.stderr", code=code, doctor=DOCTOR)
    program.write_text(says)
    program.chmod(0o755)


def _batch(batches: Batches, bin_folder: Path, *words: str) -> Finished:
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    items = ["--items", '["one", "two"]', "--prompt", "Look at {{ item }}"]
    return batches.run("batch", "run", *items, "--max-workers", "1", *words, PATH=path)


@pytest.mark.parametrize("agent", ["claude", "codex", "opencode"])
def test_an_agent_that_answers_is_a_success_with_its_usage(batches: Batches, bin_folder: Path, agent: str) -> None:
    """The prompt goes in on stdin; usage is added up over the items; session and model stand in the summary (P1)."""
    _says(bin_folder, agent, "success", 0)
    done = _batch(batches, bin_folder, "--provider", agent)
    assert 0 == done.code, done.err
    assert ["success", "success"] == batches.outcomes
    assert "Look at two" in (bin_folder / f"{agent}.stdin").read_text()
    assert batches.summary["usage"]["input_tokens"] > 0
    assert batches.summary["items"][0]["session"]
    assert 0 == batches.run("verify", "latest").code


@pytest.mark.parametrize(("agent", "situation"), [("claude", "401"), ("codex", "401")])
def test_a_provider_that_refuses_for_good_stops_the_batch(
    batches: Batches, bin_folder: Path, agent: str, situation: str
) -> None:
    """A wrong key would fail every item: nothing more is started, no item has failed, and the exit code is 8."""
    _says(bin_folder, agent, situation, 1)
    done = _batch(batches, bin_folder, "--provider", agent, "--skip-preflight")
    assert 8 == done.code, done.err
    assert ["cancelled", "cancelled"] == batches.outcomes
    assert 1 == len(batches.summary["items"][0]["earlier"])


def test_an_agent_that_quotes_a_limit_is_no_refusal(batches: Batches, bin_folder: Path) -> None:
    """An answer that speaks of a usage limit is an answer."""
    _says(bin_folder, "claude", "quoted-limit", 0)
    assert 0 == _batch(batches, bin_folder, "--provider", "claude").code
    assert ["success", "success"] == batches.outcomes


def test_a_fifth_agent_is_one_entry_in_the_configuration(batches: Batches, bin_folder: Path) -> None:
    """An agent that no code knows: its words, its prompt as an argument, its answer, and what means a quota."""
    shutil.copy(FIXTURES / "more_agents.yaml", batches.folder / "config" / ".trailblazer.yaml")
    parrot = bin_folder / "parrot"
    parrot.write_text('#!/bin/sh\ncase "$*" in *two*) exit 75 ;; esac\nprintf "%s|" "$@"\n')
    parrot.chmod(0o755)
    done = _batch(batches, bin_folder, "--provider", "parrot", "--model", "green")
    assert 8 == done.code, done.err
    assert ["success", "cancelled"] == batches.outcomes
    said = (batches.attempt() / "worker.stdout").read_text()
    assert "--quiet|--voice|green|--|Look at one|" == said
    unknown = _batch(batches, bin_folder, "--provider", "budgie")
    assert (2, True) == (unknown.code, "parrot" in unknown.err)


def test_the_form_that_people_have_typed_before_works(batches: Batches, bin_folder: Path) -> None:
    """P1: a skill, the items in place and a prompt; the agent is told to use the skill and to write its result."""
    _says(bin_folder, "claude", "success", 0)
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    words = ["catalog-scraper", '["url1", "url2"]', "Scrape {{ item }}", "--timeout", "600"]
    done = batches.run("batch", "run", *words, PATH=path)
    assert 0 == done.code, done.err
    prompt = (batches.attempt(1) / "prompt.md").read_text()
    assert all(
        words in prompt
        for words in ("Use the skill catalog-scraper", "Scrape url2", str(batches.attempt(1) / "output"))
    )
    assert 600 == batches.result(1)["order"]["limit_seconds"]
