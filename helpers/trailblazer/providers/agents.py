"""Agent command lines as providers of items: how each is called, and what its output says of the outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKENS = {"input_tokens": "input_tokens", "output_tokens": "output_tokens"}


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


def _object(value: Any) -> dict[str, Any]:
    """Return what should be an object, as an empty one where it is not: what an agent prints is never a bug of ours."""
    return value if isinstance(value, dict) else {}


def _amounts(used: Any, names: Mapping[str, str]) -> dict[str, float]:
    """Return the amounts that an agent tells, under our names; what is no number is none."""
    told = _object(used)
    return {
        ours: told[theirs]
        for ours, theirs in names.items()
        if isinstance(told.get(theirs), int | float) and not isinstance(told[theirs], bool)
    }


def _add(total: dict[str, float], amounts: Mapping[str, float]) -> None:
    for name, amount in amounts.items():
        total[name] = total.get(name, 0) + amount


def _whole(output: str) -> dict[str, Any]:
    try:
        document = json.loads(output)
    except ValueError:
        return {}
    return _object(document)


def _read_claude(output: str) -> Answer:
    """`is_error` counts, not `subtype`, which says success on failure; a denied tool means nothing was written."""
    document = _whole(output)
    if not document:
        return Answer(reason="claude printed no JSON")
    usage = _amounts(document.get("usage"), _TOKENS) | _amounts(document, {"costUSD": "total_cost_usd"})
    text = str(document.get("result") or "")
    if document.get("is_error"):
        return Answer(text, f"claude: {text or document.get('subtype')}", usage)
    denied = document.get("permission_denials")
    count = len(denied) if isinstance(denied, list) else 0
    return Answer(text, f"claude was denied {count} tools" if count else "", usage)


def _read_codex(output: str) -> Answer:
    text, reason = "", ""
    usage: dict[str, float] = {}
    for event in _events(output):
        item = _object(event.get("item"))
        if item.get("type") == "agent_message":
            text = str(item.get("text") or "")
        elif event.get("type") in ("error", "turn.failed"):
            reason = str(event.get("message") or _object(event.get("error")).get("message") or "failed")
        elif event.get("type") == "turn.completed":
            usage, reason = _amounts(event.get("usage"), _TOKENS), ""
    return Answer(text, f"codex: {reason}" if reason else "", usage)


def _read_opencode(output: str) -> Answer:
    text, reason = "", ""
    usage: dict[str, float] = {}
    for event in _events(output):
        part = _object(event.get("part"))
        if event.get("type") == "text":
            text += str(part.get("text") or "")
        elif event.get("type") == "error":
            error = _object(event.get("error"))
            reason = str(_object(error.get("data")).get("message") or error.get("name") or "failed")
        elif event.get("type") == "step_finish":
            _add(usage, _amounts(part.get("tokens"), {"input_tokens": "input", "output_tokens": "output"}))
            _add(usage, _amounts(part, {"costUSD": "cost"}))
    return Answer(text, f"opencode: {reason}" if reason else "", usage)


def _read_gemini(output: str) -> Answer:
    document = _whole(output)
    if not document:
        return Answer(reason="gemini printed no JSON")
    usage: dict[str, float] = {}
    for model in _object(_object(document.get("stats")).get("models")).values():
        tokens = _object(model).get("tokens")
        _add(usage, _amounts(tokens, {"input_tokens": "prompt", "output_tokens": "candidates"}))
    error = document.get("error")
    why = f"gemini: {_object(error).get('message') or error}" if error else ""
    return Answer(str(document.get("response") or ""), why, usage)


AGENTS = {
    "claude": Agent(("claude", "-p", "--output-format", "json"), _read_claude),
    "codex": Agent(("codex", "exec", "--json", "--skip-git-repo-check", "-"), _read_codex),
    "opencode": Agent(("opencode", "run", "--format", "json"), _read_opencode),
    "gemini": Agent(("gemini", "-o", "json"), _read_gemini),
}
