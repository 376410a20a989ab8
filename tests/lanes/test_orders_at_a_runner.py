"""Attempts of any lane at dx-runner: waited for, left, and found again by their handle."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanes.embed.project import wait_for
from trailblazer.config import load_config
from trailblazer.dispatch.lane import Dispatch, Held, Running
from trailblazer.lanes.orders import Orders, TimeLimit, Try
from trailblazer.providers.agents import runner_agent
from trailblazer.providers.chain import load_providers
from trailblazer.providers.command import Command
from trailblazer.providers.lineup import Lineup
from trailblazer.providers.order import Expectation
from trailblazer.providers.seats import Rules, Seat
from trailblazer.providers.templates import compile_text
from trailblazer.record.outcomes import Again, Item, Left, Outcome, Status

STAND_INS = Path(__file__).resolve().parents[1] / "stand_ins"
NAME = "dx-runner:opencode"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a dispatch, with dx-runner on the PATH."""
    monkeypatch.setenv("PATH", f"{STAND_INS}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DX_RUNNER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DX_STAND_IN", "{}")
    (tmp_path / "dispatch").mkdir()
    yield tmp_path


def orders(home: Path, prompt: str, *, is_left: bool) -> Orders:
    """Return attempts at dx-runner in a dispatch that has begun; its agent does what the prompt says."""
    config = load_config(start=home)
    agent = runner_agent(config, NAME)
    command = Command((), compile_text(prompt), agent, None, 1 << 20, Expectation(), is_left=is_left)
    made = Orders(Lineup([Seat(load_providers(config)[NAME], command)], Rules()), TimeLimit(60.0))
    made.check()
    made.open(Dispatch("d", home / "dispatch", ""))
    return made


def held(home: Path) -> Held:
    """Return an issue that is held for its first attempt."""
    return Held(Item(0, "x-1"), 1, str(home / "dispatch" / "task_0" / "attempt_1"))


def answer(running: Running | None) -> Outcome | Again | Left:
    """Return the one answer of an attempt."""
    assert running is not None
    ((_, said),) = running.wait()
    return said


def test_an_attempt_at_a_runner(home: Path) -> None:
    """Its outcome, its result.json and its details are those of any attempt."""
    made = orders(home, "exit 3", is_left=False)
    said = answer(made.begin(held(home), Try({}, {"issue": "x-1"})))
    assert isinstance(said, Outcome)
    assert ("error", "runner_error", NAME) == (said.status, said.details["code"], said.details["provider"])
    result = json.loads((home / "dispatch" / "task_0" / "attempt_1" / "result.json").read_text())
    assert {"runner": "dx-runner", "issue": "x-1", "provider": "opencode", "is_left": False} == result["order"]["job"]


def test_an_attempt_that_is_left_is_found(home: Path) -> None:
    """It is left at once; a later process settles it by its handle, when the job has ended."""
    one, go = held(home), home / "go"
    begun = orders(home, f"while [ ! -e {go} ]; do sleep 0.05; done", is_left=True).begin(
        one, Try({}, {"issue": "x-1"})
    )
    assert isinstance(answer(begun), Left)
    later = orders(home, "true", is_left=True)
    assert isinstance(answer(later.find(one, begun.handle)), Left)
    go.touch()
    state = home / "home" / "x-1.json"
    wait_for(lambda: json.loads(state.read_text())["state"] == "exited_ok", "the job has ended")
    said = answer(orders(home, "true", is_left=True).find(one, begun.handle))
    assert isinstance(said, Outcome)
    assert Status.SUCCESS is said.status
