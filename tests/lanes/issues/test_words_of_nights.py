"""What the words of a night mean: for these issues, for an earlier night, for a preview."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanes.issues.nights import Nights, issue


def test_named_issues_that_cannot_be_taken_are_no_good_night(nights: Nights) -> None:
    """The gate is closed (exit 5), the reason is said, and nothing is said of issues that were not named."""
    nights.configure("stub", issues=[issue(1), issue(2, dependencies=["t-1"])])
    night = nights.night("t-2")
    assert (night.code, nights.ran) == (5, [])
    assert "t-2: not taken: it waits for t-1" in night.err
    assert "t-1: not taken" not in night.err


def test_a_named_issue_that_is_done_says_what_to_do(nights: Nights) -> None:
    """Its claim stands until somebody releases it."""
    nights.configure("stub", issues=[issue(1)])
    assert nights.night().code == 0
    again = nights.night("t-1")
    assert again.code == 5
    assert f"t-1: not taken: it was done in {nights.dispatch.name} and waits for review; release it" in again.err


def test_what_exists_is_no_slip(nights: Nights) -> None:
    """An issue whose id is close to a switch is taken; without it the word is refused, before anything is settled."""
    nights.configure("stub", issues=[{**issue(1), "id": "dry-rnu"}])
    assert (nights.night("dry-rnu").code, nights.ran) == (0, ["dry-rnu"])
    before = list(nights.var.rglob("*.json"))
    refused = nights.night("dry-rum")
    assert (refused.code, "Did you mean dry-run?" in refused.err) == (2, True), refused.err
    assert before == list(nights.var.rglob("*.json"))


def test_a_resume_takes_a_larger_budget(nights: Nights) -> None:
    """A night whose budget is spent says that a resume with a larger one goes on, and it does."""
    nights.configure("stub", issues=[issue(1)])
    spent = nights.night("--max-cost-usd", "0")
    assert (spent.code, nights.ran) == (6, [])
    assert "resume with a larger budget" in spent.err
    assert nights.night("--resume", "latest", "--max-cost-usd", "1").code == 0
    assert nights.ran == ["t-1"]


def test_a_resume_uses_the_copy_of_the_prompt(nights: Nights) -> None:
    """The file is renamed after the night began: the record has the words that the night was given."""
    nights.configure("stub", issues=[issue(1)])
    file = nights.folder / "prompts" / "own.md"
    file.write_text("Work on the issue {{ id }}")
    assert nights.night("--max-cost-usd", "0", "--prompt", "prompts/own.md").code == 6
    file.unlink()
    resumed = nights.night("--resume", "latest", "--max-cost-usd", "1")
    assert resumed.code == 0, resumed.err
    assert (nights.dispatch / "task_0" / "attempt_1" / "prompt.md").read_text() == "Work on the issue t-1"


def test_collect_needs_no_prompt_and_says_when_there_is_nothing(nights: Nights) -> None:
    """It takes no issue, so it reads no prompt."""
    nights.configure("stub", issues=[issue(1)], prompt="nowhere.md")
    collected = nights.night("--collect")
    assert collected.code == 0, collected.err
    assert "No earlier night left anything to settle" in collected.err


def test_a_dry_run_asks_the_gates_that_a_night_asks(nights: Nights) -> None:
    """An issue with an open change is not named; too many changes that wait close the gate."""
    asks = ["sh", "-c", 'test "$0" = t-1 && echo pr/7 || true', "{{ id }}"]
    nights.configure("stub", issues=[issue(1), issue(2)], gates={"has_open_change": asks})
    preview = nights.night("--dry-run", "max-dispatch=1")
    assert preview.code == 0, preview.err
    assert "t-1: not taken: a change for it is open: pr/7" in preview.err
    assert preview.out.startswith("t-2\t")
    nights.configure("stub", issues=[issue(1)], gates={"open_changes": ["echo", "pr/7"], "max_open": 1})
    assert nights.night("--dry-run").code == 5


def test_open_changes_are_asked_for_in_the_checkout(nights: Nights) -> None:
    """A program such as gh finds out from its folder which repository is meant."""
    api: Path = nights.folder / "api"
    api.mkdir()
    gates = {"has_open_change": ["pwd"], "open_changes": ["test", "-d", "config"], "max_open": 1}
    nights.configure("stub", issues=[issue(1)], repos={"api": "api"}, gates=gates)
    night = nights.run("nightly")
    assert night.code == 5
    assert f"a change for it is open: {api}" in night.err


@pytest.mark.parametrize(("words", "path"), [((), "/nonexistent"), (("--provider", "opencode"), "/usr/bin:/bin")])
def test_without_a_provider_each_issue_has_the_cause(nights: Nights, words: tuple[str, ...], path: str) -> None:
    """Nothing is installed, or the one that was asked for is not: the line says so."""
    nights.configure(issues=[issue(1)])
    configuration = nights.folder / "config" / ".trailblazer.yaml"
    configuration.write_text(configuration.read_text().replace("chain: []", "chain: null"))
    night = nights.night(*words, PATH=path)
    assert night.code == 8, night.err
    assert "beads=t-1 provider=none code=provider_unavailable cause=not_installed" in night.out
