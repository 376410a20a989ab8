"""Agent command lines as providers of items: how each is called, and what its output says of the outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent's output says: its text, why it failed (empty when it did not), and what it used."""

    text: str = ""
    reason: str = ""
    usage: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent CLI: the words that run it with the prompt on stdin, and how its stdout is read."""

    words: tuple[str, ...]
    read: Callable[[str], Answer]


def _events(output: str) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _whole(output: str) -> dict[str, Any]:
    try:
        document = json.loads(output)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _read_claude(output: str) -> Answer:
    """`is_error` counts, not `subtype`, which says success on failure; a denied tool means nothing was written."""
    document = _whole(output)
    if not document:
        return Answer(reason="claude printed no JSON")
    used = document.get("usage") or {}
    tokens = {name: used[name] for name in ("input_tokens", "output_tokens") if isinstance(used.get(name), int)}
    usage = {**tokens, "costUSD": float(document.get("total_cost_usd") or 0)}
    text = str(document.get("result") or "")
    if document.get("is_error"):
        return Answer(text, f"claude: {text or document.get('subtype')}", usage)
    denied = document.get("permission_denials") or []
    return Answer(text, f"claude was denied {len(denied)} tools" if denied else "", usage)


def _read_codex(output: str) -> Answer:
    text, reason, usage = "", "", {}
    for event in _events(output):
        item = event.get("item") or {}
        if item.get("type") == "agent_message":
            text = str(item.get("text") or "")
        elif event.get("type") in {"error", "turn.failed"}:
            reason = str(event.get("message") or (event.get("error") or {}).get("message") or "failed")
        elif event.get("type") == "turn.completed":
            used = event.get("usage") or {}
            usage = {name: used[name] for name in ("input_tokens", "output_tokens") if isinstance(used.get(name), int)}
            reason = ""
    return Answer(text, f"codex: {reason}" if reason else "", usage)


def _read_opencode(output: str) -> Answer:
    text, reason, usage = "", "", {"input_tokens": 0.0, "output_tokens": 0.0, "costUSD": 0.0}
    for event in _events(output):
        part = event.get("part") or {}
        if event.get("type") == "text":
            text += str(part.get("text") or "")
        elif event.get("type") == "error":
            error = event.get("error") or {}
            reason = str((error.get("data") or {}).get("message") or error.get("name") or "failed")
        elif event.get("type") == "step_finish":
            tokens = part.get("tokens") or {}
            usage["input_tokens"] += tokens.get("input") or 0
            usage["output_tokens"] += tokens.get("output") or 0
            usage["costUSD"] += part.get("cost") or 0
    return Answer(text, f"opencode: {reason}" if reason else "", usage)


def _read_gemini(output: str) -> Answer:
    document = _whole(output)
    if not document:
        return Answer(reason="gemini printed no JSON")
    usage = {"input_tokens": 0.0, "output_tokens": 0.0}
    for model in ((document.get("stats") or {}).get("models") or {}).values():
        tokens = model.get("tokens") or {}
        usage["input_tokens"] += tokens.get("prompt") or 0
        usage["output_tokens"] += tokens.get("candidates") or 0
    error = document.get("error") or {}
    return Answer(str(document.get("response") or ""), f"gemini: {error.get('message')}" if error else "", usage)


AGENTS = {
    "claude": Agent(("claude", "-p", "--output-format", "json"), _read_claude),
    "codex": Agent(("codex", "exec", "--json", "--skip-git-repo-check", "-"), _read_codex),
    "opencode": Agent(("opencode", "run", "--format", "json"), _read_opencode),
    "gemini": Agent(("gemini", "-o", "json"), _read_gemini),
}
