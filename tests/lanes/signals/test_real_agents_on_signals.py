"""The real claude and codex work on signals, with a model on loopback (.ci/install_agents installs them)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.model_server import HANG, ModelServer
from fixtures.signal_mind import SignalMind, work_prompt
from lanes.embed.project import Finished, wait_for
from lanes.items.test_real_agents import BIN, CODEX, MODELS
from lanes.signals.calibrations import Calibrations
from trailblazer.lanes.signals.scenario import read_scenario
from trailblazer.signals.agents import signals_of
from trailblazer.signals.documents import State

SIGNALS = 12 + 5  # the cases of ptp-mock, and their clusters
ALONE = {
    "claude": ["claude", "-p", "--model", MODELS["claude"], "--output-format", "json"],
    "codex": ["codex", "exec", "--json", "--skip-git-repo-check", "-m", MODELS["codex"], "-"],
}
PROGRAM = str(Path(sys.executable).with_name("trailblazer"))  # a login shell, as codex has it, has a PATH of its own
SHELL = {
    "claude": ["--permission-mode", "acceptEdits", "--allowedTools", f"Bash({PROGRAM} signals:*)"],
    "codex": ["-s", "workspace-write"],
}

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(
        not all((BIN / name).exists() for name in MODELS), reason=".ci/install_agents was not run: it needs npm"
    ),
]

Serve = Callable[..., ModelServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that starts a model which knows the answers of ptp-mock; its words are those of SignalMind."""
    with contextlib.ExitStack() as servers:

        def start(**words: Any) -> ModelServer:
            server = ModelServer(SignalMind(read_scenario("ptp-mock"), **words))
            servers.callback(server.close)
            return server

        yield start


def settings(calibrations: Calibrations, server: ModelServer, mode: str = "success") -> dict[str, str]:
    """Return the variables by which both agents have an empty home and our model, and find `trailblazer`."""
    home = calibrations.folder / "home"
    (home / "codex").mkdir(parents=True, exist_ok=True)
    (home / "codex" / "config.toml").write_text(CODEX.format(address=server.address(mode)))
    return {
        "HOME": str(home),
        "CODEX_HOME": str(home / "codex"),
        "PATH": os.pathsep.join([str(BIN), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "ANTHROPIC_BASE_URL": server.address(mode),
        "ANTHROPIC_API_KEY": "sk-ant-none",
        "OPENAI_API_KEY": "sk-none",
    }


@contextlib.contextmanager
def working(calibrations: Calibrations, agent: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run an agent beside the block that works through the signals of the newest suite by its own shell."""
    with subprocess.Popen(
        [*ALONE[agent], *SHELL[agent]],
        cwd=calibrations.folder,
        env=calibrations.settings(**environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        files = "answers" if agent == "claude" else ""
        process.stdin.write(work_prompt(PROGRAM, calibrations.suite.folder.name, files))
        process.stdin.close()
        process.stdin = None
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


BESIDE = ["--dispatch", "batch-file", "--parallel", "8", "--batch-size", "4", "--timeout", "60"]


@pytest.mark.parametrize("agent", MODELS)
def test_a_real_agent_works_through_a_suite(calibrations: Calibrations, serve: Serve, agent: str) -> None:
    """By its own shell it takes, answers, and once fails, signals of batches until nothing waits."""
    environment = settings(calibrations, serve(fails=frozenset({"case-03"})))
    with calibrations.running("calibrate", "--scenario", "ptp-mock", *BESIDE, "--retries", "1") as process:
        calibrations.wait_for_batch()
        with working(calibrations, agent, environment) as worker:
            said, _ = worker.communicate(timeout=90)
            out, err = process.communicate(timeout=20)
    assert (0, 0) == (process.returncode, worker.returncode), err + said[-300:]
    assert "20 of 20" in out
    changes = Counter(change["to"] for change in calibrations.changes if "signal_id" in change)
    assert {"waiting": SIGNALS + 1, "processing": SIGNALS + 1, "done": SIGNALS, "error": 1} == changes


def test_two_real_agents_share_a_suite(calibrations: Calibrations, serve: Serve) -> None:
    """claude and codex take signals of one suite at the same time; each signal is answered once."""
    server = serve()
    environment = settings(calibrations, server)
    with calibrations.running("calibrate", "--scenario", "ptp-mock", *BESIDE) as process:
        calibrations.wait_for_batch()
        with working(calibrations, "claude", environment) as one, working(calibrations, "codex", environment) as other:
            said = [worker.communicate(timeout=90)[0][-300:] for worker in (one, other)]
            out, err = process.communicate(timeout=20)
    assert [0, 0, 0] == [process.returncode, one.returncode, other.returncode], [err, *said]
    assert "20 of 20" in out
    assert SIGNALS == len(set(mind_of(server).answered)) == len(mind_of(server).answered)
    assert {"messages", "responses"} == {path.partition("?")[0].rpartition("/")[2] for path in server.asked}


def provided(
    calibrations: Calibrations, server: ModelServer, agent: str, *words: str, mode: str = "success", **more: str
) -> Finished:
    """Calibrate with a real agent that is started for each signal."""
    environment = settings(calibrations, server, mode) | more
    return calibrations.calibrate("--provider", agent, "--model", MODELS[agent], *words, **environment)


@pytest.mark.parametrize("way", ["file", "batch-file"])
@pytest.mark.parametrize("agent", MODELS)
def test_a_real_agent_is_started_for_each_signal(
    calibrations: Calibrations, serve: Serve, agent: str, way: str
) -> None:
    """Its answers are found in its prose; its tokens are in the records, in the manifest, and are those it named."""
    done = provided(calibrations, serve(), agent, "--dispatch", way, "--parallel", "4")
    assert 0 == done.code, done.err
    assert "20 of 20" in done.out
    used = {(record["prompt_tokens"], record["artifact_tokens"]) for record in calibrations.tokens}
    assert (SIGNALS, {(1200, 20)}) == (len(calibrations.tokens), used)
    usage = calibrations.manifest["usage"]
    assert (1200 * SIGNALS, 20 * SIGNALS) == (usage["input_tokens"], usage["output_tokens"])
    assert usage["costUSD"] == pytest.approx(sum(record["cost_usd"] for record in calibrations.tokens))
    assert {agent} == {line["provider"] for line in calibrations.journal if line["kind"] == "settle"}
    assert_proved(calibrations)


@pytest.mark.parametrize("agent", MODELS)
def test_a_real_agent_is_refused(calibrations: Calibrations, serve: Serve, agent: str) -> None:
    """A key that is refused closes the provider: exit 8 with the reason, nothing is an item's failure, nothing runs."""
    done = provided(calibrations, serve(), agent, "--dispatch", "batch-file", "--parallel", "4", mode="401")
    assert 8 == done.code, done.err
    assert f"no provider is available: {agent}" in done.err
    assert {"postponed"} == {record["status"] for record in calibrations.tokens}
    assert 0 == calibrations.manifest["counts"]["error"]
    assert_proved(calibrations)


@pytest.mark.parametrize("agent", MODELS)
def test_a_real_agent_that_waits_is_ended(calibrations: Calibrations, serve: Serve, agent: str) -> None:
    """A model that never answers one case is ended at the time-out of its signal; the other cases go on."""
    server = serve(always={"case-04": HANG})
    words = ["--dispatch", "batch-file", "--parallel", "4", "--timeout", "20", "--retries", "0"]
    done = provided(calibrations, server, agent, *words)
    assert 6 == done.code, done.err
    statuses = {name: status for name, status in calibrations.statuses.items() if status != "success"}
    assert {"case-04.triage": "timeout"} == statuses
    assert SIGNALS - 1 <= len(calibrations.tokens) <= SIGNALS
    assert_proved(calibrations)


def test_a_limited_rate_is_no_failure(calibrations: Calibrations, serve: Serve) -> None:
    """A signal that codex was told to slow down for is sent again; it spends no attempt and counts as no failure."""
    server = serve(once={"case-02": "429", "case-07": "429"})
    done = provided(calibrations, server, "codex", "--dispatch", "batch-file", "--parallel", "4", "--retries", "0")
    assert 0 == done.code, done.err
    assert "20 of 20" in done.out
    assert {"success": SIGNALS, "postponed": 2} == Counter(record["status"] for record in calibrations.tokens)
    assert {(0, 0)} == {
        (record["prompt_tokens"], record["artifact_tokens"])
        for record in calibrations.tokens
        if record["status"] == "postponed"
    }
    assert_proved(calibrations)


@pytest.mark.parametrize("agent", MODELS)
def test_ctrl_c_ends_real_agents(calibrations: Calibrations, serve: Serve, agent: str) -> None:
    """Ctrl-C with agents at work: exit 130, no process is left, and a resume finishes what is open."""
    waits = {"case-03": HANG, "case-04": HANG}
    server = serve(always=waits)
    environment = settings(calibrations, server)
    words = ["--provider", agent, "--model", MODELS[agent], "--dispatch", "batch-file", "--parallel", "4"]
    with calibrations.running("calibrate", "--scenario", "ptp-mock", *words, before=(), **environment) as process:
        wait_for(lambda: len(calibrations.statuses) == 2, "two signals have ended")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert 130 == process.returncode, err
    assert [] == processes_of(calibrations)
    states = {found.signal.status for found in signals_of(calibrations.suite)}
    assert {State.DONE, State.ERROR} == states
    assert_proved(calibrations)
    waits.clear()
    resumed = calibrations.run("calibrate", "--resume", "latest", **environment)
    assert 0 == resumed.code, resumed.err
    assert "20 of 20" in resumed.out
    assert_proved(calibrations)


def mind_of(server: ModelServer) -> SignalMind:
    """Return the mind of a server that works on signals."""
    assert isinstance(server.mind, SignalMind)
    return server.mind


def processes_of(calibrations: Calibrations) -> list[int]:
    """Return the processes whose home is that of the agents."""
    home, found = f"HOME={calibrations.folder / 'home'}".encode(), []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and home in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def assert_proved(calibrations: Calibrations) -> None:
    """Hold the newest dispatch against its seal."""
    verified = calibrations.run("verify", str(calibrations.dispatch))
    assert 0 == verified.code, verified.out + verified.err
