"""Many items: when a batch stops, what it says, what a kill leaves, and how it is resumed (P2, P3, P4, P6)."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from lanes.embed.project import wait_for, words_of
from lanes.items.batches import Batches
from trailblazer.processes.identity import start_ticks

LINE = re.compile(
    r"\[Progress\] (\d+)/(\d+) completed \((\d+)%\) \| Success: (\d+)/(\d+) \((\d+)%\) \| Errors: (\d+)"
    r" \| Timeouts: (\d+) \| Runtime: (\d+s|\d+m \d\ds|\d+h \d\dm)"
)


def _settled(batches: Batches) -> int:
    return sum(line["kind"] == "settle" for line in batches.journal)


def test_the_first_item_is_tried_alone_and_counts(batches: Batches) -> None:
    """The first item runs before the others, its result is shown, and it does not run again (P2)."""
    shared = batches.folder / "shared"
    done = batches.batch(range(5), "note", str(shared), "{{ item }} {{ attempt }}")
    assert 0 == done.code, done.err
    assert "Pre-flight: 0: success" in done.err
    assert ["0 1", "1 1", "2 1", "3 1", "4 1"] == sorted(shared.read_text().splitlines())
    assert "0 1" == shared.read_text().splitlines()[0]


def test_a_failed_first_item_stops_a_batch_without_a_terminal(batches: Batches) -> None:
    """Without a terminal a failed first item stops the batch (exit 6); `--preflight go` runs the others (P2)."""
    done = batches.batch(range(4), "exit", "1", "x" * 900)
    assert 6 == done.code
    shown = next(line for line in words_of(done.err) if line.startswith("Pre-flight: 0: failed"))
    assert 300 < len(shown) < 600
    assert ["error", "cancelled", "cancelled", "cancelled"] == batches.outcomes
    assert "--preflight go" in done.err
    shared = batches.folder / "shared"
    command = f"echo {{{{ index }}}} {{{{ attempt }}}} >>'{shared}'; false"
    words = ["batch", "run", "--items", str(batches.folder / "items.json"), "--preflight", "go", "--shell"]
    assert 6 == batches.run(*words, "--", command).code
    assert ["error"] * 4 == batches.outcomes
    assert ["0 1", "1 1", "2 1", "3 1"] == sorted(shared.read_text().splitlines()), "a trial that failed counts too"
    shared.unlink()
    assert 6 == batches.run(*words, "--retries", "1", "--", command).code
    assert [f"{index} {number}" for index in range(4) for number in (1, 2)] == sorted(shared.read_text().splitlines())
    assert 6 == batches.batch(range(4), "exit", "1", flags="--skip-preflight").code
    assert "Pre-flight" not in batches.batch(range(2), "exit", "0", flags="--skip-preflight").err


def test_progress_has_the_promised_line(batches: Batches) -> None:
    """A true progress line appears at each interval and at the end; with the interval 0 only at the end (P3)."""
    codes = [0, 0, 0, 1, 0, 0]
    done = batches.batch(codes, "exit", "{{ item }}", flags="--monitor-interval 0.01 --delay 0.1")
    lines = [found.groups() for found in map(LINE.fullmatch, done.err.splitlines()) if found]
    assert 6 == done.code
    assert len(lines) >= 2
    assert ("6", "6", "100", "5", "6", "83", "1", "0") == lines[-1][:8]
    silent = batches.batch(codes, "exit", "{{ item }}", flags="--monitor-interval 0")
    assert 1 == len(LINE.findall(silent.err))


def test_failures_of_the_first_items_stop_the_batch(batches: Batches) -> None:
    """With --fail-fast N no more items start when the first N all fail, and the others are cancelled (P4)."""
    done = batches.batch(range(40), "exit", "3", "no such host", flags="--skip-preflight --fail-fast 5 --max-workers 1")
    assert 6 == done.code
    assert "the first 5 items all failed; the last one: exit 3: no such host" in done.err
    assert ["error"] * 5 + ["cancelled"] * 35 == batches.outcomes
    assert {"error": 5, "cancelled": 35, "unrun": 0, "planned": 40}.items() <= batches.summary["counts"].items()
    assert "--resume" in done.err


def test_after_one_success_fail_fast_stops_nothing(batches: Batches) -> None:
    """--fail-fast N counts the first N items only: after a success it never stops the batch."""
    done = batches.batch([0] + [1] * 9, "exit", "{{ item }}", flags="--fail-fast 3 --max-workers 1")
    assert 6 == done.code
    assert ["success"] + ["error"] * 9 == batches.outcomes


@pytest.mark.parametrize(
    ("rule", "codes", "run"),
    [
        ("soon,fail=3", [0, 1, 2, 0, 3, 0, 0, 0], 5),
        ("soon,fail=50%", [0, 0, 0, 1, 2, 3, 0, 0], 6),
        ("soon,same=2", [1, 0, 1, 2, 2, 0, 0, 0], 5),
    ],
)
def test_halt_rules(batches: Batches, rule: str, codes: list[int], run: int) -> None:
    """--halt stops at a count, a share, or the same text in a row, and the other items are cancelled (P4)."""
    flags = f"--skip-preflight --max-workers 1 --halt {rule}"
    done = batches.batch(codes, "exit", "{{ item }}", flags=flags)
    assert 6 == done.code
    assert ["error" if code else "success" for code in codes[:run]] == batches.outcomes[:run]
    assert ["cancelled"] * (8 - run) == batches.outcomes[run:]


def test_halt_now_ends_what_runs(batches: Batches) -> None:
    """--halt now ends the running items and does not wait for them."""
    words = ["hang", "exit", "exit"]
    done = batches.batch(words, "{{ item }}", "{{ '' if item == 'hang' else 1 }}",
                         flags="--skip-preflight --halt now,fail=1")  # fmt: skip
    assert 6 == done.code
    assert ["cancelled", "error", "cancelled"] == batches.outcomes


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        ("--halt sometimes", "soon,fail=N"),
        ("--timeout soonx", "A number.\n"),
        ("--max-workers 0", "--max-workers 0 is out of range"),
        ("--retries -1", "--retries -1 is out of range"),
        ("--delay 1x", "A number, or a number and one of: s m h d"),
        ("--items missing.txt", "Look at that path"),
        ("--frobnicate", ""),
    ],
)
def test_a_mistake_in_the_words_is_refused(batches: Batches, flags: str, hint: str) -> None:
    """A mistake is one clear line and a hint before anything runs (exit 2, or 4 for a missing list)."""
    done = batches.batch(["x"], "exit", "0", flags=flags)
    assert (4 if "missing" in flags else 2) == done.code
    assert hint in done.err
    assert "Traceback" not in done.err
    assert [] == batches.dispatches


def test_results_come_as_they_finish_or_in_the_order_of_the_items(batches: Batches) -> None:
    """--results prints only results on stdout, one for each item; --keep-order prints them in order (P4)."""
    items = list(range(12))
    done = batches.batch(items, "exit", "0", flags="--skip-preflight --results json --keep-order --shuffle")
    assert items == [result["index"] for result in done.events]
    table = batches.batch(items, "exit", "0", flags="--results csv").out.splitlines()
    assert "index,item,status,reason,exit_code,duration_ms,domain_status,folder" == table[0]
    assert items == sorted(int(line.split(",")[0]) for line in table[1:])


def test_a_batch_runs_with_the_slots_that_the_system_gives(batches: Batches) -> None:
    """A batch starts no more slots than it has items, and runs with as many as the system gives."""
    assert 0 == batches.batch(range(3), "exit", "0", flags="--max-workers 100000").code
    with batches.running(*batches.words(range(200), "exit", "0", flags="--max-workers 200"),
                         before=("sh", "-c", "ulimit -v 800000; exec \"$@\"", "sh")) as process:  # fmt: skip
        _, said = process.communicate(timeout=60)
    assert 0 == process.returncode, said
    assert ["success"] * 200 == batches.outcomes


def test_shuffle_changes_the_order_and_nothing_else(batches: Batches) -> None:
    """--shuffle changes the order in which items start, but not their folders or the summary (P1)."""
    shared = batches.folder / "shared"
    flags = "--skip-preflight --shuffle --max-workers 1"
    assert 0 == batches.batch(range(30), "note", str(shared), "{{ index }}={{ item }}", flags=flags).code
    order = shared.read_text().splitlines()
    assert order != sorted(order, key=lambda pair: int(pair.partition("=")[0]))
    assert {f"{number}={number}" for number in range(30)} == set(order)


def test_a_dry_run_prints_the_commands(batches: Batches) -> None:
    """--dry-run prints each command, quoted for a shell, and runs nothing."""
    done = batches.batch(["a b"], "exit", "0", "{{ item }}", flags="--dry-run")
    assert 0 == done.code
    assert done.out.strip().endswith("0 exit 0 'a b'")
    assert [] == batches.dispatches


def test_failures_are_grouped_by_cause(batches: Batches) -> None:
    """At the end the failures are counted by cause, the most frequent first, with the command that retries them."""
    done = batches.batch(["timed out after 3 s", "no host", "timed out after 5 s"], "exit", "4", "{{ item }}",
                         flags="--skip-preflight")  # fmt: skip
    said = words_of(done.err)
    table = said[said.index("Failures: 3, of 2 causes") :]
    assert "Failures: 3, of 2 causes" == table[0]
    assert table[1].startswith("- 2 x error: exit 4: timed out after")
    assert f"--retry-failed {batches.dispatch.name}" in done.err
    codes = batches.batch([1, 2, 2], "exit", "{{ item }}", "no host", flags="--skip-preflight")
    said = words_of(codes.err)
    table = said[said.index("Failures: 3, of 2 causes") :]
    assert ["Failures: 3, of 2 causes", "- 2 x error: exit 2: no host (task_1, task_2)"] == table[:2]


def test_only_failed_items_are_retried(batches: Batches) -> None:
    """--retry-failed runs only the failed items, under a new attempt number (P6)."""
    gate, shared = batches.folder / "gate", batches.folder / "shared"
    command = f"echo {{{{ item }}}} >>'{shared}'; test {{{{ item }}}} -lt 3 || test -e '{gate}'"
    file = batches.folder / "items"
    file.write_text("1\n2\n3\n4\n")
    assert 6 == batches.run("batch", "run", "--items", str(file), "--shell", "--", command).code
    gate.touch()
    again = batches.run("batch", "run", "--retry-failed")
    assert (0, True) == (again.code, "Only what failed is tried again: 2 items\n" in again.err), again.err
    assert {"1": 1, "2": 1, "3": 2, "4": 2} == Counter(shared.read_text().split())
    assert "success" == batches.result(2, 2)["status"]
    assert "error" == batches.result(2, 1)["status"]
    assert 0 == batches.run("verify", "latest").code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_every_worker(batches: Batches, number: int, code: int) -> None:
    """Ctrl-C and TERM end the workers and their groups; a second signal kills them at once (rule 5)."""
    words = batches.words(["a", "b", "c"], "ignore", f"{batches.folder}/begun-{{{{ item }}}}", flags="--skip-preflight")
    with batches.running(*words) as process:
        wait_for(lambda: len(list(batches.folder.glob("begun-*"))) == 2, "two items run")
        wait_for(lambda: len(batches.workers()) == 2, "both are in the journal")
        workers = batches.workers()
        while process.poll() is None:  # as impatient people do
            process.send_signal(number)
            time.sleep(0.02)
        _, said = process.communicate(timeout=60)
    assert code == process.returncode, said
    assert [None, None] == [start_ticks(pid) for pid in workers]
    assert {"cancelled"} == {line["status"] for line in batches.journal if line["kind"] == "settle"}
    assert 0 == batches.run("verify", "latest").code
    assert "To resume: trailblazer batch run --resume" in said


def _kill_after(batches: Batches, settled: int, words: list[str]) -> None:
    """Begin a batch, and kill it when `settled` items are settled."""
    before = len(batches.dispatches)
    with batches.running(*words) as process:
        wait_for(lambda: len(batches.dispatches) > before, "the batch has begun")
        wait_for(lambda: _settled(batches) >= settled or process.poll() is not None, "it has come so far")
        process.kill()
        process.communicate()


@pytest.mark.proof
def test_a_resume_finishes_a_batch_that_was_killed_at_any_moment(batches: Batches) -> None:
    """After kill -9 --resume finishes the batch, and no item with a good result runs again (P4, P6)."""
    chance, shared = random.Random(7), batches.folder / "shared"
    for _ in range(8):
        shared.write_text("")
        words = batches.words(range(24), "note", str(shared), "{{ item }}", flags="--skip-preflight")
        _kill_after(batches, chance.randrange(24), words)
        good = {line["item"] for line in batches.journal if line["kind"] == "settle" and line["status"] == "success"}
        assert len(batches.summary["items"]) <= len(good)
        assert 0 == batches.run("batch", "summary", "latest").code
        assert good == {item["item"] for item in batches.summary["items"]}
        again = batches.run("batch", "run", "--resume", "latest")
        assert 0 == again.code, again.err
        ran = Counter(shared.read_text().split())
        assert set(map(str, range(24))) == set(ran)
        assert {1} >= {ran[item] for item in good}
        assert ["success"] * 24 == batches.outcomes
        assert 0 == batches.run("verify", "latest").code


def test_a_resume_ends_the_workers_of_a_killed_batch(batches: Batches) -> None:
    """A resume ends the workers of a killed batch before their items run again under a new number (rule 10)."""
    words = ["{{ 'ignore' if attempt == 1 else 'exit' }}", "{{ begun if attempt == 1 else 0 }}"]
    words[1] = words[1].replace("begun", repr(str(batches.folder / "begun")))
    with batches.running(*batches.words(["a"], *words, flags="--skip-preflight")) as process:
        wait_for((batches.folder / "begun").exists, "the item runs")
        wait_for(batches.workers, "it is in the journal")
        (pid,) = batches.workers()
        process.kill()
        process.communicate()
    assert start_ticks(pid) is not None
    assert 0 == batches.run("batch", "run", "--resume").code
    assert start_ticks(pid) is None
    assert ["success"] == batches.outcomes
    assert batches.attempt(0, 2).exists()


def test_a_running_batch_cannot_be_resumed(batches: Batches) -> None:
    """A resume of a running batch is refused with exit 7 and the pid of the process that runs it."""
    words = batches.words(["a"], "hang", f"{batches.folder}/begun", flags="--skip-preflight")
    with batches.running(*words) as process:
        wait_for((batches.folder / "begun").exists, "the item runs")
        second = batches.run("batch", "run", "--resume", "latest")
        assert 7 == second.code
        assert f"pid {process.pid}" in second.err
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_the_summary_is_right_while_the_batch_runs(batches: Batches) -> None:
    """At any moment summary.json is whole and valid, and its counts agree with its items (P4)."""
    words = batches.words(range(60), "exit", "0", flags="--skip-preflight")
    with batches.running(*words) as process:
        wait_for(lambda: batches.dispatches and (batches.dispatch / "summary.json").exists(), "there is a summary")
        while process.poll() is None:
            summary = batches.summary
            assert len(summary["items"]) == summary["counts"]["success"]
        process.communicate()
    assert ["success"] * 60 == batches.outcomes


def test_a_delay_keeps_starts_apart(batches: Batches) -> None:
    """--delay keeps starts apart, and a signal stops the batch during a delay (P1)."""
    flags = "--skip-preflight --delay 0.3 --min-free-memory 1M --max-load 9999"
    assert 0 == batches.batch(range(3), "exit", "0", flags=flags).code
    opened, *starts = (
        datetime.fromisoformat(line["at"]) for line in batches.journal if line["kind"] in {"open", "start"}
    )
    assert all(start - opened >= timedelta(seconds=0.29 * number) for number, start in enumerate(starts))
    words = batches.words(range(3), "exit", "0", flags="--skip-preflight --delay 600")
    with batches.running(*words) as process:
        wait_for(lambda: len(batches.dispatches) == 2 and _settled(batches), "the first item is done")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert 143 == process.returncode
    assert ["success", "cancelled", "cancelled"] == batches.outcomes


def test_an_agent_gets_its_prompt_on_stdin_and_its_answer_is_read(batches: Batches, tmp_path: Path) -> None:
    """A template becomes the prompt of an agent, and an agent that reports an error has failed (P1)."""
    agent = tmp_path / "bin" / "claude"
    agent.parent.mkdir()
    answer = {"type": "result", "subtype": "success", "total_cost_usd": 0.25, "usage": {"output_tokens": 7}}
    agent.write_text(
        "#!/usr/bin/env python3\nimport json, sys\nprompt = sys.stdin.read()\n"
        f"print(json.dumps({answer!r} | {{'is_error': 'bad' in prompt, 'result': prompt}}))\n"
    )
    agent.chmod(0o755)
    (batches.folder / "prompt.md").write_text("Scrape {{ item.url }} for the {{ index }}th time\n")
    (batches.folder / "items.json").write_text(json.dumps([{"url": "good"}, {"url": "bad"}, {"other": 1}]))
    words = ["batch", "run", "--items", "items.json", "--provider", "claude", "--template", "prompt.md"]
    path = f"{agent.parent}{os.pathsep}{os.environ['PATH']}"
    done = batches.run(*words, PATH=path)
    assert 6 == done.code, done.err
    assert ["success", "error", "error"] == batches.outcomes
    assert "Scrape good for the 0th time\n" == (batches.attempt() / "prompt.md").read_text()
    assert "claude: Scrape bad" in batches.why(1)
    assert "the template cannot be filled in" in batches.why(2)
    assert {"costUSD": 0.5, "output_tokens": 14} == batches.summary["usage"]
    nowhere = batches.run(*words, PATH="/nowhere")
    assert (5, True) == (nowhere.code, "there is no claude on the PATH" in nowhere.err)
