"""Providers that are started for each signal: what they say, what they use, and how they end."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from lanes.embed.project import Finished, read_json, wait_for
from lanes.items.standins import KINDS
from lanes.signals.calibrations import Calibrations
from lanes.signals.scenarios import case_document, write_scenario
from trailblazer.lanes.signals.agents import find_object
from trailblazer.lanes.signals.scenario import read_scenario
from trailblazer.lanes.signals.stub import stub_answer
from trailblazer.paths import CONFIG_NAME
from trailblazer.signals.agents import signals_of, submit
from trailblazer.signals.documents import State

pytestmark = pytest.mark.proof

TESTS = Path(__file__).resolve().parents[2]
AGENT = TESTS / "fixtures" / "signal_agent.py"
CASES = ("one", "two", "three", "four")
SIGNALS = len(CASES) + 1  # they share a symptom
USED = {"prompt_tokens": 100, "artifact_tokens": 10, "cost_usd": 0.5}


class Agency:
    """A project with a scenario of four cases, and the agent `local` that answers them."""

    def __init__(self, calibrations: Calibrations) -> None:
        self.project, self.folder = calibrations, calibrations.folder
        self.scenario = write_scenario(self.folder / "scenario", {name: case_document() for name in CASES})
        kinds = [{"kind": kind, "final": {"kind": kind}} for kind in KINDS]
        usage = {"input_tokens": {"path": "tokens"}, "output_tokens": {"path": "written"}, "costUSD": {"path": "cost"}}
        entry = {
            "command": [sys.executable, str(AGENT), str(self.scenario), str(self.folder)],
            "final": {"type": "result"},
            "find": {"text": {"path": "text"}, "error": {"path": "text"}},
            "usage": usage,
            "kinds": kinds,
        }
        words = {"providers": {"agents": {"local": entry}}, "dispatch": {"workers": 4}}
        (self.folder / CONFIG_NAME).write_text(yaml.safe_dump(words))
        calibrations.environment["PYTHONPATH"] = str(TESTS)

    def words(self, *more: str) -> list[str]:
        """The words of a calibration in batches of four."""
        way = ["--provider", "local", "--dispatch", "batch-file", "--parallel", "4", "--retries", "0"]
        return ["calibrate", "--scenario", str(self.scenario), *way, *more]

    def run(self, *more: str, **settings: str) -> Finished:
        """Calibrate in batches of four."""
        return self.project.run(*self.words(*more), **settings)

    def has(self, case: str, *words: str) -> None:
        """Have the agent do something with a case, call by call."""
        (self.folder / f"{case}.does").write_text(" ".join(words))

    @property
    def log(self) -> list[str]:
        """What agents began and ended, in their order."""
        file = self.folder / "log"
        return file.read_text().splitlines() if file.exists() else []

    def result(self, case: str) -> dict[str, Any]:
        """The result of the first attempt at the triage of a case."""
        return read_json(self.project.dispatch / f"task_{sorted(CASES).index(case)}" / "attempt_1" / "result.json")

    def records(self, status: str) -> list[dict[str, Any]]:
        """The token records with a status."""
        return [record for record in self.project.tokens if record["status"] == status]

    def assert_proved(self) -> None:
        """Hold the newest dispatch against its seal."""
        verified = self.project.run("verify", str(self.project.dispatch))
        assert 0 == verified.code, verified.out + verified.err


@pytest.fixture
def agency(calibrations: Calibrations) -> Agency:
    """A project whose agent is ours."""
    return Agency(calibrations)


def used_by(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what records say of tokens and money."""
    return [{name: record[name] for name in USED} for record in records]


@pytest.mark.parametrize(
    ("word", "why"),
    [("prose", "the agent's answer holds no JSON object"), ("wrong", "the answer: $: 'component' is a required")],
)
def test_an_answer_that_is_none(agency: Agency, word: str, why: str) -> None:
    """A success without an answer that the step takes is an error everywhere; what it used counts."""
    agency.has("two", word)
    assert 6 == agency.run().code
    result = agency.result("two")
    assert ("error", "output") == (result["status"], result["cause"])
    assert result["reason"].startswith(why)
    assert result["reason"] == agency.project.reasons["two.triage"]
    failed = [found.signal for found in signals_of(agency.project.suite) if found.signal.status is State.ERROR]
    assert [result["reason"]] == [one.error for one in failed]
    assert [USED] == used_by(agency.records("error"))
    assert SIGNALS * 100 == agency.project.manifest["usage"]["input_tokens"]
    agency.assert_proved()


def test_a_hostile_answer_is_that_of_one_signal(agency: Agency) -> None:
    """Text that no file can hold, and tokens that nobody can use, stop nobody else."""
    agency.has("one", "half")
    agency.has("two", "absurd")
    agency.run()
    statuses = agency.project.statuses
    assert ["success"] * (SIGNALS - 2) == [
        statuses[name] for name in statuses if name not in {"one.triage", "two.triage"}
    ]
    assert statuses["one.triage"] in {"success", "error"}
    assert "success" == statuses["two.triage"]
    assert agency.project.manifest["usage"]["input_tokens"] < 100_000
    agency.assert_proved()


def test_an_agent_that_hangs_has_the_time_of_its_signal(agency: Agency) -> None:
    """It is ended and named as timed out; the others go on, and the manifest of the batch has both counts."""
    agency.has("three", "hang")
    done = agency.run("--timeout", "4")
    assert 6 == done.code, done.err
    assert "timeout" == agency.project.statuses["three.triage"]
    assert "timeout" == agency.result("three")["status"]
    first = agency.project.manifests[0]
    assert {"done": 3, "error": 1} == Counter(entry.status.value for entry in first.signals)
    assert 1 == len(agency.records("timeout"))
    agency.assert_proved()


def test_a_provider_that_is_limited_puts_the_signal_back(agency: Agency) -> None:
    """The signal is sent again without an attempt spent, no failure is counted, and nothing was used."""
    agency.has("one", "rate", "answer")
    done = agency.run()
    assert "success" == agency.project.statuses["one.triage"], done.err
    assert 0 == read_json(agency.project.dispatch / "scorecard.json")["spent"]["failed"]
    assert [{"prompt_tokens": 0, "artifact_tokens": 0, "cost_usd": 0.0}] == used_by(agency.records("postponed"))
    assert SIGNALS * 100 == agency.project.manifest["usage"]["input_tokens"]
    assert SIGNALS == read_json(agency.project.dispatch / "scorecard.json")["spent"]["signals"]
    agency.assert_proved()


def test_a_resume_waits_for_no_agent_of_a_killed_dispatcher(agency: Agency) -> None:
    """What was answered is taken; a signal whose agent is gone is sent again at once, not waited for."""
    agency.has("four", "hang", "answer")
    with agency.project.running(*agency.words()) as process:
        wait_for(lambda: {"begin four", "end one", "end two", "end three"} <= set(agency.log), "one agent hangs")
        wait_for(lambda: len(list(agency.project.suite.artifacts.glob("[0-9]*.json"))) == 3, "three have answered")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    resumed = agency.project.run("calibrate", "--resume", "latest")
    assert {"success"} == set(agency.project.statuses.values()), resumed.err
    begun = Counter(line for line in agency.log if line.startswith("begin"))
    assert {"begin one": 1, "begin two": 1, "begin three": 1, "begin four": 3} == begun  # it stands for its cluster
    agency.assert_proved()


@pytest.mark.parametrize("cap", [{"budget_max_tokens": "440"}, {"budget_max_cost_usd": "2"}])
def test_the_budget_of_the_configuration_holds(agency: Agency, cap: dict[str, str]) -> None:
    """What four agents used is the whole budget: no further one starts, and a resume with it starts none either."""
    done = agency.run(**cap)
    assert "the budget is spent: " in done.err
    assert 6 == done.code
    assert 4 == len(agency.project.tokens)
    assert 6 == agency.project.run("calibrate", "--resume", "latest", **cap).code
    assert 4 == len(agency.project.tokens)


def test_no_more_agents_than_parallel(agency: Agency) -> None:
    """A batch of four with --parallel 2: two agents at a time."""
    agency.run("--parallel", "2", "--batch-size", "4")
    busy = itertools.accumulate({"begin": 1, "end": -1}[line.split()[0]] for line in agency.log)
    assert 2 >= max(busy)
    assert 2 * SIGNALS == len(agency.log)
    assert [4, 1] == [len(manifest.signals) for manifest in agency.project.manifests]


def test_somebody_else_may_be_faster(agency: Agency) -> None:
    """A signal that somebody else answers is done, and the agent that works on it is ended."""
    agency.has("two", "hang")
    with agency.project.running(*agency.words()) as process:
        wait_for(lambda: "begin two" in agency.log, "the agent hangs")
        (found,) = (one for one in signals_of(agency.project.suite) if one.signal.case_id == "two")
        submit(found, stub_answer(read_scenario(str(agency.scenario)), "triage", "two"))
        _, err = process.communicate(timeout=30)
    assert {"success"} == set(agency.project.statuses.values()), err
    assert "cancelled" == agency.result("two")["status"]
    agency.assert_proved()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Well {so}:\n```json\n{"a": 1}\n```\nand {that} is it.', {"a": 1}),
        ('```\n{"a": 1}\n```\nNo:\n```json\n{"a": 2}\n```', {"a": 2}),
        ('```json\n{"a": 1}\n```\n```\nmake test\n```', {"a": 1}),
        ('I say {"a": {"b": "}"}} and no more.', {"a": {"b": "}"}}),
        ('{"a": 1} or {"a": 2}', None),
        ("[1]", None),
        ("nothing", None),
        ("}{", None),
        ("", None),
        ("```json\n{\n```", None),
        ("{" * 100_000, None),
        ("```\n" * 100_000, None),
    ],
)
def test_the_json_in_an_answer(text: str, found: dict[str, Any] | None) -> None:
    """All of it, its last fenced block that is an object, or from the first brace to the last."""
    assert found == find_object(text)
