"""Runs nights with the real program over an issue file, with a stand-in for an agent."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lanes.embed.project import Finished, Project

AGENT = str(Path(__file__).resolve().parents[2] / "stand_ins" / "agent")
KINDS = ("ok", "quota", "auth", "rate", "failed")


def agent_entry(name: str) -> dict[str, Any]:
    """Return the stand-in as an entry of providers.agents."""
    return {
        "command": [sys.executable, AGENT, name],
        "prompt": "stdin",
        "final": {"type": "result"},
        "find": {
            "text": {"where": {"type": "result"}, "path": "text"},
            "error": {"where": {"type": "result"}, "path": "error"},
            "resets_at": {"where": {"type": "result"}, "path": "resets_at"},
        },
        "usage": {"costUSD": {"where": {"type": "result"}, "path": "cost"}},
        "kinds": [{"kind": kind, "final": {"type": "result", "kind": kind}} for kind in KINDS],
    }


def issue(number: int, **more: Any) -> dict[str, Any]:
    """Return an issue; its id is t-NUMBER."""
    return {"id": f"t-{number}", "title": f"Issue {number}", "description": "Do it.", "priority": 2, **more}


class Nights(Project):
    """A project with an issue file and agents."""

    def configure(self, *agents: str, issues: Sequence[dict[str, Any]] = (), **nightly: Any) -> None:
        """Write the configuration, with these agents as the chain, and the issues."""
        gates = nightly.pop("gates", {})
        settings = {
            "tracker": {"source": "issues.json"},
            "providers": {"chain": list(agents), "agents": {name: agent_entry(name) for name in agents}},
            "nightly": {"expect": "answer", **nightly},
            "gates": gates,
        }
        (self.folder / "config" / ".trailblazer.yaml").write_text(yaml.safe_dump(settings))
        (self.folder / "issues.json").write_text(json.dumps(list(issues)))

    def script(self, **known: dict[str, Any]) -> None:
        """Say what the agents do, by issue; `rest` is of every other issue."""
        script = {name.replace("_", "-"): what for name, what in known.items()}
        script["*"] = script.pop("rest", {})
        (self.folder / "script.json").write_text(json.dumps(script))

    def night(self, *words: str, **settings: str) -> Finished:
        """Carry a night out."""
        return self.run("nightly", *words, **settings)

    @property
    def ran(self) -> list[str]:
        """The issues that agents began, in their order."""
        return [line["issue"] for line in self.noted if line["what"] == "begin"]

    @property
    def noted(self) -> list[dict[str, Any]]:
        """What the agents noted."""
        file = self.folder / "ran.ndjson"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def not_taken(self) -> dict[str, str]:
        """Why issues of the newest night were not taken."""
        lines = (self.dispatch / "not_taken.ndjson").read_text().splitlines()
        return {line["issue"]: line["reason"] for line in map(json.loads, lines)}
