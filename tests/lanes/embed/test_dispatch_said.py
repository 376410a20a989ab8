"""What a dispatch says is so: its counts, its cost and its progress, whatever ended it (E7, E8, E11; rule 11)."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from typing import Any

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import STOCK, Project, read_json, texts_of, wait_for, words_of, write_documents

pytestmark = pytest.mark.proof

PRICE = {"embed_prices": '{"openai/tiny": 1000000}'}  # a dollar a token
RUN_LINE = re.compile(r"^\S+ (?P<words>(?:Queued|Done|Skipped \([a-z]+\)|Error|Interrupted|Not run): .*)$")


def _status(project: Project) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(project.run("dispatch", "--status", "latest").out)
    return status


def _log(project: Project) -> list[str]:
    """Return the lines about runs in dispatcher.out, without their moments."""
    lines = (project.var / "logs" / "dispatcher.out").read_text().splitlines()
    return [found["words"] for line in lines if (found := RUN_LINE.match(line)) and ", Errors: " not in line]


def test_an_interrupted_dispatch_counts_and_charges_what_was_done(project: Project, service: EmbeddingServer) -> None:
    """Progress, monitor, summary and cost are of what was really done: one run of four, and the batch of a second."""
    project.write_plan(*STOCK)
    service.behaviour, service.delay, service.well = "slow", 60, 5  # the probe, alpha, one of bravo's three batches
    with project.running("dispatch", "plan=list.txt", "workers=1", embed_prices=PRICE["embed_prices"]) as process:
        wait_for(lambda: len(service.requests) >= 6, "the second batch of bravo is asked for")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert 130 == process.returncode, said
    tokens = sum(json.loads(line)["token_count"] for line in _chunk_lines(project, "alpha", 6))
    tokens += sum(json.loads(line)["token_count"] for line in _chunk_lines(project, "bravo", 2))
    assert "[Progress] 1/4 completed (25%) | Success: 1/1 (100%) | Errors: 0" in said
    assert "Queued: 2, Skipped (preflight): 0, Skipped (unchanged): 0, Errors: 0/4, Interrupted: 1, Not run: 2" in said
    assert f"Embedded: 8 chunks, {tokens} tokens, US$ {tokens}.0000" in said
    assert tokens == project.manifest["usage"]["estCostUSD"]
    summary = read_json(project.dispatch / "summary.json")
    assert Counter(success=1, cancelled=3) == Counter(item["status"] for item in summary["items"])
    status = _status(project)
    assert ("interrupted", 1, 3) == tuple(status[name] for name in ("status", "completed", "cancelled"))
    assert {"unit": "chunks", "planned": 24, "done": 6, "percent": 25} == status["work"]
    assert (None, True) == (status["etaSeconds"], 0 < status["ratePerMinute"] < 60 * 8 / 0.01)
    assert " interrupted | 1/4 (25%) | running 0 | done 1 |" in project.run("monitor", "once").out
    assert ["Interrupted: bravo", "Not run: charlie", "Not run: delta"] == _log(project)[-3:]


def _chunk_lines(project: Project, rid: str, count: int) -> list[str]:
    return (project.run_folder(rid) / "chunk" / "chunks.ndjson").read_text().splitlines()[:count]


def test_a_failed_run_charges_what_was_paid_before_it_failed(project: Project, service: EmbeddingServer) -> None:
    """The money of a run that failed is in the last lines and in the manifest, that of its second try as well."""
    project.write_plan("alpha")
    service.behaviour, service.well = "500", 3  # the probe, two of alpha's three batches
    done = project.run("dispatch", "plan=list.txt", "retries=0", embed_max_retries="0", **PRICE)
    assert 6 == done.code, done.err
    assert "Embedded: 4 chunks, " in done.err
    assert 4 == project.manifest["usage"]["chunks"]
    assert 0 < project.manifest["usage"]["tokens"] == project.manifest["usage"]["estCostUSD"]


@pytest.mark.parametrize(
    ("prices", "telling"),
    [
        (PRICE, "With openai/tiny/8: estTokens: {0}, estCostUSD: {0}.0"),
        ({}, "Warning: embed.prices has no price for openai/tiny/8"),
    ],
)
def test_a_bundle_of_another_provider_gets_a_new_estimate(
    project: Project, prices: dict[str, str], telling: str
) -> None:
    """A local bundle that is dispatched with openai is priced anew, or a line warns that nobody knows the price."""
    free = {"embed_provider": "local", "embed_model": "null", "embed_dimension": "null"}
    bundle = project.run("embed", "plan-preflight", **free).where
    tokens = json.loads((project.folder / bundle / "plan_preflight.json").read_text())["total_tokens"]
    done = project.run("dispatch", "plan=latest", **prices)
    assert 0 == done.code, done.err
    assert f"Bundle totals: ready: 4, blocked: 0, estTokens: {tokens}, estCostUSD: 0.0" in done.err
    assert f"The bundle was made for local/l2-supercat-256/256. {telling.format(tokens)}" in done.err
    same = project.run("dispatch", "plan=latest", "skip-unchanged", "force", **free)
    assert "The bundle was made for" not in same.err


def test_every_run_has_its_line_and_a_terminal_shows_what_needs_a_person(
    project: Project, service: EmbeddingServer
) -> None:
    """E7: each run has its line in dispatcher.out in the promised words; stderr has them all only with --verbose."""
    (project.run_folder("bravo") / "chunk" / "chunks.ndjson").unlink()
    write_documents(project.folder, "empty", ["word " * 3])
    assert 0 == project.run("chunk", "run=empty").code
    assert 0 == project.run("embed", "run", "--run", "alpha").code
    project.write_plan("alpha", "bravo", "charlie", "empty")
    service.behaviour, service.well = "500", len(service.requests) + 4  # the probe, and three batches of charlie
    words = ("dispatch", "plan=list.txt", "skip-unchanged", "workers=1", "retries=0")
    done = project.run(*words, embed_max_retries="0")
    assert 6 == done.code, done.err
    log = _log(project)
    forms = [
        r"Skipped \(unchanged\): alpha",
        r"Skipped \(preflight\): bravo: MISSING_CHUNKS: .*",
        r"Queued: charlie",
        r"Done: charlie \(6 chunks, 0 kept, \d+ tokens, US\$ 0\.0000\)",
        r"Queued: empty",
        r"Error: empty: .*500.*",
    ]
    assert len(forms) == len(log)
    assert all(re.fullmatch(form, line) for form, line in zip(forms, log, strict=True)), log
    shown = [line for line in words_of(done.err) if line in log]
    assert [log[1], log[5]] == shown, "only what needs a person"
    service.behaviour = "ok"
    loud = project.run(*words[:3], "verbose")
    assert {"Queued: empty", "Skipped (unchanged): charlie"} <= set(words_of(loud.err))


def test_a_run_of_many_chunks_moves_while_it_is_embedded(project: Project, service: EmbeddingServer) -> None:
    """E11: percent, rate and ETA of the monitor and of --status are of the chunks, before the first run is done."""
    write_documents(project.folder, "large", texts_of("large", 40))
    assert 0 == project.run("chunk", "run=large").code
    project.write_plan("large")
    service.behaviour, service.delay, service.well = "slow", 60, 6  # the probe, five batches of two
    with project.running("dispatch", "plan=list.txt", "progress-every=4", "events=-") as process:
        wait_for(lambda: len(service.requests) >= 7, "the sixth batch is asked for")
        wait_for(lambda: (project.dispatch / "progress.json").is_file(), "progress is written")
        wait_for(lambda: 10 == _status(project)["work"]["done"], "five batches are counted")
        status = _status(project)
        assert (0, {"unit": "chunks", "planned": 40, "done": 10, "percent": 25}) == (
            status["completed"],
            status["work"],
        )
        assert (True, True) == (status["ratePerMinute"] > 0, status["etaSeconds"] > 0)
        line = project.run("monitor", "--once").out
        assert " running | 0/1 (25%) | running 1 |" in line
        assert re.search(r"\| chunks 10/40 \| rate [\d.]+/min \| ETA \d", line), line
        service.released.set()
        out, _ = process.communicate(timeout=60)
    assert 0 == process.returncode
    own = [event for event in map(json.loads, out.splitlines()) if event["event"] == "runs.progress"]
    assert [("large", chunks, 40, chunks * 100 // 40) for chunks in (*range(4, 40, 4), 40)] == [
        (event["run_id"], event["chunks"], event["of"], event["percent"]) for event in own
    ]
    assert 40 == _status(project)["work"]["done"]
    assert 0 == project.run("verify").code


def test_claims_of_a_plan_are_events(project: Project) -> None:
    """B6: a dispatch of a plan emits runs.claim with run and phase, as a backlog does."""
    project.write_plan("alpha", "bravo")
    done = project.run("dispatch", "plan=list.txt", "events=-")
    claims = [(event["run_id"], event["phase"]) for event in done.events if event["event"] == "runs.claim"]
    assert [("alpha", "embed"), ("bravo", "embed")] == sorted(claims)


def test_nothing_is_called_unspent_after_an_item_ran(project: Project, service: EmbeddingServer) -> None:
    """Exit 5 says `nothing was sent` only of a dispatch in which no attempt ever began."""
    project.write_plan("alpha")
    service.behaviour, service.delay, service.well = "slow", 60, 2
    with project.running("dispatch", "plan=list.txt") as process:
        wait_for(lambda: len(service.requests) >= 3, "alpha is being embedded")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    service.behaviour = "ok"
    (project.run_folder("alpha") / "chunk" / "chunks.ndjson").unlink()
    again = project.run("dispatch", "resume=latest")
    assert 5 == again.code, again.err
    assert "Exit 5: every item was refused by its gate: no item was good" in again.err
    assert "nothing was sent" not in again.err
    fresh = project.run("dispatch", "plan=list.txt")
    assert (5, True) == (fresh.code, "refused by its gate: nothing was sent, nothing spent" in fresh.err)


def test_a_dispatch_whose_every_run_is_held_says_so(project: Project) -> None:
    """Where others hold every run, no line says that something was done."""
    assert 0 == project.run("runs", "backfill").code
    project.query(
        "UPDATE processed_runs SET status = 'embedding', claimed_by = 'elsewhere/1', claimed_at = now(), "
        "claimed_from = 'chunked', claim_expires_at = now() + interval '1 hour' RETURNING run_id"
    )
    project.write_plan(*STOCK)
    done = project.run("dispatch", "plan=list.txt")
    assert 0 == done.code, done.err
    assert "Queued: 0, Skipped (preflight): 0, Skipped (unchanged): 0, Errors: 0/4, Skipped (held): 4" in done.err
    assert "Other processes hold every run: this dispatch did nothing." in done.err
    assert "4/4 completed (100%) | Success: 0/0 (0%)" in done.err


def test_one_is_one(project: Project) -> None:
    """One run and one item are named in the singular."""
    project.write_plan("alpha")
    assert "would dispatch 1 run; nothing was done" in project.run("dispatch", "plan=list.txt", "dry-run").err
    failed = project.run("batch", "run", "--items", "list.txt", "--", "false", "{}")
    assert "Exit 6: 1 of 1 item failed" in failed.err
    assert 0 == project.run("runs", "backfill").code
    assert "1 run" == project.run("runs", "list", "limit=1").err.strip()


def test_a_dry_run_of_a_resume_shows_the_runs_that_are_left(project: Project, service: EmbeddingServer) -> None:
    """`resume=latest dry-run` lists what has no good result, in the words of every dry run, and does nothing."""
    project.write_plan(*STOCK)
    service.behaviour, service.well = "500", 4
    words = ("dispatch", "plan=list.txt", "workers=1", "retries=0", "halt=now,fail=1")
    assert 8 == project.run(*words, embed_max_retries="0").code
    service.behaviour = "ok"
    journal = project.journal
    done = project.run("dispatch", "resume=latest", "dry-run")
    assert (0, "bravo\ncharlie\ndelta\n") == (done.code, done.out)
    assert f"Dry run: dispatch {project.dispatch.name} would dispatch 3 runs; nothing was done\n" == done.err
    assert journal == project.journal
