"""What a verb that did something answers with --json: one object, by one schema."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from trailblazer import schemas
from trailblazer.cli import main


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A project folder in which the words are typed; nothing is in its var/."""
    assert 0 == main(["init", str(tmp_path)])
    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path


@pytest.mark.parametrize(
    ("words", "state", "count"),
    [
        ("init json", "unchanged", 0),
        ("init other json dry-run", "would change", 7),
        ("init other json", "done", 7),
        ("completions install json", "done", 3),
        ("completions install json dry-run", "would change", 3),
        ("prompts index json", "done", 1),
        ("prompts archive json", "unchanged", 0),
        ("logs prune json", "unchanged", 0),
        ("calibrate check=ptp-mock json", "ready", 1),
        ("db stop json", "unchanged", 0),
    ],
)
@pytest.mark.usefixtures("project")
def test_the_answer_is_one_object(words: str, state: str, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout holds one document of the schema and nothing else: the state, and so many paths."""
    assert 0 == main(words.split())
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    schemas.check("answer", answer, words)
    assert (state, count) == (answer["state"], len(answer["paths"])), answer
    assert words.startswith(answer["verb"])


def test_what_is_old_is_named_and_then_deleted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`logs prune json` names the files that `logs prune json yes` deletes, and counts both."""
    old = project / "var" / "logs" / "runs_events.1.ndjson"
    old.parent.mkdir(parents=True)
    old.touch()
    os.utime(old, (0, 0))
    assert 0 == main(["logs", "prune", "json"])
    looked = json.loads(capsys.readouterr().out)
    assert ("would change", [str(old)], {"old": 1}) == (looked["state"], looked["paths"], looked["counts"])
    assert 0 == main(["logs", "prune", "json", "yes"])
    done = json.loads(capsys.readouterr().out)
    assert ("done", {"old": 1, "deleted": 1}) == (done["state"], done["counts"])
    assert not old.exists()
