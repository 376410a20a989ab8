"""Projects of two sizes, and the server that counts their statements."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lanes.costs.counting import Statements
from lanes.embed.project import Project
from trailblazer.paths import CONFIG_NAME


@pytest.fixture
def new_project(
    base: Path, new_database: Callable[[], str], tmp_path: Path
) -> Callable[[str], tuple[Project, Statements]]:
    """A function that makes an empty project of a name, and what counts the statements in its database."""

    def make(name: str) -> tuple[Project, Statements]:
        project = Project(tmp_path / name / "project", new_database())
        (project.folder / CONFIG_NAME).parent.mkdir(parents=True)
        (project.folder / CONFIG_NAME).write_text("dispatch: {workers: 1}\n")
        return project, Statements(project.dsn, base / "server.log")

    return make
