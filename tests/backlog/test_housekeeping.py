"""`trailblazer prompts` and `trailblazer logs`: what has another form is kept elsewhere, what is old goes when told."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from dispatch.project import Project, wait_for
from fixtures.embedding_server import EmbeddingServer


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


def test_logs_are_pruned_by_age_and_only_when_told(project: Project) -> None:
    """Issue 3: by default prune only names what is older than 14 days; --yes deletes that and nothing younger."""
    for limit in ("1", "2"):
        assert 0 == project.run("run", f"limit={limit}").code
    old, young = project.dispatches
    _age(old, 15)
    said = project.run("logs", "prune")
    assert (0, [str(old)]) == (said.code, said.out.splitlines())
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
