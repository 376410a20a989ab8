"""Calibrations with the real program: who answers, in whatever way, the same results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter

import pytest
import yaml

from lanes.embed.project import TRAILBLAZER, read_json, wait_for
from lanes.signals.calibrations import Calibrations, right_answers, typed_answers
from trailblazer.signals.agents import Found, find_signal, submit
from trailblazer.signals.documents import BatchState

SCENARIOS = ("ptp-mock", "ptp-mock-30")
BATCHES = ("--dispatch", "batch-file", "--parallel", "4", "--batch-size", "4")


def test_the_stub_has_a_full_scorecard(calibrations: Calibrations) -> None:
    """The command of the documentation: batches of 4, 20 of 20 metrics, tokens and cost; the folder is proved (S5)."""
    done = calibrations.calibrate("--adapter", "stub", *BATCHES, "--cost-report")
    assert 0 == done.code, done.err
    assert "ptp-mock: 20 of 20 metrics pass" in done.out
    assert "US$" in done.out
    assert [4, 4, 4, 4, 1] == [len(manifest.signals) for manifest in calibrations.manifests]
    assert ["triage"] * 3 + ["investigate"] * 2 == [manifest.phase for manifest in calibrations.manifests]
    assert {BatchState.DONE} == {manifest.status for manifest in calibrations.manifests}
    assert 0 == calibrations.run("verify", calibrations.dispatch.name).code
    assert {"planned": 17, "success": 17}.items() <= calibrations.manifest["counts"].items()
    tokens = [json.loads(line) for line in (calibrations.dispatch / "tokens.ndjson").read_text().splitlines()]
    used = sum(line["prompt_tokens"] + line["artifact_tokens"] for line in tokens)
    usage = calibrations.manifest["usage"]
    assert used == usage["input_tokens"] + usage["output_tokens"]


def test_the_whole_history_is_in_the_events(calibrations: Calibrations) -> None:
    """Each batch is pending, in progress, done; each signal waits before it is done."""
    assert 0 == calibrations.calibrate("--adapter", "stub", *BATCHES).code
    batches: dict[int, list[str]] = {}
    signals: dict[int, list[str]] = {}
    for change in calibrations.changes:
        if "signal_id" in change:
            signals.setdefault(change["signal_id"], []).append(change["to"])
        else:
            batches.setdefault(change["batch_id"], []).append(change["to"])
    assert [["pending", "in_progress", "done"]] * 5 == list(batches.values())
    assert [["waiting", "done"]] * 17 == list(signals.values())


@pytest.mark.proof
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_way_has_the_same_results(calibrations: Calibrations, scenario: str) -> None:
    """The stub, single signals at 1 and at 4, batches that overlap, and stdin: the same bytes (S5, S6)."""
    assert 0 == calibrations.calibrate("--adapter", "stub", scenario=scenario).code
    expected = calibrations.results
    ways = [
        ("--dispatch", "file", "--parallel", "1"),
        ("--dispatch", "file", "--parallel", "4"),
        ("--dispatch", "batch-file", "--parallel", "8", "--batch-size", "4"),
    ]
    for way in ways:
        with calibrations.agents(3, right_answers(scenario, 0.01)):
            done = calibrations.calibrate(*way, scenario=scenario)
        assert 0 == done.code, done.err
        assert expected == calibrations.results
        assert ("batch-file" in way) is bool(list(calibrations.suite.folder.glob("batches/*")))
    typed = subprocess.run(
        [*TRAILBLAZER, "calibrate", "--scenario", scenario, "--dispatch", "stdin"],
        cwd=calibrations.folder,
        env=calibrations.settings(),
        input=typed_answers(scenario),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == typed.returncode, typed.stderr
    assert expected == calibrations.results


@pytest.mark.proof
def test_one_time_out_in_a_batch_of_four(calibrations: Calibrations) -> None:
    """Three results and one error; the manifest ends done with both counts, and a retry is a signal of its own (S3)."""
    answer = right_answers()

    def leave_one(found: Found) -> None:
        if found.signal.case_id != "case-02":
            answer(found)

    with calibrations.agents(2, leave_one):
        done = calibrations.calibrate(*BATCHES, "--timeout", "2")
    assert 6 == done.code, done.err
    first = calibrations.manifests[0]
    assert (BatchState.DONE, 3, 1) == (
        first.status,
        sum(entry.status is BatchState.DONE for entry in first.signals),
        sum(entry.status is BatchState.ERROR for entry in first.signals),
    )
    assert "Timeout: case-02.triage: no artifact came within 2 s" in done.err
    assert ["case-02"] == [
        line.split()[0] for line in calibrations.run("calibrate", "--resume", "latest", "--dry-run").out.splitlines()
    ]
    with calibrations.agents(2, answer):
        resumed = calibrations.run("calibrate", "--resume", "latest")
    assert 0 == resumed.code, resumed.err
    assert "20 of 20" in resumed.out
    asked = Counter(change["signal_id"] for change in calibrations.changes if change["to"] == "waiting")
    assert {1} == set(asked.values())


def test_a_killed_batch_is_carried_on(calibrations: Calibrations) -> None:
    """What was published while nobody listened is taken, the rest is waited for, and no signal is written twice."""
    answer = right_answers()
    with calibrations.running("calibrate", "--scenario", "ptp-mock", *BATCHES) as process:
        batch = calibrations.wait_for_batch()
        numbers = [int(entry.signal_path.split("/")[-2]) for entry in batch.signals]
        wait_for(lambda: any(line["kind"] == "begun" for line in calibrations.journal), "the journal has its handle")
        answer(find_signal(calibrations.suite, numbers[0]))
        wait_for(lambda: calibrations.statuses, "the first is settled")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    answer(find_signal(calibrations.suite, numbers[2]))
    with calibrations.agents(2, answer):
        done = calibrations.run("calibrate", "--resume", "latest")
    assert 0 == done.code, done.err
    assert "20 of 20" in done.out
    assert numbers == [int(entry.signal_path.split("/")[-2]) for entry in calibrations.manifests[0].signals]
    assert BatchState.DONE is calibrations.manifests[0].status
    assert 17 == len(list((calibrations.suite.folder / "signals").iterdir()))
    assert 0 == calibrations.run("verify", calibrations.dispatch.name).code


@pytest.mark.parametrize("way", ["stdin", "file", "batch-file"])
def test_waiting_ends_at_once(calibrations: Calibrations, way: str) -> None:
    """Ctrl-C ends the wait for agents; the signals say so, a late answer is put aside, and a resume finishes."""
    words = ["calibrate", "--scenario", "ptp-mock", "--dispatch", way, "--parallel", "4"]
    read, write = os.pipe()
    with subprocess.Popen(
        [*TRAILBLAZER, *words],
        cwd=calibrations.folder,
        env=calibrations.settings(),
        stdin=read,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: any(line["kind"] == "start" for line in calibrations.journal), "a signal is waited for")
        if way != "stdin":
            wait_for(lambda: list(calibrations.var.glob("calibrate/*/signals/*/signal.json")), "a signal is there")
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, err = process.communicate(timeout=60)
        assert time.monotonic() - begun < 10, err
    os.close(write)
    os.close(read)
    assert 130 == process.returncode, err
    assert "interrupted" == calibrations.manifest["status"]
    assert 0 == calibrations.run("verify", calibrations.dispatch.name).code
    if way == "batch-file":
        assert BatchState.ERROR is calibrations.manifests[0].status
    if way != "stdin":
        with calibrations.agents(4, right_answers()):
            assert 0 == calibrations.run("calibrate", "--resume", "latest").code


def test_the_token_budget_stops_new_signals(calibrations: Calibrations) -> None:
    """Past it no signal is written, the rest is cancelled, and the last lines say so; a larger one goes on (S5)."""
    done = calibrations.calibrate("--adapter", "stub", "--parallel", "1", "--token-budget", "3000")
    assert 6 == done.code, done.err
    assert "the token budget is spent" in done.err
    counts = calibrations.manifest["counts"]
    assert counts["success"] + counts["cancelled"] == counts["planned"] == 12
    assert 0 < counts["success"] < 12
    assert counts["success"] == len(list((calibrations.suite.folder / "signals").iterdir()))
    again = calibrations.run("calibrate", "--resume", "latest", "--token-budget", "1000000")
    assert 0 == again.code, again.err


def test_a_resume_reads_records_that_a_full_disk_has_torn(calibrations: Calibrations) -> None:
    """Half a line of tokens.ndjson is cut off before the next one is written."""
    assert 6 == calibrations.calibrate("--adapter", "stub", "--parallel", "1", "--token-budget", "1500").code
    tokens = calibrations.dispatch / "tokens.ndjson"
    tokens.write_bytes(tokens.read_bytes() + b'{"dispatch_id": 3, "sta')
    resumed = calibrations.run("calibrate", "--resume", "latest", "--token-budget", "1000000", "--force")
    assert 0 == resumed.code, resumed.err
    assert "20 of 20" in resumed.out


@pytest.mark.parametrize("again", ["--resume", "--retry-failed"])
def test_a_case_that_is_triaged_later_joins(calibrations: Calibrations, again: str) -> None:
    """A resume and a retry triage what failed; its cluster keeps the case that was investigated; the rest is left."""
    answer = right_answers()

    def refuse_first(found: Found) -> None:
        if found.signal.case_id == "case-01":
            submit(found, {"category": "no such category"})
        else:
            answer(found)

    with calibrations.agents(2, refuse_first):
        assert 6 == calibrations.calibrate(*BATCHES).code
    assert "the answer: $: " in calibrations.reasons["case-01.triage"]
    before = {line["item"] for line in calibrations.journal if line["kind"] == "settle" and line["status"] == "success"}
    with calibrations.agents(2, answer):
        resumed = calibrations.run("calibrate", again, "latest")
    assert "20 of 20" in resumed.out, resumed.err
    starts = Counter(line["item"] for line in calibrations.journal if line["kind"] == "start")
    assert {1} == {starts[item] for item in before}
    clusters = [json.loads(line) for line in (calibrations.dispatch / "clusters.ndjson").read_text().splitlines()]
    assert 5 == len(clusters)
    (joined,) = [cluster for cluster in clusters if "case-01" in cluster["members"]]
    assert "case-01" != joined["representative"]


@pytest.mark.proof
def test_several_dispatchers_share_a_suite(calibrations: Calibrations) -> None:
    """Their numbers never meet: every signal and batch of the suite has one of its own (S7)."""
    words = ["calibrate", "--scenario", "ptp-mock", "--adapter", "stub", *BATCHES, "--suite", "shared"]
    for _ in range(2):
        processes = [
            subprocess.Popen(
                [*TRAILBLAZER, *words], cwd=calibrations.folder, env=calibrations.settings(), stdout=subprocess.DEVNULL
            )
            for _ in range(3)
        ]
        assert [0, 0, 0] == [process.wait(60) for process in processes]
    folder = calibrations.suite.folder
    numbers = [int(one.name) for kind in ("signals", "batches") for one in (folder / kind).iterdir()]
    assert 6 * (17 + 5) == len(set(numbers)) == len(numbers) == int((folder / "last_id").read_text())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("calibrate",), 2, "there is no scenario"),
        (("calibrate", "--scenario", "no-such"), 4, "ptp-mock"),
        (("calibrate", "--scenario", "ptp-mock", "--parallel", "0"), 2, "--parallel 0 is out of range"),
        (("calibrate", "--scenario", "ptp-mock", "--timeout", "0"), 2, "--timeout 0"),
        (("calibrate", "--scenario", "ptp-mock", "--adapter", "stub", "--provider", "claude"), 2, "--provider"),
        (("calibrate", "--scenario", "ptp-mock", "--provider", "nobody"), 2, "there is no provider nobody"),
        (("calibrate", "--scenario", "ptp-mock", "--suite", "../x"), 2, "is not a suite"),
        (("calibrate", "--resume", "no-such"), 4, "there is no dispatch no-such"),
        (("signals", "next"), 4, "there is no suite"),
    ],
)
def test_words_that_are_refused(calibrations: Calibrations, words: tuple[str, ...], code: int, said: str) -> None:
    """One line, a hint, the right exit code, and nothing is written."""
    done = calibrations.run(*words)
    assert (code, True) == (done.code, said in done.err), done.err
    assert not calibrations.dispatches


def test_a_look_at_a_scenario(calibrations: Calibrations) -> None:
    """--check says what is in a scenario, and --dry-run what would be asked; neither leaves anything."""
    assert "12 cases" in calibrations.run("calibrate", "--check", "ptp-mock").out
    dry = calibrations.calibrate("--dry-run")
    assert (0, 12) == (dry.code, len(dry.out.splitlines()))
    assert "nothing was done" in dry.err
    assert not calibrations.dispatches


def test_the_scorecard_is_kept(calibrations: Calibrations) -> None:
    """Its document is in the sealed folder, and a metric that fails is exit code 6."""
    thresholds = calibrations.folder / "strict"
    assert 0 == calibrations.calibrate("--adapter", "stub").code
    card = read_json(calibrations.dispatch / "scorecard.json")
    assert (20, 20, True) == (card["metrics_passed"], card["metrics_total"], card["passed"])
    source = calibrations.dispatch / "scenario"
    subprocess.run(["cp", "-r", source, thresholds], check=True)
    document = thresholds / "scenario.yaml"
    settings = yaml.safe_load(document.read_text()) | {"thresholds": {"confidence_brier": 0.0}}
    document.write_text(yaml.safe_dump(settings))
    strict = calibrations.calibrate("--adapter", "stub", scenario=str(thresholds))
    assert 6 == strict.code, strict.err
    assert "only 19 of 20 metrics pass" in strict.err
