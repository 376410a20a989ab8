"""What `latest` takes, and what is said where every run is blocked (E2, E10)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lanes.embed.project import STOCK, Project, read_json, says_one_thing
from trailblazer.lanes.embed.reasons import group_reasons, without_codes

pytestmark = pytest.mark.proof

NO_KEY = {
    "embed_base_url": "https://api.openai.com/v1",
    "embed_model": "text-embedding-3-small",
    "embed_dimension": "null",
}


def test_a_bundle_without_a_ready_run_names_the_reason_once(project: Project) -> None:
    """`plan=latest` where all is blocked is exit 5 with the reason once; plan-preflight itself says it once as well."""
    made = project.run("embed", "plan-preflight", OPENAI_API_KEY="", **NO_KEY)
    assert 5 == made.code
    assert 1 == made.err.count("OPENAI_API_KEY is not set"), made.err
    assert f"Blocked: 4 runs ({', '.join(STOCK[:3])}, …): CONFIG_INVALID: " in made.err
    assert [*STOCK] == [line.split(" ")[1].strip(":") for line in _log_of(Path(made.where))]
    for words in (("plan=latest",), (), (f"plan={made.where}",)):
        done = project.run("dispatch", *words, OPENAI_API_KEY="", **NO_KEY)
        assert (5, True, []) == (done.code, says_one_thing(done), project.dispatches), done.err
        assert done.err.startswith("dispatch: 0 of 4 runs were ready: OPENAI_API_KEY is not set"), done.err
    loud = project.run("embed", "plan-preflight", "verbose", OPENAI_API_KEY="", **NO_KEY)
    assert 5 == loud.err.count("OPENAI_API_KEY is not set")


def _log_of(bundle: Path) -> list[str]:
    return (bundle / "log.out").read_text().splitlines()


def test_reasons_that_differ_in_the_run_alone_are_one() -> None:
    """A run's own id in its reason counts as RID; the most frequent reason comes first, codes are no words."""
    pairs = [
        ("a", "X: no a"),
        ("b.1", "MISSING_CHUNKS: run `chunk --run b.1`"),
        ("c", "MISSING_CHUNKS: run `chunk --run c`"),
    ]
    assert {"MISSING_CHUNKS: run `chunk --run RID`": ["b.1", "c"], "X: no RID": ["a"]} == group_reasons(pairs)
    assert ["no RID", "b; c", "plain"] == [without_codes(text) for text in ("X: no RID", "A, B_C=0: b; c", "plain")]


def test_the_newest_bundle_is_the_one_that_was_made_last(project: Project) -> None:
    """`latest` goes by the time in plan_preflight.json: a bundle that was copied under a later name stays old."""
    first, second = project.bundle("alpha"), project.bundle("bravo")
    older = json.loads((first / "plan_preflight.json").read_text())
    (first / "plan_preflight.json").write_text(json.dumps(older | {"timestamp": "2026-01-01T00:00:00Z"}))
    first.rename(first.with_name("20991231T235959Z"))
    second.rename(second.with_name("of-this-night"))
    done = project.run("dispatch", "plan=latest", "dry-run")
    assert (0, "bravo\n") == (done.code, done.out), done.err
    assert "newest bundle of-this-night" in done.err


@pytest.mark.parametrize("verb", ["verify", "monitor", "status", "resume"])
def test_the_newest_dispatch_is_the_one_that_began_last(project: Project, verb: str) -> None:
    """`latest` goes by the time in dispatch_manifest.json, and every verb says which dispatch it took."""
    project.write_plan("alpha")
    for _ in range(2):
        assert 0 == project.run("dispatch", "plan=list.txt").code
    old, new = project.dispatches
    shutil.copytree(old, old.with_name("20991231T235959Z"))
    words = {
        "verify": ("verify",),
        "monitor": ("monitor", "once"),
        "status": ("dispatch", "status=latest"),
        "resume": ("dispatch", "resume=latest"),
    }[verb]
    done = project.run(*words)
    assert 0 == done.code, done.err
    assert new.name in done.out + done.err
    assert "20991231T235959Z" not in done.out + done.err
    assert (verb == "resume") is bool(read_json(new / "dispatch_manifest.json")["resumes"])
