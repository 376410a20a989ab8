"""A round of issues: nights over a file of issues, whose agent can prove how often each of them ran."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import yaml

from chaos.rounds import KINDS, Round
from chaos.watching import GOOD, Diary, journal_of
from trailblazer.paths import CONFIG_NAME

AGENT = [sys.executable, "-I", "-S", str(Path(__file__).with_name("agent.py"))]
PROMPT = "{{ attempt }}\n{{ title }}\n"


class IssuesRound(Round):
    """Issues that an agent works on; some leave children and daemons behind."""

    lane = "issues"
    planned = 12

    def prepare(self) -> None:
        """Write the issues, the prompt and the configuration."""
        folder = self.project.folder
        self.diary = Diary(folder.with_name(f"{folder.name} diary"))
        agent = {"command": [*AGENT, str(self.diary.folder)], "prompt": "stdin", "output": "text"}
        repos = {f"r{number}": f"r{number}" for number in range(3)}
        for name in repos:
            (folder / name).mkdir()
        settings = {
            "tracker": {"source": "issues.json"},
            "providers": {"chain": ["agent"], "agents": {"agent": agent}},
            "nightly": {"expect": "none", "prompt": "prompt.md", "max_parallel": 3, "repos": repos},
        }
        (folder / CONFIG_NAME).write_text(yaml.safe_dump(settings))
        (folder / "prompt.md").write_text(PROMPT)
        issues = [
            {
                "id": f"t-{index}",
                "title": f"{index} {self.chance.choice(KINDS)} {self.chance.uniform(0, 0.3):.3f}",
                "labels": [f"repo:r{index % 3}"],
            }
            for index in range(self.planned)
        ]
        (folder / "issues.json").write_text(json.dumps(issues))
        self.words = ["nightly", f"max-dispatch={self.planned}"]
        self.resume_words = ["nightly", "--resume"]

    def good(self) -> set[str]:
        """Return the issues with a good result, in a journal or whole on the disk."""
        found = set()
        for folder in self.project.dispatches:
            newest = {line["item"]: line["status"] for line in journal_of(folder) if line["kind"] == "settle"}
            found |= {issue for issue, status in newest.items() if status in GOOD}
            results = (json.loads(file.read_bytes()) for file in folder.glob("task_*/attempt_*/result.json"))
            found |= {str(result["item"]) for result in results if result["status"] in GOOD}
        return found

    def begun(self) -> Counter[str]:
        """Return how often each issue was really worked on."""
        return Counter({f"t-{index}": count for index, count in self.diary.begun().items()})

    def judge(self) -> None:
        """Every issue has a good result, and no two attempts at one lived at once."""
        self.figures.items += self.planned
        lost = {f"t-{index}" for index in range(self.planned)} - self.good()
        self.figures.find("lost", sorted(lost), self.where())
        self.figures.find("doubled", self.diary.beside(), self.where())
