"""What a dispatch that goes well says, writes down and leaves as it was (E3-E8)."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import DOCUMENTS, STOCK, TRAILBLAZER, Project, read_json, words_of
from trailblazer import schemas
from trailblazer.record.manifest import Seed


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_dispatch_of_a_bundle_archives_says_and_proves_all_of_it(project: Project) -> None:
    """A bundle and a QA folder are archived with their digests and left alone; start and end lines are those of E8."""
    bundle = project.bundle()
    (bundle / "more").mkdir()
    (bundle / "more" / "whatever else.bin").write_bytes(b"\0\xff")
    (bundle / "half.tmp").write_text("a file like any other\n")
    (bundle / os.fsdecode(b"no UTF-8 \xff")).write_text("a name like any other\n")
    quality = project.var / "retrieval_qc" / "20261101T000000Z"
    quality.mkdir(parents=True)
    (quality / "report é.md").write_text("good\n")
    before = _digests(bundle) | _digests(quality)
    done = project.run("dispatch", f"plan={bundle}", f"qa={quality}", 'notes=a "b" \\ é', "skip-unchanged")
    assert (0, before) == (done.code, _digests(bundle) | _digests(quality)), done.err

    said = words_of(done.err)
    assert f"Using plan: bundle {bundle.name} (planned: 4; openai/tiny/8/2/2)" == said[0]
    assert re.fullmatch(r"Bundle totals: ready: 4, blocked: 0, estTokens: \d+, estCostUSD: [\d.]+", said[1])
    end = said.index("Queued: 4, Skipped (preflight): 0, Skipped (unchanged): 0, Errors: 0/4")
    folder = project.dispatch
    assert [
        f"Manifest: {folder}/dispatch_manifest.json",
        f"Archives: {folder}/plan_preflight, {folder}/retrieval_qc",
    ] == said[end + 2 : end + 4]
    assert re.fullmatch(r"Embedded: \d+ chunks, \d+ tokens, US\$ [\d.]+", said[end + 1])

    manifest = project.manifest
    expected = {
        "planPreflightDir": str(bundle),
        "planFileUsed": str(bundle / "ready.txt"),
        "runsPlanned": 4,
        "provider": "openai",
        "model": "tiny",
        "dimension": 8,
        "workers": 2,
        "batchSize": 2,
        "gitCommit": None,
        "qaDir": str(quality),
        "notes": 'a "b" \\ é',
        "mode": "reembed-if-changed",
    }
    assert expected == {name: manifest[name] for name in expected}
    assert set(expected) == set(schemas.in_camel_case({field.name: 0 for field in fields(Seed)}))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", manifest["dispatchTs"])
    schemas.check("dispatch_manifest", manifest, "the manifest")
    assert _digests(bundle) == _digests(folder / "plan_preflight")
    assert _digests(quality) == _digests(folder / "retrieval_qc")
    archived = {entry["name"]: entry["digest"]["sha256"] for entry in manifest["inputs"]}
    assert {f"plan_preflight/{name}": digest for name, digest in _digests(bundle).items()}.items() <= archived.items()
    assert before["report é.md"] == archived["retrieval_qc/report é.md"]
    assert 0 == subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=False).returncode
    assert 0 == project.run("verify", "latest").code


def test_every_worker_writes_what_it_ran_with(project: Project) -> None:
    """Each worker leaves embed_env.<PID>.json, which fits its schema and holds no secret (E6)."""
    done = project.run("dispatch", "plan=list.txt", OPENAI_API_KEY="sk-nobody-knows")
    assert 4 == done.code
    project.write_plan(*STOCK)
    assert 0 == project.run("dispatch", "plan=list.txt", OPENAI_API_KEY="sk-nobody-knows").code
    files = sorted((project.var / "logs").glob("embed_env.*.json"))
    assert 1 <= len(files) <= 2
    for file in files:
        document = read_json(file)
        schemas.check("embed_env", document, str(file))
        assert (file.name, "openai", 2) == (
            f"embed_env.{document['pid']}.json",
            document["provider"],
            document["batchSize"],
        )
        assert "sk-nobody-knows" not in file.read_text()


def test_a_plan_file_is_archived_and_named(project: Project) -> None:
    """A dispatch of a plan file has no bundle in its manifest and the file in its archive (E4, E5)."""
    plan = project.write_plan("# mine", "", "bravo:6", "var/runs/alpha", "bravo", "alpha # again")
    done = project.run("dispatch", "plan-file=list.txt")
    assert f"Using plan: file {plan.name} (planned: 2; openai/tiny/8/2/2)" == words_of(done.err)[0]
    manifest = project.manifest
    assert (None, "list.txt", None, "", "embed", 2) == tuple(
        manifest[name] for name in ("planPreflightDir", "planFileUsed", "qaDir", "notes", "mode", "runsPlanned")
    )
    assert plan.read_bytes() == (project.dispatch / "plan" / "list.txt").read_bytes()
    assert "alpha\nbravo\n" == (project.dispatch / "plan.txt").read_text()
    assert {"alpha": "success", "bravo": "success"} == project.statuses


def test_the_short_commit_of_the_project_is_in_the_manifest(project: Project) -> None:
    """In a git checkout the manifest names the short commit (E5)."""
    project.write_plan("alpha")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (["init", "-q"], ["add", "list.txt"], ["commit", "-qm", "One"]):
        subprocess.run([*git, *words], cwd=project.folder, check=True)
    short = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=project.folder, check=True, capture_output=True, text=True
    )
    assert 0 == project.run("dispatch", "plan=list.txt").code
    assert short.stdout.strip() == project.manifest["gitCommit"]


def test_a_second_dispatch_gives_the_same_chunks_and_anew_made_vectors(
    project: Project, service: EmbeddingServer
) -> None:
    """The same input twice gives the same chunk ids and counts; without skip-unchanged all is embedded again (E7)."""
    project.write_plan(*STOCK)
    assert 0 == project.run("dispatch", "plan=list.txt").code
    before, asked = project.vectors(), len(service.requests)
    assert {rid: project.chunks(rid) for rid in STOCK} == before
    assert [DOCUMENTS] * 4 == [len(chunks) for chunks in before.values()]
    assert 0 == project.run("chunk", "--force").code
    assert 0 == project.run("dispatch", "plan=list.txt").code
    assert (before, 2 * asked) == (project.vectors(), len(service.requests))


@pytest.mark.parametrize("words", [(), ("skip-unchanged",)], ids=["embed", "reembed-if-changed"])
def test_a_blocked_run_is_skipped_with_its_reason(project: Project, words: tuple[str, ...]) -> None:
    """A run whose preflight fails is skipped with a line in dispatcher.out; the others are embedded (E7)."""
    (project.run_folder("bravo") / "chunk" / "chunks.ndjson").unlink()
    project.write_plan("alpha", "bravo")
    done = project.run("dispatch", "plan=list.txt", *words)
    assert (0, {"alpha": "success", "bravo": "skipped"}) == (done.code, project.statuses)
    assert "Queued: 1, Skipped (preflight): 1, Skipped (unchanged): 0, Errors: 0/2" in words_of(done.err)
    lines = [
        line for line in (project.var / "logs" / "dispatcher.out").read_text().splitlines() if "MISSING_CHUNKS" in line
    ]
    assert 1 == len(lines)
    assert "bravo" in lines[0]
    assert ["alpha"] == list(project.vectors())


@pytest.mark.skipif(shutil.which("script") is None, reason="there is no `script` that makes a terminal")
def test_a_skipped_run_is_one_red_line_on_a_terminal(project: Project) -> None:
    """On a terminal the line of a run that its preflight refused is red (E7)."""
    (project.run_folder("bravo") / "chunk" / "chunks.ndjson").unlink()
    project.write_plan("alpha", "bravo")
    words = shlex.join([*TRAILBLAZER, "dispatch", "plan=list.txt", "monitor-interval=0"])
    seen = subprocess.run(
        ["script", "-qec", words, "/dev/null"],
        cwd=project.folder,
        env={name: value for name, value in project.settings(TERM="xterm").items() if name != "NO_COLOR"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    red = [line for line in seen.stdout.splitlines() if "\033[31m" in line and "bravo" in line]
    assert 1 == len(red), seen.stdout
    assert "MISSING_CHUNKS" in red[0]


def test_one_failing_run_never_stops_the_others(project: Project) -> None:
    """A missing run folder and a broken document are skips with their reasons; the rest is embedded (E7)."""
    source = project.run_folder("bravo") / "normalize" / "normalized.ndjson"
    source.write_bytes(source.read_bytes()[:-20])
    project.write_plan("alpha", "bravo", "charlie", "nowhere")
    done = project.run("dispatch", "plan=list.txt")
    expected = {"alpha": "success", "bravo": "skipped", "charlie": "success", "nowhere": "skipped"}
    assert (0, expected) == (done.code, project.statuses), done.err
    assert "Queued: 2, Skipped (preflight): 2, Skipped (unchanged): 0, Errors: 0/4" in words_of(done.err)
    assert "nowhere" in project.reasons["nowhere"]
    assert "normalized.ndjson:6" in project.reasons["bravo"]
    assert "Traceback" not in done.err
    assert "finished" == project.manifest["status"]
    assert 0 == project.run("verify").code
