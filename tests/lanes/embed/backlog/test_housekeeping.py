"""`trailblazer prompts` and `trailblazer logs`: another form is kept elsewhere, old files go when asked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import Project, wait_for
from trailblazer import schemas
from trailblazer.events import LARGEST_FILE, runs_events


def _age(folder: Path, days: float) -> None:
    then = time.time() - days * 86400
    for file in (folder, *folder.rglob("*")):
        os.utime(file, (then, then))


def test_what_is_no_prompt_is_archived_and_never_deleted(project: Project) -> None:
    """B8: prompts/NNN_*.md stay; all else moves, whole, to var/archive/prompts/<TS>/; a dry run moves nothing."""
    prompts = project.folder / "prompts"
    (prompts / "old").mkdir(parents=True)
    for name in ("000_shared_guardrails.md", "010_write_tests.md", "README.md", "notes.txt", "11_x.md", "old/a.md"):
        (prompts / name).write_text(f"# About {name}\n")
    dry = project.run("prompts", "archive", "--dry-run")
    assert (0, "") == (dry.code, dry.out)
    done = project.run("prompts", "archive")
    archive = Path(done.where)
    assert (0, project.var / "archive" / "prompts") == (done.code, archive.parent)
    assert ["11_x.md", "notes.txt", "old"] == sorted(file.name for file in archive.iterdir())
    assert "# About old/a.md\n" == (archive / "old" / "a.md").read_text()
    assert ["000_shared_guardrails.md", "010_write_tests.md", "README.md"] == sorted(
        file.name for file in prompts.iterdir()
    )
    again = project.run("prompts", "archive")
    assert (0, "") == (again.code, again.out)


def test_the_index_names_every_prompt_and_keeps_what_it_says(project: Project) -> None:
    """B8: prompts/README.md lists each prompt; a line that somebody wrote stays when it is written again."""
    prompts = project.folder / "prompts"
    prompts.mkdir()
    (prompts / "000_shared_guardrails.md").write_text("# House rules\n")
    assert 0 == project.run("prompts", "index").code
    index = prompts / "README.md"
    assert "| [000_shared_guardrails.md](000_shared_guardrails.md) | House rules |\n" in index.read_text()
    index.write_text(index.read_text().replace("House rules", "read it first"))
    (prompts / "010_write_tests.md").write_text("no title\n")
    assert 0 == project.run("prompts", "index").code
    rows = [line for line in index.read_text().splitlines() if line.startswith("| [")]
    assert ["read it first |", "write tests |"] == [row.split(" | ")[1] for row in rows]


def test_logs_are_pruned_by_age_and_only_when_known(project: Project) -> None:
    """Issue 3: by default prune only names what is older than 14 days; --yes deletes that and nothing younger."""
    for limit in ("1", "2"):
        assert 0 == project.run("run", f"limit={limit}").code
    old, young = project.dispatches
    _age(old, 15)
    said = project.run("logs", "prune")
    assert (0, [str(old)]) == (said.code, said.out.splitlines())
    assert said.out == project.run("logs", "prune", "dry-run", "yes").out
    assert [old, young] == project.dispatches
    assert 0 == project.run("logs", "prune", "--yes").code
    assert [young] == project.dispatches
    assert not old.exists()
    assert 0 == project.run("verify", young.name).code


def test_a_running_dispatch_is_never_pruned(project: Project, service: EmbeddingServer) -> None:
    """Issue 3: a dispatch that is carried out stays, however old its files look."""
    service.delay = 0.1
    with project.running("run") as process:
        wait_for(project.workers, "it embeds")
        os.kill(process.pid, signal.SIGSTOP)
        _age(project.dispatch, 99)
        done = project.run("logs", "prune", "--yes")
        os.kill(process.pid, signal.SIGCONT)
        _, said = process.communicate(timeout=60)
    assert (0, "", 0) == (done.code, done.out, process.returncode), said
    assert 0 == project.run("verify", "latest").code


def _fill(file: Path) -> None:
    """Make a file as large as an events file may get: a hole, which takes no space."""
    with file.open("ab") as opened:
        opened.truncate(LARGEST_FILE)


def _begins_with(file: Path, content: bytes) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(content)) == content


def test_events_that_have_grown_large_are_put_aside_and_pruned_by_age(project: Project) -> None:
    """Issue 3: a full events file is put aside before the next event, nothing of it lost; prune deletes it when old."""
    events = project.var / "logs" / "runs_events.ndjson"
    assert 0 == project.run("runs", "backfill").code
    head = events.read_bytes()
    _fill(events)
    assert 0 == project.run("runs", "backfill").code
    _fill(events)
    assert 0 == project.run("runs", "reset", "scope=processed").code
    aside = sorted(events.parent.glob("runs_events.*.ndjson"))
    assert [LARGEST_FILE] * 2 == [file.stat().st_size for file in aside]
    assert 1 == sum(_begins_with(file, head) for file in aside)
    reported = [json.loads(line) for line in events.read_text().splitlines()]
    assert ["runs.reset.start", "runs.reset.complete"] == [event["event"] for event in reported]
    for event in reported:
        schemas.check("event", event, str(events))
    _age(events.parent, 15)
    os.utime(aside[1])
    for words, left in ((("logs", "prune"), aside), (("logs", "prune", "--yes"), aside[1:])):
        done = project.run(*words)
        assert (0, str(aside[0]) + "\n") == (done.code, done.out), done.err
        assert left == sorted(events.parent.glob("runs_events.*.ndjson"))
    assert events.is_file()


def test_two_that_put_events_aside_at_once_lose_none(tmp_path: Path) -> None:
    """Issue 3: files that are put aside in the same second have names of their own."""
    events = tmp_path / "runs_events.ndjson"
    for number in range(20):
        events.write_text(f"{number}\n")
        _fill(events)
        runs_events(tmp_path, "backlog", to_stdout=False).close()
    aside = list(tmp_path.glob("runs_events.*.ndjson"))
    assert [1] * 20 == [sum(_begins_with(file, f"{number}\n".encode()) for file in aside) for number in range(20)]


def test_prune_keeps_what_a_living_process_or_another_host_writes(project: Project) -> None:
    """Issue 3: of what workers ran with, that of the living stays; so does a dispatch that runs on another host."""
    assert 0 == project.run("run", "limit=1").code
    own = project.dispatch
    elsewhere = own.with_name("20200101T000000Z")
    shutil.copytree(own, elsewhere)
    manifest = project.manifest | {"dispatchId": elsewhere.name, "status": "running"}
    manifest["builder"] |= {"host": "another-host"}
    (elsewhere / "dispatch_manifest.json").write_text(json.dumps(manifest))
    half_gone = elsewhere.with_name(".pruning-20190101T000000Z")
    half_gone.mkdir()
    living, gone = (project.var / "logs" / f"embed_env.{pid}.json" for pid in (os.getpid(), 2**30))
    for file in (living, gone):
        file.write_text("{}\n")
    (worker,) = {*(project.var / "logs").glob("embed_env.*.json")} - {living, gone}
    _age(project.var / "logs", 15)
    done = project.run("logs", "prune", "--days", "14.5", "--yes")
    assert (0, {str(path) for path in (gone, worker, half_gone, own)}) == (
        done.code,
        set(done.out.splitlines()),
    )
    paths = (living, elsewhere, gone, worker, half_gone, own)
    assert [True, True, False, False, False, False] == [path.exists() for path in paths]
    assert [2, 0] == [project.run("logs", "prune", "--days", days).code for days in ("-1", "0")]
