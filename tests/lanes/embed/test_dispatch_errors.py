"""What goes wrong outside is one clear line, a hint and the right exit code, and no key is ever written down."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import Finished, Project, says_one_thing, wait_for

pytestmark = pytest.mark.proof

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_database_that_is_down_is_exit_8_before_anything_is_made(project: Project) -> None:
    """A dispatch whose database does not answer is refused with a hint, and leaves no dispatch folder."""
    project.write_plan("alpha")
    down = f"postgresql://nobody:hidden-word@127.0.0.1:{_closed_port()}/none"
    done = project.run("dispatch", "plan=list.txt", db_url=down)
    assert (8, True, []) == (done.code, says_one_thing(done), project.dispatches), done.err
    assert "Is the server up" in done.err
    assert "hidden-word" not in done.err


@pytest.mark.parametrize(
    ("behaviour", "code", "telling"),
    [
        ("401", 5, "answered 401"),
        ("403", 5, "answered 403"),
        ("404", 5, "answered 404"),
        ("quota", 5, "run out of money"),
        ("429", 8, "answered 429"),
        ("500", 8, "answered 500"),
        ("drop", 8, "hung up"),
        ("hang", 8, "did not answer within 0.3 s"),
        ("half", 8, "half a document"),
        ("dimension", 5, "vectors of 3 numbers, not 8"),
    ],
)
def test_a_provider_that_says_no_at_the_start_closes_the_gate(
    project: Project, service: EmbeddingServer, behaviour: str, code: int, telling: str
) -> None:
    """A provider that refuses is exit 5, one that does not answer exit 8; nothing is made, sent or claimed."""
    service.behaviour = behaviour
    project.write_plan("alpha")
    done = project.run("dispatch", "plan=list.txt", embed_max_retries="0", embed_timeout_seconds="0.3")
    assert (code, True, []) == (done.code, says_one_thing(done), project.dispatches), done.err
    assert telling in done.err


@pytest.mark.parametrize(("behaviour", "telling"), [("401", "answered 401"), ("500", "answered 500")])
def test_a_provider_that_fails_in_mid_run_is_told_and_resume_finishes(
    project: Project, service: EmbeddingServer, behaviour: str, telling: str
) -> None:
    """A key that is withdrawn or a service that breaks down after the start fails runs with exit 8 or 6."""
    project.write_plan("alpha", "bravo")
    service.behaviour, service.well = behaviour, 1
    done = project.run("dispatch", "plan=list.txt", "retries=0", embed_max_retries="0")
    assert done.code == (8 if behaviour == "401" else 6), done.err
    assert telling in done.err
    assert "Traceback" not in done.err
    assert {} == project.vectors()
    service.behaviour = "ok"
    assert 0 == project.run("dispatch", "resume=latest").code
    assert ["alpha", "bravo"] == list(project.vectors())


def test_a_retry_embeds_only_what_failed(project: Project, service: EmbeddingServer) -> None:
    """The command at the end of a dispatch retries the run that failed; one that was not run waits for a resume."""
    project.write_plan("alpha", "bravo")
    service.behaviour, service.well = "500", 1
    flags = ("retries=0", "workers=1", "halt=now,fail=1")
    done = project.run("dispatch", "plan=list.txt", *flags, embed_max_retries="0")
    command = f"To retry what failed: trailblazer dispatch --retry-failed {project.dispatch.name}\n"
    assert (8, True) == (done.code, command in done.err), done.err
    service.behaviour = "ok"
    preview = project.run("dispatch", "retry-failed", "dry-run")
    assert (0, "alpha\n") == (preview.code, preview.out)
    assert 6 == project.run("dispatch", "--retry-failed", project.dispatch.name).code
    assert ["alpha"] == list(project.vectors())
    assert 0 == project.run("dispatch", "resume").code
    assert ["alpha", "bravo"] == list(project.vectors())


def test_a_service_that_stumbles_is_asked_again(project: Project, service: EmbeddingServer) -> None:
    """429, a dropped connection and 500, one after the other, cost time and nothing else."""
    service.behaviour = "flaky"
    project.write_plan("alpha")
    done = project.run("dispatch", "plan=list.txt")
    assert 0 == done.code, done.err
    assert project.chunks("alpha") == project.vectors()["alpha"]


def test_the_key_is_in_no_file_under_var(project: Project, service: EmbeddingServer, base: Path) -> None:
    """OPENAI_API_KEY reaches the service and no file: not with success, not when the service echoes it back."""
    key = "sk-" + secrets.token_hex(16)
    project.write_plan("alpha", "bravo")
    assert 0 == project.run("dispatch", "plan=list.txt", OPENAI_API_KEY=key).code
    assert {f"Bearer {key}"} == set(service.keys)
    service.behaviour = "echo"
    said: list[Finished] = [
        project.run("dispatch", "plan=list.txt", OPENAI_API_KEY=key),
        project.run("embed", "run", "--run", "alpha", OPENAI_API_KEY=key),
        project.run("config", "show", OPENAI_API_KEY=key),
    ]
    assert [True, True, False] == ["answered 401" in one.err for one in said]
    assert all(key not in one.err + one.out for one in said)
    found = [
        str(file)
        for folder in (project.var, base.parent)
        for file in folder.rglob("*")
        if file.is_file() and key.encode() in file.read_bytes()
    ]
    assert [] == found
    assert [] == project.query("SELECT 1 FROM processed_runs WHERE to_jsonb(processed_runs)::text LIKE %s", f"%{key}%")


@contextlib.contextmanager
def _mounted(target: Path, *words: str) -> Iterator[None]:
    done = subprocess.run(["mount", *words, str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(target)], check=True)


@as_root
def test_a_read_only_var_is_told_in_one_line(project: Project) -> None:
    """A var/ on a read-only file system is exit 8 with a hint, whichever program meets it."""
    project.write_plan("alpha")
    with _mounted(project.var, "--bind", str(project.var)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(project.var)], check=True)
        for words in (("dispatch", "plan=list.txt"), ("embed", "preflight", "--run", "alpha"), ("chunk", "--force")):
            done = project.run(*words)
            assert "Traceback" not in done.err
            assert done.code in ({6} if words[0] == "chunk" else {8}), (words, done.err)
            assert "Read-only file system" in done.err, done.err


@as_root
def test_a_full_disk_stops_the_line_and_loses_nothing(project: Project) -> None:
    """A disk that is full at the start is exit 8 with a hint; with some space again the same command does it all."""
    project.write_plan("alpha", "bravo")
    kept = project.folder / "kept"
    shutil.copytree(project.var, kept)
    with _mounted(project.var, "-t", "tmpfs", "-o", "size=256k", "tmpfs"):
        shutil.copytree(kept, project.var, dirs_exist_ok=True)
        filler = project.var / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
        done = project.run("dispatch", "plan=list.txt")
        assert (8, True) == (done.code, says_one_thing(done)), done.err
        assert "No space left on device" in done.err
        assert "Free some space" in done.err
        filler.unlink()
        again = project.run("dispatch", "plan=list.txt")
        assert 0 == again.code, again.err
        assert ["alpha", "bravo"] == list(project.vectors())


@as_root
def test_a_disk_that_fills_in_mid_run_ends_the_dispatch_and_resume_finishes(
    project: Project, service: EmbeddingServer
) -> None:
    """A disk that fills while runs are embedded ends the dispatch with exit 8; with space again resume finishes it."""
    project.write_plan("alpha", "bravo", "charlie")
    service.delay = 60
    kept = project.folder / "kept"
    shutil.copytree(project.var, kept)
    with _mounted(project.var, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        shutil.copytree(kept, project.var, dirs_exist_ok=True)
        with project.running("dispatch", "plan=list.txt") as process:
            wait_for(lambda: service.requests, "the service is asked")
            service.behaviour = "slow"
            wait_for(lambda: len(service.requests) > 1, "a run is being embedded")
            filler = project.var / "filler"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"\0" * 512)
            service.released.set()
            _, said = process.communicate(timeout=60)
        assert "Traceback" not in said
        assert 8 == process.returncode, said
        assert "No space left on device" in said
        filler.unlink()
        again = project.run("dispatch", "resume=latest")
        assert 0 == again.code, again.err
        assert ["alpha", "bravo", "charlie"] == list(project.vectors())
        assert 0 == project.run("verify").code
