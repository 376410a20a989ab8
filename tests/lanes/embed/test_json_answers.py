"""Every verb that prints an answer prints one JSON document with --json, and a schema describes it."""

from __future__ import annotations

import json

import pytest

from lanes.embed.project import Project
from trailblazer import schemas
from trailblazer.errors import DocumentInvalid
from trailblazer.words.grammar import VERBS, below
from trailblazer.words.parsers import parser_for

pytestmark = pytest.mark.proof

# The words of an answer, and its schema. They are typed in a project with a batch of two items; the order counts.
ANSWERS = {
    "init json dry-run": "answer",
    "config show json": "config_shown",
    "cron show json": "cron_shown",
    "cron install json dry-run": "answer",
    "cron remove json dry-run": "answer",
    "db migrate json": "answer",
    "db status json": "db_status",
    "db doctor json": "db_doctor",
    "db url json": "answer",
    "runs backfill json": "answer",
    "runs list json": "runs_listed",
    "runs show alpha json": "run_shown",
    "runs status json": "runs_status",
    "runs reset scope=processed json dry-run": "answer",
    "runs forget alpha json dry-run": "answer",
    "run json dry-run": "answer",
    "dispatch plan=list.txt json dry-run": "answer",
    "dispatch status=latest": "dispatch_status",
    "batch run items=list.txt json dry-run -- true {}": "answer",
    "batch summary json": "summary",
    "monitor latest once json": "dispatch_status",
    "log task_0 json": "item_log",
    "report json": "report",
    "report index json": "history",
    "history json": "history",
    "verify json": "verification",
    "nightly history json": "nights",
    "calibrate check=ptp-mock json": "answer",
    "calibrate scenario=ptp-mock adapter=stub json dry-run": "answer",
    "providers list json": "providers_listed",
    "providers check command json": "providers_checked",
    "chunk --run alpha json": "chunked_run",
    "embed preflight --run alpha json": "answer",
    "embed plan-preflight json": "answer",
    "embed manifest --run alpha json": "embed_manifest",
    "embed diff --run alpha json": "answer",
    "embed run --run alpha json": "answer",
    "embed reembed-if-changed --run alpha json": "answer",
    "ask --json planets": "answers",
    "normalize list.txt json": "normalized_run",
    "logs prune json": "answer",
    "completions install json dry-run": "answer",
}
ELSEWHERE = {
    "db stop": "tests/words/test_answers_of_verbs.py: an embedded server is ours to stop",
    "prompts index": "tests/words/test_answers_of_verbs.py: a folder of prompts",
    "prompts archive": "tests/words/test_answers_of_verbs.py",
    "control": "tests/dispatch/test_steering.py: a dispatch must run",
    "signals next": "tests/signals/test_the_verb.py: a suite must wait",
    "signals submit": "tests/signals/test_the_verb.py",
    "signals fail": "tests/signals/test_the_verb.py",
    "signals watch": "tests/signals/test_the_verb.py",
    "db start": "tests/database/test_db_verb.py: it needs an embedded server",
    "db psql": "psql has its own stdout",
    "cron run": "the job has its own stdout",
    "completions script": "a shell reads it",
    "completions man": "man reads it",
}


def test_no_verb_is_left_out() -> None:
    """Each verb and each action is asked below, or named with the reason why not."""
    every = {f"{verb} {name}".strip() for verb in VERBS for name in list(below(parser_for(verb))) or [""]}
    asked = {verb for verb in every for words in ANSWERS if f"{words} ".startswith(f"{verb} ")}
    assert set() == every - asked - set(ELSEWHERE)


def test_every_answer_is_one_document_of_a_schema(project: Project) -> None:
    """Stdout holds the document and nothing else, whatever the exit code."""
    project.write_plan("alpha", "bravo")
    (project.folder / "config" / "crontab").write_text("17 3 * * * scripts/cron.sh dispatch plan=latest\n")
    assert 0 == project.run("batch", "run", "items=list.txt", "--", "echo", "{}").code
    wrong = {}
    for words, schema in ANSWERS.items():
        done = project.run(*words.split())
        try:
            schemas.check(schema, json.loads(done.out), words)
        except (ValueError, DocumentInvalid):
            wrong[words] = done.code, done.out[:200], done.err[-300:]
    assert {} == wrong


def test_nothing_that_waits_is_an_answer_too(project: Project) -> None:
    """Where no run waits there is no dispatch, and stdout says so in one document."""
    assert 0 == project.run("run").code
    done = project.run("run", "json")
    assert (0, "unchanged") == (done.code, json.loads(done.out)["state"])


@pytest.mark.parametrize("words", ["report --json --format md", "report json format=junit"])
def test_two_formats_at_once_are_refused(project: Project, words: str) -> None:
    """--json is one format, and another one beside it is exit 2."""
    assert 2 == project.run(*words.split()).code
