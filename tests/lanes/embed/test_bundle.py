"""A plan-preflight bundle is whole, says why each run is blocked, and older ones are read too."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lanes.embed.project import Project
from pipeline.runs import chunked_run, configured, write_run
from trailblazer import schemas
from trailblazer.errors import PlanUnusable, StorageTrouble
from trailblazer.lanes.embed import bundle as bundles
from trailblazer.lanes.embed.bundle import Totals, read_totals, write_bundle
from trailblazer.lanes.embed.plan import newest_bundle, read_items

FILES = ["blocked.txt", "log.out", "plan_preflight.csv", "plan_preflight.json", "plan_preflight.md", "ready.txt"]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return a folder with two good runs, one without chunks and one with half a line."""
    chunked_run(tmp_path, "good-b", "some text")
    chunked_run(tmp_path, "good-a", "other text", "more")
    write_run(tmp_path, "no-chunks", {"id": "a", "text_md": "x"})
    (write_run(tmp_path, "torn", {"id": "a", "text_md": "x"}) / "normalize/normalized.ndjson").write_text('{"id"')
    return tmp_path


def test_a_bundle_says_what_is_ready_and_what_is_blocked_and_why(runs: Path) -> None:
    """Every file of E10 is there; runs stand in order, once; one bad run stops no other."""
    config = configured(runs)
    said: list[str] = []
    wanted = ["torn", "good-b", "gone", "no-chunks", "good-a", "good-b"]
    made = write_bundle(config.places, config, wanted, source="file x", say=said.append)
    assert FILES == sorted(file.name for file in made.folder.iterdir())
    assert "var/runs/good-a\nvar/runs/good-b\n" == (made.folder / "ready.txt").read_text()
    blocked = (made.folder / "blocked.txt").read_text().splitlines()
    assert ["gone # RUN_MISSING", "no-chunks # MISSING_CHUNKS", "torn # DOCUMENT_INVALID"] == [
        line.removeprefix("var/runs/").split(":")[0] for line in blocked
    ]
    assert 5 == len(said) == len((made.folder / "log.out").read_text().splitlines())
    document = schemas.read_json(made.folder / "plan_preflight.json")
    schemas.check("plan_preflight", document, "plan_preflight.json")
    assert (5, 2, 3, "file x") == (
        *(document["total_runs_planned"], document["ready_runs"], document["blocked_runs"]),
        document["parameters"]["source"],
    )
    with (made.folder / "plan_preflight.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert ["gone", "good-a", "good-b", "no-chunks", "torn"] == [row["rid"] for row in rows]
    assert str(document["total_tokens"]) == str(sum(int(row["tokens"]) for row in rows if row["status"] == "READY"))
    assert "| good-a | READY | 2 |" in (made.folder / "plan_preflight.md").read_text()


def test_a_bundle_is_read_back_as_it_was_written(runs: Path) -> None:
    """A bundle that is read has the ready runs and totals that were written, and it is the newest (E2, E8)."""
    config = configured(runs)
    made = write_bundle(config.places, config, ["good-a", "no-chunks"])
    assert (made.ready, made.totals) == (read_items(made.folder / "ready.txt"), read_totals(made.folder))
    assert Totals(1, 1, made.totals.tokens, 0, ("local", "l2-supercat-256", 256)) == made.totals
    assert made.folder == newest_bundle(config.places)


def test_two_bundles_in_one_second_do_not_meet(runs: Path) -> None:
    """A stamp that is taken makes the next second's; nothing is overwritten and no draft is left."""
    config = configured(runs)
    made = [write_bundle(config.places, config, [rid]) for rid in ("good-a", "good-b", "good-a")]
    assert 3 == len({bundle.folder for bundle in made}) == len(list(config.places.bundles.iterdir()))
    assert [["good-a"], ["good-b"], ["good-a"]] == [read_items(bundle.folder / "ready.txt") for bundle in made]
    assert made[-1].folder == newest_bundle(config.places)


def test_a_bundle_that_cannot_be_finished_leaves_nothing(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk in the middle leaves neither a bundle nor a draft (G6)."""

    def fail(target: Path, content: str) -> None:
        if target.name == "ready.txt":
            raise StorageTrouble("cannot write: no space left on device")
        target.write_text(content)

    monkeypatch.setattr(bundles, "write_whole", fail)
    config = configured(runs)
    with pytest.raises(StorageTrouble):
        write_bundle(config.places, config, ["good-a"])
    assert [] == list(config.places.bundles.iterdir())


def test_a_plan_without_runs_is_refused(tmp_path: Path) -> None:
    """No run at all is exit code 4: an empty bundle hides a broken planner."""
    config = configured(tmp_path)
    with pytest.raises(PlanUnusable, match="there is no run to plan"):
        write_bundle(config.places, config, [])


def test_an_invalid_configuration_blocks_every_run_and_still_makes_a_bundle(runs: Path) -> None:
    """A model that the provider lacks is a reason in the bundle, not the end of it."""
    config = configured(runs, embed__model="nope")
    made = write_bundle(config.places, config, ["good-a"])
    assert ([], 0, 1) == (made.ready, made.totals.ready, made.totals.blocked)
    assert "CONFIG_INVALID" in (made.folder / "blocked.txt").read_text()


def test_older_names_of_the_totals_are_read(tmp_path: Path) -> None:
    """Totals of older and of minimal bundles are read by their names (E8); what is missing or no number is None."""
    file = tmp_path / "plan_preflight.json"
    file.write_text(json.dumps({"runsReady": 3, "runsBlocked": 1, "tokens": 99}))
    assert Totals(3, 1, 99, None) == read_totals(tmp_path)
    file.write_text(json.dumps({"ready": 2, "blocked": 0, "estTokens": 7, "estCostUSD": 0.5}))
    assert Totals(2, 0, 7, 0.5) == read_totals(tmp_path)
    file.write_text('{"ready_runs": "three", "total_tokens": true}')
    assert Totals(None, None, None, None) == read_totals(tmp_path)
    file.write_text("{")
    assert Totals(None, None, None, None) == read_totals(tmp_path)


def test_a_bundle_with_the_longest_of_names_is_archived(project: Project) -> None:
    """A file whose name has 255 bytes, in letters of several bytes too, is archived like any other (E4)."""
    names = ["x" * 255, "ü" * 127 + "x"]
    bundle = project.bundle("alpha")
    for name in names:
        (bundle / name).write_text("kept")
    assert 0 == project.run("dispatch", f"plan={bundle}").code
    assert ["kept", "kept"] == [(project.dispatch / "plan_preflight" / name).read_text() for name in names]
    assert 0 == project.run("verify", str(project.dispatch)).code
