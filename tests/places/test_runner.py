"""dx-runner as a place (N5): jobs that outlive a start, are asked about, stopped, left and found again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lanes.embed.project import wait_for
from trailblazer.config import load_config
from trailblazer.errors import WordsWrong
from trailblazer.places.runner import Runner, RunnerProcess
from trailblazer.providers.agents import runner_agent
from trailblazer.providers.command import Command
from trailblazer.providers.order import Evidence, Expectation, Finished, Order, read_order
from trailblazer.providers.runner_events import complaint_of
from trailblazer.providers.templates import compile_text
from trailblazer.record.outcomes import Left, Outcome, Status

STAND_INS = Path(__file__).resolve().parents[1] / "stand_ins"


class Runners:
    """dx-runner on a PATH of its own, and jobs in a dispatch."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch, self._count = folder, patch, 0
        self.config = load_config(start=folder)
        (folder / "dispatch").mkdir()
        (folder / "home").mkdir()
        patch.setenv("PATH", f"{STAND_INS}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("DX_RUNNER_HOME", str(folder / "home"))
        self.behaves()  # plumbum keeps variables that were set when it was imported
        self.place = self.new_place()

    def new_place(self, acknowledge_seconds: float = 10.0) -> Runner:
        """Return the place as a process of its own would have it."""
        runner = runner_agent(self.config, "dx-runner:opencode")
        folder = self.folder / "dispatch"
        return Runner(folder, {}, runner.questions, acknowledge_seconds=acknowledge_seconds, pauses=(0.05, 0.2))

    def behaves(self, **settings: Any) -> None:
        """Say how dx-runner is to behave from now on."""
        self._patch.setenv("DX_STAND_IN", json.dumps(settings))

    def provider(self, prompt: str, **settings: Any) -> Command:
        """Return dx-runner's opencode as a provider whose agent does what the prompt says, in sh."""
        agent = runner_agent(self.config, "dx-runner:opencode")
        return Command((), compile_text(prompt), agent, None, 1 << 20, Expectation(), **settings)

    def order(self, provider: Command, issue: str = "x-1", limit: float | None = 60.0) -> Order:
        """Return an order in a new folder of the dispatch."""
        self._count += 1
        folder = self.folder / "dispatch" / f"attempt_{self._count}"
        folder.mkdir()
        values = {"output_file": f"{folder}/output", "prompt_file": f"{folder}/prompt.md"}
        return provider.order(values, str(folder), limit, {"issue": issue, "repo": "site"})

    def carried(self, prompt: str, limit: float | None = 60.0, **settings: Any) -> Outcome:
        """Return what a job comes to."""
        provider = self.provider(prompt, **settings)
        order = self.order(provider, limit=limit)
        finished = self.place.start(order, "0.1").wait()
        assert isinstance(finished, Finished)
        return provider.judge(order, finished, lambda *_: "").outcome

    def begun(self, prompt: str, **settings: Any) -> tuple[RunnerProcess, list[Finished | Left], threading.Thread]:
        """Start a job in a thread; return it, the list that gets its answer, and the thread."""
        process = self.place.start(self.order(self.provider(prompt, **settings)), "0.1")
        answers: list[Finished | Left] = []
        thread = threading.Thread(target=lambda: answers.append(process.wait()))
        thread.start()
        return process, answers, thread

    @property
    def kept_run(self) -> str:
        """The run that is kept of the newest attempt; empty until it is acknowledged."""
        file = self.folder / "dispatch" / f"attempt_{self._count}" / "runner_job.json"
        return str(json.loads(file.read_text())["run"]) if file.exists() else ""

    @property
    def state(self) -> dict[str, Any]:
        """What dx-runner knows of the issue."""
        file = self.folder / "home" / "x-1.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}


def is_alive(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def runners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runners]:
    """dx-runner, whose jobs are all ended after the test."""
    made = Runners(tmp_path, monkeypatch)
    yield made
    for name in ("agent", "pid"):
        with contextlib.suppress(KeyError, ProcessLookupError):
            os.killpg(made.state[name], signal.SIGKILL)


@pytest.mark.parametrize("version", ["old", "new"])
def test_a_job_is_carried_out(runners: Runners, version: str) -> None:
    """A job is started with two words a flag, waited for, and judged by its report."""
    runners.behaves(version=version)
    outcome = runners.carried("echo done > {{ output_file }}")
    assert Status.SUCCESS is outcome.status, outcome.reason
    assert "stand-in/model" == outcome.details["model"]
    assert "done\n" == (runners.folder / "dispatch" / "attempt_1" / "output").read_text()
    assert 0o600 == (runners.folder / "dispatch" / "attempt_1" / "prompt.md").stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("exit 3", "error runner_error failed"),
        ("exit 23", "error runner_error no_change"),
        ("exit 24", "success"),
    ],
)
def test_how_a_job_ended(runners: Runners, prompt: str, expected: str) -> None:
    """Each state has its outcome, code and cause."""
    outcome = runners.carried(prompt)
    found = " ".join(filter(None, [outcome.status, outcome.details.get("code"), outcome.details.get("cause")]))
    assert expected == found


def test_a_reason_code_says_why(runners: Runners) -> None:
    """The machine's word for a failure is the cause, and closes the provider like that of any agent."""
    runners.behaves(reason_code="opencode_rate_limited")
    outcome = runners.carried("exit 1")
    assert "exited_err; reason_code=opencode_rate_limited; none" in outcome.reason
    assert ("provider_unavailable", "rate_limited") == (outcome.details["code"], outcome.details["cause"])


@pytest.mark.parametrize(
    ("settings", "expected", "reason"),
    [
        ({"refuse": 20, "complains": "provider is down"}, "provider_unavailable unreachable", "provider is down"),
        ({"refuse": 21, "prints": "x\nreason_code=auth_missing"}, "preflight_failed not_logged_in", "auth_missing"),
        ({"refuse": 22, "complains": "[ERROR] no worktree"}, "runner_error worktree", "no worktree"),
        ({"refuse": 24}, "runner_error tracker", "Unknown error (no error output)"),
        ({"refuse": 25, "complains": "a\nERROR: canonical model missing"}, "provider_unavailable model_missing", "can"),
        ({"refuse": 26}, "runner_error runner_busy", "Unknown"),
        ({"refuse": 27}, "runner_error runner_mode", "Unknown"),
        ({"refuse": 29}, "runner_error runner_scope", "Unknown"),
    ],
)
def test_a_refused_start(runners: Runners, settings: dict[str, Any], expected: str, reason: str) -> None:
    """The exit code of the start, and what either stream says, is the failure; nothing runs."""
    runners.behaves(**settings)
    outcome = runners.carried("echo never")
    assert expected == f"{outcome.details['code']} {outcome.details['cause']}"
    assert reason in outcome.reason
    assert {} == runners.state


def test_a_runner_that_is_not_installed(runners: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one line, and a cause."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    outcome = runners.carried("echo never")
    assert "command not found: dx-runner" in outcome.reason


def test_an_old_outcome_is_not_that_of_a_new_run(runners: Runners) -> None:
    """State is kept by issue alone: a start that begins nothing does not inherit the success before it."""
    assert Status.SUCCESS is runners.carried("true").status
    runners.behaves(start="silent")
    runners.place = runners.new_place(acknowledge_seconds=0.5)
    outcome = runners.carried("true")
    assert "not acknowledged within 0.5 s" in outcome.reason
    assert "timeout" == outcome.details["cause"]


def test_a_start_that_hangs(runners: Runners) -> None:
    """It is ended after the time to acknowledge, and the check says that nothing runs."""
    runners.behaves(start="hangs")
    runners.place = runners.new_place(acknowledge_seconds=0.5)
    outcome = runners.carried("true")
    assert (Status.ERROR, "timeout") == (outcome.status, outcome.details["cause"])


def test_a_start_and_a_check_that_say_nothing(runners: Runners) -> None:
    """A job that may be running is left, never released."""
    runners.behaves(start="silent", check="garbage")
    runners.place = runners.new_place(acknowledge_seconds=0.5)
    assert (
        Left("the runner does not say whether the job began")
        == runners.place.start(runners.order(runners.provider("true")), "0.1").wait()
    )


@pytest.mark.parametrize("version", ["old", "new"])
def test_a_job_that_is_late_is_stopped_and_gone(runners: Runners, version: str) -> None:
    """The wall-clock limit is ours; also what a `stop` of the launcher leaves is ended."""
    runners.behaves(version=version)
    outcome = runners.carried("sleep 600", limit=1.5)
    assert (Status.TIMEOUT, "timeout") == (outcome.status, outcome.details["code"])
    wait_for(lambda: not is_alive(runners.state["agent"]), "the agent has gone")


def test_a_stalled_job_is_silent(runners: Runners) -> None:
    """A job that the runner calls stalled for the idle limit is ended as any silent attempt."""
    runners.behaves(state="stalled")
    outcome = runners.carried("sleep 600", idle_seconds=0.4)
    assert (Status.TIMEOUT, "silent for 0.4 s", "idle") == (outcome.status, outcome.reason, outcome.details["cause"])


def test_an_interrupt_stops_the_job(runners: Runners) -> None:
    """A job that is asked to end is stopped; its outcome is cancelled."""
    process, answers, thread = runners.begun("sleep 600")
    wait_for(lambda: runners.state.get("agent", 0), "the job runs")
    process.end("cancelled", 5.0)
    thread.join(30)
    (answer,) = answers
    assert isinstance(answer, Finished)
    assert "cancelled" == answer.why
    assert not is_alive(runners.state["agent"])


def test_a_job_that_is_left_outlives_us(runners: Runners) -> None:
    """With no wait the answer is Left at once; the job has no mark of ours, and a later process settles it."""
    prompt = 'echo "$TRAILBLAZING" > {{ output_file }}.mark; while [ ! -e {{ output_file }}.go ]; do sleep 0.05; done'
    provider = runners.provider(prompt, is_left=True)
    order = runners.order(provider)
    process = runners.place.start(order, "0.1")
    left = process.wait()
    assert Left(f"it goes on as {runners.state['run_instance']}") == left
    wait_for(lambda: Path(f"{order.output_file}.mark").exists(), "the job runs")
    assert "\n" == Path(f"{order.output_file}.mark").read_text()
    later = runners.new_place().find(json.loads(json.dumps(process.handle)))
    assert later is not None
    assert isinstance(later.wait(), Left)
    Path(f"{order.output_file}.go").touch()
    wait_for(lambda: runners.state["state"] == "exited_ok", "the job has ended")
    found = runners.new_place().find(process.handle)
    assert found is not None
    finished = found.wait()
    assert isinstance(finished, Finished)
    assert Status.SUCCESS is provider.judge(found.order, finished, lambda *_: "").outcome.status


def test_a_job_of_a_killed_dispatcher_is_found(runners: Runners) -> None:
    """The handle is there before the job is; a later process goes on to wait for it."""
    process, answers, thread = runners.begun("while [ ! -e {{ output_file }}.go ]; do sleep 0.05; done")
    wait_for(lambda: runners.kept_run, "the job is acknowledged")
    found = runners.new_place().find(process.handle)
    assert found is not None
    Path(f"{process.order.output_file}.go").touch()
    finished = found.wait()
    assert isinstance(finished, Finished)
    assert 0 == finished.exit_code
    thread.join(30)
    assert 1 == len(answers)


def test_what_never_began_is_not_found(runners: Runners, tmp_path: Path) -> None:
    """A dispatcher that was killed before the start left nothing; a handle from elsewhere finds nothing."""
    process = runners.place.start(runners.order(runners.provider("true")), "0.1")
    assert runners.new_place().find(process.handle) is None
    assert runners.new_place().find({}) is None
    assert runners.new_place().find({"folder": str(tmp_path)}) is None


def test_a_run_that_somebody_restarts_is_left(runners: Runners) -> None:
    """Another run of the issue is not ours: its claim is not released."""
    _, answers, thread = runners.begun("sleep 600")
    wait_for(lambda: runners.kept_run, "the job is acknowledged")
    ours = runners.state
    (runners.folder / "home" / "x-1.json").write_text(json.dumps({**ours, "run_instance": "other"}))
    thread.join(30)
    (answer,) = answers
    assert isinstance(answer, Left)
    assert "another run of the issue (other)" in answer.reason


def test_a_job_of_somebody_else_is_not_doubled(runners: Runners) -> None:
    """Nothing is started while dx-runner works on the issue."""
    runners.begun("sleep 1")[2].join(0)
    wait_for(lambda: runners.state.get("agent", 0), "the job runs")
    outcome = runners.carried("true")
    assert ("runner_error", "runner_busy") == (outcome.details["code"], outcome.details["cause"])


@pytest.mark.parametrize("issue", ["", "--all", "-x"])
def test_an_id_that_is_an_option_is_refused(runners: Runners, issue: str) -> None:
    """No runner is asked about an id that it would take for an option."""
    with pytest.raises(WordsWrong):
        runners.place.start(runners.order(runners.provider("true"), issue), "0.1")


@pytest.mark.parametrize(
    ("out", "err", "expected"),
    [
        ("", "", "Unknown error (no error output)"),
        ("first\nsecond", "", "first"),
        ("first", "other", "other"),
        ("ERROR: later", "noise", "later"),
        ("ERROR: x", "[ERROR] y", "y"),
        (
            "noise\nreason_code=auth_missing next_action=log in",
            "[ERROR] y",
            "reason_code=auth_missing next_action=log in",
        ),
        ("ERROR_CODE=E7", "next_action=wait", "next_action=wait; ERROR_CODE=E7"),
        ("\x1b[31mERROR:\x1b[0m red", "", "red"),
        ("x" * 300, "", "x" * 199 + "…"),
    ],
)
def test_the_error_in_what_a_runner_prints(out: str, err: str, expected: str) -> None:
    """Machine lines, then [ERROR], then ERROR:, then the first line, stderr first, at most 200 characters."""
    assert expected == complaint_of(out, err)


def test_an_order_is_read_again(runners: Runners) -> None:
    """The order in the folder of a job is the one that was started."""
    order = runners.order(runners.provider("true", idle_seconds=7.0))
    assert order == read_order(json.loads(json.dumps(order.document())))
    assert Evidence.NONE is order.expects.evidence
