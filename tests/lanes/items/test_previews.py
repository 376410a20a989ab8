"""What a batch says before it runs anything: a dry run of a resume, and its first item (P2, P6)."""

from __future__ import annotations

import shlex

from lanes.embed.project import words_of
from lanes.items.batches import Batches

FAILING = 'test "{}" != b && test "{}" != c'


def test_a_dry_run_of_a_resume_shows_what_would_run(batches: Batches) -> None:
    """--resume shows what has no good result, --retry-failed what failed, both in the words of every dry run."""
    flags = ("--items", '["a", "b", "c", "d", "e"]', "--shell", "--max-workers", "1", "--halt", "now,fail=2")
    assert 6 == batches.run("batch", "run", *flags, "--preflight", "go", "--", FAILING).code
    assert ["success", "error", "error", "cancelled", "cancelled"] == batches.outcomes
    before = (batches.dispatch / "journal.ndjson").read_bytes()
    for word, planned in (("--resume", ["b", "c", "d", "e"]), ("retry-failed", ["b", "c"])):
        done = batches.run("batch", "run", word, "dry-run")
        source = f"batch {batches.dispatch.name}"
        said = f"Dry run: {source} would dispatch {len(planned)} items; nothing was done\n"
        assert (0, said) == (done.code, done.err)
        assert [FAILING.replace("{}", item) for item in planned] == [
            shlex.split(line)[2].replace("'", "") for line in done.out.splitlines()
        ]
    assert before == (batches.dispatch / "journal.ndjson").read_bytes()
    assert 0 == batches.run("verify").code


def test_a_trial_says_what_it_tries_and_why_it_failed(batches: Batches) -> None:
    """P2: the first item is named before it runs; of one that failed its reason is shown, with what it printed."""
    done = batches.batch(["one", "two"], "exit", "3", "what it printed")
    assert 6 == done.code
    said = words_of(done.err)
    shown = ["Pre-flight: trying one alone, before the others", "Pre-flight: one: failed: exit 3: what it printed"]
    assert shown == [line for line in said if line.startswith("Pre-flight")], done.err
    missing = batches.run("batch", "run", "--items", '["one", "two"]', "--", "/no/such/program", "{}")
    assert (6, True) == (missing.code, "Pre-flight: one: failed: command not found: /no/such/program" in missing.err), (
        missing.err
    )
