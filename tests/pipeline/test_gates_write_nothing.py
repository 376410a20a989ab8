"""A gate reads only: it answers about a run that it may not change, and changes nothing (contract: gate)."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.runs import chunked_run, write_run
from trailblazer.paths import CONFIG_NAME

GATE = Path(__file__).with_name("gate_as_plain_user.py")


@pytest.fixture
def plain_uid() -> Iterator[int]:
    """The id of a user without rights: a new one when we are root, else ours."""
    if os.geteuid() != 0:
        yield os.geteuid()
        return
    name = f"trailblazer-gate-{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", name], check=True)
    yield pwd.getpwnam(name).pw_uid
    subprocess.run(["userdel", name], check=True)


@pytest.fixture
def project() -> Iterator[Path]:
    """A project that everybody may read and nobody may write, with a ready and a blocked run."""
    folder = Path(tempfile.mkdtemp(prefix="trailblazer-gate-"))
    (folder / CONFIG_NAME).parent.mkdir()
    (folder / CONFIG_NAME).touch()
    for rid in ("another", "ready"):
        chunked_run(folder, rid, "some text")
    write_run(folder, "blocked", {"id": "a", "text_md": "x"})
    subprocess.run(["chmod", "-R", "a+rX,a-w", str(folder)], check=True)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    shutil.rmtree(folder)


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return when each file and folder was changed, and what the files hold."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize(
    ("rid", "refused"), [("ready", ""), ("blocked", "MISSING_CHUNKS: no chunks; make them with `trailblazer chunk")]
)
def test_a_gate_answers_about_a_run_that_cannot_be_written(
    project: Path, plain_uid: int, rid: str, refused: str
) -> None:
    """A plain user's gate over a read-only run folder says whether it is ready, and leaves every file as it was."""
    before = state_of(project)
    done = subprocess.run(
        [sys.executable, str(GATE), str(plain_uid), "another", rid], cwd=project, capture_output=True, text=True
    )
    assert 0 == done.returncode, done.stderr
    reply = json.loads(done.stdout)
    assert reply["refused"].startswith(refused)
    assert bool(refused) == bool(reply["refused"])
    assert before == state_of(project)
