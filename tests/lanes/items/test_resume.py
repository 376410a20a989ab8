"""What a resume accepts and what it refuses: sealed folders, whole results, failures (rules 7, 10, 11)."""

from __future__ import annotations

import json
import shutil

import pytest

from lanes.items.batches import Batches


def _failed_batch(batches: Batches) -> None:
    """Run a batch in which one item fails while the file `gate` does not exist, and then make that file."""
    gate = batches.folder / "gate"
    file = batches.folder / "items"
    file.write_text("1\n2\n")
    command = f"test {{{{ item }}}} = 1 || test -e '{gate}'"
    assert 6 == batches.run("batch", "run", "--items", str(file), "--shell", "--", command).code
    gate.touch()


@pytest.mark.parametrize("damage", ["changed", "added", "removed"])
def test_a_changed_sealed_folder_is_not_resumed(batches: Batches, damage: str) -> None:
    """A resume names a change of the sealed folder and runs nothing; with --force it records the change and runs."""
    _failed_batch(batches)
    plan = batches.dispatch / "items.ndjson"
    if damage == "changed":
        plan.write_text(plan.read_text().replace("2", "3"))
    elif damage == "added":
        (batches.dispatch / "task_0" / "more").write_text("x\n")
    else:
        (batches.dispatch / "task_0" / "attempt_1" / "result.json").unlink()
    before = sorted((batches.dispatch / "SHA256SUMS").read_text().splitlines())
    refused = batches.run("batch", "run", "--resume")
    assert 6 == refused.code
    assert "is not as it was sealed" in refused.err
    assert before == sorted((batches.dispatch / "SHA256SUMS").read_text().splitlines())
    forced = batches.run("batch", "run", "--resume", "latest", "--force")
    assert "Resuming batch" in forced.err
    assert next(line["changed"] for line in batches.journal if line["kind"] == "resume")


def test_a_whole_result_on_the_disk_is_adopted(batches: Batches) -> None:
    """After a kill between result.json and the journal's line a resume takes the result and runs nothing."""
    shared = batches.folder / "shared"
    done = batches.batch(["a", "b"], "note", str(shared), "{{ item }}", flags="--skip-preflight --max-workers 1")
    assert 0 == done.code, done.err
    lines = (batches.dispatch / "journal.ndjson").read_bytes().splitlines(keepends=True)
    settled = [number for number, line in enumerate(lines) if b'"kind":"settle"' in line]
    (batches.dispatch / "journal.ndjson").write_bytes(b"".join(lines[: settled[1]]))  # as a kill would leave it
    (batches.dispatch / "SHA256SUMS").unlink()
    again = batches.run("batch", "run", "--resume")
    assert 0 == again.code, again.err
    assert ["success", "success"] == batches.outcomes
    assert ["a", "b"] == sorted(shared.read_text().split()), "nothing ran again"
    assert [1, 1] == [item["attempt"] for item in batches.summary["items"]]
    assert 0 == batches.run("verify", "latest").code


def test_half_a_result_is_not_adopted(batches: Batches) -> None:
    """When a power cut left an empty result.json, the item runs again."""
    done = batches.batch(["a"], "exit", "0", flags="--skip-preflight")
    assert 0 == done.code, done.err
    lines = (batches.dispatch / "journal.ndjson").read_bytes().splitlines(keepends=True)
    (batches.dispatch / "journal.ndjson").write_bytes(b"".join(lines[:3]))
    (batches.dispatch / "SHA256SUMS").unlink()
    (batches.attempt() / "result.json").write_text("")
    assert 0 == batches.run("batch", "run", "--resume").code
    assert [2] == [item["attempt"] for item in batches.summary["items"]]


def test_a_folder_in_the_place_of_another_is_a_finding(batches: Batches) -> None:
    """Verify finds a dispatch folder whose name is not the id in its manifest."""
    for _ in range(2):
        assert 0 == batches.batch(["a"], "exit", "0", flags="--skip-preflight").code
    first, second = batches.dispatches
    shutil.rmtree(second)
    first.rename(second)
    verified = batches.run("verify", second.name)
    assert 6 == verified.code
    assert f"the folder is named {second.name}, the manifest is that of {first.name}" in verified.out


def test_a_database_keeps_the_seal_of_a_batch(batches: Batches) -> None:
    """Verify compares the seal of a batch with the one that Postgres keeps."""
    assert 0 == batches.run("db", "start").code
    try:
        assert 0 == batches.batch(["a"], "exit", "0", flags="--skip-preflight").code
        assert "postgres" == batches.manifest["sealKeptIn"]
        assert "is the one that was sealed, by the database" in batches.run("verify", "latest").out
        sums = batches.dispatch / "SHA256SUMS"
        sums.write_text("".join(line + "\n" for line in reversed(sums.read_text().splitlines())))
        verified = batches.run("verify", "latest")
        assert 6 == verified.code
        assert "SHA256SUMS is not the one that was sealed" in verified.out
    finally:
        batches.run("db", "stop")


def test_without_a_database_the_manifest_says_so(batches: Batches) -> None:
    """Without a database the manifest says that the seal is kept nowhere else."""
    assert 0 == batches.batch(["a"], "exit", "0", flags="--skip-preflight").code
    assert None is json.loads((batches.dispatch / "dispatch_manifest.json").read_text())["sealKeptIn"]
