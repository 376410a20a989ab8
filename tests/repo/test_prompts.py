"""Prompts have one form, and the index names each of them."""

from __future__ import annotations

import re

from repo.tree import CHECKOUT

PROMPTS = CHECKOUT / "prompts"


def test_every_prompt_has_its_form() -> None:
    """A prompt is NNN_slug.md with a number of its own, beside the index (B8)."""
    names = sorted(file.name for file in PROMPTS.iterdir() if file.name != "README.md")
    assert [] == [name for name in names if not re.fullmatch(r"[0-9]{3}_.+\.md", name)]
    assert len(names) == len({name[:3] for name in names})
    assert "000_shared_guardrails.md" in names


def test_the_index_names_every_prompt() -> None:
    """The index links each prompt, and nothing else (B8)."""
    linked = set(re.findall(r"\]\(([^)]+)\)", (PROMPTS / "README.md").read_text()))
    assert {file.name for file in PROMPTS.iterdir()} - {"README.md"} == linked


def test_the_house_rules_fit_on_a_page() -> None:
    """The house rules are one page, so that they are read."""
    assert len((PROMPTS / "000_shared_guardrails.md").read_text().splitlines()) <= 60
