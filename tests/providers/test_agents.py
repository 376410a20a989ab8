"""What agents print, as they were seen to print it, and what is made of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailblazer.providers.agents import AGENTS, Answer


def test_claude_says_success_and_means_failure() -> None:
    """`is_error` counts and not `subtype`; a denied tool is a failure although the answer sounds well."""
    read = AGENTS["claude"].read
    good = {
        "subtype": "success",
        "is_error": False,
        "result": "done",
        "total_cost_usd": 0.5,
        "usage": {"input_tokens": 3},
    }
    assert Answer("done", "", {"input_tokens": 3, "costUSD": 0.5}) == read(json.dumps(good))
    assert "claude: done" == read(json.dumps(good | {"is_error": True})).reason
    assert (
        "claude was denied 1 tools" == read(json.dumps(good | {"permission_denials": [{"tool_name": "Write"}]})).reason
    )
    assert "claude printed no JSON" == read("Segmentation fault").reason


def test_codex_is_a_stream() -> None:
    """The last message is the answer; an error that a completed turn follows was none."""
    lines = [
        {"type": "item.completed", "item": {"type": "agent_message", "text": "hello"}},
        {"type": "error", "message": "Reconnecting"},
        {"type": "turn.completed", "usage": {"input_tokens": 5, "output_tokens": 2}},
    ]
    text = "\n".join(map(json.dumps, lines))
    assert Answer("hello", "", {"input_tokens": 5, "output_tokens": 2}) == AGENTS["codex"].read(text)
    assert "codex: Reconnecting" == AGENTS["codex"].read("\n".join(text.splitlines()[:2])).reason
    failed = json.dumps({"type": "turn.failed", "error": {"message": "no credit"}})
    assert "codex: no credit" == AGENTS["codex"].read(failed).reason


def test_opencode_adds_its_steps_up() -> None:
    """Text, tokens and cost are the sum of all parts; an error names itself."""
    step = {"type": "step_finish", "part": {"tokens": {"input": 4, "output": 1}, "cost": 0.25}}
    lines = [{"type": "text", "part": {"text": "a"}}, step, {"type": "text", "part": {"text": "b"}}, step]
    answer = AGENTS["opencode"].read("\n".join(map(json.dumps, lines)))
    assert Answer("ab", "", {"input_tokens": 8.0, "output_tokens": 2.0, "costUSD": 0.5}) == answer
    failed = {"type": "error", "error": {"name": "APIError", "data": {"message": "overloaded"}}}
    assert "opencode: overloaded" == AGENTS["opencode"].read(json.dumps(failed)).reason


def test_gemini_is_one_document() -> None:
    """Tokens are added up over its models."""
    stats = {"models": {name: {"tokens": {"prompt": 2, "candidates": 1}} for name in ("pro", "flash")}}
    answer = AGENTS["gemini"].read(json.dumps({"response": "x", "stats": stats}))
    assert Answer("x", "", {"input_tokens": 4.0, "output_tokens": 2.0}) == answer
    assert "gemini: quota" == AGENTS["gemini"].read(json.dumps({"error": {"message": "quota"}})).reason


@pytest.mark.parametrize("name", list(AGENTS))
@given(text=st.text() | st.recursive(st.none() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2)
       | st.dictionaries(st.sampled_from(["item", "type", "error", "part", "usage", "stats", "result"]), inner),
       max_leaves=5).map(json.dumps))  # fmt: skip
def test_no_output_is_too_strange(name: str, text: str) -> None:
    """Whatever is printed, the reader answers: an agent's output is never a bug of ours."""
    assert isinstance(AGENTS[name].read(text), Answer)
