"""Who writes the preflight documents of a run: the attempt that embeds it, never the gate."""

from __future__ import annotations

import json

from lanes.embed.project import Project, read_json


def test_an_attempt_publishes_the_preflight_and_skips_what_it_says(project: Project) -> None:
    """A dispatched run has both documents, and a document below the quality has no vector, in a first dispatch too."""
    enriched = project.run_folder("alpha") / "enrich" / "enriched.jsonl"
    enriched.parent.mkdir()
    records = [{"id": "good", "text_md": "kept"}, {"id": "poor", "text_md": "left out", "quality_score": 0.1}]
    enriched.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert 0 == project.run("chunk", "--run", "alpha").code
    project.write_plan("alpha")
    assert 0 == project.run("dispatch", "plan=list.txt").code
    folder = project.run_folder("alpha") / "preflight"
    assert "READY" == read_json(folder / "preflight.json")["status"]
    assert ["poor"] == read_json(folder / "doc_skiplist.json")["skip"]
    assert {"alpha": ["good:0000"]} == project.vectors()


def test_a_gate_that_refuses_leaves_no_documents(project: Project) -> None:
    """A run that the gate of a dispatch refuses has its reason in the journal and no new file in its folder."""
    run = project.run_folder("bravo")
    (run / "chunk" / "chunks.ndjson").unlink()
    project.write_plan("bravo")
    project.run("dispatch", "plan=list.txt")
    assert project.reasons["bravo"].startswith("MISSING_CHUNKS")
    assert not (run / "preflight").exists()
