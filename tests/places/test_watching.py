"""A silent attempt is ended, and so is one that has its result and stays; its result is kept."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trailblazer.config import load_config
from trailblazer.places.local import Local
from trailblazer.processes import spawning
from trailblazer.providers.agents import Agent, load_agents
from trailblazer.providers.command import Command
from trailblazer.providers.order import Expectation, Finished, Order
from trailblazer.record.outcomes import Outcome, Status

RESULT = '{"type":"result","is_error":false,"result":"READY","session_id":"s-1"}'
STEP = '{"type":"step_finish","sessionID":"s","part":{"reason":"tool-calls"}}'
DONE = '{"type":"step_finish","sessionID":"s","part":{"reason":"stop"}}'
REFUSED = '{"type":"result","is_error":true,"api_error_status":401,"result":"no"}'


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Local]:
    """This machine as a place."""
    (tmp_path / "dispatch").mkdir()
    made = Local(tmp_path / "dispatch", {})
    yield made
    made.close()


@pytest.fixture
def agents(tmp_path: Path) -> dict[str, Agent]:
    """The shipped agents."""
    return load_agents(load_config(start=tmp_path))


def ran(place: Local, tmp_path: Path, script: str, idle_seconds: float) -> tuple[Order, Finished]:
    """Return the order of a shell script that ran as an attempt with this idle limit, and how it ended."""
    order = Order(("sh", "-c", script), str(tmp_path), "", limit_seconds=60.0, log_cap=1 << 20)
    order = dataclasses.replace(order, idle_seconds=idle_seconds)
    return order, place.start(order, "0.1").wait()


def answered(agent: Agent, place: Local, tmp_path: Path, script: str, grace: float = 0.3) -> tuple[str, Outcome]:
    """Return why an agent that is a shell script was ended, and what its attempt came to."""
    provider = Command((), None, agent, None, 1 << 20, Expectation(), idle_seconds=60.0, grace_seconds=grace)
    order = provider.order({"output_file": str(tmp_path / "output")}, str(tmp_path), 60.0, {"prompt": "x"})
    finished = place.start(dataclasses.replace(order, argv=("sh", "-c", script)), "0.1").wait()
    return finished.why, provider.judge(order, finished, lambda *_: "").outcome


def test_a_silent_attempt_is_ended(place: Local, tmp_path: Path) -> None:
    """An attempt that prints nothing for its idle limit is a time-out that says so, with the cause idle."""
    order, finished = ran(place, tmp_path, "echo begun; sleep 600", idle_seconds=0.3)
    assert "idle" == finished.why
    outcome = Command((), None, None, None, None, Expectation()).judge(order, finished, lambda *_: "").outcome
    assert (Status.TIMEOUT, "silent for 0.3 s") == (outcome.status, outcome.reason)
    assert {"code": "timeout", "cause": "idle"} == outcome.details


def test_an_attempt_that_prints_is_not_silent(place: Local, tmp_path: Path) -> None:
    """What is printed on stderr shows that the process works, too."""
    _, finished = ran(place, tmp_path, "for i in 1 2 3 4 5 6 7 8; do sleep 0.2; echo $i >&2; done", idle_seconds=1.2)
    assert "" == finished.why
    assert finished.seconds > 1.2


def test_a_result_ends_a_process_that_stays(place: Local, agents: dict[str, Agent], tmp_path: Path) -> None:
    """After a final event and a grace the group is ended; the success is kept, with its session."""
    why, outcome = answered(agents["claude"], place, tmp_path, f"echo '{RESULT}'; trap '' INT; sleep 600")
    assert ("answered", Status.SUCCESS) == (why, outcome.status)
    assert "s-1" == outcome.details["session"]


def test_an_exit_of_its_own_when_it_is_ended_changes_nothing(
    place: Local, agents: dict[str, Agent], tmp_path: Path
) -> None:
    """An agent that says 1 when it is asked to end had its result all the same."""
    script = f"trap 'exit 1' TERM; echo '{RESULT}'; while :; do sleep 0.05; done"
    why, outcome = answered(agents["claude"], place, tmp_path, script)
    assert ("answered", Status.SUCCESS) == (why, outcome.status)


def test_a_bad_result_ends_it_as_well(place: Local, agents: dict[str, Agent], tmp_path: Path) -> None:
    """A refusal is a final event; its reason and its cause are those of the agent."""
    why, outcome = answered(agents["claude"], place, tmp_path, f"echo '{REFUSED}'; sleep 600")
    assert ("answered", Status.ERROR, "claude: no") == (why, outcome.status, outcome.reason)
    assert "not_logged_in" == outcome.details["cause"]


def test_the_end_of_a_step_is_no_result(place: Local, agents: dict[str, Agent], tmp_path: Path) -> None:
    """opencode ends each step with an event of the same type: only the one that stops is final."""
    why, outcome = answered(agents["opencode"], place, tmp_path, f"echo '{STEP}'; sleep 1; printf '%s' '{DONE}'")
    assert ("", Status.SUCCESS) == (why, outcome.status)


def test_what_works_on_after_its_result_has_its_grace_anew(
    place: Local, agents: dict[str, Agent], tmp_path: Path
) -> None:
    """Events behind a result say that work in the background goes on."""
    script = (
        f"echo '{RESULT}'; for i in 1 2 3 4 5 6; do sleep 0.2; echo '{{\"type\":\"system\"}}'; done; echo '{RESULT}'"
    )
    why, outcome = answered(agents["claude"], place, tmp_path, script, grace=1.0)
    assert ("", Status.SUCCESS) == (why, outcome.status)


def test_a_command_works_in_its_folder(place: Local, tmp_path: Path) -> None:
    """The working folder of an order is that of its command, and stands in PWD."""
    tree = tmp_path / "a tree"
    tree.mkdir()
    script = 'print(__import__("os").getcwd(), __import__("os").environ["PWD"])'
    order = Order((sys.executable, "-c", script), str(tmp_path), "", log_cap=1 << 20, tree=str(tree))
    assert 0 == place.start(order, "0.1").wait().exit_code
    assert f"{tree} {tree}\n" == (tmp_path / "worker.stdout").read_text()


def test_a_folder_that_is_gone_is_said(place: Local, tmp_path: Path) -> None:
    """The folder is blamed, not the command."""
    order = Order(("true",), str(tmp_path), "", tree=str(tmp_path / "gone"))
    with pytest.raises(NotADirectoryError, match="there is no working folder"):
        place.start(order, "0.1")


def test_a_c_library_that_cannot_change_folders(place: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where posix_spawn cannot enter a folder, a small program does it and becomes the command."""
    monkeypatch.setattr(spawning, "has_working_folder_action", lambda: False)
    order = Order(("sh", "-c", "pwd"), str(tmp_path), "", log_cap=1 << 20, tree="/")
    assert 0 == place.start(order, "0.1").wait().exit_code
    assert "/\n" == (tmp_path / "worker.stdout").read_text()
    with pytest.raises(FileNotFoundError):
        place.start(dataclasses.replace(order, argv=("no-such-command",), folder=str(tmp_path)), "0.2")


def test_a_folder_for_temporary_files_goes_with_the_attempt(
    place: Local, agents: dict[str, Agent], tmp_path: Path
) -> None:
    """gemini leaves prompts in TMPDIR: it has a folder of the attempt, which goes when the attempt has been judged."""
    script = 'echo "$TMPDIR"; : > "$TMPDIR/gemini-client-error.json"; exit 41'
    answered(agents["gemini"], place, tmp_path, script)
    assert f"{tmp_path}/tmp\n" == (tmp_path / "worker.stdout").read_text()
    assert not (tmp_path / "tmp").exists()
