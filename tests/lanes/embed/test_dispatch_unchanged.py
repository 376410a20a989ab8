"""What changed is embedded, what did not is not (E7, E9, E10)."""

from __future__ import annotations

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import DOCUMENTS, Project, read_json, texts_of, words_of, write_documents

pytestmark = pytest.mark.proof


def _texts(service: EmbeddingServer) -> list[str]:
    """Return the texts that came since the last call, without those that only asked whether the service is there."""
    texts = [text for body in service.requests for text in body["input"] if text != "probe"]
    service.requests.clear()
    return texts


def test_skip_unchanged_embeds_only_what_changed(project: Project, service: EmbeddingServer) -> None:
    """Nothing the second time, one chunk when one text changed at the same length, all with force (E7)."""
    words = ("dispatch", "plan=list.txt", "skip-unchanged")
    project.write_plan("alpha", "bravo")
    assert 0 == project.run(*words).code
    assert 2 * DOCUMENTS == len(_texts(service))

    again = project.run(*words)
    assert 0 == again.code
    assert "Queued: 0, Skipped (preflight): 0, Skipped (unchanged): 2, Errors: 0/2" in words_of(again.err)
    assert [] == _texts(service)

    texts = texts_of("alpha")
    texts[3] = texts[3].replace("opened", "mended")
    write_documents(project.folder, "alpha", texts)
    assert 0 == project.run("chunk", "--run", "alpha").code
    changed = project.run(*words)
    assert "Queued: 1, Skipped (preflight): 0, Skipped (unchanged): 1, Errors: 0/2" in words_of(changed.err)
    assert [texts[3]] == _texts(service)
    assert {rid: project.chunks(rid) for rid in ("alpha", "bravo")} == project.vectors()
    assert [(texts[3],)] == project.query("SELECT text_md FROM chunks WHERE run_id = 'alpha' AND doc_id = 'alpha-3'")

    assert 0 == project.run(*words, "force").code
    assert 2 * DOCUMENTS == len(_texts(service))


def test_vectors_without_their_documents_are_not_unchanged(project: Project, service: EmbeddingServer) -> None:
    """A full disk took the last step of an attempt: the next dispatch takes it, and pays nothing."""
    project.write_plan("alpha")
    words = ("dispatch", "plan=list.txt", "skip-unchanged")
    assert 0 == project.run(*words).code
    _texts(service)
    (project.run_folder("alpha") / "embed" / "manifest.json").unlink()
    (project.run_folder("alpha") / "embed" / "embed_assurance.json").unlink()
    project.query("UPDATE processed_runs SET status = 'normalized' WHERE run_id = 'alpha' RETURNING 1")
    assert 0 == project.run(*words).code
    assert [] == _texts(service)
    assert (project.run_folder("alpha") / "embed" / "embed_assurance.json").is_file()
    assert [("embedded",)] == project.query("SELECT status FROM processed_runs WHERE run_id = 'alpha'")


def test_a_run_that_the_table_does_not_have_as_embedded_is_not_unchanged(project: Project) -> None:
    """The database went away behind the last vector and the manifest: the next dispatch settles the run."""
    project.write_plan("alpha")
    words = ("dispatch", "plan=list.txt", "skip-unchanged")
    assert 0 == project.run(*words).code
    project.query("UPDATE processed_runs SET status = 'normalized' WHERE run_id = 'alpha' RETURNING 1")
    assert 0 == project.run(*words).code
    assert [("embedded",)] == project.query("SELECT status FROM processed_runs WHERE run_id = 'alpha'")


def test_a_chunk_that_is_gone_loses_its_vector(project: Project, service: EmbeddingServer) -> None:
    """A document that was taken away takes its vectors with it, and nothing is embedded for that."""
    project.write_plan("alpha")
    assert 0 == project.run("dispatch", "plan=list.txt").code
    _texts(service)
    write_documents(project.folder, "alpha", texts_of("alpha")[:-1])
    assert 0 == project.run("chunk", "--run", "alpha").code
    assert 0 == project.run("dispatch", "plan=list.txt", "skip-unchanged").code
    assert ([], project.chunks("alpha")) == (_texts(service), project.vectors()["alpha"])


def test_diff_says_what_changed_and_why(project: Project) -> None:
    """Each reason is on stdout with exit 6 and in diff.json; nothing changed is exit 0 (E9)."""
    assert (6, "changed: NO_MANIFEST, VECTORS_MISSING") == _diff(project)
    assert 0 == project.run("embed", "run", "--run", "alpha").code
    assert (0, "unchanged") == _diff(project)
    project.query("DELETE FROM chunk_embeddings WHERE chunk_id LIKE '%%-3:0000' RETURNING 1")
    assert (6, "changed: VECTORS_MISSING") == _diff(project)
    assert "embedded 1 of 6" in project.run("embed", "reembed-if-changed", "--run", "alpha").out
    assert "unchanged\n" == project.run("embed", "reembed-if-changed", "--run", "alpha").out
    assert (6, "changed: DIMENSION_CHANGE, VECTORS_MISSING") == _diff(project, embed_dimension="16")
    assert (6, "changed: MODEL_CHANGE, VECTORS_MISSING") == _diff(project, embed_model="other")
    assert 0 == project.run("chunk", "--run", "alpha", "--max-tokens", "700").code
    assert (6, "changed: CHUNK_CONFIG_CHANGE") == _diff(project)
    texts = texts_of("alpha")
    write_documents(project.folder, "alpha", [texts[0].replace("opened", "mended"), *texts[1:]])
    assert 0 == project.run("chunk", "--run", "alpha").code
    assert (6, "changed: CONTENT_CHANGE") == _diff(project)
    assert ["CONTENT_CHANGE"] == read_json(project.run_folder("alpha") / "embed" / "diff.json")["reasons"]


def _diff(project: Project, **settings: str) -> tuple[int, str]:
    done = project.run("embed", "diff", "--run", "alpha", **settings)
    return done.code, done.out.strip()


def test_a_run_is_blocked_for_five_reasons_only(project: Project) -> None:
    """MISSING_ENRICH, MISSING_CHUNKS, CONFIG_INVALID and EMBEDDABLE_DOCS=0 block a run, each alone, with exit 5."""
    assert (0, "READY") == _preflight(project, "delta")
    (project.run_folder("alpha") / "enrich").mkdir()
    (project.run_folder("bravo") / "chunk" / "chunks.ndjson").unlink()
    write_documents(project.folder, "charlie", [" ", "\n"])
    assert (5, "MISSING_ENRICH") == _preflight(project, "alpha")
    assert (5, "MISSING_CHUNKS") == _preflight(project, "bravo")
    assert (5, "MISSING_CHUNKS, EMBEDDABLE_DOCS=0") == _preflight(project, "charlie")
    assert (5, "CONFIG_INVALID") == _preflight(project, "delta", chunk_overlap="60", chunk_max_tokens="60")
    assert (0, "READY") == _preflight(project, "delta")
    bundle = project.bundle()
    assert "var/runs/delta\n" == (bundle / "ready.txt").read_text()
    blocked = (bundle / "blocked.txt").read_text().splitlines()
    assert ["alpha # MISSING_ENRICH", "bravo # MISSING_CHUNKS", "charlie # MISSING_CHUNKS, EMBEDDABLE_DOCS=0"] == [
        line.removeprefix("var/runs/").partition(":")[0] for line in blocked
    ]


def test_a_missing_tokenizer_blocks_a_run(project: Project) -> None:
    """TOKENIZER_MISSING is the reason where splintr is not installed: here Python is told that it is not."""
    blind = project.folder / "blind"
    blind.mkdir()
    (blind / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, package=None: None if name == 'splintr' else found(name, package)\n"
    )
    assert (5, "TOKENIZER_MISSING") == _preflight(project, "alpha", PYTHONPATH=str(blind))


def _preflight(project: Project, rid: str, **settings: str) -> tuple[int, str]:
    done = project.run("embed", "preflight", "--run", rid, **settings)
    written = read_json(project.run_folder(rid) / "preflight" / "preflight.json")
    state, _, why = done.out.strip().partition(" ")
    assert state == written["status"]
    codes = why.partition(":")[0]
    assert codes == ", ".join(written["reasons"])
    return done.code, codes or state
