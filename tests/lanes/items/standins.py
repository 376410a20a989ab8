"""Agents that say what a file tells them, as a configuration, as a lineup, and in a dispatch of this process."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from dispatch.scripted_lane import Listed, Silent, opened_for
from trailblazer.config import load_config
from trailblazer.dispatch.admission import dispatch_of
from trailblazer.dispatch.engine import Closing, carry_out
from trailblazer.dispatch.interrupts import Interrupts
from trailblazer.dispatch.settling import Limits
from trailblazer.lanes.items.chain import read_lineup
from trailblazer.lanes.items.lane import ItemsLane
from trailblazer.lanes.items.request import ItemsRequest
from trailblazer.lanes.orders import TimeLimit
from trailblazer.lanes.spending import read_rules
from trailblazer.providers.lineup import Lineup
from trailblazer.record.admission import Switch
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import Item

STANDIN = str(Path(__file__).resolve().parents[2] / "fixtures" / "standin.py")
KINDS = ("ok", "quota", "billing", "auth", "model", "rate", "transient", "refused", "capped")
OK = {"kind": "ok", "tokens": 10, "cost": 0.25}


def says(folder: Path, name: str, *answers: dict[str, Any]) -> Path:
    """Write what a stand-in says, one answer for each call and the last one again; return the file."""
    file = folder / f"{name}.says"
    file.write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    return file


def refuses(folder: Path, name: str, cause: str) -> None:
    """Have the preflight of a stand-in refuse."""
    (folder / f"{name}.says.check").write_text(f"no: {cause}")


def calls(folder: Path, name: str) -> list[str]:
    """Return the prompts that a stand-in got."""
    file = folder / f"{name}.says.calls"
    return file.read_text().splitlines() if file.exists() else []


def entry(file: Path) -> dict[str, Any]:
    """Return the entry of a stand-in, as agents.yaml has them."""
    causes = ("quota", "not_logged_in", "no_credit", "model_missing", "unreachable")
    return {
        "command": [sys.executable, STANDIN, str(file)],
        "optional": {"budget_usd": ["{budget_usd}"]},
        "final": {"type": "result"},
        "find": {"text": {"path": "text"}, "model": {"path": "model"}, "error": {"path": "text"},
                 "resets_at": {"path": "resets_at"}},
        "usage": {"input_tokens": {"path": "tokens"}, "costUSD": {"path": "cost"}},
        "kinds": [{"kind": kind, "final": {"kind": kind}} for kind in KINDS],
        "preflight": {"command": [sys.executable, STANDIN, "check", str(file)],
                      "causes": [{"cause": cause, "line": cause, "reason": f"it says {cause}"} for cause in causes]},
    }  # fmt: skip


def configure(project: Path, files: dict[str, Path], budget: dict[str, float] | None = None, **providers: Any) -> None:
    """Write a configuration in which these stand-ins are the chain."""
    agents = {name: entry(file) for name, file in files.items()}
    whole = {"providers": {"chain": list(files), "agents": agents, **providers}, "budget": budget or {}}
    (project / "config").mkdir(exist_ok=True)
    (project / "config" / ".trailblazer.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))


class Clock:
    """The time of day, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """Return the moment, in epoch seconds."""
        return time.time() + self.ahead


class Night(Silent):
    """A dispatch of stand-ins in this process; it notes each switch, and `at_switch` may do something about it."""

    def __init__(self, project: Path, *, slots: int = 1, **words: Any) -> None:
        self.clock, self.switches = Clock(), list[Switch]()
        self.at_switch: Callable[[Switch], None] = lambda _switch: None
        self.config = load_config(start=project)
        self.request = ItemsRequest(provider="chain", prompt="{{ item }}", **words)
        self.slots = slots
        self.lineup = self.new_lineup()

    def new_lineup(self) -> Lineup:
        """Return the lineup of the configuration, with the clock of the test."""
        seats = [member.seat for member in read_lineup(self.request, self.config, self.slots).members]
        rules = replace(read_rules(self.request, self.config, self.slots), back_off_seconds=0.01)
        return Lineup(seats, rules, self.clock)

    def switched(self, switch: Switch) -> None:
        """Note a switch."""
        self.switches.append(switch)
        self.at_switch(switch)

    def names(self) -> list[str]:
        """Return what was switched to what."""
        return [f"{switch.provider} {switch.to.value}" for switch in self.switches]

    def record(self, planned: int) -> Record:
        """Return a new record."""
        return opened_for(self.config.places, planned)

    def carry(self, record: Record, prompts: Sequence[str]) -> Closing:
        """Carry the items out, and close the record as the story does."""
        lane = ItemsLane(self.lineup, TimeLimit(60))
        lane.check()
        plan = Listed(lambda: iter([Item(index, prompt, prompt) for index, prompt in enumerate(prompts)]))
        lane.open(dispatch_of(record, self, lambda _line: None))
        try:
            closing = carry_out(plan, lane, record, Limits(slots=self.slots), self, Interrupts())
        finally:
            lane.close()
        record.complete(closing.exit_code, closing.why)
        return closing
