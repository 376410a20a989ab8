"""Dispatches that version 0.1.0 left unfinished are carried on; their folders stand in tests/fixtures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import Project

STORED = Path(__file__).parents[2] / "fixtures" / "dispatches_of_0_1_0"
BATCH, RUNS = "20261121T145122Z", "20261121T145154Z"


def _store(project: Project, name: str) -> None:
    shutil.copytree(STORED / name, project.var / "logs" / "dispatch" / name)


def test_an_interrupted_batch_is_carried_on(make_project: Callable[[EmbeddingServer | None], Project]) -> None:
    """Its items, its command and its good results are read; what has no good result runs under a new number."""
    project = make_project(None)
    _store(project, BATCH)
    again = project.run("batch", "run", "--resume", BATCH, "--timeout", "1")
    assert 6 == again.code, again.err
    assert {"a": "success", "b": "success", "c": "timeout", "d": "success"} == project.statuses
    newest = {line["item"]: line["attempt"] for line in project.journal if line["kind"] == "settle"}
    assert {"a": 1, "b": 1, "c": 2, "d": 1} == newest
    assert 0 == project.run("verify", BATCH).code


def test_a_failed_dispatch_of_runs_is_carried_on(make_project: Callable[[EmbeddingServer | None], Project]) -> None:
    """What failed then is embedded now; what was embedded then is not embedded again."""
    project = make_project(None)
    _store(project, RUNS)
    again = project.run("dispatch", "resume=latest")
    assert 0 == again.code, again.err
    assert {"alpha": "success", "bravo": "success"} == project.statuses
    assert ["bravo"] == list(project.vectors())
    assert 0 == project.run("verify", RUNS).code
